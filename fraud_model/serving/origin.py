"""Finds the model to serve: in the registry, or in an exported directory."""

from __future__ import annotations

import logging
import os
import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, get_args

import mlflow
import mlflow.artifacts
from mlflow.exceptions import MlflowException

from fraud_model.errors import FraudModelError, RegistryError
from fraud_model.model.directory import ModelDirectory
from fraud_model.registry import versions
from fraud_model.serving.settings import Settings
from fraud_model.tracking import without_credentials

log = logging.getLogger("fraud_model.serving")

REGISTERED = re.compile(r"models:/(?P<name>[^/@]+)(?:/(?P<which>[^/@]+)|@(?P<alias>[^/@]+))")

# A start waits for the registry about this long, and then goes on without it.
PATIENCE = {"MLFLOW_HTTP_REQUEST_TIMEOUT": "5", "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1"}


@dataclass(frozen=True)
class Origin:
    """Where the served model lies and what it is; texts are empty where nobody knows.

    `source` tells whether the registry answered (`registry`), or a directory is served (`local`);
    `note` says why the directory, where the registry was asked first.
    """

    path: str
    source: Literal["registry", "local"]
    model_name: str = ""
    model_version: str = ""
    model_stage: str = ""
    run_id: str = ""
    tracking_uri: str = ""
    note: str = ""


def find_model(settings: Settings) -> Origin:
    """Resolves the model's URI once; the registry is not needed afterwards.

    Where the registry is out of reach or has no such version, the exported directory
    `settings.model_dir` stands in, and the log says why.

    Raises:
        RegistryError: neither the registry nor the directory has a model.
    """
    try:
        return resolve(settings.uri)
    except FraudModelError as error:
        if REGISTERED.fullmatch(settings.uri) is None:
            raise
        reason = str(error)
    if not ModelDirectory(Path(settings.model_dir)).is_model:
        raise RegistryError(
            f"{settings.uri} cannot be served: {reason} And MODEL_DIR={settings.model_dir!r} holds "
            "no exported model. Promote a version, or write one with `mlflow run . -e export`."
        )
    note = f"{settings.uri}: {reason} Serving the files in {settings.model_dir}."
    log.warning(note)
    return replace(_from_files(settings.model_dir), note=note)


def resolve(uri: str) -> Origin:
    """Finds exactly what the URI names, and nothing in its place.

    Raises:
        FraudModelError: the registry is out of reach or has no such version, or no model is there.
    """
    registered = REGISTERED.fullmatch(uri)
    if registered is None:
        return _from_files(uri)
    try:
        return _from_registry(registered)
    except (MlflowException, OSError) as error:
        # MLflow's message spells out the request, with what the URI holds of user and password.
        where = without_credentials(mlflow.get_registry_uri())
        kind = error.error_code if isinstance(error, MlflowException) else error.strerror
        raise RegistryError(f"the registry at {where} does not give it ({kind}).") from error


def _from_registry(registered: re.Match[str]) -> Origin:
    for variable, value in PATIENCE.items():
        os.environ.setdefault(variable, value)
    name, which, alias = registered["name"], registered["which"], registered["alias"]
    client = mlflow.MlflowClient()
    stages = {stage.lower(): stage for stage in get_args(versions.Stage)}
    if alias:
        version = client.get_model_version_by_alias(name, alias)
    elif which.lower() in stages:
        version = versions.require_current(name, stages[which.lower()], "serve")
    else:
        version = versions.find_version(name, which)
    return Origin(
        path=mlflow.artifacts.download_artifacts(f"models:/{name}/{version.version}"),
        source="registry",
        model_name=name,
        model_version=str(version.version),
        model_stage="" if version.current_stage == "None" else str(version.current_stage),
        run_id=str(version.run_id or ""),
        tracking_uri=without_credentials(mlflow.get_tracking_uri()),
    )


def _from_files(uri: str) -> Origin:
    path = Path(uri)
    if not path.is_dir():
        try:
            path = Path(mlflow.artifacts.download_artifacts(uri))
        except (MlflowException, OSError) as error:
            raise RegistryError(f"{uri}: no model there: {str(error).splitlines()[0]}") from error
    directory = ModelDirectory(path, uri)
    if not directory.is_model:
        raise RegistryError(f"{uri}: no MLmodel file there, so it is no model directory.")
    found = directory.origin or {}
    exported: dict[str, Any] = {
        name: found[name] for name in Origin.__dataclass_fields__ if name in found
    }
    return Origin(**{"path": str(path), "source": "local", "run_id": directory.run_id, **exported})
