"""The model that the serving benchmarks serve: 20,000 simulated rows, trained like any other."""

from __future__ import annotations

from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path

import mlflow
from mlflow.artifacts import download_artifacts

from fraud_model.data.simulation import simulate
from fraud_model.tracking import open_run
from fraud_model.training.config import TrainingConfig
from fraud_model.training.pipeline import train

ROWS, FRAUDS = 20_000, 200


def make_model(folder: Path) -> str:
    """Trains and exports a model; returns its directory."""
    mlflow.set_tracking_uri(f"sqlite:///{folder}/mlflow.db")
    mlflow.create_experiment("fraud-detector", artifact_location=f"file://{folder}/artifacts")
    table = make_table(folder)
    with redirect_stdout(StringIO()), open_run("train"):
        trained = train(TrainingConfig(data=str(table)))
    uri = f"models:/{trained.name}/{trained.version}"
    return str(download_artifacts(uri, dst_path=str(folder / "model")))


def make_table(folder: Path) -> Path:
    """Writes its rows as a CSV file."""
    table = folder / "transactions.csv"
    simulate(ROWS, FRAUDS).to_csv(table, index=False)
    return table
