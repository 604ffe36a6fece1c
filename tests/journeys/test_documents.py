"""Every command and snippet of README and docs runs as it stands, in a fresh clone."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import mlflow
import pytest
import requests

from tests.support.documents import PAGES, fences
from tests.support.environment import REPOSITORY, copy_checkout, has_docker, own_environment
from tests.support.waiting import wait_until

README, BENCHMARKS, TRAIN = "README.md", "docs/benchmarks.md", "docs/train.md"
FIRST = fences(README)[0].text.strip()
TEST = fences(README)[1].text.strip()
DOWNLOAD = "mlflow run . -e download --env-manager local"

# Commands that are not run here, because they need an engine for images, a Space or the real data,
# and what runs each of them, or its parts, instead.
ELSEWHERE = {
    TEST: ".ci/run",
    DOWNLOAD: (
        "tests/journeys/test_workflows.py::test_a_better_challenger_becomes_one_pull_request"
    ),
    "mlflow run . -e image --env-manager local": (
        "tests/delivery/test_image.py::test_the_image_serves_the_version_anywhere"
    ),
    "mlflow run . -e tune --env-manager local -P data=data/creditcard.csv -P trials=50"
    " -P minutes=30": "tests/tuning/test_tune.py::test_tune_register_and_train_with_the_command",
    **dict.fromkeys(
        (
            "dask scheduler --port 8786",
            "dask worker tcp://host:8786",
            "mlflow run . -e train --env-manager local -P data=data/creditcard.csv"
            " -P cluster=tcp://host:8786",
        ),
        "tests/training/test_cluster.py"
        "::test_a_version_trained_on_a_cluster_is_that_of_one_machine_but_for_noise",
    ),
    "docker run -p 7860:7860 fraud-detector:latest": (
        "tests/delivery/test_image.py::test_the_image_serves_the_version_anywhere"
    ),
    "mlflow models build-docker -m models:/fraud-detector/Production --env-manager local"
    " -n fraud-detector-plain": "tests/delivery/test_image.py::test_mlflows_own_image_answers",
    "mlflow run . -e deploy --env-manager local -P space=user/fraud-detector": (
        "tests/delivery/test_space.py::test_a_missing_space_is_created_and_serves_what_was_sent"
    ),
    "docker compose up --build --detach --wait mlflow": (
        "tests/delivery/test_compose.py::test_the_tracking_servers_image_serves_from_postgresql"
    ),
    "MLFLOW_TRACKING_URI=http://127.0.0.1:5000 mlflow run . --env-manager local"
    " -P data=data/creditcard.csv": (
        "tests/delivery/test_compose.py::test_the_journey_on_postgresql"
    ),
    "MLFLOW_TRACKING_URI=http://127.0.0.1:5000 mlflow run . -e image --env-manager local": (
        "tests/delivery/test_image.py::test_the_image_serves_the_version_anywhere"
    ),
    "docker compose up --build --detach --wait": (
        "tests/delivery/test_compose.py::test_services_start_after_what_they_need_and_all_tell_"
        "their_health"
    ),
}

# What makes the benchmarks short, by module, and what each of them prints.
SHORT = {
    "recipes": ("--repeats 0 --folds 2", "| XGBoost |"),
    "tune": ("--trials 2 --folds 2 --seeds 1", "| `MlflowStorage` |"),
    "encodings": ("--seeds 1 --scale 0.04", "| left out |"),
    "intervals": ("--draws 2", "| ours, blocks of time |"),
    "gate": ("--draws 1 --chains 1", "| `even` |"),
    "overhead": ("--repeats 1 --scale 0.1", "| scoring |"),
    "serving": ("--rounds 1 --seconds 0.2", "| latency / MLServer, one tensor |"),
    "serving_before": ("--turns 1 --seconds 0.2", "| `dataframe_records`, 1,000 rows |"),
    "abuse": ("--scale 0.1", "s after SIGTERM"),
    "soak": ("--minutes 0.3", "whose rows or refusal are not all in the audit log: 0"),
    "refresh": ("--minutes 0.1", "| errors | 0 |"),
    "monitoring": ("--windows 3 --repeats 1 --rows 10000", "| fraud rate doubled | 10,000 |"),
    "monitor_size": ("--lines 20000 --repeats 1", "| 20,000 | 1 |"),
    "monitoring_days": (
        "--checks 1 --repeats 1 --halves 1 --rows 6000 --reference 40000 --versions 1",
        "| fraud rate doubled |",
    ),
    "collect": ("--lines 20000 --repeats 1", "| 20,000 |"),
    "large_table": ("--rows 30000 --repeats 1", "| 30,000 | the train part, and all rows |"),
    "score": ("--rows 30000 --repeats 1", "| 30,000 |"),
    "dask_scaling": ("--rows 20000 --rounds 10 --repeats 1", "| times as fast |"),
    "images": ("--repeats 1", "| fraud-benchmark:ours |"),
    "registry": ("--rounds 1 --store sqlite", "| sqlite |"),
    "registry_size": ("--versions 4 --runs 6 --repeats 1", "| `promote` |"),
}

# What two of them need, and no other.
PEERS, BEFORE = (
    line
    for fence in fences(BENCHMARKS)
    for line in fence.commands
    if line.startswith(("for peer in", "git worktree add"))
)

WITH_COMMANDS = {
    page for page in PAGES if any(fence.language in ("sh", "python") for fence in fences(page))
}
# Followed below, and what is about Spark in test_spark.py.
ELSEWHERE_OR_BELOW = {"docs/gate.md", "docs/serve.md", "docs/monitor.md", "docs/scale.md"}
OTHERS = sorted(WITH_COMMANDS - {README, BENCHMARKS} - ELSEWHERE_OR_BELOW)

SERVER = re.compile(r"\bmlflow (models serve|run \. -e serve)\b")
ADDRESS = "http://127.0.0.1:5001"
COMMAND_SECONDS = 1_800
START_SECONDS = 300


@dataclass(frozen=True)
class Ran:
    """A command or snippet that was run, and what it wrote to stdout and to both streams."""

    command: str
    out: str
    said: str


class Reader:
    """Somebody who follows the documents in one clone, in the environment of the first command."""

    def __init__(self, folder: Path, transactions: Path) -> None:
        self.folder = folder
        self._transactions = transactions
        self._server: contextlib.ExitStack = contextlib.ExitStack()

    def follow(self, page: str, section: str = "") -> list[Ran]:
        """Runs what the fences of a page hold, in order; a server goes on until the next one."""
        ran = []
        with contextlib.closing(self):
            for fence in fences(page, section):
                if fence.language == "python":
                    ran.append(self.run(fence.text, "python", "-c"))
                elif fence.language == "sh":
                    ran += [done for command in fence.commands if (done := self._type(command))]
        return ran

    def _type(self, command: str) -> Ran | None:
        if command == DOWNLOAD:
            (self.folder / "data").mkdir()
            shutil.copy(self._transactions, self.folder / "data" / "creditcard.csv")
        if command in ELSEWHERE:
            return None
        if SERVER.search(command):
            self.close()
            self._server.enter_context(self._serving(command))
            return None
        return self.run(command, "bash", "-ec")

    def run(self, text: str, *program: str, environment: str = ".venv") -> Ran:
        """Runs a command or snippet to its end, which has to be a good one."""
        done = subprocess.run(
            [*program, text],
            cwd=self.folder,
            env=self._activated(environment),
            capture_output=True,
            text=True,
            check=False,
            timeout=COMMAND_SECONDS,
        )
        said = done.stdout + done.stderr
        assert done.returncode == 0, f"{text}\n{said}"
        return Ran(text, done.stdout, said)

    def close(self) -> None:
        """Ends the server that runs, if any."""
        self._server.close()

    @contextlib.contextmanager
    def _serving(self, command: str) -> Iterator[None]:
        log = self.folder / "server.log"
        with log.open("w") as output:
            process = subprocess.Popen(
                ["bash", "-ec", command],
                cwd=self.folder,
                env=self._activated(".venv"),
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

        def is_up() -> bool:
            assert process.poll() is None, f"{command}\n{log.read_text()}"
            return _answers()

        try:
            wait_until(is_up, seconds=START_SECONDS, what=command)
            yield
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGTERM)
            process.wait(60)
            # The server itself may take longer than the shell around it.
            wait_until(lambda: not _answers(), what=f"the end of {command}")

    def _activated(self, environment: str) -> dict[str, str]:
        folder = self.folder / environment
        path = f"{folder / 'bin'}{os.pathsep}{os.environ['PATH']}"
        return own_environment(PATH=path, VIRTUAL_ENV=str(folder))


def _answers() -> bool:
    try:
        return requests.get(f"{ADDRESS}/ping", timeout=5).ok
    except requests.RequestException:
        return False


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory, transactions_csv: Path) -> Reader:
    """A reader with a fresh clone."""
    folder = tmp_path_factory.mktemp("clone") / "fraud-detector"
    copy_checkout(folder)
    return Reader(folder, transactions_csv)


@pytest.fixture(scope="module")
def first_page(reader: Reader) -> list[Ran]:
    """What came of the README, which every other page builds on."""
    return reader.follow(README)


def in_production(reader: Reader) -> int:
    """The number of the version that stands in Production in the clone's own store."""
    client = registry(reader)
    return int(client.get_model_version_by_alias("fraud-detector", "production").version)


