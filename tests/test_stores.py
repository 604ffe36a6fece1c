"""A database that is down or lets nobody in is one line, soon, and without the password."""

from __future__ import annotations

import errno
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from mlflow.exceptions import MlflowException

from fraud_model.errors import FraudModelError, TrackingError, TrackingRefused
from fraud_model.stores import failure_of, reach_databases, without_credentials
from tests.support.environment import REPOSITORY, own_environment
from tests.support.postgresql import PASSWORD, needs_postgresql, postgresql
from tests.support.server import free_port
from tests.support.store import store_at

SOON = 30


def refusal(uri: str, kind: type[FraudModelError]) -> str:
    with store_at(uri), pytest.raises(kind) as caught:
        reach_databases()
    said = str(caught.value)
    assert PASSWORD not in said
    assert len(said.splitlines()) == 1
    return said


def test_a_database_that_nobody_runs_is_told_without_the_password() -> None:
    port = free_port()
    said = refusal(
        f"postgresql+psycopg2://me:{PASSWORD}@127.0.0.1:{port}/mlflow?password={PASSWORD}",
        TrackingError,
    )
    assert f"postgresql+psycopg2://127.0.0.1:{port}/mlflow, does not answer" in said
    assert "Connection refused" in said
    assert "MLFLOW_TRACKING_URI" in said


def test_a_database_that_never_answers_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fraud_model.stores.CONNECT_SECONDS", "2")
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        port = silent.getsockname()[1]
        said = refusal(f"postgresql+psycopg2://me:{PASSWORD}@127.0.0.1:{port}/x", TrackingError)
    assert "does not answer" in said


def test_a_driver_that_is_missing_is_named() -> None:
    said = refusal(f"mysql+absent://me:{PASSWORD}@127.0.0.1/x", TrackingRefused)
    assert "cannot be read" in said
    said = refusal(f"mssql+pymssql://me:{PASSWORD}@127.0.0.1/x", TrackingRefused)
    assert "No module named 'pymssql'" in said


def test_a_password_that_breaks_the_address_is_not_shown() -> None:
    said = refusal(f"postgresql+psycopg2://me:{PASSWORD}:5432/x", TrackingRefused)
    assert "cannot be read" in said


def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "mlflow.db"
    path.write_text("Time,V1,Amount,Class\n" * 100)
    assert "file is not a database" in refusal(f"sqlite:///{path}", TrackingRefused)


def test_a_new_database_is_left_to_mlflow(tmp_path: Path) -> None:
    with store_at(f"sqlite:///{tmp_path}/new/mlflow.db"):
        reach_databases()
    assert not (tmp_path / "new").exists()


@needs_postgresql
@pytest.mark.slow
def test_a_database_that_lets_nobody_in_says_why(tmp_path: Path) -> None:
    with postgresql(tmp_path) as where:
        wrong = f"postgresql+psycopg2://mlflow:{PASSWORD}x@{where}/mlflow"
        assert "password authentication failed" in refusal(wrong, TrackingRefused)
        absent = f"postgresql+psycopg2://mlflow:{PASSWORD}@{where}/absent"
        assert 'database "absent" does not exist' in refusal(absent, TrackingRefused)
        with store_at(f"postgresql+psycopg2://mlflow:{PASSWORD}@{where}/mlflow"):
            reach_databases()


@pytest.mark.slow
@pytest.mark.parametrize(
    "command",
    [
        ["entrypoints.promote"],
        *(
            pytest.param(words, marks=pytest.mark.slow)
            for words in (
                ["entrypoints.train", "--data", "simulated"],
                ["entrypoints.rollback"],
                ["entrypoints.compare"],
                ["entrypoints.export"],
                ["entrypoints.monitor", "--log", "audit.jsonl"],
                ["entrypoints.image"],
                ["fraud_model.serving", "--port", "0"],
            )
        ),
    ],
    ids=lambda words: words[0],
)
def test_every_command_ends_with_the_line(command: list[str]) -> None:
    done = subprocess.run(
        [sys.executable, "-m", *command],
        cwd=REPOSITORY,
        env=own_environment(
            MLFLOW_TRACKING_URI=f"postgresql+psycopg2://me:{PASSWORD}@127.0.0.1:{free_port()}/x"
        ),
        capture_output=True,
        text=True,
        check=False,
        timeout=SOON,
    )
    assert done.returncode == 1
    last = done.stderr.splitlines()[-1]
    assert last.startswith("error: the database of the tracking store, postgresql+psycopg2://127")
    assert PASSWORD not in done.stderr
    assert "Traceback" not in done.stderr


def test_only_what_the_disk_says_is_no_bug() -> None:
    full = OSError(errno.ENOSPC, "No space left on device", "/data/model.lgb")
    assert str(failure_of(full)).startswith("/data/model.lgb: No space left on device")
    assert "No space left" in str(failure_of(OSError(errno.ENOSPC, "No space left on device")))
    assert failure_of(FileNotFoundError(errno.ENOENT, "No such file", "x")) is None
    assert failure_of(ValueError("x")) is None
    assert failure_of(MlflowException("no rights\nmore")) == "MLflow: no rights"


@pytest.mark.parametrize(
    ("uri", "shown"),
    [
        ("https://me:secret@host:5000/path", "https://host:5000/path"),
        ("postgresql://me:se/c@ret@host/db?sslmode=disable", "postgresql://host/db"),
        ("sqlite:////data/a@b/mlflow.db", "sqlite:////data/a@b/mlflow.db"),
        ("sqlite:///file:x.db?mode=ro&uri=true", "sqlite:///file:x.db?mode=ro&uri=true"),
    ],
)
def test_an_address_is_shown_without_credentials(uri: str, shown: str) -> None:
    assert without_credentials(uri) == shown
