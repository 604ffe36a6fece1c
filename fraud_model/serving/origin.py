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

from fraud_model.commands import mlflow_run
from fraud_model.errors import FraudModelError, RegistryError
from fraud_model.model.directory import ModelDirectory
from fraud_model.registry import versions
from fraud_model.serving.settings import Settings
from fraud_model.tracking import without_credentials

log = logging.getLogger("fraud_model.serving")

REGISTERED = re.compile(r"models:/(?P<name>[^/@]+)(?:/(?P<which>[^/@]+)|@(?P<alias>[^/@]+))")

# How long a start waits for the registry before it goes on without it.
PATIENCE = {"MLFLOW_HTTP_REQUEST_TIMEOUT": "5", "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1"}


@dataclass(frozen=True)
class Origin:
    """Where the served model is and what it is; unknown texts are empty.

    `source` says whether the registry named the model (`registry`) or it is a directory (`local`).
    `note` says why a directory is served although the registry was asked first.
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

    If the registry cannot be reached or has no such version, the exported directory
    `settings.model_dir` is served instead, and the log says why.

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
            f"{settings.uri} cannot be served: {reason} MODEL_DIR={settings.model_dir!r} has no "
            f"exported model either. Promote a version, or export one: {mlflow_run('export')}"
        )
    note = f"{settings.uri}: {reason} Serving the files in {settings.model_dir} instead."
    log.warning(note)
    return replace(_from_files(settings.model_dir), note=note)


def resolve(uri: str) -> Origin:
    """Finds exactly what the URI names.

    Raises:
        FraudModelError: the registry cannot be reached or has no such version, or the directory
            has no model.
    """
    registered = REGISTERED.fullmatch(uri)
    if registered is None:
        return _from_files(uri)
    try:
        return _from_registry(registered)
    except (MlflowException, OSError) as error:
        # MLflow's message quotes the request, including user and password in the URI.
        where = without_credentials(mlflow.get_registry_uri())
        kind = error.error_code if isinstance(error, MlflowException) else error.strerror
        raise RegistryError(f"the registry at {where} does not answer with it ({kind}).") from error


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
            raise RegistryError(f"{uri}: not a model: {str(error).splitlines()[0]}") from error
    directory = ModelDirectory(path, uri)
    if not directory.is_model:
        raise RegistryError(f"{uri} is not a model directory: it has no MLmodel file.")
    found = directory.origin or {}
    exported: dict[str, Any] = {
        name: found[name] for name in Origin.__dataclass_fields__ if name in found
    }
    return Origin(**{"path": str(path), "source": "local", "run_id": directory.run_id, **exported})
