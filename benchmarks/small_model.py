"""The models that the serving benchmarks serve: 20,000 simulated rows, trained like any other."""

from __future__ import annotations

from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path

import mlflow
import pandas as pd
from mlflow.artifacts import download_artifacts

from fraud_model.data.simulation import simulate
from fraud_model.tracking import open_run
from fraud_model.training.config import TrainingConfig
from fraud_model.training.pipeline import train

ROWS, FRAUDS = 20_000, 200
CATEGORIES = [f"V{number}" for number in range(9, 29)]
VALUES = 40


def make_model(folder: Path, *, typed: bool = False) -> str:
    """Trains and exports a model; returns its directory.

    That of a typed table has 10 numbers and 20 categories of 40 values.
    """
    mlflow.set_tracking_uri(f"sqlite:///{folder}/mlflow.db")
    mlflow.create_experiment("fraud-detector", artifact_location=f"file://{folder}/artifacts")
    table = make_table(folder, typed=typed)
    with redirect_stdout(StringIO()), open_run("train"):
        trained = train(TrainingConfig(data=str(table)))
    uri = f"models:/{trained.name}/{trained.version}"
    return str(download_artifacts(uri, dst_path=str(folder / "model")))


def make_table(folder: Path, *, typed: bool = False) -> Path:
    """Writes its rows as a CSV file."""
    path = folder / "transactions.csv"
    table = simulate(ROWS, FRAUDS)
    words = [f"value {number}" for number in range(VALUES)]
    if typed:
        for name in CATEGORIES:
            table[name] = pd.qcut(table[name], VALUES, labels=words)
    table.to_csv(path, index=False)
    return path
