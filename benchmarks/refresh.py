"""Sixty-four clients while a server follows promotions and rollbacks: no error, one version each.

    python -m benchmarks.refresh --minutes 5

In the environment of requirements.txt. Trains two small models, serves the first with two workers,
an audit log and MODEL_REFRESH=1, and moves the second into Production and back again in turn. Each
client sends a row, or ten, ten times a second; one sends large requests. Prints Markdown: what was
answered and whether each answer, and its audit line, is wholly one version's; the time from the
move to the first answer of the version and to the last of the one before; the latency of one row
around the swaps and otherwise; and the workers' memory. Exits with status 1 if a request failed,
answers or lines mix versions, a move was missed, or memory grew.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import itertools
import json
import random
import signal
import statistics
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pandas as pd

from benchmarks.small_model import make_table
from benchmarks.small_server import STOP_SECONDS, serving
from benchmarks.soak import workers_memory
from fraud_model.model.directory import ModelDirectory
from fraud_model.registry import moves
from fraud_model.registry.files import download
from fraud_model.tracking import open_run
from fraud_model.training.config import Hyperparameters, TrainingConfig
from fraud_model.training.pipeline import train

CLIENTS = 64
WORKERS = 2
PERIOD_SECONDS = 1
PAUSE_SECONDS = 0.1
# So long after the last answer of the version before, the next is moved.
MOVE_SECONDS = 5.0
SWAP_PATIENCE_SECONDS = 180.0
# What lies this close around a swap counts as swapping.
MARGIN_SECONDS = 1.0
# The first swap has two models in memory, and allocators keep what a peak has used. Two boosters
# that stay at each of some twenty swaps are more than this.
MOST_GROWTH = 1.2
# How many of ten requests are of one row, and of ten rows with params.
SHARES = {"one": 9, "ten": 1}
LARGE_ROWS = 60

Answers = Sequence[float]


def main() -> None:
    """Runs the clients and the moves, and reports."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--minutes", type=float, default=5)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        directories = make_versions(Path(folder))
        moves.move(TrainingConfig.model_name, "1", "Production")
        log = Path(folder) / "audit.jsonl"
        with serving(
            Path("models:/") / TrainingConfig.model_name / "Production",
            workers=WORKERS,
            AUDIT_LOG=str(log),
            MODEL_REFRESH=str(PERIOD_SECONDS),
            # The first large request waits for its process, on a busy machine for long.
            REQUEST_TIMEOUT=str(SWAP_PATIENCE_SECONDS),
            MLFLOW_TRACKING_URI=mlflow.get_tracking_uri(),
        ) as (port, process):
            load = Load(port, requests_of(directories), arguments.minutes * 60)
            memory = asyncio.run(load.run(process.pid))
            process.send_signal(signal.SIGTERM)
            process.wait(STOP_SECONDS)
        sys.exit(report(load, mixed_lines(load, Path(folder)), memory))


def make_versions(folder: Path) -> dict[str, Path]:
    """Trains two versions in a registry of their own; their files by number."""
    mlflow.set_tracking_uri(f"sqlite:///{folder}/mlflow.db")
    mlflow.create_experiment("fraud-detector", artifact_location=f"file://{folder}/artifacts")
    table = make_table(folder)
    directories = {}
    for chosen in (Hyperparameters(), Hyperparameters(rounds=60)):
        with redirect_stdout(StringIO()), open_run("train"):
            trained = train(TrainingConfig(data=str(table), hyperparameters=chosen))
        uri = f"models:/{trained.name}/{trained.version}"
        number = str(trained.version)
        directories[number] = download(uri, uri, folder / f"version-{number}")
    return directories


@dataclass(frozen=True)
class Request:
    """A body, and the probabilities that each version answers to it."""

    kind: str
    body: bytes
    expected: Mapping[str, Answers]


