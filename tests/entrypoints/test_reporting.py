"""An entry point that is stopped from outside leaves no run RUNNING and no version behind."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import mlflow
import pytest

from tests.support.environment import REPOSITORY, own_environment


@pytest.mark.slow
@pytest.mark.parametrize("sent", [signal.SIGTERM, signal.SIGINT])
def test_a_training_that_is_stopped_ends_failed(
    tmp_path: Path, table_csv: Path, sent: signal.Signals
) -> None:
    uri = f"sqlite:///{tmp_path}/mlflow.db"
    training = subprocess.Popen(
        [sys.executable, "-m", "entrypoints.train", "--data", str(table_csv), "--rounds", "90000"],
        cwd=tmp_path,
        env=own_environment(MLFLOW_TRACKING_URI=uri, PYTHONPATH=str(REPOSITORY)),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert training.stdout is not None
    for line in training.stdout:
        if line.strip() == "round 50 of 90000":
            training.send_signal(sent)
            break
    _, errors = training.communicate(timeout=120)
    assert training.returncode == 128 + sent, errors
    assert "Traceback" not in errors
    client = mlflow.MlflowClient(uri)
    experiments = [experiment.experiment_id for experiment in client.search_experiments()]
    assert [run.info.status for run in client.search_runs(experiments)] == ["FAILED"]
    assert client.search_registered_models() == []


@pytest.mark.slow
def test_a_server_out_of_reach_is_one_line() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "entrypoints.promote"],
        cwd=REPOSITORY,
        env=own_environment(MLFLOW_TRACKING_URI="http://127.0.0.1:9"),
        capture_output=True,
        text=True,
        check=False,
        # MLflow's own patience is over four minutes.
        timeout=180,
    )
    assert done.returncode == 1
    first, error = done.stderr.splitlines()
    assert first.startswith("promote: ")
    assert error.startswith("error: ")
    assert "http://127.0.0.1:9 " in error
    assert "MLFLOW_TRACKING_URI" in error
    assert "Traceback" not in done.stderr
