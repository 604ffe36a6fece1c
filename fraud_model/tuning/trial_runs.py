"""The trials of a study as MLflow runs under one parent.

A run is made when its trial begins, and finished from what the study holds of the trial. Finishing
twice changes nothing, so any process may finish what a killed one left.
"""

from __future__ import annotations

import time

import mlflow
from mlflow.entities import Metric, Param, Run, RunTag, ViewType
from mlflow.utils.mlflow_tags import MLFLOW_PARENT_RUN_ID, MLFLOW_RUN_NAME, MLFLOW_USER
from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState

from fraud_model.tuning.space import Space

METRIC = "average_precision"
TRIAL, STATE = "trial", "trial_state"

STATUS = {
    TrialState.COMPLETE: "FINISHED",
    # As MLflow's own storage of Optuna's studies has it.
    TrialState.PRUNED: "KILLED",
    TrialState.FAIL: "FAILED",
}


class TrialRuns:
    """The runs of one study's trials."""

    def __init__(self, parent: str, space: Space) -> None:
        self._space = space
        self._client = mlflow.MlflowClient()
        self._parent = self._client.get_run(parent)
        self._open: dict[int, str] = {}

    @property
    def open(self) -> list[int]:
        """The numbers of the trials that this process is at."""
        return list(self._open)

    def start(self, number: int) -> None:
        """Makes the run of a trial that begins."""
        run = self._client.create_run(
            self._parent.info.experiment_id,
            tags={
                MLFLOW_PARENT_RUN_ID: self._parent.info.run_id,
                MLFLOW_RUN_NAME: f"trial {number}",
                MLFLOW_USER: self._parent.data.tags.get(MLFLOW_USER, "unknown"),
                TRIAL: str(number),
            },
        )
        self._open[number] = run.info.run_id

    def finish(self, trial: FrozenTrial) -> None:
        """Records what came of a trial, and ends its run."""
        run = self._open.pop(trial.number, None)
        if run is not None:
            self._record(run, trial)

    def catch_up(self, study: Study) -> None:
        """Finishes runs whose trial is over, which a process left that was killed."""
        trials = {trial.number: trial for trial in study.get_trials(deepcopy=False)}
        for run in self._running():
            trial = trials.get(int(run.data.tags[TRIAL]))
            if trial is not None and trial.state.is_finished():
                self._open.pop(trial.number, None)
                self._record(run.info.run_id, trial)

    def rebuild(self, study: Study) -> None:
        """Makes the runs of all trials again, under a parent that has none of them."""
        for trial in study.get_trials(deepcopy=False):
            if trial.state in (TrialState.COMPLETE, TrialState.PRUNED):
                self.start(trial.number)
                self.finish(trial)

    def _running(self) -> list[Run]:
        found: list[Run] = []
        token = None
        while True:
            page = self._client.search_runs(
                [self._parent.info.experiment_id],
                f"tags.{MLFLOW_PARENT_RUN_ID} = '{self._parent.info.run_id}' "
                "AND attributes.status = 'RUNNING'",
                ViewType.ACTIVE_ONLY,
                page_token=token,
            )
            found += [run for run in page if TRIAL in run.data.tags]
            token = page.token
            if not token:
                return found

    def _record(self, run: str, trial: FrozenTrial) -> None:
        used = self._space.hyperparameters(trial.params)
        now = int(time.time() * 1000)
        metrics = [Metric(name, value, now, 0) for name, value in _metrics(trial).items()]
        self._client.log_batch(
            run,
            metrics=metrics,
            params=[Param(name, f"{getattr(used, name):g}") for name in trial.params],
            tags=[RunTag(STATE, trial.state.name.lower())],
        )
        self._client.set_terminated(run, STATUS[trial.state])


def scores_of(trial: FrozenTrial) -> list[float]:
    """The average precision on each fold that a trial came to."""
    return [score for _, score in sorted(trial.intermediate_values.items())]


def _metrics(trial: FrozenTrial) -> dict[str, float]:
    metrics = {
        f"fold_{number}/{METRIC}": score for number, score in enumerate(scores_of(trial), start=1)
    }
    metrics["folds_scored"] = len(scores_of(trial))
    if trial.state == TrialState.COMPLETE:
        # Of fewer folds it would not compare.
        metrics[METRIC] = float(trial.value or 0)
    if trial.duration is not None:
        metrics["duration_seconds"] = trial.duration.total_seconds()
    return metrics
