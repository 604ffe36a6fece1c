"""Finds the model to serve: in the registry, or in an exported directory."""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, get_args

import mlflow
import mlflow.artifacts
import requests
from mlflow.entities.model_registry import ModelVersion
from mlflow.exceptions import MlflowException

from fraud_model.commands import mlflow_run
from fraud_model.errors import RegistryError, TrackingError
from fraud_model.model.directory import ModelDirectory
from fraud_model.registry import versions
from fraud_model.registry.files import download
from fraud_model.registry.recovery import tell_unfinished
from fraud_model.serving.settings import Settings
from fraud_model.stores import reach_databases, without_credentials

log = logging.getLogger("fraud_model.serving")

REGISTERED = re.compile(r"models:/(?P<name>[^/@]+)(?:/(?P<which>[^/@]+)|@(?P<alias>[^/@]+))")

# How MLflow words a status that it does not try again.
SERVER_ERROR = re.compile(r"failed with error code 5\d\d\b")

# How long a start waits for the registry before it goes on without it.
PATIENCE = {"MLFLOW_HTTP_REQUEST_TIMEOUT": "5", "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1"}


@dataclass(frozen=True)
class Origin:
    """Where the served model is and what it is; unknown texts are empty.

    `source` says whether the registry named the model (`registry`) or it is a directory (`local`).
    `note` says why a directory stands in for the registry, where one does. `data_kind` is what the
    version was trained on, `real` or `simulated`.
    """

    path: str
    source: Literal["registry", "local"]
    model_name: str = ""
    model_version: str = ""
    model_stage: str = ""
    run_id: str = ""
    tracking_uri: str = ""
    note: str = ""
    data_kind: str = ""

    @property
    def is_stand_in(self) -> bool:
        """Whether it is an exported directory, because the registry was out of reach."""
        return bool(self.note)

    @property
    def is_simulated(self) -> bool:
        """Whether the version has seen no real transaction."""
        return self.data_kind == "simulated"


def limit_patience() -> None:
    """Makes MLflow give up within seconds, unless the environment says otherwise."""
    for variable, value in PATIENCE.items():
        os.environ.setdefault(variable, value)


def find_model(settings: Settings) -> Origin:
    """Resolves the model's URI once; the registry is not needed afterwards.

    If the registry is out of reach, `settings.model_dir` stands in for it, provided that it was
    exported from the very stage that the URI names. The log says why.

    Raises:
        RegistryError: the registry has no such version, or the URI names no model.
        TrackingError: the registry is out of reach, and nothing stands in for it.
    """
    try:
        return resolve(settings.uri)
    except RegistryError as error:
        if REGISTERED.fullmatch(settings.uri) is None or not _has_model(settings):
            raise
        instead = mlflow_run("serve", model_uri=settings.model_dir)
        raise RegistryError(f"{error} To serve {settings.model_dir}, name it: {instead}") from error
    except TrackingError as error:
        reason = str(error)
        stand_in, lacking = _stand_in(settings)
        if stand_in is None:
            raise TrackingError(f"{reason} {lacking}") from error
    note = f"{reason} The files in {settings.model_dir} are served instead."
    log.warning(note)
    return replace(stand_in, note=note)


def resolve(uri: str, folder: Path | None = None) -> Origin:
    """Finds exactly what the URI names; a version's files are copied into `folder`, if given.

    Raises:
        RegistryError: the registry has no such version, or the directory has no model.
        ParameterError: the URI names no version that could be.
        TrackingError: the registry is out of reach.
    """
    registered = REGISTERED.fullmatch(uri)
    if registered is None:
        return _from_files(uri)
    with _asking(uri):
        return _from_registry(registered, folder)


def look_up(uri: str) -> tuple[str, str, str, str]:
    """Name, number, stage and run of the version that a registered URI names now.

    Raises:
        RegistryError, ParameterError, TrackingError: as for `resolve`.
    """
    registered = REGISTERED.fullmatch(uri)
    assert registered is not None
    with _asking(uri):
        version = _version(registered)
    return registered["name"], str(version.version), _stage(version), str(version.run_id or "")


