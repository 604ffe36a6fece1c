"""A running server picks up what was promoted, and never serves what fails its check."""

from __future__ import annotations

import asyncio
import json
import os
import pty
import re
import shutil
import signal
import subprocess
import sys
import weakref
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import mlflow
import pandas as pd
import pytest
import requests
import yaml
from starlette.types import ASGIApp, Message

from fraud_model.errors import ParameterError
from fraud_model.model.directory import ModelDirectory
from fraud_model.registry.moves import move
from fraud_model.serving import live
from fraud_model.serving.app import build
from fraud_model.serving.invocations import SHORT_BYTES
from fraud_model.serving.loading import load_served
from fraud_model.serving.origin import resolve
from fraud_model.serving.refresh import swap
from fraud_model.serving.refresh.board import Board, Report, Wanted
from fraud_model.serving.refresh.follower import check_refresh
from fraud_model.serving.settings import Settings
from fraud_model.tracking import open_run
from fraud_model.training.config import Hyperparameters, TrainingConfig
from fraud_model.training.pipeline import Trained, train
from tests.support.asgi import call
from tests.support.environment import REPOSITORY, own_environment
from tests.support.server import Server, free_port, serving
from tests.support.store import Store
from tests.support.waiting import is_up, wait_until


@pytest.fixture(scope="module")
def weaker(store: Store, table_csv: Path) -> Trained:
    """Another model of the same table."""
    with open_run("train"):
        return train(
            TrainingConfig(
                data=str(table_csv), model_name="weak", hyperparameters=Hyperparameters(rounds=10)
            )
        )


@pytest.fixture
def name(store: Store, weaker: Trained) -> str:
    """A model whose version 1 is in Production; 2 is weaker, and 3 has changed since training."""
    name = store.new_model()
    store.new_version(name, weaker)
    move(name, "1", "Production")
    return name


@pytest.fixture
def rows(exported: Path) -> pd.DataFrame:
    return ModelDirectory(exported).required_known_rows().rows


def scores_of(name: str, version: str, rows: pd.DataFrame) -> list[float]:
    found = mlflow.pyfunc.load_model(f"models:/{name}/{version}").predict(rows)
    scores: list[float] = found["fraud_probability"].tolist()
    return scores


def tampered(model: Path, folder: Path) -> Path:
    """A copy whose known rows score otherwise than it says."""
    copied = folder / "tampered"
    shutil.copytree(model, copied)
    known = copied / "artifacts" / "known_rows.json"
    content = json.loads(known.read_text())
    content["fraud_probability"][0] += 0.1
    known.write_text(json.dumps(content))
    return copied


def answered(server: Server, rows: pd.DataFrame, request_id: str = "") -> list[float]:
    """The scores that a new connection gets."""
    answer = server.post(
        {"dataframe_records": rows.to_dict("records")},
        headers={"Connection": "close", **({"X-Request-ID": request_id} if request_id else {})},
    )
    assert answer.status_code == 200
    return [row["fraud_probability"] for row in answer.json()["predictions"]]


def wait_for_workers(server: Server, what: str) -> None:
    """Until each of the two workers has logged it."""

    def both() -> bool:
        return len(set(re.findall(rf"worker (\d+) {what}", server.log.read_text()))) == 2

    wait_until(both, what=f"both workers log {what!r}")


@pytest.mark.slow
def test_every_worker_follows_its_stage_and_refuses_a_changed_version(
    store: Store, name: str, rows: pd.DataFrame, exported: Path, tmp_path: Path
) -> None:
    client = mlflow.MlflowClient()
    audit = tmp_path / "audit.jsonl"
    first, second = (scores_of(name, version, rows) for version in "12")
    environment = {
        "MLFLOW_TRACKING_URI": store.uri,
        "MODEL_REFRESH": "0.5",
        "AUDIT_LOG": str(audit),
    }
    uri = f"models:/{name}/Production"
    with serving(tmp_path, "--model-uri", uri, "--workers", "2", **environment) as server:
        kept = requests.Session()
        assert answered(server, rows, "a") == first
        kept.get(f"{server.url}/ping", timeout=60)

        move(name, "2", "Production")
        wait_for_workers(server, "answers with version 2")
        assert [answered(server, rows, f"b{n}") for n in range(8)] == [second] * 8
        # The connection from before is still open.
        assert kept.get(f"{server.url}/ping", timeout=60).ok
        health = server.get("/health").json()
        assert (health["model_version"], health["refresh"]) == ("2", "ok")
        information = re.findall(r"fraud_model_info\{(.*)\} 1.0", server.get("/metrics").text)
        assert len(information) == 1
        assert 'version="2"' in information[0]

        changed = tampered(exported, tmp_path)
        client.create_model_version(name, str(changed), run_id=health["run_id"])
        move(name, "3", "Production")
        wait_for_workers(server, "refuses version 3 and goes on with version 2")
        assert [answered(server, rows) for _ in range(8)] == [second] * 8
        health = server.get("/health").json()
        assert (health["status"], health["model_version"]) == ("healthy", "2")
        assert health["refresh"].startswith("failed: ")
        assert "known row 1 scores" in health["refresh"]
        assert "fraud_model_refresh_failed 1.0" in server.get("/metrics").text

        move(name, "1", "Production")
        wait_for_workers(server, "answers with version 1")
        assert answered(server, rows) == first
        assert server.get("/health").json()["refresh"] == "ok"
        assert server.stop() == 0
    lines = [json.loads(line) for line in audit.read_text().splitlines()]
    versions = {line["request_id"]: line["model_version"] for line in lines}
    assert versions["a"] == "1"
    assert {versions[f"b{n}"] for n in range(8)} == {"2"}
    assert "3" not in versions.values()


