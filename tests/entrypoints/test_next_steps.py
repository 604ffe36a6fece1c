"""Every command that a run prints runs as it stands, in the environment that printed it."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from fraud_model.data.simulation import simulate
from tests.support.environment import copy_checkout, own_environment
from tests.support.ports import reserved
from tests.support.waiting import wait_until

SECONDS = 300


class Shell:
    """A user's shell in a checkout of the project, with the tests' environment activated."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        self.environment = own_environment(PATH=path)

    def run(self, command: str, *, fails: bool = False) -> str:
        """Everything that a command line prints."""
        done = subprocess.run(
            ["bash", "-c", command],
            cwd=self.folder,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            timeout=SECONDS,
        )
        assert (done.returncode != 0) == fails, done.stdout
        return done.stdout

    @contextmanager
    def in_background(self, command: str) -> Iterator[None]:
        """Keeps a command line running until the block ends."""
        process = subprocess.Popen(
            ["bash", "-c", command],
            cwd=self.folder,
            env=self.environment,
            start_new_session=True,
        )
        try:
            yield
        finally:
            os.killpg(process.pid, signal.SIGTERM)
            process.wait(60)

    def run_until_it_works(self, command: str) -> str:
        """What a command line prints once it succeeds."""
        done: list[subprocess.CompletedProcess[str]] = []

        def works() -> bool:
            done[:] = [
                subprocess.run(
                    ["bash", "-c", command],
                    cwd=self.folder,
                    capture_output=True,
                    text=True,
                    check=False,
                )
            ]
            return done[0].returncode == 0

        wait_until(works, seconds=SECONDS, what=command)
        return done[0].stdout


@pytest.fixture(scope="module")
def shell(tmp_path_factory: pytest.TempPathFactory) -> Shell:
    folder = tmp_path_factory.mktemp("checkout")
    copy_checkout(folder)
    (folder / "data").mkdir()
    simulate(rows=8_000, frauds=400, seed=2).to_csv(folder / "data" / "creditcard.csv", index=False)
    return Shell(folder)


def after(label: str, said: str) -> str:
    """The command that stands behind a label, on its line or indented on the next."""
    found = re.search(rf"{re.escape(label)}\s+((?:mlflow|curl) .*)", said)
    assert found, said
    return found.group(1)


@pytest.mark.slow
def test_advice_and_next_steps_lead_from_nothing_to_a_version_in_production(shell: Shell) -> None:
    said = shell.run("mlflow run . -e promote --env-manager local", fails=True)
    said = shell.run(f"{after('Train one first:', said)} -P alert_budget=1000")
    stages = ["train: loading", "reading", "fitting", "drawing plots", "registering"]
    places = [said.index(stage) for stage in stages]
    assert places == sorted(places)
    said = shell.run(after("next:", said))
    assert "recall at 1000 alerts a day" in said
    assert "fraud-detector version 1 is now in Production" in said


@pytest.mark.slow
@pytest.mark.long
def test_what_main_prints_at_its_end_shows_serves_and_queries(shell: Shell) -> None:
    said = shell.run("mlflow run . --env-manager local -P model_name='my cards' -P rounds=60")
    with reserved(5000), shell.in_background(after("see:", said)):
        (page,) = re.findall(r"^version: (http://\S+)$", said, re.MULTILINE)
        assert page.endswith("/#/models/my%20cards/versions/1")
        address = page.partition("/#")[0]
        found = shell.run_until_it_works(
            f"curl -sSf '{address}/ajax-api/2.0/mlflow/model-versions/get"
            "?name=my%20cards&version=1'"
        )
    assert json.loads(found)["model_version"]["current_stage"] == "Production"
    with reserved(5001), shell.in_background(after("serve:", said)):
        answer = shell.run_until_it_works(after("query:", said))
    assert set(json.loads(answer)["predictions"][0]) >= {"fraud_probability", "is_fraud"}


@pytest.mark.slow
@pytest.mark.long
def test_a_project_from_a_git_address_needs_absolute_paths(
    shell: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bare, address = tmp_path / "fraud.git", "https://example.invalid/fraud.git"
    shell.run(
        "git init -q . && git add -A && git -c user.name=t -c user.email=t@example.invalid "
        f"commit -qm all && git clone -q --bare . {bare}"
    )
    user = Shell(tmp_path / "user")
    user.folder.mkdir()
    # An address that no path of this machine is, fetched from one that is.
    user.environment |= {
        "GIT_CONFIG_COUNT": "1",
        "GIT_CONFIG_KEY_0": f"url.{bare}.insteadOf",
        "GIT_CONFIG_VALUE_0": address,
    }
    own = shell.folder / "data" / "creditcard.csv"
    (user.folder / "mine.csv").write_text(own.read_text())
    run = f"mlflow run {address} --env-manager local -e"
    said = user.run(f"{run} train -P data=mine.csv", fails=True)
    assert re.search(rf"^error: data='mine.csv' .*{address}.*absolute", said, re.MULTILINE)
    said = user.run(f'{run} train -P data="$PWD/mine.csv" -P rounds=60')
    said = user.run(after("next:", said))
    assert "fraud-detector version 1 is now in Production" in said
    said = user.run(f"{run} export", fails=True)
    assert re.search(r"^error: output='model' .*absolute", said, re.MULTILINE)
    user.run(f'{run} export -P output="$PWD/model"')
    assert (user.folder / "model" / "MLmodel").is_file()
