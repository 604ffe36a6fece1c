"""The files of a version: fetched from the artifact store, and their code held against its record.

Training writes the digest of a version's code into its tags, `export` into `origin.json`.
"""

from __future__ import annotations

import logging
from pathlib import Path

import mlflow.artifacts
from mlflow.exceptions import MlflowException

from fraud_model.commands import mlflow_run
from fraud_model.errors import CodeChanged, FilesGone
from fraud_model.model.directory import ModelDirectory
from fraud_model.registry.versions import MISSING

log = logging.getLogger("fraud_model.registry")

# The tag of a version, and the key in `origin.json`.
CODE_DIGEST = "code_digest"
SHOWN = 12


def download(uri: str, label: str, folder: Path | None = None) -> Path:
    """The model directory that `uri` names: copied into `folder`, or where the store keeps it.

    `label` is what messages call the version.

    Raises:
        FilesGone: the files are gone.
        MlflowException: the store refuses, or is out of reach.
        OSError: the files cannot be read or written.
    """
    try:
        found = mlflow.artifacts.download_artifacts(
            uri, dst_path=None if folder is None else str(folder)
        )
    except FileNotFoundError:
        found = ""
    except MlflowException as error:
        if error.error_code != MISSING:
            raise
        found = ""
    # Of a folder that is gone, some stores download nothing, and say nothing.
    if not found or not ModelDirectory(Path(found)).is_model:
        raise FilesGone(
            f"{label}: its files are gone from the artifact store. Restore them, or put another "
            f"version into its stage: {mlflow_run('rollback')}"
        )
    return Path(found)


def check_code(directory: ModelDirectory, label: str, recorded: str) -> None:
    """Refuses a version whose code is not the code that its training recorded.

    One without a record, of an older release or another project, is let through with a line.

    Raises:
        CodeChanged: it differs.
    """
    if not recorded:
        log.warning(
            "%s has no record of its code (%s), so it cannot be told whether it was changed",
            label,
            CODE_DIGEST,
        )
        return
    found = directory.code_digest
    if found != recorded:
        files = ", ".join(directory.code_files) or "no file"
        raise CodeChanged(
            f"{label}: its code ({files}) has been changed since it was trained: SHA-256 "
            f"{found[:SHOWN]}… instead of {recorded[:SHOWN]}…. Nothing was written. Find out who "
            f"changed it, and train a new version: {mlflow_run('train')}"
        )
