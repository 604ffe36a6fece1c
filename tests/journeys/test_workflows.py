"""The workflows are valid, keep the ground rules, and their steps do what they are there for."""

from __future__ import annotations

import hashlib
import io
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import grimp
import mlflow.pyfunc
import numpy as np
import pandas as pd
import pytest
import yaml

from fraud_model.data.simulation import Drift, simulate
from tests.support.audit_lines import scored_lines, write_lines
from tests.support.environment import REPOSITORY, copy_checkout, own_environment
from tests.support.fake_github import TOKEN, GitHub, running_github
from tests.support.file_server import serve, serve_api, serve_folder
from tests.support.object_store import ACCESS, object_store
from tests.support.workflow_runner import WORKFLOWS, Job, holds, load, run_job

NAMES = sorted(path.name for path in WORKFLOWS.glob("*.yml"))
ENTRY_POINTS = yaml.safe_load((REPOSITORY / "MLproject").read_text())["entry_points"]
STEPS = [
    (name, step)
    for name in NAMES
    for job in load(name)["jobs"].values()
    for step in job.get("steps", [])
]
RUNS = [(name, step["run"]) for name, step in STEPS if "run" in step]
TRAFFIC_TABLE = "s3://bank/traffic.parquet"
NO_METADATA = {"AWS_EC2_METADATA_DISABLED": "true"}


def tool(*command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(Path(sys.executable).with_name(command[0])), *command[1:]],
        capture_output=True,
        text=True,
        check=False,
    )


def test_every_workflow_is_valid() -> None:
    files = [str(path) for path in WORKFLOWS.glob("*.yml")]
    done = tool("check-jsonschema", "--builtin-schema", "vendor.github-workflows", *files)
    assert done.returncode == 0, done.stdout
    dependabot = str(REPOSITORY / ".github" / "dependabot.yml")
    done = tool("check-jsonschema", "--builtin-schema", "vendor.dependabot", dependabot)
    assert done.returncode == 0, done.stdout


def test_zizmor_finds_nothing() -> None:
    done = tool("zizmor", "--offline", "--no-progress", str(REPOSITORY / ".github"))
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("name", NAMES)
def test_the_ground_rules_hold(name: str) -> None:
    workflow = load(name)
    text = (WORKFLOWS / name).read_text()
    assert workflow["permissions"] == {}
    assert workflow["concurrency"]
    for job in workflow["jobs"].values():
        assert job["permissions"]
        assert "timeout-minutes" in job or "uses" in job
    for action in re.findall(r"uses: ([^.\s].*)$", text, re.MULTILINE):
        assert re.fullmatch(r"[\w./-]+@[0-9a-f]{40} # v[\d.]+", action), action
    if "pull_request" in workflow["on"]:
        assert "secrets." not in text
    if "schedule" in workflow["on"]:
        assert set(workflow["on"]) == {"schedule"}


@pytest.mark.parametrize(("name", "run"), RUNS)
def test_a_step_is_one_command_that_a_person_can_type(name: str, run: str) -> None:
    assert "\n" not in run.strip()
    assert "${{" not in run
    entry_point = re.match(r"mlflow run \. -e (\w+)", run)
    if entry_point:
        parameters = ENTRY_POINTS[entry_point[1]].get("parameters", {})
        assert set(re.findall(r"-P (\w+)=", run)) <= set(parameters)


def test_a_training_starts_when_a_package_that_it_consists_of_changes() -> None:
    graph = grimp.build_graph("fraud_model", "entrypoints", cache_dir=None)
    imported = graph.find_upstream_modules("entrypoints.train") | {"entrypoints.train"}
    needed = {"data/**", "requirements.txt"}
    for module in imported - {"entrypoints"}:
        path = Path(*module.split(".")[:2])
        if not (REPOSITORY / path).is_dir():
            needed.add("fraud_model/*.py" if path.parts[0] == "fraud_model" else f"{path}.py")
        elif len(path.parts) > 1:
            needed.add(f"{path}/**")
    assert set(load("model-training.yml")["on"]["push"]["paths"]) == needed


@pytest.fixture
def github() -> Iterator[tuple[GitHub, str]]:
    with running_github() as running:
        yield running


