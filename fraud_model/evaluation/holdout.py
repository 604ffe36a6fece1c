"""The holdout of a training run, kept with the run so that later versions are compared on it."""

from __future__ import annotations

import json
import tempfile
from dataclasses import asdict
from pathlib import Path

import mlflow
import mlflow.artifacts
import pandas as pd
from mlflow.entities.model_registry import ModelVersion
from mlflow.exceptions import MlflowException

from fraud_model.data.schema import Columns
from fraud_model.errors import RegistryError

FOLDER = "holdout"
ROWS_FILE = "transactions.parquet"
COLUMNS_FILE = "columns.json"


def log_holdout(holdout: pd.DataFrame, columns: Columns) -> None:
    """Stores the holdout and the meaning of its columns as artifacts of the active run."""
    with tempfile.TemporaryDirectory() as folder:
        holdout.to_parquet(Path(folder) / ROWS_FILE, index=False)
        (Path(folder) / COLUMNS_FILE).write_text(json.dumps(asdict(columns), indent=1))
        mlflow.log_artifacts(folder, FOLDER)


def read_holdout(version: ModelVersion) -> tuple[pd.DataFrame, Columns]:
    """The holdout of the run that trained a model version, and its columns.

    Raises:
        RegistryError: the run or its holdout is gone.
    """
    try:
        with tempfile.TemporaryDirectory() as folder:
            path = mlflow.artifacts.download_artifacts(
                run_id=version.run_id, artifact_path=FOLDER, dst_path=folder
            )
            rows = pd.read_parquet(Path(path) / ROWS_FILE)
            columns = json.loads((Path(path) / COLUMNS_FILE).read_text())
    except (MlflowException, OSError) as error:
        raise RegistryError(
            f"version {version.version} of {version.name}: the holdout of its run "
            f"{version.run_id} cannot be read ({str(error).splitlines()[0]}). Train it again."
        ) from error
    return rows, Columns(
        target=columns["target"],
        features=tuple(columns["features"]),
        time=columns["time"],
        amount=columns["amount"],
        ignored=tuple(columns["ignored"]),
    )
