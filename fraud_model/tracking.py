"""The active MLflow run: opened once, whether `mlflow run` made it or nobody did."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from itertools import islice
from urllib.parse import urlsplit, urlunsplit

import mlflow
from mlflow.entities import Metric, Run
from mlflow.utils.git_utils import get_git_commit
from mlflow.utils.mlflow_tags import MLFLOW_GIT_COMMIT, MLFLOW_USER
from mlflow.utils.time import get_current_time_millis

EXPERIMENT = "fraud-detector"

# The tracking store's own limit for one call of log_batch.
METRICS_PER_BATCH = 1000
POINTS_PER_CURVE = 100


@contextmanager
def open_run_in(experiment: str, name: str) -> Iterator[Run]:
    """Starts a run of its own in an experiment, beside the one that `mlflow run` made, if any.

    Both end FAILED where the block raises, and FINISHED otherwise.
    """
    known = mlflow.get_experiment_by_name(experiment)
    number = known.experiment_id if known else mlflow.create_experiment(experiment)
    with ExitStack() as outer:
        if "MLFLOW_RUN_ID" in os.environ:
            outer.enter_context(open_run(name))
        nested = mlflow.active_run() is not None
        with mlflow.start_run(run_name=name, experiment_id=number, nested=nested) as run:
            yield run


@contextmanager
def open_run(name: str) -> Iterator[Run]:
    """Resumes the run that `mlflow run` made, opens one under the active run, or starts one.

    The run ends FAILED where the block raises, and FINISHED otherwise.
    """
    nested = mlflow.active_run() is not None
    given = "MLFLOW_RUN_ID" in os.environ
    chosen = {"MLFLOW_EXPERIMENT_NAME", "MLFLOW_EXPERIMENT_ID"} & os.environ.keys()
    if not nested and not given and not chosen:
        # Under `mlflow run` this would contradict the experiment of the run that is given.
        mlflow.set_experiment(EXPERIMENT)
    with mlflow.start_run(run_name=None if given else name, nested=nested) as run:
        if given:
            mlflow.set_tag("mlflow.runName", name)
        yield run


def log_parameters(parameters: Mapping[str, object]) -> None:
    """Logs what `mlflow run` has not logged already, since a logged parameter cannot change."""
    logged = mlflow.get_run(_active_run_id()).data.params
    mlflow.log_params({key: value for key, value in parameters.items() if key not in logged})


def log_curve(curve: Mapping[str, Sequence[float]], prefix: str) -> None:
    """Logs one metric per name with the round (from 1) as its step, so that charts draw it.

    Of long curves evenly spaced rounds are logged, and the last: a store takes longer to write each
    one than the booster to learn from it.
    """
    now = get_current_time_millis()
    metrics = []
    for name, values in curve.items():
        apart = -(-len(values) // POINTS_PER_CURVE)
        steps = range(len(values), 0, -apart)
        metrics += [Metric(f"{prefix}{name}", float(values[s - 1]), now, s) for s in steps]
    log_metrics(reversed(metrics))


def log_metrics(metrics: Iterable[Metric]) -> None:
    """Logs metrics with times and steps of their own to the active run."""
    client = mlflow.MlflowClient()
    rest = iter(metrics)
    while batch := list(islice(rest, METRICS_PER_BATCH)):
        client.log_batch(_active_run_id(), metrics=batch)


def without_credentials(uri: str) -> str:
    """The URI of a store without user and password."""
    parts = urlsplit(uri)
    if "@" not in parts.netloc:
        return uri
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))


def git_commit() -> str:
    """The commit that the active run was started from, or `unknown` outside a git checkout."""
    tags = mlflow.get_run(_active_run_id()).data.tags
    return str(tags.get(MLFLOW_GIT_COMMIT) or get_git_commit(__file__) or "unknown")


def user() -> str:
    """Who started the active run, as MLflow recorded it."""
    return str(mlflow.get_run(_active_run_id()).data.tags.get(MLFLOW_USER, "unknown"))


def _active_run_id() -> str:
    run = mlflow.active_run()
    if run is None:
        raise RuntimeError("no active run: open one with open_run")
    return str(run.info.run_id)