@contextmanager
def _asking(uri: str) -> Iterator[None]:
    """Says in this project's errors what the registry did not answer."""
    try:
        yield
    except (MlflowException, OSError) as error:
        # MLflow's message quotes the request, including user and password in the URI.
        where = without_credentials(mlflow.get_registry_uri())
        if _is_out_of_reach(error):
            raise TrackingError(f"{uri}: the registry at {where} is out of reach.") from error
        kind = error.error_code if isinstance(error, MlflowException) else str(error)
        raise RegistryError(
            f"{uri}: the registry at {where} does not answer with it ({kind})."
        ) from error


def _is_out_of_reach(error: BaseException) -> bool:
    """Whether nobody answered, or a server that failed; not one that said no."""
    if isinstance(error, MlflowException) and SERVER_ERROR.search(str(error.message)):
        return True
    chain: list[BaseException] = []
    cause: BaseException | None = error
    while cause is not None and cause not in chain:
        chain.append(cause)
        cause = cause.__cause__ or cause.__context__
    return any(map(_is_without_answer, chain))


def _is_without_answer(error: BaseException) -> bool:
    if isinstance(error, requests.HTTPError) and error.response is not None:
        return error.response.status_code >= 500
    if isinstance(error, requests.RequestException):
        # An address that cannot be one is a ValueError as well.
        return not isinstance(error, ValueError)
    return isinstance(error, ConnectionError | TimeoutError)


def _has_model(settings: Settings) -> bool:
    return ModelDirectory(Path(settings.model_dir)).is_model


def _stand_in(settings: Settings) -> tuple[Origin | None, str]:
    """The exported directory, or what keeps it from standing in."""
    folder = settings.model_dir
    there = f"MODEL_DIR={folder!r}"
    if not _has_model(settings):
        return None, f"{there} has no exported model either."
    origin = _from_files(folder)
    wanted = REGISTERED.fullmatch(settings.uri)
    assert wanted is not None
    stage = wanted["which"] or wanted["alias"]
    exported = origin.model_name, origin.model_stage.lower()
    if (wanted["name"], stage.lower()) == exported:
        return origin, ""
    known = f"{origin.model_name} in {origin.model_stage}" if all(exported) else "nothing it names"
    return None, f"{there} is no stand-in for it: it was exported from {known}."


def _from_registry(registered: re.Match[str], folder: Path | None) -> Origin:
    version = _version(registered)
    name, number = registered["name"], version.version
    path = download(f"models:/{name}/{number}", f"{name} version {number}", folder)
    return Origin(
        path=str(path),
        source="registry",
        model_name=name,
        model_version=str(number),
        model_stage=_stage(version),
        run_id=str(version.run_id or ""),
        tracking_uri=without_credentials(mlflow.get_tracking_uri()),
        data_kind=version.tags.get("data_kind", ""),
    )


def _version(registered: re.Match[str]) -> ModelVersion:
    limit_patience()
    reach_databases()
    name, which, alias = registered["name"], registered["which"], registered["alias"]
    stages = {stage.lower(): stage for stage in get_args(versions.Stage)}
    if alias:
        version = mlflow.MlflowClient().get_model_version_by_alias(name, alias)
    elif which.lower() in stages:
        version = versions.require_current(name, stages[which.lower()], "serve")
    else:
        return versions.find_version(name, which)
    tell_unfinished(name)
    return version


def _stage(version: ModelVersion) -> str:
    return "" if version.current_stage == "None" else str(version.current_stage)


def _from_files(uri: str) -> Origin:
    path = Path(uri)
    if not path.is_dir():
        try:
            path = Path(mlflow.artifacts.download_artifacts(uri))
        except (MlflowException, OSError) as error:
            raise RegistryError(f"{uri}: not a model: {str(error).splitlines()[0]}") from error
    directory = ModelDirectory(path, uri)
    if not directory.is_model:
        raise RegistryError(f"{uri} is not a model directory: it has no MLmodel file.")
    found = directory.origin or {}
    exported: dict[str, Any] = {
        name: found[name] for name in Origin.__dataclass_fields__ if name in found
    }
    return Origin(**{"path": str(path), "source": "local", "run_id": directory.run_id, **exported})
