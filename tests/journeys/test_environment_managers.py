"""MLflow makes the project's and the model's environment itself, with each of its managers."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest
import requests
import yaml

from tests.support.environment import REPOSITORY, copy_checkout, own_environment
from tests.support.pyenv import has_pyenv_python, pyenv_of_installed_versions
from tests.support.server import free_port
from tests.support.waiting import wait_until

PYTHON = yaml.safe_load((REPOSITORY / "python_env.yaml").read_text())["python"]


@pytest.fixture(params=["uv", pytest.param("virtualenv", marks=pytest.mark.long)])
def manager(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    if name == "virtualenv" and not has_pyenv_python(PYTHON):
        pytest.skip(f"the manager virtualenv needs pyenv with a Python {PYTHON}")
    return name


@pytest.fixture
def environment(manager: str, tmp_path: Path) -> Iterator[dict[str, str]]:
    """Variables of a shell that has `mlflow` and the manager, and no environment made before."""
    folders = [str(Path(sys.executable).parent), os.environ["PATH"]]
    if manager == "virtualenv":
        folders.insert(0, str(pyenv_of_installed_versions(tmp_path / "pyenv")))
    made = tmp_path / "environments"
    yield own_environment(PATH=os.pathsep.join(folders), MLFLOW_ENV_ROOT=str(made))
    # Each of them takes about a gigabyte.
    shutil.rmtree(made, ignore_errors=True)


@contextlib.contextmanager
def serving(
    command: list[str], folder: Path, port: int, environment: dict[str, str]
) -> Iterator[None]:
    """A server in the background that answers within half an hour, installation included."""
    process = subprocess.Popen(command, cwd=folder, env=environment, start_new_session=True)

    def answers() -> bool:
        assert process.poll() is None, "the server ended"
        with contextlib.suppress(requests.ConnectionError):
            return requests.get(f"http://127.0.0.1:{port}/ping", timeout=60).ok
        return False

    try:
        wait_until(answers, seconds=1800, what="the server answers")
        yield
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)
        process.wait(60)


@pytest.mark.slow
def test_mlflow_makes_the_environment_itself(
    manager: str, environment: dict[str, str], transactions_csv: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "fraud-detector"
    copy_checkout(folder)
    train = ["mlflow", "run", ".", "-e", "train", "--env-manager", manager]
    trained = subprocess.run(
        [*train, "-P", f"data={transactions_csv}", "-P", "rounds=50"],
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert trained.returncode == 0, trained.stdout
    assert "fraud-detector version 1" in trained.stdout
    assert len(list((tmp_path / "environments").iterdir())) == 1

    port = free_port()
    serve = ["mlflow", "models", "serve", "-m", "models:/fraud-detector/1"]
    row = pd.read_csv(transactions_csv).drop(columns="Class").iloc[0].to_dict()
    with serving([*serve, "-p", str(port), "--env-manager", manager], folder, port, environment):
        answer = requests.post(
            f"http://127.0.0.1:{port}/invocations", json={"dataframe_records": [row]}, timeout=60
        )
    assert answer.ok, answer.text
    assert 0 <= json.loads(answer.text)["predictions"][0]["fraud_probability"] <= 1
