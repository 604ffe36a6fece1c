"""Start, several workers, metrics, a killed worker, and a clean end."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import mlflow
import pandas as pd
import pytest

from fraud_model.model.directory import ModelDirectory
from fraud_model.serving.cli import WORKER_SILENCE_SECONDS
from tests.support.environment import REPOSITORY, own_environment
from tests.support.server import Server, serving
from tests.support.store import Store
from tests.support.waiting import wait_until


@pytest.fixture(scope="module")
def rows(exported: Path) -> pd.DataFrame:
    return ModelDirectory(exported).required_known_rows().rows


@pytest.fixture(scope="module")
def two_workers(exported: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("workers")
    with serving(folder, "--model-uri", str(exported), "--workers", "2") as running:
        yield running


def figure(server: Server, name: str) -> float:
    """The sum over the samples of a metric, `name` being a regular expression."""
    text = server.get("/metrics").text
    found = re.findall(rf"^{name} (\S+)$", text, re.MULTILINE)
    return sum(map(float, found))


def worker_pids(server: Server) -> list[int]:
    children = Path(f"/proc/{server.process.pid}/task/{server.process.pid}/children").read_text()
    workers = []
    for pid in children.split():
        # One may end between being listed and being read.
        with contextlib.suppress(OSError):
            if "spawn_main" in Path(f"/proc/{pid}/cmdline").read_text():
                workers.append(int(pid))
    return workers


@pytest.mark.slow
def test_metrics_count_over_all_workers(two_workers: Server, rows: pd.DataFrame) -> None:
    payload = {"dataframe_records": rows.to_dict("records")}
    flagged = 0
    for _ in range(20):
        answer = two_workers.post(payload, headers={"Connection": "close"}).json()
        flagged += sum(row["is_fraud"] for row in answer["predictions"])
    for _ in range(5):
        two_workers.post({"dataframe_records": []}, headers={"Connection": "close"})
    assert figure(two_workers, r'fraud_requests_total\{status="200"\}') == 20
    assert figure(two_workers, r'fraud_requests_total\{status="400"\}') == 5
    assert figure(two_workers, r'fraud_errors_total\{kind="bad_request"\}') == 5
    assert figure(two_workers, "fraud_rows_scored_total") == 20 * len(rows)
    assert figure(two_workers, "fraud_rows_flagged_total") == flagged
    assert figure(two_workers, "fraud_request_seconds_count") == 25
    assert figure(two_workers, "fraud_probability_count") == 20 * len(rows)
    assert figure(two_workers, "fraud_requests_in_flight") == 0
    information = r'fraud_model_info\{name="[^"]+",source="local",stage="Production",version="1"\}'
    assert figure(two_workers, information) == 1


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="finds the workers in /proc")
def test_a_killed_worker_comes_back_and_the_others_answer(
    two_workers: Server, rows: pd.DataFrame
) -> None:
    payload = {"dataframe_records": rows.to_dict("records")}
    before = worker_pids(two_workers)
    scored = figure(two_workers, "fraud_rows_scored_total")
    assert len(before) == 2
    # It ends while its supervisor, which asks twice a second, waits to hear how it is.
    os.kill(before[0], signal.SIGSTOP)
    time.sleep(2)
    os.kill(before[0], signal.SIGKILL)
    for _ in range(10):
        assert two_workers.post(payload, headers={"Connection": "close"}).status_code == 200
        assert two_workers.get("/health").status_code == 200
    wait_until(
        lambda: len(set(worker_pids(two_workers)) - set(before)) == 1,
        seconds=WORKER_SILENCE_SECONDS - 20,
        what="another worker takes the killed one's place before a silent one would be given up",
    )
    assert len(worker_pids(two_workers)) == 2
    assert figure(two_workers, "fraud_rows_scored_total") >= scored + 10 * len(rows)
    assert figure(two_workers, "fraud_requests_in_flight") == 0


@pytest.mark.slow
def test_it_is_healthy_only_once_every_worker_has_loaded(exported: Path, tmp_path: Path) -> None:
    with serving(tmp_path, "--model-uri", str(exported), "--workers", "3") as server:
        started = server.log.read_text().count("Application startup complete")
        assert started == 3
        assert server.stop() == 0


@pytest.mark.slow
def test_a_termination_finishes_what_was_begun(
    exported: Path, tmp_path: Path, rows: pd.DataFrame
) -> None:
    body = json.dumps({"dataframe_records": rows.to_dict("records")}).encode()
    head = (
        "POST /invocations HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    with serving(tmp_path, "--model-uri", str(exported)) as server:
        port = int(server.url.rpartition(":")[2])
        with socket.create_connection(("127.0.0.1", port)) as connection:
            connection.sendall(head.encode() + body[:100])
            wait_until(
                lambda: figure(server, "fraud_requests_in_flight") == 1,
                what="the request is in flight",
            )
            server.process.send_signal(signal.SIGTERM)
            wait_until(
                lambda: "Shutting down" in server.log.read_text(), what="the server shuts down"
            )
            connection.sendall(body[100:])
            connection.settimeout(60)
            answer = b""
            while part := connection.recv(65_536):
                answer += part
        assert b" 200 OK" in answer
        assert b"fraud_probability" in answer
        assert server.process.wait(60) == 0


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "environment", "said"),
    [
        (["--model-uri", "nowhere"], {}, "error: nowhere: not a model"),
        (["--workers", "0"], {}, "error: workers=0"),
        (
            [],
            {"MAX_ROWS": "many"},
            "error: MAX_ROWS=many is invalid",
        ),
        ([], {"AUDIT_REQUIRED": "perhaps"}, "error: AUDIT_REQUIRED=perhaps"),
        ([], {"MODEL_STAGE": "Live"}, "error: stage='Live'"),
        (["--port", "99999"], {}, "error: port=99999"),
    ],
)
def test_a_start_that_cannot_succeed_says_why_in_one_line(
    tmp_path: Path, arguments: list[str], environment: dict[str, str], said: str
) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "fraud_model.serving", *arguments],
        cwd=tmp_path,
        env=own_environment(PYTHONPATH=str(REPOSITORY), **environment),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith(said)
    assert "Traceback" not in done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("known", [True, False])
def test_the_run_that_mlflow_made_is_named(store: Store, tmp_path: Path, known: bool) -> None:
    client = mlflow.MlflowClient()
    run = client.create_run(experiment_id="0").info.run_id if known else "0" * 32
    done = subprocess.run(
        [sys.executable, "-m", "fraud_model.serving", "--model-uri", "nowhere"],
        cwd=tmp_path,
        env=own_environment(
            PYTHONPATH=str(REPOSITORY), MLFLOW_TRACKING_URI=store.uri, MLFLOW_RUN_ID=run
        ),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert "error: nowhere: not a model" in done.stderr
    assert "Traceback" not in done.stderr
    assert not known or client.get_run(run).info.run_name == "serve"


@pytest.mark.slow
def test_a_port_in_use_is_said(server: Server, exported: Path, tmp_path: Path) -> None:
    port = server.url.rpartition(":")[2]
    done = subprocess.run(
        [sys.executable, "-m", "fraud_model.serving", "--port", port],
        cwd=tmp_path,
        env=own_environment(PYTHONPATH=str(REPOSITORY)),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 1
    assert "cannot listen on" in done.stderr
