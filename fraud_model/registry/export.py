"""Copies a registered version to a directory that stands on its own."""

from __future__ import annotations

import shutil
from pathlib import Path

from mlflow.entities.model_registry import ModelVersion

from fraud_model.errors import ParameterError
from fraud_model.evaluation.learned import TIME_TAGS
from fraud_model.model.description import drop_paths_in
from fraud_model.model.directory import ModelDirectory
from fraud_model.registry import files, versions
from fraud_model.registry.recovery import tell_unfinished

# What the gate asks of an exported champion whose run is not here.
EXPORTED_TAGS = (*TIME_TAGS, "decision", "holdout_average_precision")


def export(name: str, stage: versions.Stage, output: Path) -> dict[str, str]:
    """Writes the version that stands in `stage` as the model directory `output`.

    Raises:
        RegistryError: nothing stands in the stage, or its files are gone.
        CodeChanged: its code is not the code that it was trained with.
        ParameterError: `output` exists and is no exported model.
    """
    _refuse_other_directory(output)
    tell_unfinished(name)
    return write_version(versions.require_current(name, stage, "export"), stage, output)


def write_version(version: ModelVersion, stage: versions.Stage, output: Path) -> dict[str, str]:
    """Writes a version as the model directory `output`, for `stage`.

    Returns its origin, which lies beside the model too: name, version, stage, run and kind of
    data. `MLmodel` loses the paths of this machine. An earlier export in `output` is replaced once
    the new one is complete.

    Raises:
        RegistryError: the version's files are gone.
        CodeChanged: its code is not the code that it was trained with.
        ParameterError: `output` exists and is no exported model.
    """
    _refuse_other_directory(output)
    label = f"{version.name} version {version.version}"
    recorded = version.tags.get(files.CODE_DIGEST, "")
    origin = {
        "model_name": str(version.name),
        "model_version": str(version.version),
        "model_stage": stage,
        "run_id": str(version.run_id or ""),
        "data_kind": version.tags.get("data_kind", "unknown"),
        **{tag: version.tags[tag] for tag in EXPORTED_TAGS if tag in version.tags},
        files.CODE_DIGEST: recorded,
    }
    partial = output.with_name(f".{output.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    try:
        files.download(f"models:/{version.name}/{version.version}", label, partial)
        # Where the registry lies on this machine, whoever has loaded the model left bytecode there.
        for cache in list(partial.rglob("__pycache__")):
            shutil.rmtree(cache)
        files.check_code(ModelDirectory(partial), label, recorded)
        drop_paths_in(partial)
        ModelDirectory(partial).write_origin(origin)
        shutil.rmtree(output, ignore_errors=True)
        partial.rename(output)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return origin


def _refuse_other_directory(output: Path) -> None:
    if output.exists() and not ModelDirectory(output).is_model:
        raise ParameterError(
            f"output={str(output)!r} exists and is no exported model, so it is left alone. "
            "Choose another directory."
        )
