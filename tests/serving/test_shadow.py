"""The shadow scores what was answered, and nothing that happens to it touches an answer."""

from __future__ import annotations

import asyncio
import io
import json
import os
import re
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pandas as pd
import pytest

from fraud_model.errors import ParameterError, RegistryError
from fraud_model.model.directory import ModelDirectory
from fraud_model.serving.audit import AuditLog
from fraud_model.serving.invocations import SHORT_BYTES
from fraud_model.serving.loading import load_served
from fraud_model.serving.model import ScoredRows, ServedModel
from fraud_model.serving.origin import resolve
from fraud_model.serving.prometheus import Metrics
from fraud_model.serving.settings import Settings
from fraud_model.serving.shadow import frames, supervisor
from fraud_model.serving.shadow import process as scoring_process
from fraud_model.serving.shadow.supervisor import Shadow
from fraud_model.tracking import open_run
from fraud_model.training.config import Hyperparameters, TrainingConfig
from fraud_model.training.pipeline import train
from tests.support.environment import REPOSITORY, own_environment
from tests.support.server import Server, free_port, serving
from tests.support.store import Store
from tests.support.waiting import wait_until

# Rows of a request that fills the pipe to the shadow's process.
BIG = 9_000

on_linux = pytest.mark.skipif(sys.platform != "linux", reason="finds processes in /proc")


@pytest.fixture(scope="module")
def rows(exported: Path) -> pd.DataFrame:
    return ModelDirectory(exported).required_known_rows().rows


@pytest.fixture(scope="module")
def other(store: Store, table: pd.DataFrame, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The URI of a weaker model that takes its features in another order than the champion."""
    path = tmp_path_factory.mktemp("other") / "reversed.csv"
    table[[*reversed(table.columns)]].to_csv(path, index=False)
    with open_run("train"):
        trained = train(
            TrainingConfig(
                data=str(path), model_name="other", hyperparameters=Hyperparameters(rounds=20)
            )
        )
    return f"models:/other/{trained.version}"


def state(server: Server) -> str:
    return str(server.get("/health").json()["shadow"])


def figure(server: Server, outcome: str) -> int:
    """Rows that were `scored` or `dropped`."""
    name = f'fraud_shadow_rows_total{{outcome="{outcome}"}} '
    lines = server.get("/metrics").text.splitlines()
    return int(sum(float(line.removeprefix(name)) for line in lines if line.startswith(name)))


def logged(log: Path) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """The lines of the champion, and of the shadow."""
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    return (
        [line for line in lines if "features" in line],
        [line for line in lines if "shadow_of" in line],
    )


def children(pid: int, what: str) -> list[int]:
    """The process's children whose command line holds `what`."""
    pids = map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split())
    return [pid for pid in pids if what in Path(f"/proc/{pid}/cmdline").read_text()]


