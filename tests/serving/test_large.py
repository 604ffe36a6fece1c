"""Large requests are scored apart: right, counted, and ended when they take too long."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from asyncio.subprocess import Process
from collections.abc import Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from unittest.mock import AsyncMock, Mock

import pandas as pd
import pytest
import requests

from benchmarks.abuse_bodies import UNUSED, bodies
from fraud_model.model.directory import ModelDirectory
from fraud_model.serving.large import lane
from fraud_model.serving.large import process as scoring_process
from fraud_model.serving.large.frames import Question
from fraud_model.serving.large.lane import LargeLane
from fraud_model.serving.loading import load_served
from fraud_model.serving.model import ServedModel
from fraud_model.serving.origin import resolve
from fraud_model.serving.reply import Reply
from fraud_model.serving.settings import Settings
from tests.serving.test_shadow import children
from tests.support.server import Server, serving
from tests.support.waiting import wait_until

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="finds processes in /proc")

ROWS = 500
TIMEOUT = 10


@pytest.fixture(scope="module")
def rows(exported: Path) -> pd.DataFrame:
    known = ModelDirectory(exported).required_known_rows().rows
    return pd.concat([known] * (ROWS // len(known) + 1)).head(ROWS)


@pytest.fixture
def running(exported: Path, rows: pd.DataFrame, tmp_path: Path) -> Iterator[Server]:
    environment = {"AUDIT_LOG": str(tmp_path / "audit.jsonl"), "REQUEST_TIMEOUT": str(TIMEOUT)}
    with serving(tmp_path, "--model-uri", str(exported), **environment) as server:
        # The first large request starts the process that answers it.
        wait_until(lambda: answers(server, rows), what="a large request is answered")
        yield server


def large(rows: pd.DataFrame) -> dict[str, object]:
    return {"dataframe_split": rows.to_dict("split", index=False)}


def apart(server: Server) -> int:
    """The process of the server that scores large requests."""
    (pid,) = children(server.process.pid, scoring_process.__name__)
    return pid


def answers(server: Server, rows: pd.DataFrame) -> bool:
    return server.post(large(rows)).status_code == 200


class Clock:
    """The time of an event loop, which passes when a test says so."""

    def __init__(self) -> None:
        self._now = 0.0

    async def later(self, seconds: float) -> None:
        self._now += seconds
        for _ in range(20):
            await asyncio.sleep(0)

    def run(self, work: Coroutine[None, None, None]) -> None:
        loop = asyncio.new_event_loop()
        loop.time = lambda: self._now  # type: ignore[method-assign]
        with closing(loop):
            loop.run_until_complete(work)


class Scripted(LargeLane):
    """A lane whose process is not there: it loads and answers when it is told to."""

    def __init__(self, served: ServedModel) -> None:
        super().__init__(served, Settings(request_timeout=30))
        self.loaded, self.answered = asyncio.Event(), asyncio.Event()
        self.process = Mock(Process, kill=Mock(), wait=AsyncMock(), stdin=Mock())

    async def _load(self) -> Process:
        await self.loaded.wait()
        return self.process

    async def _exchange(self, process: Process, question: Question) -> Reply:
        await self.answered.wait()
        return Reply(200, b"{}")


def test_a_request_has_all_its_time_from_its_turn_and_ends_nothing_before(exported: Path) -> None:
    served, clock = load_served(resolve(str(exported))), Clock()

    async def send() -> None:
        large = Scripted(served)
        first, second = (
            asyncio.create_task(large.score(b"", "application/json", name)) for name in "ab"
        )
        await clock.later(0)
        await clock.later(28)
        large.loaded.set()
        await clock.later(0)
        await clock.later(28)
        assert not first.done()
        assert second.result().status == 429
        large.answered.set()
        await clock.later(0)
        assert first.result().status == 200
        large.process.kill.assert_not_called()
        large.answered.clear()
        third = asyncio.create_task(large.score(b"", "application/json", "c"))
        await clock.later(0)
        await clock.later(31)
        assert third.result().status == 504
        large.process.kill.assert_called_once()

    clock.run(send())


def test_a_process_that_is_not_needed_ends(exported: Path) -> None:
    served, clock = load_served(resolve(str(exported))), Clock()

    async def send() -> None:
        large = Scripted(served)
        large.loaded.set()
        for name in "ab":
            large.answered.clear()
            request = asyncio.create_task(large.score(b"", "application/json", name))
            await clock.later(0)
            await clock.later(20)
            large.answered.set()
            await clock.later(0)
            assert request.result().status == 200
            await clock.later(lane.IDLE_SECONDS - 1)
            assert large.state == "ok"
            large.process.stdin.close.assert_not_called()
        await clock.later(2)
        assert large.state == "idle"
        large.process.stdin.close.assert_called_once()
        again = asyncio.create_task(large.score(b"", "application/json", "c"))
        await clock.later(0)
        assert again.result().status == 200
        await large.stop()
        assert large.process.stdin.close.call_count == 2

    clock.run(send())


@pytest.mark.slow
def test_many_rows_are_scored_as_one_by_one(running: Server, rows: pd.DataFrame) -> None:
    answer = running.post(large(rows), headers={"X-Request-ID": "large"})
    assert answer.status_code == 200
    predictions = answer.json()["predictions"]
    assert len(predictions) == ROWS
    for place, row in enumerate(rows.head(10).to_dict("records")):
        alone = running.post({"dataframe_records": [row]}).json()["predictions"]
        assert predictions[place] == alone[0]
    wait_until(
        lambda: f"fraud_rows_scored_total {2 * ROWS + 10}.0" in running.get("/metrics").text,
        what="every row is counted",
    )
    lines = [json.loads(line) for line in (running.log.parent / "audit.jsonl").open()]
    logged = [line["fraud_probability"] for line in lines if line["request_id"] == "large"]
    assert logged == [row["fraud_probability"] for row in predictions]


@pytest.mark.slow
def test_a_request_that_takes_too_long_is_ended_and_the_next_is_answered(
    running: Server, rows: pd.DataFrame
) -> None:
    stuck = apart(running)
    os.kill(stuck, signal.SIGSTOP)
    with ThreadPoolExecutor(1) as beside:
        late = beside.submit(running.post, large(rows))
        # Small requests do not wait for it.
        small = rows.head(1).to_dict("records")
        assert running.post({"dataframe_records": small}).status_code == 200
        assert not late.done()
        answer = late.result()
    assert answer.status_code == 504
    wait_until(lambda: not Path(f"/proc/{stuck}").exists(), what="the process has ended")
    wait_until(lambda: answers(running, rows), what="a large request is answered again")


@pytest.mark.slow
def test_a_killed_process_costs_its_request_alone(running: Server, rows: pd.DataFrame) -> None:
    first = apart(running)
    os.kill(first, signal.SIGSTOP)
    # Few bytes may be many rows.
    some = {"index": [0] * ROWS, "columns": [*rows.columns], "data": 1}
    with ThreadPoolExecutor(1) as beside:
        lost = beside.submit(running.post, {"dataframe_split": some})
        wait_until(
            lambda: "fraud_requests_in_flight 1.0" in running.get("/metrics").text,
            what="the request is in hand",
        )
        os.kill(first, signal.SIGKILL)
        answer = lost.result()
    assert answer.status_code == 500
    assert answer.json()["error_code"] == "INTERNAL_ERROR"
    wait_until(lambda: answers(running, rows), what="a large request is answered again")
    assert apart(running) != first


@pytest.mark.slow
def test_only_so_many_large_requests_wait(running: Server, rows: pd.DataFrame) -> None:
    os.kill(apart(running), signal.SIGSTOP)
    most = lane.MOST_WAITING + 1
    with ThreadPoolExecutor(most + 1) as clients:
        waiting = [clients.submit(running.post, large(rows)) for _ in range(most)]
        wait_until(
            lambda: f"fraud_requests_in_flight {most}.0" in running.get("/metrics").text,
            what="all of them wait",
        )
        one_more = running.post(large(rows))
        assert one_more.status_code == 429
        assert one_more.headers["Retry-After"] == "1"
        os.kill(apart(running), signal.SIGCONT)
        assert {answer.result().status_code for answer in waiting} == {200}


def test_hostile_bodies_are_refused_and_leave_the_server_well(
    running: Server, rows: pd.DataFrame
) -> None:
    row = {str(name): float(value) for name, value in rows.iloc[0].items()}
    for body in bodies(row, scale=0.2):
        answer = requests.post(
            f"{running.url}/invocations",
            data=body.content,
            headers={"Content-Type": body.content_type},
            timeout=120,
        )
        assert answer.status_code in (200, 400, 413), body.name
        # Its processor time is bounded, which ends the process and leaves the answer to the worker.
        assert ("too long to unpack" in answer.text) == (body.name == UNUSED)
    assert running.get("/health").json()["status"] == "healthy"
    assert answers(running, rows)
    pid = apart(running)
    assert running.stop() == 0
    assert not Path(f"/proc/{pid}").exists()