def requests_of(directories: Mapping[str, Path]) -> dict[str, list[Request]]:
    """Requests of each kind around the first version's known rows."""
    rows = ModelDirectory(directories["1"]).required_known_rows().rows
    models = {number: mlflow.pyfunc.load_model(str(path)) for number, path in directories.items()}

    def request(kind: str, table: pd.DataFrame, more: Mapping[str, Any]) -> Request:
        body = json.dumps({"dataframe_records": table.to_dict("records"), **more}).encode()
        expected = {
            number: model.predict(table)["fraud_probability"].tolist()
            for number, model in models.items()
        }
        if len(set(map(tuple, expected.values()))) != len(expected):
            raise RuntimeError("two versions give the same rows the same scores")
        return Request(kind, body, expected)

    large = pd.concat([rows] * -(-LARGE_ROWS // len(rows)), ignore_index=True)
    return {
        "one": [request("one", rows.iloc[[n]], {}) for n in range(len(rows))],
        "ten": [request("ten", rows.iloc[:10], {"params": {"threshold": 0.5}})],
        "large": [request("large", large, {})],
    }


@dataclass(frozen=True)
class Answer:
    """One answer; `version` is the one whose scores it has, or empty."""

    kind: str
    version: str
    start: float
    end: float


@dataclass
class Move:
    """A version put into Production, and when."""

    version: str
    start: float
    first: float | None = None
    last_of_before: float = 0.0

    def is_over(self) -> bool:
        """Whether every worker has long answered with it."""
        if self.first is None:
            return False
        return time.monotonic() > max(self.first, self.last_of_before) + MOVE_SECONDS


class Load:
    """The clients, the moves, and what was answered."""

    def __init__(self, port: int, requests: Mapping[str, list[Request]], seconds: float) -> None:
        self.answers: list[Answer] = []
        self.errors: list[str] = []
        # By request id.
        self.version_of: dict[str, str] = {}
        self.moves: list[Move] = []
        self._port = port
        self._requests = requests
        self._end = time.monotonic() + seconds
        self._over = False
        self._numbers = itertools.count()

    async def run(self, server: int) -> list[float]:
        """Runs clients and moves; returns samples of the workers' memory, in MiB."""
        memory: list[float] = []
        clients = asyncio.gather(*(self._client(seed) for seed in range(CLIENTS)))
        moving = asyncio.create_task(self._move())
        while not clients.done():
            memory.append(workers_memory(server))
            await asyncio.wait([clients], timeout=1)
        await asyncio.gather(clients, moving)
        return memory

    async def _move(self) -> None:
        await asyncio.sleep(MOVE_SECONDS)
        for version in itertools.cycle("21"):
            move = Move(version, time.monotonic())
            self.moves.append(move)
            await asyncio.to_thread(moves.move, TrainingConfig.model_name, version, "Production")
            patience = time.monotonic() + SWAP_PATIENCE_SECONDS
            while time.monotonic() < patience and not move.is_over():
                await asyncio.sleep(0.05)
            if not move.is_over() or time.monotonic() > self._end:
                break
        self._over = True

    async def _client(self, seed: int) -> None:
        choose = random.Random(seed)
        await asyncio.sleep(choose.random() * PAUSE_SECONDS)
        reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
        while not self._over:
            (kind,) = choose.choices([*SHARES], [*SHARES.values()]) if seed else ["large"]
            try:
                await self._ask(reader, writer, choose.choice(self._requests[kind]))
            except (OSError, asyncio.IncompleteReadError) as error:
                self.errors.append(repr(error))
                reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
            await asyncio.sleep(PAUSE_SECONDS * 2 * choose.random())
        writer.close()

    async def _ask(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, request: Request
    ) -> None:
        request_id = f"refresh-{next(self._numbers)}"
        head = (
            "POST /invocations HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(request.body)}\r\nX-Request-ID: {request_id}\r\n\r\n"
        )
        start = time.monotonic()
        writer.write(head.encode() + request.body)
        answer = (await reader.readuntil(b"\r\n\r\n")).lower()
        (length,) = (int(x[15:]) for x in answer.split(b"\r\n") if x.startswith(b"content-length"))
        content = await reader.readexactly(length)
        end = time.monotonic()
        if not answer.startswith(b"http/1.1 200"):
            self.errors.append(f"{answer[9:12].decode()}: {content[:200]!r}")
            return
        scores = [row["fraud_probability"] for row in json.loads(content)["predictions"]]
        version = next((n for n, known in request.expected.items() if known == scores), "")
        self.answers.append(Answer(request.kind, version, start, end))
        self.version_of[request_id] = version
        self._note(version, start, end)

    def _note(self, version: str, start: float, end: float) -> None:
        move = self.moves[-1] if self.moves else None
        if move is None or start < move.start:
            return
        if version == move.version:
            move.first = move.first or end
        else:
            move.last_of_before = end


def mixed_lines(load: Load, folder: Path) -> int:
    """Requests whose audit lines are missing or do not name the version that answered."""
    named: dict[str, set[str]] = {}
    for file in folder.glob("audit.jsonl*"):
        if file.suffix != ".lock":
            with file.open() as lines:
                for line in map(json.loads, lines):
                    named.setdefault(line["request_id"], set()).add(line["model_version"])
    return sum(named.get(request) != {version} for request, version in load.version_of.items())


def report(load: Load, mixed: int, memory: Sequence[float]) -> int:
    """Prints the table; returns 1 if a finding is bad."""
    neither = sum(1 for answer in load.answers if not answer.version)
    seen = [move for move in load.moves if move.first is not None]
    firsts = [move.first - move.start for move in seen if move.first is not None]
    lasts = [max(move.last_of_before, move.start) - move.start for move in seen]
    near, quiet = latencies(load)
    quarter = max(1, len(memory) // 4)
    first, last = statistics.median(memory[:quarter]), statistics.median(memory[-quarter:])
    rows = {
        "promotions and rollbacks": f"{len(load.moves)}",
        "of these never answered": f"{len(load.moves) - len(seen)}",
        "answers": f"{len(load.answers):,}",
        "errors": f"{len(load.errors)}",
        "answers of neither version": f"{neither}",
        "requests whose audit lines name another version": f"{mixed}",
        "from the move to the first answer, median and worst": seconds(firsts),
        "from the move to the last answer of the one before": seconds(lasts),
        "one row, quiet, p50 and p99": percentiles(quiet),
        "one row, swapping, p50 and p99": percentiles(near),
        "workers' memory, first and last quarter": f"{first:,.0f} and {last:,.0f} MiB",
    }
    print("| | |\n|---|---|")
    for name, figure in rows.items():
        print(f"| {name} | {figure} |")
    for error in load.errors[:5]:
        print(error)
    missed = len(load.moves) - len(seen)
    bad = load.errors or neither or mixed or missed or not seen or last > first * MOST_GROWTH
    return 1 if bad else 0


def latencies(load: Load) -> tuple[list[float], list[float]]:
    """Milliseconds of one-row requests from a move until it is answered throughout, and others."""
    spans = [
        (move.start, max(move.first, move.last_of_before) + MARGIN_SECONDS)
        for move in load.moves
        if move.first is not None
    ]
    near: list[float] = []
    quiet: list[float] = []
    for answer in load.answers:
        if answer.kind == "one":
            swapping = any(start <= answer.end and answer.start <= end for start, end in spans)
            (near if swapping else quiet).append((answer.end - answer.start) * 1e3)
    return near, quiet


def seconds(times: Sequence[float]) -> str:
    """The median and the worst."""
    return f"{statistics.median(times):.1f} and {max(times):.1f} s" if times else "never"


def percentiles(milliseconds: Sequence[float]) -> str:
    """The median and the 99th percentile."""
    if not milliseconds:
        return "no request"
    p50, p99 = np.percentile(milliseconds, [50, 99])
    return f"{p50:.1f} and {p99:.1f} ms"


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        main()
