"""Copies a registered version to a directory that stands on its own."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import mlflow
import mlflow.artifacts

from fraud_model import registry
from fraud_model.errors import ParameterError, RegistryError

ORIGIN_FILE = "origin.json"


def export(name: str, stage: registry.Stage, output: Path) -> dict[str, str]:
    """Writes the version that stands in `stage` as the model directory `output`.

    Beside the model lies `origin.json`: its name, version, stage and run, which the return value
    holds too. An earlier export in `output` is replaced once the new one is complete.

    Raises:
        RegistryError: nothing stands in the stage.
        ParameterError: `output` exists and is no exported model.
    """
    if output.exists() and not (output / "MLmodel").is_file():
        raise ParameterError(
            f"output={str(output)!r} exists and is no exported model, so it is left alone. "
            "Choose another directory."
        )
    version = registry.holder(name, stage) if registry.is_registered(name) else None
    if version is None:
        raise RegistryError(
            f"{name}: nothing stands in {stage} in {mlflow.get_registry_uri()}, so there is "
            f"nothing to export. Promote a version first: mlflow run . -e promote -P stage={stage}"
        )
    origin = {
        "model_name": name,
        "model_version": str(version.version),
        "model_stage": stage,
        "run_id": str(version.run_id),
    }
    partial = output.with_name(f".{output.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    mlflow.artifacts.download_artifacts(f"models:/{name}/{version.version}", dst_path=str(partial))
    (partial / ORIGIN_FILE).write_text(json.dumps(origin, indent=1) + "\n")
    shutil.rmtree(output, ignore_errors=True)
    partial.rename(output)
    return origin
