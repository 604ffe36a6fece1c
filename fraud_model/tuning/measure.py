"""Measures the winner of a study beside the defaults; the holdout once for each winner."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace

import numpy as np
import optuna
from optuna.trial import FrozenTrial, TrialState

from fraud_model.arrays import Floats
from fraud_model.data.dataset import Dataset
from fraud_model.data.split import Parts
from fraud_model.errors import TrainingError
from fraud_model.evaluation.intervals import Interval
from fraud_model.training.config import Hyperparameters, TrainingConfig
from fraud_model.tuning.folds import Folds
from fraud_model.tuning.outcome import Outcome
from fraud_model.tuning.space import Space
from fraud_model.tuning.trial_runs import scores_of
from fraud_model.tuning.verdict import Gain, Verdict, gain_elsewhere, gain_on_folds, gain_on_holdout

# In the study: what winners reached on the holdout by trial, and the defaults on the folds.
ON_HOLDOUT, OF_DEFAULTS = "on_holdout", "default_scores"


@dataclass(frozen=True)
class Measured:
    """A study and what its trials are measured on."""

    study: optuna.Study
    dataset: Dataset
    parts: Parts
    folds: Folds
    space: Space
    genuine_weight: float

    @property
    def defaults(self) -> Hyperparameters:
        """What the winner has to beat: `train`'s own, of the same seed."""
        return Hyperparameters(seed=self.space.fixed.seed)

    def try_defaults_first(self) -> None:
        """Makes the defaults the first trial of a new study, where they lie in its space."""
        if self.space.holds(self.defaults):
            self.study.enqueue_trial(self.space.values_of(self.defaults))

    def complete(self) -> list[FrozenTrial]:
        """The trials that came to the last fold."""
        return self.study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))

    def default_scores(self) -> Floats:
        """The defaults' average precision on each fold; fitted where no trial was."""
        for trial in self.complete():
            if self.space.hyperparameters(trial.params) == self.defaults:
                return np.array(scores_of(trial))
        known = self.study.user_attrs.get(OF_DEFAULTS)
        if known is None:
            known = [fold.score(self.defaults, lambda _: None) for fold in self.folds.prepared]
            self.study.set_user_attr(OF_DEFAULTS, known)
        return np.array(known)

    def holdout_gain(self, trial: FrozenTrial) -> tuple[Gain, int]:
        """A winner's gain on the holdout, and how many winners that has measured."""
        known = dict(self.study.user_attrs.get(ON_HOLDOUT, {}))
        key = str(trial.number)
        if key not in known:
            gain = gain_on_holdout(
                self.dataset,
                self.parts,
                self.space.hyperparameters(trial.params),
                self.defaults,
                self.genuine_weight,
            )
            known[key] = asdict(gain)
            self.study.set_user_attr(ON_HOLDOUT, known)
        gain = known[key]
        return Gain(gain["tuned"], gain["default"], Interval(**gain["difference"])), len(known)


def measure(measured: Measured, config: TrainingConfig, minutes: float) -> Outcome:
    """The winner beside the defaults.

    Raises:
        TrainingError: no trial is complete.
    """
    complete = measured.complete()
    if not complete:
        raise TrainingError(
            f"no trial was complete after {minutes:g} minutes. Run this again to go on, with more "
            "of them (-P minutes=), fewer rounds (-P space=) or fewer folds (-P folds=)."
        )
    winner = measured.study.best_trial
    default = measured.default_scores()
    scores = np.array([scores_of(trial) for trial in complete])
    share = measured.folds.test_over_learned
    on_holdout, times = measured.holdout_gain(winner)
    # Without those that another process made superfluous before they had begun.
    states = [t.state for t in measured.study.get_trials(deepcopy=False) if t.params]
    return Outcome(
        study=measured.study.study_name,
        complete=len(complete),
        pruned=states.count(TrialState.PRUNED),
        failed=states.count(TrialState.FAIL),
        winner=winner.number,
        config=replace(config, hyperparameters=measured.space.hyperparameters(winner.params)),
        verdict=Verdict(
            on_folds=gain_on_folds(np.array(scores_of(winner)), default, share),
            elsewhere=gain_elsewhere(scores, default, share),
            on_holdout=on_holdout,
        ),
        times_measured=times,
    )
