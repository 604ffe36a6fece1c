"""What commands cost with a thousand versions in the registry, beside two.

    python -m benchmarks.registry_size --versions 1000 --runs 3000

In the environment of requirements.txt. Makes two registries in SQLite from one small model: one of
two versions, and one of as many as asked for, each with a training run and an entry in the ledger,
with other runs up to the number asked for. Then runs each command in each of them in turn, as a
process of its own. Prints Markdown: the median of the seconds, and how many times as long the
larger registry takes.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import redirect_stdout
from datetime import UTC, datetime, timedelta
from io import StringIO
from pathlib import Path

import mlflow
import requests
from mlflow.entities import Metric, Param, RunTag
from mlflow.entities.model_registry import ModelVersion
from tqdm import tqdm

from benchmarks.registry_stores import free_port
from benchmarks.small_model import ROWS, make_table
from fraud_model.registry import moves, versions
from fraud_model.tracking import open_run
from fraud_model.training.config import TrainingConfig
from fraud_model.training.pipeline import train

ROOT = Path(__file__).parents[1]
SMALL = 2
NAME = versions.DEFAULT_MODEL_NAME
# `rollback` undoes `promote`, so that they can be repeated.
COMMANDS = {
    "promote": ["-m", "entrypoints.promote", "--tolerance=1", "--min-new-days=0"],
    "rollback": ["-m", "entrypoints.rollback"],
    "compare": ["-m", "entrypoints.compare"],
    "export": ["-m", "entrypoints.export"],
    "serve": ["-m", "fraud_model.serving"],
}
METRICS_PER_RUN = 60
POLL_SECONDS = 0.05
PATIENCE_SECONDS = 120


def main() -> None:
    """Makes both registries, and prints the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--versions", type=int, default=1000)
    parser.add_argument("--runs", type=int, default=3000, help="training runs and ledger included")
    parser.add_argument("--repeats", type=int, default=5)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        sizes = {SMALL: 2 * SMALL, arguments.versions: arguments.runs}
        stores = {size: make_store(Path(folder), size, runs) for size, runs in sizes.items()}
        taken: dict[tuple[str, int], list[float]] = {}
        for _ in tqdm(range(arguments.repeats), unit="round"):
            for command in COMMANDS:
                for size, store in stores.items():
                    taken.setdefault((command, size), []).append(run(command, store))
    print(f"| command | 2 versions, s | {arguments.versions:,} versions, s | times |")
    print("|---|---|---|---|")
    for command in COMMANDS:
        small, large = (statistics.median(taken[command, size]) for size in stores)
        print(f"| `{command}` | {small:.1f} | {large:.1f} | {large / small:.2f} |")


def make_store(folder: Path, size: int, runs: int) -> Path:
    """A folder with a registry of `size` versions, all but the last of which were promoted."""
    store = folder / f"{size}-versions"
    store.mkdir()
    mlflow.set_tracking_uri(address(store))
    mlflow.create_experiment("fraud-detector", artifact_location=f"file://{store}/artifacts")
    with redirect_stdout(StringIO()), open_run("train"):
        train(TrainingConfig(data=str(make_table(folder)), model_name=NAME))
    client = mlflow.MlflowClient()
    first = client.get_model_version(NAME, "1")
    for number in tqdm(range(2, size + 1), unit="version"):
        add_training_run(client, number)
        versions.register(
            NAME,
            first.source.removeprefix("models:/"),
            first.run_id,
            description=first.description,
            tags=first.tags,
        )
        add_promotion(client, first, number - 1)
    for _ in tqdm(range(runs - 2 * size), unit="run"):
        add_training_run(client, 0)
    moves.move(NAME, str(size - 1), "Production")
    return store


def add_training_run(client: mlflow.MlflowClient, seed: int) -> None:
    """A run with as many metrics and parameters as a training has."""
    run = client.create_run(client.get_experiment_by_name("fraud-detector").experiment_id)
    metrics = [Metric(f"holdout/metric_{n}", float(n), 0, 0) for n in range(METRICS_PER_RUN)]
    client.log_batch(run.info.run_id, metrics, [Param("seed", str(seed)), Param("rows", str(ROWS))])
    client.set_terminated(run.info.run_id)


def add_promotion(client: mlflow.MlflowClient, first: ModelVersion, number: int) -> None:
    """The ledger's entry of a promotion, a minute after the one before."""
    tags = {
        "ledger.action": "promote",
        "ledger.model": NAME,
        "ledger.stage": "Production",
        "ledger.from": "none" if number == 1 else str(number - 1),
        "ledger.to": str(number),
        "ledger.who": "benchmark",
        "ledger.when": (datetime(2026, 1, 1, tzinfo=UTC) + timedelta(minutes=number)).isoformat(),
        "ledger.outcome": "done",
    }
    experiment = client.get_run(first.run_id).info.experiment_id
    run = client.create_run(experiment)
    client.log_batch(run.info.run_id, tags=[RunTag(name, text) for name, text in tags.items()])
    client.set_terminated(run.info.run_id)


def address(store: Path) -> str:
    """The address of a folder's database."""
    return f"sqlite:///{store}/mlflow.db"


def run(command: str, store: Path) -> float:
    """Runs a command to its end, or a server to its first answer; returns the seconds it took."""
    port = free_port()
    options = ["--port", str(port)] if command == "serve" else []
    environment = {**os.environ, "MLFLOW_TRACKING_URI": address(store), "PYTHONPATH": str(ROOT)}
    for output in ("model", "comparison"):
        shutil.rmtree(store / output, ignore_errors=True)
    began = time.monotonic()
    process = subprocess.Popen(
        [sys.executable, *COMMANDS[command], *options],
        cwd=store,
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        if command == "serve":
            wait_for(f"http://127.0.0.1:{port}/health", process)
        elif process.wait(PATIENCE_SECONDS):
            raise RuntimeError(f"{command} failed in {store}; run it by hand to see why")
        return time.monotonic() - began
    finally:
        process.terminate()
        process.wait(PATIENCE_SECONDS)


def wait_for(url: str, process: subprocess.Popen[bytes]) -> None:
    """Waits until a server answers."""
    while process.poll() is None:
        with contextlib.suppress(requests.ConnectionError):
            if requests.get(url, timeout=PATIENCE_SECONDS).ok:
                return
        time.sleep(POLL_SECONDS)
    raise RuntimeError("the server ended; start it by hand to see why")


if __name__ == "__main__":
    main()