def is_alive(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists()


@pytest.mark.slow
@on_linux
def test_the_shadow_scores_every_answered_row(
    store: Store, server: Server, exported: Path, other: str, rows: pd.DataFrame, tmp_path: Path
) -> None:
    log = tmp_path / "audit.jsonl"
    records = rows.to_dict("records")
    environment = {"AUDIT_LOG": str(log), "SHADOW_MODEL_URI": other}
    with serving(
        tmp_path, "--model-uri", str(exported), MLFLOW_TRACKING_URI=store.uri, **environment
    ) as running:
        wait_until(lambda: state(running) == "ok", what="the shadow is ok")
        assert running.get("/health").json()["shadow_version"] == other.rpartition("/")[2]
        (child,) = children(running.process.pid, scoring_process.__name__)
        payloads: dict[str, dict[str, Any]] = {
            "plain": {"dataframe_records": records},
            "columns": {"inputs": rows.to_dict("list")},
            "threshold": {"dataframe_records": records, "params": {"threshold": 0.0}},
        }
        assert running.post(payloads["plain"], headers={"X-Request-Source": "page"}).ok
        for name, payload in payloads.items():
            answer = running.post(payload, headers={"X-Request-ID": name})
            assert answer.content == server.post(payload).content
        large = json.dumps(payloads["plain"]).encode() + b" " * SHORT_BYTES
        assert running.post(None, data=large, headers={"Content-Type": "application/json"}).ok
        wait_until(lambda: figure(running, "scored") == 4 * len(rows), what="every row is shadowed")
        champion, shadowed = logged(log)
        # Nobody's transactions are no business of the shadow.
        champion = [line for line in champion if line.get("source") != "page"]
        expected = mlflow.pyfunc.load_model(other).predict(rows)
        assert [line["fraud_probability"] for line in champion[: len(rows)]] != list(
            expected["fraud_probability"]
        )
        for place, (line, answered) in enumerate(zip(shadowed, champion, strict=True)):
            row = place % len(rows)
            assert line.pop("time") >= answered["time"]
            assert line == {
                "request_id": answered["request_id"],
                "row": row,
                "model_name": "other",
                "model_version": other.rpartition("/")[2],
                "shadow_of": "1",
                "fraud_probability": expected["fraud_probability"][row],
                "is_fraud": expected["is_fraud"][row],
                "champion_probability": answered["fraud_probability"],
                "champion_is_fraud": answered["is_fraud"],
            }
            assert answered["row"] == row
        assert running.stop() == 0
        assert not is_alive(child)
        assert "shadow: version" in running.log.read_text()
        assert "Traceback" not in running.log.read_text()


def scored_rows(served: ServedModel, rows: pd.DataFrame) -> ScoredRows:
    values = rows[list(served.features)].to_numpy(dtype=np.float64)
    return ScoredRows(served.features, values, served.score(values))


def new_shadow(exported: Path, log: Path, share: float = 1.0) -> tuple[Shadow, Metrics, ScoredRows]:
    """A shadow of the exported model, its metrics, and the known rows as they are scored."""
    served = load_served(resolve(str(exported)))
    rows = ModelDirectory(exported).required_known_rows().rows
    metrics = Metrics(served)
    settings = Settings(shadow_model_uri=str(exported), audit_log=str(log), shadow_share=share)
    shadow = Shadow(served, settings, metrics, AuditLog(log, 10**9, served.origin))
    return shadow, metrics, scored_rows(served, rows)


def counted(metrics: Metrics, outcome: str) -> int:
    (count,) = re.findall(
        rf'fraud_shadow_rows_total{{outcome="{outcome}"}} (\S+)', metrics.text().decode()
    ) or ["0"]
    return int(float(count))


async def reach(shadow: Shadow, wanted: str) -> None:
    async with asyncio.timeout(120):
        while not shadow.state.startswith(wanted):
            await asyncio.sleep(0.01)


@on_linux
@pytest.mark.slow
def test_what_was_offered_before_the_end_is_scored(
    exported: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervisor, "END_SECONDS", 120.0)
    monkeypatch.setenv("PYTHONPATH", str(REPOSITORY))
    log = tmp_path / "audit.jsonl"
    shadow, metrics, rows = new_shadow(exported, log)

    async def run() -> None:
        shadow.start()
        await reach(shadow, "ok")
        (child,) = children(os.getpid(), scoring_process.__name__)
        # Nothing has its scores when the end comes.
        os.kill(child, signal.SIGSTOP)
        for number in range(200):
            shadow.offer(str(number), rows)
        stopping = asyncio.create_task(shadow.stop())
        await asyncio.sleep(0.1)
        assert not stopping.done()
        os.kill(child, signal.SIGCONT)
        await stopping
        assert not is_alive(child)

    asyncio.run(run())
    _, shadowed = logged(log)
    assert [(line["request_id"], line["row"]) for line in shadowed] == [
        (str(number), row) for number in range(200) for row in range(len(rows.values))
    ]
    assert counted(metrics, "scored") == 200 * len(rows.values)


def test_a_share_of_the_requests_is_drawn(exported: Path, tmp_path: Path) -> None:
    shadow, metrics, rows = new_shadow(exported, tmp_path / "audit.jsonl", share=0.5)
    # No process runs, so that what is drawn is dropped.
    for number in range(400):
        shadow.offer(str(number), rows)
    # The standard deviation is ten requests.
    assert 120 < counted(metrics, "dropped") / len(rows.values) < 280


@pytest.mark.slow
@on_linux
def test_a_killed_worker_leaves_no_process_behind(
    exported: Path, rows: pd.DataFrame, tmp_path: Path
) -> None:
    log = tmp_path / "audit.jsonl"
    environment = {"AUDIT_LOG": str(log), "SHADOW_MODEL_URI": str(exported)}
    arguments = ("--model-uri", str(exported), "--workers", "2")
    with serving(tmp_path, *arguments, **environment) as running:
        workers = children(running.process.pid, "spawn_main")
        wait_until(
            lambda: running.log.read_text().count("shadow: version") == 2,
            what="both workers have a shadow",
        )
        (one,), (two,) = (children(worker, scoring_process.__name__) for worker in workers)
        os.kill(workers[0], signal.SIGKILL)
        wait_until(lambda: not is_alive(one), what="the killed worker's shadow ends")
        assert is_alive(two)


@pytest.mark.slow
@on_linux
def test_a_shadow_that_stands_still_costs_its_scores_and_nothing_else(
    exported: Path, rows: pd.DataFrame, tmp_path: Path
) -> None:
    log = tmp_path / "audit.jsonl"
    one = {"dataframe_records": rows.head(1).to_dict("records")}
    many = {"dataframe_records": rows.head(1).to_dict("records") * BIG}
    environment = {
        "AUDIT_LOG": str(log),
        "AUDIT_MAX_BYTES": str(10**9),
        "SHADOW_MODEL_URI": str(exported),
    }
    with serving(tmp_path, "--model-uri", str(exported), **environment) as running:
        wait_until(lambda: state(running) == "ok", what="the shadow is ok")
        expected = running.post(one).content
        wait_until(lambda: figure(running, "scored") == 1, what="the row is shadowed")
        (child,) = children(running.process.pid, scoring_process.__name__)
        os.kill(child, signal.SIGSTOP)
        for _ in range(10):
            assert running.post(many).ok
        assert figure(running, "dropped") > 0
        assert state(running).startswith("failed: ")
        assert running.get("/health").status_code == 200
        for _ in range(20):
            assert running.post(one).content == expected
        # A process that does not end in time is killed.
        assert running.stop() == 0
        assert not is_alive(child)
        champion, shadowed = logged(log)
        assert len(shadowed) == 1
        assert len(champion) > 10 * BIG


@pytest.mark.slow
def test_a_shadow_that_cannot_be_loaded_is_told_and_nothing_stands_in(
    exported: Path, rows: pd.DataFrame, tmp_path: Path
) -> None:
    payload = {"dataframe_records": rows.to_dict("records")}
    with serving(
        tmp_path,
        "--model-uri",
        str(exported),
        MODEL_DIR=str(exported),
        AUDIT_LOG=str(tmp_path / "audit.jsonl"),
        SHADOW_MODEL_URI="models:/fraud-detector/Staging",
        MLFLOW_TRACKING_URI=f"http://user:secret@127.0.0.1:{free_port()}",
    ) as running:
        assert running.post(payload).ok
        wait_until(lambda: state(running) != "starting", what="the shadow has failed")
        health = running.get("/health")
        assert health.status_code == 200
        assert health.json()["shadow"].startswith("failed: models:/fraud-detector/Staging: ")
        assert health.json()["shadow_version"] == ""
        assert running.post(payload).ok
        assert figure(running, "dropped") == 2 * len(rows)
        assert running.stop() == 0
        said = running.log.read_text()
        assert "the registry at http://127.0.0.1:" in said
        assert "secret" not in health.text + said


@on_linux
@pytest.mark.slow
def test_a_shadow_that_ends_is_started_again(
    exported: Path, tmp_path: Path, rows: pd.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervisor, "RESTART_SECONDS", 1.0)
    # Less than a line, so that none comes whole.
    monkeypatch.setattr(supervisor, "CHUNK_BYTES", 100)
    monkeypatch.setenv("PYTHONPATH", str(REPOSITORY))
    log = tmp_path / "audit.jsonl"
    shadow, metrics, scored = new_shadow(exported, log)

    async def run() -> None:
        shadow.start()
        assert shadow.state == "starting"
        await reach(shadow, "ok")
        (child,) = children(os.getpid(), scoring_process.__name__)
        os.kill(child, signal.SIGSTOP)
        shadow.offer("sent to the first", scored)
        await asyncio.sleep(0.2)
        os.kill(child, signal.SIGKILL)
        await reach(shadow, "failed: its process was ended by SIGKILL")
        shadow.offer("to nobody", scored)
        await reach(shadow, "ok")
        assert not is_alive(child)
        shadow.offer("to the second", scored)
        await shadow.stop()
        assert children(os.getpid(), scoring_process.__name__) == []

    asyncio.run(run())
    _, shadowed = logged(log)
    assert [line["request_id"] for line in shadowed] == ["to the second"] * len(rows)
    assert counted(metrics, "dropped") == 2 * len(rows)
    assert counted(metrics, "scored") == len(rows)


@pytest.mark.slow
def test_a_process_that_loads_heeds_no_signal_and_ends_with_its_worker() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        registry = f"http://127.0.0.1:{silent.getsockname()[1]}"
        order = {"model_uri": "models:/other/1", "features": [], "shadow_of": "1"}
        process = subprocess.Popen(
            [sys.executable, "-m", scoring_process.__name__],
            env=own_environment(PYTHONPATH=str(REPOSITORY), MLFLOW_TRACKING_URI=registry),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert process.stdin is not None
        process.stdin.write(json.dumps(order) + "\n")
        process.stdin.flush()
        silent.settimeout(60)
        silent.accept()
        process.send_signal(signal.SIGINT)
        process.send_signal(signal.SIGTERM)
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(0.5)
        # Had it waited for the registry to answer, it would have said that there is no model.
        assert process.communicate(timeout=120)[0] == ""
        assert process.returncode == 1


def test_a_model_that_needs_more_than_the_champion_is_refused(exported: Path) -> None:
    features = load_served(resolve(str(exported))).features
    with pytest.raises(RegistryError, match="needs V3"):
        scoring_process.load(str(exported), [name for name in features if name != "V3"])


def test_a_frame_is_read_as_it_was_packed_or_not_at_all() -> None:
    one, two = np.arange(6.0).reshape(2, 3), np.full((1, 3), -0.5)
    first = {"fraud_probability": np.array([0.1, 0.9]), "is_fraud": np.array([False, True])}
    second = {"fraud_probability": np.array([0.5]), "is_fraud": np.array([True])}
    # Tables hand their columns over one after the other.
    names = ("x", "y", "z")
    packed = frames.pack(
        [
            ("a", ScoredRows(names, np.asfortranarray(one), first)),
            ("b", ScoredRows(names, two, second)),
        ]
    )
    stream = io.BytesIO(packed * 2)
    for _ in range(2):
        frame = frames.read(stream, 3)
        assert frame is not None
        assert [tuple(request) for request in frame.requests] == [("a", 2), ("b", 1)]
        assert frame.values.tolist() == [*one.tolist(), *two.tolist()]
        assert frame.probability.tolist() == [0.1, 0.9, 0.5]
        assert frame.flagged.tolist() == [False, True, True]
    assert frames.read(stream, 3) is None
    for length in range(len(packed)):
        assert frames.read(io.BytesIO(packed[:length]), 3) is None


@pytest.mark.parametrize(
    ("environment", "said"),
    [
        ({"SHADOW_MODEL_URI": "models:/x/2"}, "audit log only. Set AUDIT_LOG"),
        ({"SHADOW_SHARE": "0"}, "SHADOW_SHARE=0 "),
        (
            {"SHADOW_SHARE": "1.5"},
            "SHADOW_SHARE=1.5 is invalid",
        ),
        ({"SHADOW_SHARE": "half"}, "SHADOW_SHARE=half"),
    ],
)
def test_settings_that_cannot_be_are_refused(environment: dict[str, str], said: str) -> None:
    with pytest.raises(ParameterError, match=said):
        Settings.from_environment(environment)


def test_without_a_shadow_health_says_that_it_is_off(server: Server) -> None:
    health = server.get("/health").json()
    assert (health["shadow"], health["shadow_version"]) == ("off", "")