def latest(reader: Reader) -> int:
    """The number of the latest version in the clone's own store."""
    found = registry(reader).search_model_versions("name = 'fraud-detector'")
    return max(int(version.version) for version in found)


def registry(reader: Reader) -> mlflow.MlflowClient:
    """The registry of the clone's own store."""
    return mlflow.MlflowClient(f"sqlite:///{reader.folder}/mlflow.db")


def predictions(ran: list[Ran]) -> list[list[dict[str, object]]]:
    """What the servers of a page answered to its queries."""
    answered = [json.loads(done.out) for done in ran if "/invocations -H" in done.command]
    return [answer["predictions"] for answer in answered]


def masked(output: str) -> set[str]:
    """The lines of an output with a # for each number."""
    return {re.sub(r"\d[\d.]*", "#", line.strip()) for line in output.splitlines()}


def test_what_is_not_run_here_is_run_elsewhere() -> None:
    shown = {line for page in PAGES for fence in fences(page) for line in fence.commands}
    assert set(ELSEWHERE) <= shown
    for place in ELSEWHERE.values():
        file, _, name = place.partition("::")
        assert not name or f"def {name}(" in (REPOSITORY / file).read_text(), place
        assert (REPOSITORY / file).is_file()


@pytest.mark.slow
def test_the_readme(reader: Reader, first_page: list[Ran]) -> None:
    assert first_page[0].command == FIRST
    assert "simulated" in first_page[0].out
    (shown,) = (fence.text for fence in fences(README) if fence.language == "text")
    assert masked(shown) - masked(first_page[0].out) == {"…"}
    (answer,) = predictions(first_page)
    assert set(answer[0]) == {"fraud_probability", "is_fraud", "risk_level"}
    assert in_production(reader) == 2


