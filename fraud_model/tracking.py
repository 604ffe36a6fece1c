"""The active MLflow run: opened once, whether or not `mlflow run` made one."""

from __future__ import annotations

import logging
import os
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from itertools import islice

import mlflow
from mlflow.entities import Metric, Run
from mlflow.exceptions import MlflowException
from mlflow.utils.file_utils import local_file_uri_to_path
from mlflow.utils.git_utils import get_git_commit
from mlflow.utils.mlflow_tags import (
    MLFLOW_GIT_COMMIT,
    MLFLOW_RUN_NAME,
    MLFLOW_RUN_NOTE,
    MLFLOW_USER,
)
from mlflow.utils.time import get_current_time_millis
from mlflow.utils.uri import is_local_uri

from fraud_model.errors import Overtaken, PromotionRefused
from fraud_model.stores import reach_store

log = logging.getLogger("fraud_model.tracking")

EXPERIMENT = "fraud-detector"

# What a run's name ends with where it was not done; any other error is a failure.
OUTCOMES: dict[type[BaseException], str] = {
    PromotionRefused: "refused",
    Overtaken: "overtaken",
    KeyboardInterrupt: "stopped",
    SystemExit: "stopped",
}
MOST_CHARACTERS = 5_000

# The tracking store's own limit for one call of log_batch.
METRICS_PER_BATCH = 1000
POINTS_PER_CURVE = 100


def name_run(name: str) -> None:
    """Names the run that `mlflow run` made, for an entry point that records nothing.

    `mlflow run` makes it before the entry point starts, in the experiment that it was given, and
    fails at its end if the run was deleted. An entry point started as a module has no run.
    """
    given = os.environ.get("MLFLOW_RUN_ID")
    if given is not None:
        reach_store()
        mlflow.MlflowClient().set_tag(given, MLFLOW_RUN_NAME, name)


def rename_run(name: str) -> None:
    """Names the active run after what came of it."""
    mlflow.set_tag(MLFLOW_RUN_NAME, name)


@contextmanager
def open_run(name: str, experiment: str = EXPERIMENT) -> Iterator[Run]:
    """Resumes the run that `mlflow run` made, opens one under the active run, or starts one.

    One that is started lies in `experiment`, unless MLFLOW_EXPERIMENT_NAME or MLFLOW_EXPERIMENT_ID
    names another. The run ends FAILED if the block raises, with the reason in its name and its
    description, and FINISHED otherwise. Where the disk is too full to write that into the database
    beside them, the artifacts of the failed run are deleted first.
    """
    above = mlflow.active_run()
    nested = above is not None
    given = "MLFLOW_RUN_ID" in os.environ
    chosen = {"MLFLOW_EXPERIMENT_NAME", "MLFLOW_EXPERIMENT_ID"} & os.environ.keys()
    if above is not None:
        number = above.info.experiment_id
    else:
        reach_store()
        # Under `mlflow run` another one would contradict that of the run that is given.
        number = None if given or chosen else _experiment(experiment)
    started = mlflow.start_run(
        run_name=None if given else name, experiment_id=number, nested=nested
    )
    with _ended(started) as run:
        if given:
            rename_run(name)
        yield run


def _experiment(name: str) -> str:
    """The id of an experiment, which is made if it is missing."""
    known = mlflow.get_experiment_by_name(name)
    if known is None:
        try:
            return str(mlflow.create_experiment(name))
        except MlflowException as error:
            if error.error_code != "RESOURCE_ALREADY_EXISTS":
                raise
            # Another process made it in this moment.
            known = mlflow.get_experiment_by_name(name)
    return str(known.experiment_id)


@contextmanager
def _ended(started: mlflow.ActiveRun) -> Iterator[Run]:
    try:
        with started as run, _told():
            yield run
    except (MlflowException, OSError):
        if mlflow.get_tracking_uri().startswith("sqlite:"):
            _end_on_full_disk(started)
        raise


@contextmanager
def _told() -> Iterator[None]:
    """Says on the active run why the block failed, unless the store itself may be what failed."""
    try:
        yield
    except (MlflowException, OSError):
        raise
    except BaseException as error:
        stopped = isinstance(error, KeyboardInterrupt | SystemExit)
        reason = "stopped" if stopped else str(error) or type(error).__name__
        with suppress(MlflowException, OSError):
            name = mlflow.get_run(active_run_id()).info.run_name
            mlflow.set_tags(
                {
                    MLFLOW_RUN_NAME: f"{name}: {OUTCOMES.get(type(error), 'failed')}",
                    MLFLOW_RUN_NOTE: f"**Failed:** {reason}"[:MOST_CHARACTERS],
                    "failure": reason[:MOST_CHARACTERS],
                }
            )
        raise


def _end_on_full_disk(run: Run) -> None:
    client = mlflow.MlflowClient()
    number = run.info.run_id
    if client.get_run(number).info.status != "RUNNING":
        return
    if is_local_uri(run.info.artifact_uri):
        shutil.rmtree(local_file_uri_to_path(run.info.artifact_uri), ignore_errors=True)
    try:
        client.set_terminated(number, "FAILED")
    except MlflowException:
        log.error(
            "run %s could not be ended and stays RUNNING; once there is room, end it with: "
            "python -c \"import mlflow; mlflow.MlflowClient().set_terminated('%s', 'FAILED')\"",
            number,
            number,
        )


def log_parameters(parameters: Mapping[str, object]) -> None:
    """Logs what `mlflow run` has not logged already, since a logged parameter cannot change."""
    logged = mlflow.get_run(active_run_id()).data.params
    mlflow.log_params({key: value for key, value in parameters.items() if key not in logged})


def log_curve(rounds: Sequence[int], curve: Mapping[str, Sequence[float]], prefix: str) -> None:
    """Logs one metric per name with its rounds as steps, so that charts draw it.

    Each list of values has the length of `rounds`.
    """
    now = get_current_time_millis()
    log_metrics(
        Metric(f"{prefix}{name}", float(value), now, step)
        for name, values in curve.items()
        for step, value in zip(rounds, values, strict=True)
    )


def log_metrics(metrics: Iterable[Metric]) -> None:
    """Logs metrics with times and steps of their own to the active run."""
    client = mlflow.MlflowClient()
    rest = iter(metrics)
    while batch := list(islice(rest, METRICS_PER_BATCH)):
        client.log_batch(active_run_id(), metrics=batch)


def git_commit() -> str:
    """The commit that the active run was started from, or `unknown` outside a git checkout."""
    return str(_tags_at_start().get(MLFLOW_GIT_COMMIT) or get_git_commit(__file__) or "unknown")


def user() -> str:
    """Who started the active run, as MLflow recorded it."""
    return str(_tags_at_start().get(MLFLOW_USER, "unknown"))


def _tags_at_start() -> dict[str, str]:
    """The tags that the active run had when it began, without asking the store again."""
    return dict(_active_run().data.tags)


def active_run_id() -> str:
    """The id of the run that is active.

    Raises:
        RuntimeError: none is.
    """
    return str(_active_run().info.run_id)


def _active_run() -> Run:
    run = mlflow.active_run()
    if run is None:
        raise RuntimeError("no active run: open one with open_run")
    return run
