"""A disk that is full ends a command in one line, its run FAILED, and Production as it was."""

from __future__ import annotations

import os
import resource
import shutil
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import mlflow
import pytest
from mlflow.exceptions import MlflowException

from fraud_model.data.simulation import simulate
from fraud_model.registry.moves import move
from fraud_model.registry.versions import State
from fraud_model.stores import failure_of
from fraud_model.tracking import open_run
from tests.support.environment import REPOSITORY, own_environment
from tests.support.store import Store, store_at

# On a small disk, less than the artifacts of a training.
ROOM = 100_000
# Of the database: less than any change of it writes.
PAGE = 4096
# Of a small disk, in bytes: more than the database of the shared store.
DISK = 16_000_000


def run_entry_point(
    database: Path, name: str, *arguments: str, most: int | None = None, **variables: str
) -> subprocess.CompletedProcess[str]:
    """Runs an entry point that can write no file beyond `most` bytes, where that is given."""
    limit = partial(resource.setrlimit, resource.RLIMIT_FSIZE, (most, most)) if most else None
    return subprocess.run(
        [sys.executable, "-m", f"entrypoints.{name}", *arguments],
        cwd=REPOSITORY,
        env=own_environment(MLFLOW_TRACKING_URI=f"sqlite:///{database}", **variables),
        preexec_fn=limit,
        capture_output=True,
        text=True,
        check=False,
    )


def copy_of(store: Store, tmp_path: Path) -> Path:
    """A copy of the shared store's database."""
    return Path(shutil.copy(store.uri.removeprefix("sqlite:///"), tmp_path / "mlflow.db"))


def statuses(database: Path) -> list[str]:
    client = mlflow.MlflowClient(tracking_uri=f"sqlite:///{database}")
    experiments = [e.experiment_id for e in client.search_experiments()]
    return [run.info.status for run in client.search_runs(experiments)]


def room_on(disk: Path) -> int:
    """The bytes that a file system has left."""
    rest = os.statvfs(disk)
    return rest.f_bavail * rest.f_frsize


def log_until_full(disk: Path, large: Path) -> None:
    """Logs an artifact that takes what is left of the disk, and then a tag."""
    mlflow.log_text("the folder of the artifacts", "text.txt")
    large.write_bytes(bytes(room_on(disk)))
    mlflow.log_artifact(str(large))
    mlflow.set_tag("no", "room")


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of a few MB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={DISK}", "tmpfs", str(folder)]
    if sys.platform != "linux" or subprocess.run(mount, check=False).returncode:
        pytest.skip("no file system can be mounted")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def test_a_run_whose_artifacts_fill_the_disk_of_the_database_ends_failed(
    store: Store, small_disk: Path, tmp_path: Path
) -> None:
    database = copy_of(store, small_disk)
    with store_at(f"sqlite:///{database}"):
        mlflow.create_experiment("full", artifact_location=f"file://{small_disk}/artifacts")
        with pytest.raises(MlflowException) as raised, open_run("train", "full") as run:
            log_until_full(small_disk, tmp_path / "large")
        assert failure_of(raised.value) == (
            f"the database of the tracking store, sqlite:///{database}, fails: database or disk "
            "is full. Mend that, and run this again."
        )
        assert mlflow.get_run(run.info.run_id).info.status == "FAILED"


@pytest.mark.slow
def test_a_training_that_cannot_write_its_artifacts_registers_nothing(
    small_disk: Path, tmp_path: Path
) -> None:
    database = tmp_path / "mlflow.db"
    with store_at(f"sqlite:///{database}"):
        mlflow.create_experiment("full", artifact_location=f"file://{small_disk}/artifacts")
    (small_disk / "large").write_bytes(bytes(room_on(small_disk) - ROOM))
    table = tmp_path / "transactions.parquet"
    simulate(10_000, 500).to_parquet(table)
    training = ("--data", str(table), "--model-name", "big")
    done = run_entry_point(database, "train", *training, MLFLOW_EXPERIMENT_NAME="full")
    assert done.returncode == 1
    last = done.stderr.splitlines()[-1]
    assert last.startswith("error: the artifact store or the temporary folder, ")
    assert last.endswith(": No space left on device. Mend that, and run this again.")
    assert "Traceback" not in done.stderr
    assert statuses(database) == ["FAILED"]
    client = mlflow.MlflowClient(registry_uri=f"sqlite:///{database}")
    assert client.search_model_versions("name = 'big'") == []


@pytest.mark.slow
def test_a_promotion_that_cannot_write_to_the_database_moves_nothing(
    store: Store, tmp_path: Path
) -> None:
    name = store.new_model(versions=2)
    move(name, "1", "Production")
    database = copy_of(store, tmp_path)
    promotion = ("--model-name", name, "--version", "2", "--tolerance", "1")
    done = run_entry_point(database, "promote", *promotion, most=PAGE)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith("error: the database of the tracking store")
    assert "Traceback" not in done.stderr
    mlflow.set_tracking_uri(f"sqlite:///{database}")
    try:
        assert State.of(name).holds("Production", "1")
    finally:
        mlflow.set_tracking_uri(store.uri)
