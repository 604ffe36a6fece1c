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

# More than a run takes in the database, and less than the holdout of the table below.
ROOM = 300_000
# Of the database: less than any change of it writes.
PAGE = 4096
ROWS, FRAUDS = 40_000, 2_000
# Of a small disk, in bytes: more than the database of the shared store.
DISK = 16_000_000


def with_room(most: int, database: Path, *command: str) -> subprocess.CompletedProcess[str]:
    """Runs a command that can write no file beyond `most` bytes."""
    return subprocess.run(
        [sys.executable, "-m", *command],
        cwd=REPOSITORY,
        env=own_environment(MLFLOW_TRACKING_URI=f"sqlite:///{database}"),
        preexec_fn=partial(resource.setrlimit, resource.RLIMIT_FSIZE, (most, most)),
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


def log_until_full(disk: Path, large: Path) -> None:
    """Logs an artifact that takes what is left of the disk, and then a tag."""
    mlflow.log_text("the folder of the artifacts", "text.txt")
    rest = os.statvfs(disk)
    large.write_bytes(bytes(rest.f_bavail * rest.f_frsize))
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
    tmp_path: Path,
) -> None:
    # A store of its own: the shared one grows, and with it the room.
    database = tmp_path / "mlflow.db"
    assert statuses(database) == []
    table = tmp_path / "transactions.parquet"
    simulate(ROWS, FRAUDS).to_parquet(table)
    done = with_room(
        database.stat().st_size + ROOM,
        database,
        *("entrypoints.train", "--data", str(table), "--model-name", "big"),
    )
    assert done.returncode == 1
    assert "File too large. Mend that, and run this again." in done.stderr.splitlines()[-1]
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
    done = with_room(
        PAGE,
        database,
        *("entrypoints.promote", "--model-name", name, "--version", "2", "--tolerance", "1"),
    )
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith("error: the database of the tracking store")
    assert "Traceback" not in done.stderr
    mlflow.set_tracking_uri(f"sqlite:///{database}")
    try:
        assert State.of(name).holds("Production", "1")
    finally:
        mlflow.set_tracking_uri(store.uri)