@pytest.fixture
def kaggle(transactions_csv: Path) -> Iterator[tuple[dict[str, bytes], str]]:
    """Kaggle's API with one file to give, which a test may change."""
    held = {"file": transactions_csv.read_bytes()}

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Length", str(len(held["file"])))
            self.end_headers()
            self.wfile.write(held["file"])

        def log_message(self, format: str, *args: object) -> None:
            """Says nothing."""

    with serve(Handler) as url:
        yield held, url


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A checkout of these files, whose origin is a bare repository beside it."""
    folder = tmp_path / "clone"
    copy_checkout(folder)
    git(tmp_path, "init", "--quiet", "--bare", "origin.git")
    git(folder, "init", "--quiet", "--initial-branch=main")
    git(folder, "remote", "add", "origin", str(tmp_path / "origin.git"))
    commit(folder)
    return folder


def git(folder: Path, *arguments: str) -> str:
    identity = ["-c", "user.name=someone", "-c", "user.email=someone@example.com"]
    return subprocess.run(
        ["git", *identity, *arguments], cwd=folder, capture_output=True, text=True, check=True
    ).stdout


def commit(folder: Path) -> None:
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--message", "the state of a test")
    git(folder, "push", "--quiet", "origin", "main")


def public_file_is(clone: Path, content: bytes) -> None:
    """Lets the checkout take `content` for the public file: the sample is not all of it."""
    path = clone / "fraud_model" / "data" / "creditcard_figures.json"
    figures = json.loads(path.read_text())
    figures["full_data"] |= {
        "bytes": len(content),
        "sha256": hashlib.sha256(content).hexdigest(),
    }
    path.write_text(json.dumps(figures))
    commit(clone)


def champion(clone: Path, data: str, *more: str) -> None:
    """Commits a model that was trained elsewhere, exported, as the champion."""
    environment = own_environment(MLFLOW_TRACKING_URI=f"sqlite:///{clone.parent}/elsewhere.db")
    steps = [
        ["train", "--data", data, *more],
        ["promote", "--min-average-precision", "0"],
        ["export", "--output", str(clone / "model")],
    ]
    for name, *arguments in steps:
        subprocess.run(
            [sys.executable, "-m", f"entrypoints.{name}", *arguments],
            cwd=clone,
            env=environment,
            check=True,
        )
    shutil.rmtree(clone / "mlruns", ignore_errors=True)
    commit(clone)


def train(clone: Path, kaggle_url: str) -> Job:
    secrets = {"secrets.KAGGLE_USERNAME": "someone", "secrets.KAGGLE_KEY": "key"}
    return train_on("kaggle", clone, secrets, KAGGLE_API_ENDPOINT=kaggle_url)


def train_on(source: str, clone: Path, secrets: dict[str, str], **environment: str) -> Job:
    of_traffic = source == "traffic"
    values = {
        "inputs.source || 'mirror'": source,
        "inputs.source == 'simulated' && 'simulated' || "
        "inputs.source != 'traffic' && 'auto' || secrets.TRAFFIC_TABLE": (
            TRAFFIC_TABLE if of_traffic else "auto"
        ),
        "inputs.source == 'traffic' && vars.LABEL_DELAY || '0'": "1h" if of_traffic else "0",
        "inputs.source == 'traffic' && vars.UNLABELLED || 'ignore'": (
            "genuine" if of_traffic else "ignore"
        ),
        "secrets.MLFLOW_TRACKING_URI == '' && 'model' || ''": "model",
    }
    job: dict[str, Any] = load("model-training.yml")["jobs"]["train"]
    return run_job(job, clone, clone.parent, values | secrets, **environment)


def started_after(monitored: Job) -> list[str]:
    """The jobs of the monitoring that start once its first one has ended."""
    outputs = {f"needs.monitor.outputs.{name}": text for name, text in monitored.outputs.items()}
    return [
        name
        for name, job in load("monitoring.yml")["jobs"].items()
        if "needs" in job and holds(job["if"], monitored.failed, lambda name: outputs.get(name, ""))
    ]


def follow(name: str, clone: Path, github_url: str) -> Job:
    """Runs a later job of the workflow, which has the token."""
    job: dict[str, Any] = load("model-training.yml")["jobs"][name]
    return run_job(
        job,
        clone,
        clone.parent,
        {"github.token": TOKEN},
        GITHUB_REPOSITORY="owner/fraud",
        GITHUB_API_URL=github_url,
        GITHUB_RUN_ID="7",
    )


@pytest.mark.slow
def test_a_better_challenger_becomes_one_pull_request(
    clone: Path,
    github: tuple[GitHub, str],
    kaggle: tuple[dict[str, bytes], str],
    transactions_csv: Path,
) -> None:
    hub, url = github
    public_file_is(clone, kaggle[0]["file"])
    # Features that tell nothing make a champion that the challenger beats.
    table = pd.read_csv(transactions_csv)
    random = np.random.default_rng(0)
    for name in table.columns[1:21]:
        table[name] = random.permutation(table[name])
    weak = clone.parent / "weak.csv"
    table.to_csv(weak, index=False)
    champion(clone, str(weak))
    trained = train(clone, kaggle[1])
    assert not trained.failed, trained.log
    assert trained.outputs == {"better": "true"}
    assert "is better than the champion" in trained.summary
    kept = {path.name for path in (clone.parent / "comparison").rglob("*")}
    assert {"comparison.md", "comparison.json", "curves.png", "run.json"} <= kept
    assert "transactions.parquet" not in kept

    for _ in range(2):
        # Every job starts from a checkout of its own.
        shutil.rmtree(clone / "proposal", ignore_errors=True)
        git(clone, "checkout", "--quiet", "--force", "--detach", "origin/main")
        proposed = follow("propose", clone, url)
        assert not proposed.failed, proposed.log
    (pull,) = hub.pulls
    assert (pull["head"], pull["base"]) == ("retrained-model", "main")
    assert pull["title"] == "Serve fraud-detector version 1"
    assert "| average precision |" in pull["body"]
    assert "## Intended use" in pull["body"]
    (picture,) = re.findall(r"!\[[^]]+\]\((.*)\)", pull["body"])
    assert re.search(r"/owner/fraud/blob/[0-9a-f]{40}/model/curves\.png\?raw=true$", picture)
    assert "/owner/fraud/actions/runs/7" in pull["body"]
    changed = git(
        clone, "diff", "--name-only", "origin/main", "origin/retrained-model"
    ).splitlines()
    assert all(name.startswith("model/") for name in changed)
    assert {"model/MLmodel", "model/comparison.md", "model/curves.png"} <= set(changed)
    pushed = git(clone, "show", "origin/retrained-model:model/origin.json")
    assert json.loads(pushed)["model_stage"] == "Production"


@pytest.mark.slow
@pytest.mark.long
def test_a_worse_challenger_is_a_green_run_that_says_why(
    clone: Path, kaggle: tuple[dict[str, bytes], str], tmp_path: Path, transactions_csv: Path
) -> None:
    # Fewer labels to learn from make a challenger that the champion beats.
    table = pd.read_csv(transactions_csv)
    frauds = table.index[(table["Class"] == 1) & (table.index < len(table) * 0.6)]
    poor = table.drop(index=frauds[: int(len(frauds) * 0.9)])
    kaggle[0]["file"] = poor.to_csv(index=False).encode()
    public_file_is(clone, kaggle[0]["file"])
    # The champion has seen what the challenger is measured on.
    champion(clone, str(transactions_csv), "--split", "stratified")
    trained = train(clone, kaggle[1])
    assert not trained.failed, trained.log
    assert trained.outputs == {"better": "false"}
    assert re.search(r"no better than the champion|does not pass the gate", trained.summary)
    assert not (clone / "proposal").exists()
    assert (clone.parent / "comparison" / "comparison.json").is_file()


@pytest.mark.slow
@pytest.mark.long
def test_broken_data_fails_and_is_reported_as_one_issue(
    clone: Path, github: tuple[GitHub, str], kaggle: tuple[dict[str, bytes], str]
) -> None:
    hub, url = github
    kaggle[0]["file"] = kaggle[0]["file"].replace(b"\n", b"\nbroken,", 2)
    public_file_is(clone, kaggle[0]["file"])
    trained = train(clone, kaggle[1])
    assert trained.failed
    assert "error: " in trained.log
    assert "-e compare" not in trained.log
    for _ in range(2):
        assert not follow("report", clone, url).failed
    (issue,) = hub.issues
    assert issue["labels"] == ["model-training-failed"]
    assert "/owner/fraud/actions/runs/7" in issue["body"]
    assert len(hub.comments) == 1


@pytest.mark.parametrize("table", ["", TRAFFIC_TABLE])
def test_traffic_is_collected_where_a_table_is_named(table: str) -> None:
    steps = load("monitoring.yml")["jobs"]["monitor"]["steps"]
    (collect,) = (step for step in steps if step.get("id") == "collect")
    names = {"steps.monitor.outputs.retrain": "true", "env.TRAFFIC_TABLE": table}
    assert holds(collect["if"], True, names.__getitem__) == bool(table)


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("curl") is None, reason="the workflow fetches with curl")
@pytest.mark.long
def test_an_alarm_starts_a_training_on_the_traffic_that_alarmed(
    clone: Path, exported: Path, tmp_path: Path
) -> None:
    shutil.copytree(exported, clone / "model")
    # The workflow collects and trains the model of this name.
    origin = clone / "model" / "origin.json"
    content = json.loads(origin.read_text()) | {"model_name": "fraud-detector"}
    origin.write_text(json.dumps(content))
    commit(clone)
    detector = mlflow.pyfunc.load_model(str(exported)).unwrap_python_model()
    hooked: list[bytes] = []
    frauds: list[pd.Series] = []

    def answer(method: str, path: str, authorization: str, body: bytes) -> tuple[int, object]:
        hooked.append(body)
        return 200, {}

    def serve_days(first: int, drift: Drift | None) -> None:
        lines = []
        for day in (first, first + 1):
            table = simulate(5_000, 250, seed=day, drift=drift).tail(2_000)
            scored = scored_lines(detector, table, day=day)
            lines += scored
            of_day = pd.Series([line["request_id"] for line in scored])
            frauds.append(of_day[table["Class"].to_numpy() == 1])
        write_lines(tmp_path / "served.jsonl", lines)
        # A chargeback feed: it names frauds and nothing else.
        chargebacks = pd.DataFrame({"request_id": pd.concat(frauds).unique(), "Class": 1})
        chargebacks.to_csv(tmp_path / "chargebacks.csv", index=False)

    def monitor(folder: Path, table: str, access: dict[str, str]) -> Job:
        with serve_folder(tmp_path) as url, serve_api(answer) as hook:
            given = {
                "secrets.AUDIT_LOG_URL": f"{url}/served.jsonl",
                "secrets.LABELS_URL": f"{url}/chargebacks.csv",
                "secrets.LABELS_URL != '' && 'labels.csv' || ''": "labels.csv",
                "secrets.MLFLOW_TRACKING_URI == '' && 'model' || ''": "model",
                "vars.LABEL_DELAY || '0'": "1h",
                "vars.UNLABELLED || 'ignore'": "genuine",
                "secrets.ALERT_WEBHOOK": hook,
                "secrets.TRAFFIC_TABLE": table,
            }
            return run_job(job, clone, folder, given | access, **NO_METADATA)

    job = load("monitoring.yml")["jobs"]["monitor"]
    nothing = run_job(job, clone, tmp_path / "nothing", {})
    assert not nothing.failed
    assert nothing.outputs == {"collected": "false"}
    assert started_after(nothing) == []
    # A column that jumps by itself is a broken feed: an alarm against which learning does not help.
    feed = Drift(shift={"V3": 1.0})
    moved = Drift(shift={"V3": 1.0, "V7": 1.0, "Amount": 1.0})
    with object_store("bank") as store:
        secrets = ACCESS | {"AWS_REGION": "us-east-1", "AWS_ENDPOINT_URL": store.endpoint}
        access = {f"secrets.{name}": text for name, text in secrets.items()}
        checks = (
            (0, None, TRAFFIC_TABLE, False),
            (0, feed, TRAFFIC_TABLE, False),
            (0, moved, "s3://absent/traffic.parquet", False),
            (0, moved, TRAFFIC_TABLE, True),
            (2, moved, TRAFFIC_TABLE, True),
        )
        for number, (first, drift, table, collected) in enumerate(checks):
            serve_days(first, drift)
            folder = tmp_path / f"{number}"
            hooked.clear()
            done = monitor(folder, table, access)
            assert done.failed == (drift is not None), done.log
            assert done.outputs == {"collected": str(collected).lower()}, done.log
            assert (folder / "monitoring" / "report.html").is_file()
            assert len(hooked) == (drift is not None)
            assert started_after(done) == ["retrain" if collected else "report"] * done.failed
            assert ("$ mlflow run . -e collect" in done.log) == (drift is moved)
        # The log of the first days is gone.
        assert f"{TRAFFIC_TABLE}: 8,000 rows, 4,000 of them new" in done.log
        kept = pd.read_parquet(io.BytesIO(store.get("traffic.parquet")))
        assert {"0-0", "1-1999", "2-0", "3-1999"} <= set(kept["request_id"])
        trained = train_on("traffic", clone, access, **NO_METADATA)
    assert not trained.failed, trained.log
    assert f"trained on real data ({TRAFFIC_TABLE})" in trained.log
    assert re.search(r"data: \S+ \(real\), 7,\d{3} transactions", trained.log)
    assert set(trained.outputs) == {"better"}
    # Others could download it.
    uploaded = {path.name for path in (tmp_path / "comparison").rglob("*")}
    uploaded |= {path.name for path in folder.rglob("*")}
    assert {"comparison.md", "report.html"} <= uploaded
    assert not [name for name in uploaded if name.endswith((".parquet", ".jsonl"))]