@pytest.mark.slow
@pytest.mark.long
def test_the_page_about_the_gate(reader: Reader, first_page: list[Ran]) -> None:
    before = latest(reader)
    reader.follow("docs/gate.md")
    # The page trains and promotes a version and then another, and rolls back.
    assert latest(reader) == before + 2
    assert in_production(reader) == before + 1
    assert (reader.folder / "comparison").is_dir()


@pytest.mark.slow
@pytest.mark.long
def test_the_page_about_serving(reader: Reader, first_page: list[Ran]) -> None:
    # Once by the plain server, and by ours plainly, with a token and with a shadow.
    plain, *ours = predictions(reader.follow("docs/serve.md"))
    assert ours == [plain, plain, plain]


@pytest.mark.slow
@pytest.mark.long
def test_the_page_about_monitoring(reader: Reader, first_page: list[Ran]) -> None:
    # The page begins with a log of its own.
    (reader.folder / "audit.jsonl").unlink(missing_ok=True)
    ran = reader.follow("docs/monitor.md")
    plain, by_rule = (done for done in ran if "-e monitor" in done.command)
    collected, again = (done for done in ran if "-e collect" in done.command)
    assert "2,000 scored transactions" in plain.out
    assert "0 windows have matured" in by_rule.out
    assert (reader.folder / "monitoring" / "report.html").is_file()
    assert "collected.parquet: 2,000 rows, 2,000 of them new" in collected.out
    assert "collected.parquet: 2,000 rows, 0 of them new" in again.out