@pytest.mark.slow
def test_at_sighup_every_worker_serves_what_stands_now(
    store: Store, name: str, rows: pd.DataFrame, tmp_path: Path
) -> None:
    second = scores_of(name, "2", rows)
    uri = f"models:/{name}@production"
    environment = {"MLFLOW_TRACKING_URI": store.uri}
    with serving(tmp_path, "--model-uri", uri, "--workers", "2", **environment) as server:
        assert server.get("/health").json()["refresh"] == "off"
        move(name, "2", "Production")
        # To the workers as well.
        os.killpg(server.process.pid, signal.SIGHUP)
        wait_for_workers(server, "answers with version 2")
        assert [answered(server, rows) for _ in range(8)] == [second] * 8
        assert server.get("/health").json()["refresh"] == "ok"
        server.process.send_signal(signal.SIGHUP)
        wait_until(lambda: "is still version 2" in server.log.read_text(), what="nothing is new")


@pytest.mark.slow
def test_a_closed_terminal_ends_the_server(exported: Path, tmp_path: Path) -> None:
    port = free_port()
    environment = own_environment(PYTHONPATH=str(REPOSITORY))
    log = os.open(tmp_path / "log", os.O_WRONLY | os.O_CREAT)
    pid, terminal = pty.fork()
    if pid == 0:
        os.chdir(tmp_path)
        # The tests may run below `nohup`, whose children ignore it.
        signal.signal(signal.SIGHUP, signal.SIG_DFL)
        # Nobody reads what a terminal would show, and a full one would stop the server.
        os.dup2(log, 1)
        os.dup2(log, 2)
        command = ["-m", "fraud_model.serving", "--model-uri", str(exported), "--port", str(port)]
        os.execve(sys.executable, [sys.executable, *command], environment)
    os.close(log)
    wait_until(lambda: is_up(f"http://127.0.0.1:{port}/health"), what="it is up")
    os.close(terminal)
    wait_until(lambda: os.waitpid(pid, os.WNOHANG)[0] == pid, what="it has ended")


