"""The active MLflow run: opened once, whether or not `mlflow run` made one."""

from __future__ import annotations

import logging
import os
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import islice

import mlflow
from mlflow.entities import Metric, Run
from mlflow.exceptions import MlflowException
from mlflow.utils.file_utils import local_file_uri_to_path
from mlflow.utils.git_utils import get_git_commit
from mlflow.utils.mlflow_tags import MLFLOW_GIT_COMMIT, MLFLOW_RUN_NAME, MLFLOW_USER
from mlflow.utils.time import get_current_time_millis
from mlflow.utils.uri import is_local_uri

from fraud_model.stores import reach_store

log = logging.getLogger("fraud_model.tracking")

EXPERIMENT = "fraud-detector"

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


@contextmanager
def open_run_in(experiment: str, name: str) -> Iterator[Run]:
    """Resumes the run that `mlflow run` made, wherever that is, or starts one in an experiment.

    The run ends FAILED if the block raises, and FINISHED otherwise.
    """
    if "MLFLOW_RUN_ID" in os.environ:
        with open_run(name) as given:
            yield given
        return
    reach_store()
    known = mlflow.get_experiment_by_name(experiment)
    number = known.experiment_id if known else mlflow.create_experiment(experiment)
    nested = mlflow.active_run() is not None
    started = mlflow.start_run(run_name=name, experiment_id=number, nested=nested)
    with _ended(started) as run:
        yield run


@contextmanager
def open_run(name: str) -> Iterator[Run]:
    """Resumes the run that `mlflow run` made, opens one under the active run, or starts one.

    The run ends FAILED if the block raises, and FINISHED otherwise. Where the disk is too full to
    write that into the database beside them, the artifacts of the failed run are deleted first.
    """
    nested = mlflow.active_run() is not None
    if not nested:
        reach_store()
    given = "MLFLOW_RUN_ID" in os.environ
    chosen = {"MLFLOW_EXPERIMENT_NAME", "MLFLOW_EXPERIMENT_ID"} & os.environ.keys()
    if not nested and not given and not chosen:
        # Under `mlflow run` this would contradict the experiment of the run that is given.
        mlflow.set_experiment(EXPERIMENT)
    with _ended(mlflow.start_run(run_name=None if given else name, nested=nested)) as run:
        if given:
            mlflow.set_tag(MLFLOW_RUN_NAME, name)
        yield run


@contextmanager
def _ended(started: mlflow.ActiveRun) -> Iterator[Run]:
    try:
        with started as run:
            yield run
    except (MlflowException, OSError):
        if mlflow.get_tracking_uri().startswith("sqlite:"):
            _end_on_full_disk(started)
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
    tags = mlflow.get_run(active_run_id()).data.tags
    return str(tags.get(MLFLOW_GIT_COMMIT) or get_git_commit(__file__) or "unknown")


def user() -> str:
    """Who started the active run, as MLflow recorded it."""
    return str(mlflow.get_run(active_run_id()).data.tags.get(MLFLOW_USER, "unknown"))


def active_run_id() -> str:
    """The id of the run that is active.

    Raises:
        RuntimeError: none is.
    """
    run = mlflow.active_run()
    if run is None:
        raise RuntimeError("no active run: open one with open_run")
    return str(run.info.run_id)
