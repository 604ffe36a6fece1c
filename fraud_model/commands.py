"""Commands that messages name, written so that they run where the message was printed."""

from __future__ import annotations

import os
import shlex
from functools import cache
from pathlib import Path
from urllib.parse import quote

import mlflow
from mlflow.entities import Run
from mlflow.exceptions import MlflowException
from mlflow.utils.mlflow_tags import (
    MLFLOW_GIT_COMMIT,
    MLFLOW_PROJECT_ENTRY_POINT,
    MLFLOW_PROJECT_ENV,
    MLFLOW_SOURCE_NAME,
)

from fraud_model.stores import SERVERS, without_credentials

# Where `mlflow ui` listens.
UI = "http://127.0.0.1:5000"

# Read at import: MLflow takes it out of the environment once the run is resumed.
_GIVEN_RUN = os.environ.get("MLFLOW_RUN_ID")

# What `mlflow run` and `mlflow models` use without --env-manager.
DEFAULT_MANAGER = "virtualenv"


def mlflow_run(entry_point: str = "main", /, **parameters: object) -> str:
    """The `mlflow run` command of an entry point, for the environment of this process."""
    words = ["mlflow", "run", *_project()]
    if entry_point != "main":
        words += ["-e", entry_point]
    words += environment()
    for name, value in parameters.items():
        words += ["-P", f"{name}={value}"]
    return shlex.join(words)


def models_serve(uri: str, port: int) -> str:
    """The `mlflow models serve` command of a model, for the environment of this process."""
    return shlex.join(["mlflow", "models", "serve", "-m", uri, "-p", str(port), *environment()])


def ui() -> str | None:
    """The command that shows the tracking store, or None if a server shows it already."""
    store = mlflow.get_tracking_uri()
    if store.startswith(SERVERS):
        return None
    if store == f"sqlite:///{Path.cwd()}/mlflow.db":
        return "mlflow ui"
    if without_credentials(store) != store:
        return 'mlflow ui --backend-store-uri "$MLFLOW_TRACKING_URI"'
    return shlex.join(["mlflow", "ui", "--backend-store-uri", store])


def shown(what: str, page: str) -> str:
    """Where the store's UI shows a page, such as `/#/models/m`, and how to start it if need be."""
    command = ui()
    if command is None:
        return f"{what}: {address(page)}"
    return f"see:\n  {command}\n{what}: {address(page)}"


def address(page: str) -> str:
    """The address of a page in the store's UI: the tracking server's, or that of `mlflow ui`."""
    store = mlflow.get_tracking_uri()
    base = without_credentials(store).rstrip("/") if store.startswith(SERVERS) else UI
    return f"{base}{page}"


def version_page(name: str, version: str) -> str:
    """The page of a model version in the UI."""
    return f"/#/models/{quote(name, safe='')}/versions/{version}"


def run_page(run: Run) -> str:
    """The page of a run in the UI."""
    return f"/#/experiments/{run.info.experiment_id}/runs/{run.info.run_id}"


def environment() -> list[str]:
    """`--env-manager` and the manager that this process runs under; nothing if it is MLflow's
    default.

    A module that was started directly runs in the active environment: `local`.
    """
    # MLflow tags the run with every manager but `local`.
    manager = _tags().get(MLFLOW_PROJECT_ENV, "local")
    return [] if manager == DEFAULT_MANAGER else ["--env-manager", manager]


def temporary_copy_of() -> str | None:
    """The address of the project, if `mlflow run` fetched it into a temporary folder; else None."""
    source = _tags().get(MLFLOW_SOURCE_NAME)
    if source is None:
        return None
    # Of a local project MLflow names the folder, as file://checkout#subfolder in a git checkout.
    folder, _, within = source.removeprefix("file://").partition("#")
    return None if (Path(folder) / within).resolve() == Path.cwd() else source


def _project() -> list[str]:
    address = temporary_copy_of()
    if address is None:
        return ["."]
    commit = _tags().get(MLFLOW_GIT_COMMIT)
    return [address, "-v", commit] if commit else [address]


@cache
def _tags() -> dict[str, str]:
    """The tags of the run that `mlflow run` made for this process; empty without one."""
    if _GIVEN_RUN is None:
        return {}
    try:
        tags: dict[str, str] = mlflow.get_run(_GIVEN_RUN).data.tags
    except MlflowException:
        return {}
    return tags if MLFLOW_PROJECT_ENTRY_POINT in tags else {}