@pytest.mark.slow
def test_the_page_about_large_tables(reader: Reader, first_page: list[Ran]) -> None:
    done, shown = reader.follow("docs/scale.md", "On one machine")
    assert "with fraud-detector version" in done.out
    assert (reader.folder / "scores" / "part-00000.parquet").is_file()
    assert "fraud_probability" in shown.out


@pytest.mark.slow
@pytest.mark.long
def test_training_on_workers_of_this_machine(reader: Reader, first_page: list[Ran]) -> None:
    *_, done = reader.follow("docs/scale.md", "On a Dask cluster")
    assert "cluster local:2: 2 workers" in done.out
    assert f"fraud-detector version {latest(reader)}, trained" in done.out


@pytest.mark.slow
@pytest.mark.parametrize(
    "page",
    # One trains with this option and with that, which takes long.
    [pytest.param(p, marks=pytest.mark.long if p == TRAIN else ()) for p in OTHERS],
)
def test_the_other_pages(reader: Reader, first_page: list[Ran], page: str) -> None:
    reader.follow(page)


@pytest.fixture(scope="module")
def benchmarks(reader: Reader, first_page: list[Ran]) -> dict[str, str]:
    """The benchmarks' commands by module, after what makes their environments has run."""
    commands = {}
    for fence in fences(BENCHMARKS):
        for command in fence.commands if fence.language == "sh" else ():
            if measures := re.match(r"python -m benchmarks\.(\w+)", command):
                commands[measures[1]] = command
            elif command not in (PEERS, BEFORE):
                reader.run(command, "bash", "-ec", environment=".bench")
    return commands


@pytest.mark.slow
@pytest.mark.long
@pytest.mark.parametrize("name", SHORT)
def test_the_page_with_benchmarks(reader: Reader, benchmarks: dict[str, str], name: str) -> None:
    if name == "images" and not has_docker():
        pytest.skip("no engine for images here")
    if name == "soak" and sys.platform != "linux":
        pytest.skip("the soak test reads memory from /proc")
    if name == "serving":
        reader.run(PEERS, "bash", "-ec", environment=".bench")
    if name == "serving_before":
        # The reader's files came without history.
        own = reader.folder / ".git"
        subprocess.run(["git", "clone", "--quiet", "--bare", REPOSITORY, own], check=True)
        reader.run(BEFORE, "bash", "-ec", environment=".bench")
    options, expected = SHORT[name]
    done = reader.run(f"{benchmarks[name]} {options}", "bash", "-ec", environment=".bench")
    assert expected in done.out


def test_every_benchmark_of_the_page_has_a_short_form() -> None:
    shown = "\n".join(fence.text for fence in fences(BENCHMARKS))
    assert {*re.findall(r"python -m benchmarks\.(\w+)", shown)} == set(SHORT)