@contextmanager
def tracking_server(store: Store, port: int, folder: Path) -> Iterator[None]:
    command = ["-m", "mlflow", "server", "--backend-store-uri", store.uri, "--port", str(port)]
    with (folder / "mlflow.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, *command, "--workers", "1", "--serve-artifacts"],
            cwd=folder,
            env=own_environment(),
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    try:
        wait_until(lambda: is_up(f"http://127.0.0.1:{port}/health"), what="MLflow's server is up")
        yield
    finally:
        # It fails as a machine does; its workers go with it.
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


@pytest.mark.slow
def test_a_degraded_server_picks_the_registry_up_and_outlives_it(
    store: Store, exported: Path, rows: pd.DataFrame, tmp_path: Path
) -> None:
    name = json.loads((exported / "origin.json").read_text())["model_name"]
    port = free_port()
    environment = {
        "MLFLOW_TRACKING_URI": f"http://user:secret@127.0.0.1:{port}",
        "MODEL_DIR": str(exported),
        "MODEL_REFRESH": "0.5",
    }
    with serving(tmp_path, "--model-uri", f"models:/{name}/Production", **environment) as server:

        def health() -> Any:
            return server.get("/health").json()

        assert (health()["status"], health()["source"]) == ("degraded", "local")
        before = answered(server, rows)
        with tracking_server(store, port, tmp_path):
            wait_until(lambda: health()["source"] == "registry", what="the registry is followed")
            assert (health()["status"], health()["note"], health()["refresh"]) == (
                "healthy", "", "ok",
            )  # fmt: skip
            assert "fraud_model_degraded 0.0" in server.get("/metrics").text
        wait_until(lambda: "out of reach" in health()["refresh"], what="it says what is wrong")
        assert health()["status"] == "healthy"
        assert answered(server, rows) == before
        assert "secret" not in server.log.read_text() + json.dumps(health())


@pytest.mark.parametrize("uri", ["model", "models:/fraud-detector/3", "runs:/1/model"])
def test_what_never_changes_cannot_be_followed(uri: str) -> None:
    with pytest.raises(ParameterError, match=f"MODEL_REFRESH=60 .*{uri}"):
        check_refresh(Settings(model_uri=uri, model_refresh=60))
    check_refresh(Settings(model_uri=uri))


@pytest.mark.parametrize("which", ["/Production", "/latest", "@champion"])
def test_what_may_change_is_followed(which: str) -> None:
    check_refresh(Settings(model_uri=f"models:/fraud-detector{which}", model_refresh=60))


@asynccontextmanager
async def started(app: ASGIApp) -> AsyncIterator[None]:
    """The application between its start and its end."""
    orders: asyncio.Queue[Message] = asyncio.Queue()
    told: asyncio.Queue[Message] = asyncio.Queue()
    orders.put_nowait({"type": "lifespan.startup"})

    async def run() -> None:
        await app({"type": "lifespan", "state": {}}, orders.get, told.put)

    running = asyncio.create_task(run())
    assert (await told.get())["type"] == "lifespan.startup.complete"
    try:
        yield
    finally:
        orders.put_nowait({"type": "lifespan.shutdown"})
        await running


async def health_of(app: ASGIApp) -> Any:
    return json.loads((await call(app, path="/health"))[1])


async def wait_for(app: ASGIApp, **expected: str) -> Any:
    """What `/health` says once it says this."""
    async with asyncio.timeout(300):
        while True:
            health = await health_of(app)
            if all(health[name].startswith(value) for name, value in expected.items()):
                return health
            await asyncio.sleep(0.02)


def test_a_request_ends_with_the_version_that_it_began_with(
    exported: Path, typed_exported: Path, rows: pd.DataFrame, tmp_path: Path
) -> None:
    one = replace(resolve(str(exported)), model_name="m", model_version="1")
    two = replace(resolve(str(typed_exported)), model_name="m", model_version="2")
    log = tmp_path / "audit.jsonl"
    board = Board(tmp_path / "board")
    app = build(load_served(one), Settings(audit_log=str(log)), board)
    body = json.dumps({"dataframe_records": rows.to_dict("records")}).encode()

    async def run() -> None:
        arrived = asyncio.Event()
        asked = asyncio.Event()
        sent: list[Message] = []

        async def receive() -> Message:
            asked.set()
            await arrived.wait()
            return {"type": "http.request", "body": body}

        async def send(message: Message) -> None:
            sent.append(message)

        scope = {
            "type": "http",
            "method": "POST",
            "path": "/invocations",
            "headers": [(b"content-type", b"application/json"), (b"x-request-id", b"slow")],
        }
        async with started(app):

            async def ask() -> None:
                await app(scope, receive, send)

            slow = asyncio.create_task(ask())
            await asked.wait()
            board.want(Wanted(1, two))
            await wait_for(app, model_version="2")
            # The next request meets the new version, whose features are others.
            status, _ = await call(app, body)
            assert status == 400
            described = json.loads((await call(app, path="/openapi.json"))[1])
            assert described["info"]["version"] == "2"
            assert one.path in board.reports()[0].folders
            arrived.set()
            await slow
            assert sent[0]["status"] == 200
            async with asyncio.timeout(60):
                while one.path in board.reports()[0].folders:
                    await asyncio.sleep(0.02)

    asyncio.run(run())
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    assert {line["model_version"] for line in lines if line["request_id"] == "slow"} == {"1"}
    assert [line["model_version"] for line in lines if "refused" in line] == ["2"]


def test_a_refused_version_leaves_the_old_one_and_the_next_is_taken(
    exported: Path, rows: pd.DataFrame, tmp_path: Path
) -> None:
    one = replace(resolve(str(exported)), model_name="m", model_version="1")
    changed = replace(one, model_version="2", path=str(tampered(exported, tmp_path)))
    modules = tmp_path / "modules"
    shutil.copytree(exported, modules)
    described = yaml.safe_load((modules / "MLmodel").read_text())
    described["flavors"]["python_function"]["code"] = "code"
    (modules / "MLmodel").write_text(yaml.safe_dump(described))
    own_code = replace(one, model_version="3", path=str(modules))
    board = Board(tmp_path / "board")
    board.tell("")
    app = build(load_served(one), Settings(), board)

    async def run() -> None:
        async with started(app):
            board.want(Wanted(1, changed))
            health = await wait_for(app, refresh="failed: ")
            assert "known row 1 scores" in health["refresh"]
            board.want(Wanted(2, own_code))
            health = await wait_for(app, refresh="failed: version 3")
            assert "code_paths" in health["refresh"]
            assert (health["status"], health["model_version"]) == ("healthy", "1")
            # A worker that is restarted begins with none of the two.
            assert board.passed() is None
            last = Wanted(3, replace(one, model_version="4"))
            board.want(last)
            await wait_for(app, model_version="4", refresh="ok")
            assert board.passed() == last

    asyncio.run(run())


@pytest.mark.slow
def test_large_requests_and_shadow_follow_and_are_ready_before_it_answers(
    exported: Path, rows: pd.DataFrame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live, "WARM_SECONDS", 600)
    monkeypatch.setenv("PYTHONPATH", str(REPOSITORY))
    one = replace(resolve(str(exported)), model_name="m", model_version="1")
    log = tmp_path / "audit.jsonl"
    settings = Settings(
        audit_log=str(log), shadow_model_uri=str(exported), request_timeout=600, max_rows=10**6
    )
    board = Board(tmp_path / "board")
    app = build(load_served(one), settings, board)
    large = json.dumps({"dataframe_records": rows.to_dict("records") * 10}).encode()
    assert len(large) > SHORT_BYTES

    def versions(key: str) -> set[str]:
        lines = map(json.loads, log.read_text().splitlines())
        return {line[key] for line in lines if key in line}

    async def run() -> None:
        async with started(app):
            assert (await call(app, large))[0] == 200
            await wait_for(app, shadow="ok", large_requests="ok")
            board.want(Wanted(1, replace(one, model_version="2")))
            health = await wait_for(app, model_version="2")
            assert (health["shadow"], health["large_requests"]) == ("ok", "ok")
            assert versions("model_version") == {"1"}
            assert (await call(app, large))[0] == 200
            assert "2" in versions("model_version")
            async with asyncio.timeout(60):
                while "2" not in versions("shadow_of"):
                    await asyncio.sleep(0.05)

    asyncio.run(run())


def test_versions_that_no_longer_answer_leave_nothing(
    exported: Path, rows: pd.DataFrame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(swap, "FREE_SECONDS", 0)
    one = replace(resolve(str(exported)), model_name="m", model_version="0")
    served = load_served(one)
    models = [weakref.ref(served.python_model)]
    board = Board(tmp_path / "board")
    app = build(served, Settings(audit_log=str(tmp_path / "audit.jsonl")), board)
    del served
    body = json.dumps({"dataframe_records": rows.to_dict("records")}).encode()

    def modules() -> int:
        return len([name for name in sys.modules if name.startswith("code_model_")])

    before = modules()
    files = len(list(Path("/proc/self/fd").iterdir())) if Path("/proc").exists() else 0

    async def run() -> None:
        async with started(app):
            for number in range(1, 4):
                board.want(Wanted(number, replace(one, model_version=str(number))))
                await wait_for(app, model_version=str(number))
                assert (await call(app, body))[0] == 200
            async with asyncio.timeout(60):
                while models[0]() is not None or modules() > before:
                    await asyncio.sleep(0.02)

    asyncio.run(run())
    if files:
        assert len(list(Path("/proc/self/fd").iterdir())) <= files + 2


def test_the_board_keeps_the_files_that_are_needed(tmp_path: Path, exported: Path) -> None:
    board = Board(tmp_path)
    origin = resolve(str(exported))
    for number in (1, 2, 3):
        folder = board.versions / str(number)
        folder.mkdir(parents=True)
        (folder / "MLmodel").touch()
    board.want(Wanted(3, replace(origin, path=str(board.versions / "3"))))
    board.report(
        Report(replace(origin, path=str(board.versions / "2")), 2, "", (str(board.versions / "2"),))
    )
    assert board.clear()
    assert sorted(path.name for path in board.versions.iterdir()) == ["2", "3"]
