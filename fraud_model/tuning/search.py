"""The search: trials one after the other, until there are as many as asked or time is up."""

from __future__ import annotations

import os
import time
import warnings
from dataclasses import dataclass
from datetime import datetime

import lightgbm
import numpy as np
import optuna
from optuna.exceptions import ExperimentalWarning, UpdateFinishedTrialError
from optuna.trial import FrozenTrial, Trial, TrialState

from fraud_model.tuning.folds import Folds
from fraud_model.tuning.space import Space
from fraud_model.tuning.storage import GRACE_SECONDS, HEARTBEAT_SECONDS
from fraud_model.tuning.trial_runs import TrialRuns, scores_of

# Trials that are drawn at random before the sampler models what is good.
RANDOM_TRIALS = 10
# A trial is pruned where its folds are lower than the same folds of the best one, by Wilcoxon's
# signed-rank test at this level: after two of them if both are lower, after three if the one that
# is not differs by least.
PRUNING_LEVEL, FOLDS_BEFORE_PRUNING = 0.3, 2
COUNTED = (TrialState.COMPLETE, TrialState.PRUNED, TrialState.RUNNING)


class Superfluous(Exception):
    """A trial that another process's made one too many."""


class OutOfTime(Exception):
    """A trial that the end of this run's minutes cut off."""


@dataclass(frozen=True)
class Search:
    """What trials need: the study, where they are recorded, what they fit, and how many."""

    study: optuna.Study
    runs: TrialRuns
    folds: Folds
    space: Space
    trials: int

    def run(self, minutes: float) -> bool:
        """Runs trials until the study has as many as asked, or `minutes` are over; 0 never are.

        Returns whether no other process is at one of the study's trials.
        """
        end = time.monotonic() + minutes * 60 if minutes else np.inf
        try:
            while time.monotonic() < end:
                self._end_abandoned()
                if self._missing() > 0:
                    self._one(end)
                elif not self._others_may_leave_one():
                    break
        except BaseException:
            self._fail_own()
            raise
        finally:
            self.runs.catch_up(self.study)
        return not self._running()

    def _one(self, end: float) -> None:
        try:
            self.study.optimize(
                lambda trial: self._score(trial, end),
                n_trials=1,
                catch=(Superfluous, OutOfTime),
                callbacks=[self._finish],
            )
        except (UpdateFinishedTrialError, ValueError):
            # Another process took it for abandoned, because this machine stood still.
            states = {trial.number: trial.state for trial in self.study.get_trials(deepcopy=False)}
            if not any(states[number] == TrialState.FAIL for number in self.runs.open):
                raise
            self.runs.catch_up(self.study)

    def _score(self, trial: Trial, end: float) -> float:
        """The mean average precision over the folds."""
        if self._before(trial.number) >= self.trials:
            raise Superfluous
        self.runs.start(trial.number)
        hyperparameters = self.space.suggest(trial)

        def check_time(_: lightgbm.callback.CallbackEnv) -> None:
            if time.monotonic() > end:
                raise OutOfTime

        scores: list[float] = []
        for step, fold in enumerate(self.folds.prepared, start=1):
            scores.append(fold.score(hyperparameters, check_time))
            trial.report(scores[-1], step)
            if step < len(self.folds.prepared) and trial.should_prune():
                raise optuna.TrialPruned
        return float(np.mean(scores))

    def _finish(self, study: optuna.Study, trial: FrozenTrial) -> None:
        self.runs.finish(trial)
        seconds = trial.duration.total_seconds() if trial.duration else 0.0
        if trial.state == TrialState.COMPLETE:
            best = study.best_trial
            came = f"average precision {trial.value:.4f} over the folds"
            print(
                f"  trial {trial.number}: {came}, {seconds:.1f} s (best so far: {best.value:.4f}, "
                f"trial {best.number})"
            )
        elif trial.state == TrialState.PRUNED:
            of = f"{len(scores_of(trial))} of {len(self.folds.prepared)} folds"
            print(f"  trial {trial.number}: pruned after {of}, {seconds:.1f} s")
        elif trial.params:
            print(f"  trial {trial.number}: cut off, since the minutes are over")

    def _before(self, number: int) -> int:
        """How many of the trials that count are older than that of this number."""
        return sum(trial.number < number for trial in self._counted())

    def _missing(self) -> int:
        return self.trials - len(self._counted())

    def _counted(self) -> list[FrozenTrial]:
        return self.study.get_trials(deepcopy=False, states=COUNTED)

    def _running(self) -> list[FrozenTrial]:
        return self.study.get_trials(deepcopy=False, states=(TrialState.RUNNING,))

    def _others_may_leave_one(self) -> bool:
        """Waits as long as a killed process's trial takes to be known as such; True if it was."""
        end = time.monotonic() + GRACE_SECONDS + 2 * HEARTBEAT_SECONDS
        while self._running() and time.monotonic() < end:
            time.sleep(1)
            self._end_abandoned()
            if self._missing() > 0:
                return True
        return False

    def _end_abandoned(self) -> None:
        """Fails trials whose process shows no sign of life."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ExperimentalWarning)
            optuna.storages.fail_stale_trials(self.study)
        for trial in self._running():
            # Killed before its first heartbeat.
            begun = trial.datetime_start or datetime.now()
            age = (datetime.now() - begun).total_seconds()
            if len(trial.params) < len(self.space.dimensions) and age > GRACE_SECONDS:
                self.study.tell(trial.number, state=TrialState.FAIL, skip_if_finished=True)

    def _fail_own(self) -> None:
        for number in self.runs.open:
            self.study.tell(number, state=TrialState.FAIL, skip_if_finished=True)


def sampler(seed: int, *, first: bool) -> optuna.samplers.BaseSampler:
    """TPE. The process that makes a study follows `seed`; later ones draw what nobody has drawn."""
    if not first:
        entropy = [seed, os.getpid(), time.time_ns()]
        seed = int(np.random.SeedSequence(entropy).generate_state(1)[0])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)
        return optuna.samplers.TPESampler(
            n_startup_trials=RANDOM_TRIALS, multivariate=True, constant_liar=True, seed=seed
        )


def pruner() -> optuna.pruners.BasePruner:
    """Stops a trial whose folds are lower than the same folds of the best one."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)
        return optuna.pruners.WilcoxonPruner(
            p_threshold=PRUNING_LEVEL, n_startup_steps=FOLDS_BEFORE_PRUNING
        )
