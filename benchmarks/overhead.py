"""What the project adds to LightGBM: a whole training run against the bare fit, at full size.

    python -m benchmarks.overhead --repeats 3

In the environment of requirements.txt, on a machine with nothing else to do. Both sides of each
comparison run in turn in one process, on the same simulated rows (284,807, 492 frauds):

- training: `lightgbm.train` with our hyperparameters on the train part and again on all rows, as
  evaluating and refitting need it, against everything that `mlflow run . -e train` does from
  reading the CSV file to registering the version;
- scoring: `booster.predict` on the scaled matrix of all rows, against `predict` of the registered
  pyfunc on the table of all rows.

Prints medians, and of the ratio of each repeat the median with the lowest and the highest, as a
Markdown table.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path

import lightgbm
import mlflow

from benchmarks.figures import spread
from fraud_model.data.dataset import load_dataset
from fraud_model.data.schema import DEFAULT_AMOUNT, DEFAULT_TARGET, DEFAULT_TIME
from fraud_model.data.simulation import FULL_FRAUDS, FULL_ROWS, simulate
from fraud_model.data.split import split
from fraud_model.tracking import open_run
from fraud_model.training.config import Hyperparameters, TrainingConfig
from fraud_model.training.pipeline import Trained, train

# Of LightGBM alone, and of this project.
Times = tuple[list[float], list[float]]


def main() -> None:
    """Measures both comparisons and prints the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--scale", type=float, default=1.0, help="share of the rows")
    arguments = parser.parse_args()
    repeats: int = arguments.repeats
    with tempfile.TemporaryDirectory() as folder:
        mlflow.set_tracking_uri(f"sqlite:///{folder}/mlflow.db")
        mlflow.create_experiment("fraud-detector", artifact_location=f"file://{folder}/artifacts")
        path = Path(folder) / "transactions.csv"
        rows, frauds = (round(arguments.scale * count) for count in (FULL_ROWS, FULL_FRAUDS))
        simulate(rows, frauds).to_csv(path, index=False)
        compared = [
            ("training", *compare_training(path, repeats)),
            ("scoring", *compare_scoring(path, repeats)),
        ]
    print("| | bare LightGBM, s | this project, s | ratio |")
    print("|---|---|---|---|")
    for name, bare, whole in compared:
        ratios = [ours / theirs for ours, theirs in zip(whole, bare, strict=True)]
        print(
            f"| {name} | {statistics.median(bare):.2f} | {statistics.median(whole):.2f} | "
            f"{spread(ratios)} |"
        )


def compare_training(path: Path, repeats: int) -> Times:
    """Seconds of the two bare fits and of the whole run, of each repeat."""
    dataset = load_dataset(
        str(path), target=DEFAULT_TARGET, time=DEFAULT_TIME, amount=DEFAULT_AMOUNT
    )
    tables = [split(dataset, "time", 0).train, dataset.table]
    hyperparameters = Hyperparameters()
    arrays = [
        (table[list(dataset.columns.features)].to_numpy(), table[dataset.columns.target].to_numpy())
        for table in tables
    ]

    def bare() -> None:
        for features, labels in arrays:
            lightgbm.train(
                hyperparameters.lightgbm_parameters(),
                lightgbm.Dataset(features, labels),
                num_boost_round=hyperparameters.rounds,
            )

    return _in_turn(bare, lambda: _train(path), repeats)


def compare_scoring(path: Path, repeats: int) -> Times:
    """Seconds of `booster.predict` and of the pyfunc on all rows, of each repeat."""
    trained = _train(path)
    model = mlflow.pyfunc.load_model(f"models:/{trained.name}/{trained.version}")
    booster, encoder, scaler, _ = trained.result.detector.parts
    rows = trained.result.dataset.table[list(encoder.names)]
    scaled = scaler.transform(encoder.encode(rows))
    return _in_turn(lambda: booster.predict(scaled), lambda: model.predict(rows), repeats)


def _train(path: Path) -> Trained:
    with redirect_stdout(StringIO()), open_run("train"):
        return train(TrainingConfig(data=str(path)))


def _in_turn(bare: Callable[[], object], whole: Callable[[], object], repeats: int) -> Times:
    # One of each beforehand: first calls import modules and make the database.
    times: Times = ([], [])
    for counted in [False] + [True] * repeats:
        for call, taken in zip((bare, whole), times, strict=True):
            start = time.perf_counter()
            call()
            if counted:
                taken.append(time.perf_counter() - start)
    return times


if __name__ == "__main__":
    main()
