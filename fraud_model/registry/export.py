"""Copies a registered version to a directory that stands on its own."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import mlflow
import mlflow.artifacts
from mlflow.entities.model_registry import ModelVersion

from fraud_model.commands import mlflow_run
from fraud_model.errors import ParameterError, RegistryError
from fraud_model.registry import versions

ORIGIN_FILE = "origin.json"


def export(name: str, stage: versions.Stage, output: Path) -> dict[str, str]:
    """Writes the version that stands in `stage` as the model directory `output`.

    Raises:
        RegistryError: nothing stands in the stage.
        ParameterError: `output` exists and is no exported model.
    """
    _refuse_other_directory(output)
    version = versions.current_version(name, stage) if versions.is_registered(name) else None
    if version is None:
        raise RegistryError(
            f"{name}: nothing stands in {stage} in {mlflow.get_registry_uri()}, so there is "
            f"nothing to export. Promote a version first: {mlflow_run('promote', stage=stage)}"
        )
    return write_version(version, stage, output)


def write_version(version: ModelVersion, stage: versions.Stage, output: Path) -> dict[str, str]:
    """Writes a version as the model directory `output`, for `stage`.

    Beside the model lies `origin.json`: its name, version, stage, run and kind of data, which the
    return value holds too. An earlier export in `output` is replaced once the new one is complete.

    Raises:
        ParameterError: `output` exists and is no exported model.
    """
    _refuse_other_directory(output)
    origin = {
        "model_name": str(version.name),
        "model_version": str(version.version),
        "model_stage": stage,
        "run_id": str(version.run_id),
        "data_kind": version.tags.get("data_kind", "unknown"),
    }
    partial = output.with_name(f".{output.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    uri = f"models:/{version.name}/{version.version}"
    mlflow.artifacts.download_artifacts(uri, dst_path=str(partial))
    # Where the registry lies on this machine, whoever has loaded the model left bytecode there.
    for cache in list(partial.rglob("__pycache__")):
        shutil.rmtree(cache)
    (partial / ORIGIN_FILE).write_text(json.dumps(origin, indent=1) + "\n")
    shutil.rmtree(output, ignore_errors=True)
    partial.rename(output)
    return origin


def read_origin(model_dir: Path) -> dict[str, str]:
    """What `origin.json` says of an exported model directory.

    Raises:
        ParameterError: it is no exported model.
    """
    if not (model_dir / "MLmodel").is_file() or not (model_dir / ORIGIN_FILE).is_file():
        raise ParameterError(
            f"{str(model_dir)!r} holds no exported model: MLmodel or {ORIGIN_FILE} is missing "
            f"there. Write one with `{mlflow_run('export')}`."
        )
    origin: dict[str, str] = json.loads((model_dir / ORIGIN_FILE).read_text())
    return origin


def _refuse_other_directory(output: Path) -> None:
    if output.exists() and not (output / "MLmodel").is_file():
        raise ParameterError(
            f"output={str(output)!r} exists and is no exported model, so it is left alone. "
            "Choose another directory."
        )
