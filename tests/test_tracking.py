"""Which runs are opened, and how long a tracking server is waited for."""

from __future__ import annotations

import os
import socket

import mlflow
import pytest

from fraud_model.errors import TrackingError
from fraud_model.stores import reach_store
from fraud_model.tracking import EXPERIMENT, name_run, open_run
from tests.support.store import Store


@pytest.fixture
def given(store: Store, monkeypatch: pytest.MonkeyPatch) -> str:
    """A run as `mlflow run` makes it before an entry point starts; its id."""
    known = mlflow.get_experiment_by_name(EXPERIMENT)
    run_id = str(mlflow.MlflowClient().create_run(known.experiment_id).info.run_id)
    monkeypatch.setenv("MLFLOW_RUN_ID", run_id)
    return run_id


def test_the_run_of_an_entry_point_that_records_nothing_is_named(given: str) -> None:
    name_run("export fraud-detector version 1")
    info = mlflow.get_run(given).info
    assert info.run_name == "export fraud-detector version 1"
    # `mlflow run` ends the run itself, and fails where that is not there any more.
    assert (info.status, info.lifecycle_stage) == ("RUNNING", "active")


def test_a_module_that_records_nothing_makes_no_run(store: Store) -> None:
    before = len(mlflow.search_runs(search_all_experiments=True))
    name_run("export")
    assert len(mlflow.search_runs(search_all_experiments=True)) == before


def test_the_run_that_is_given_is_the_only_one(given: str) -> None:
    before = len(mlflow.search_runs(search_all_experiments=True))
    with open_run("check", "elsewhere") as run:
        assert run.info.run_id == given
    assert mlflow.get_run(given).info.run_name == "check"
    assert len(mlflow.search_runs(search_all_experiments=True)) == before


def test_a_module_opens_a_run_in_the_experiment_of_its_own(store: Store) -> None:
    with open_run("check", "elsewhere") as run:
        assert run.info.run_name == "check"
    known = mlflow.get_experiment_by_name("elsewhere")
    assert run.info.experiment_id == known.experiment_id


def test_a_server_that_never_answers_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        address = f"127.0.0.1:{silent.getsockname()[1]}"
        monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "1")
        monkeypatch.delenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", raising=False)
        before = mlflow.get_tracking_uri()
        mlflow.set_tracking_uri(f"http://me:secret@{address}")
        with pytest.raises(TrackingError, match=rf"http://{address} .*1 s.*MLFLOW_TRACKING_URI"):
            reach_store()
        mlflow.set_tracking_uri(before)
    assert os.environ["MLFLOW_HTTP_REQUEST_TIMEOUT"] == "1"
    assert "MLFLOW_HTTP_REQUEST_MAX_RETRIES" not in os.environ
