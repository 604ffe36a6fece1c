"""Sixty-four clients for ten minutes: no 5xx, no lost audit line, flat memory.

    python -m benchmarks.soak --minutes 10

In the environment of requirements.txt. Trains a small model, serves it with two workers and an
audit log, lets the clients send good and bad requests in turn, and prints what was answered, what
was logged, and how the workers' resident memory grew from the first quarter of the time to the
last. Exits with status 1 if one of the three does not hold.
"""

from __future__ import annotations

import argparse
import asyncio
import collections
import contextlib
import itertools
import json
import os
import random
import signal
import statistics
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.small_model import make_model
from benchmarks.small_server import STOP_SECONDS, serving
from fraud_model.model.directory import ModelDirectory

CLIENTS = 64
WORKERS = 2
SAMPLE_SECONDS = 2
# Allocators keep what a peak has used; more than this over the whole time is a leak.
MOST_GROWTH = 1.1

JSON = "application/json"
Request = tuple[str, bytes]


def main() -> None:
    """Runs the clients and reports."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--minutes", type=float, default=10)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        model = Path(make_model(Path(folder)))
        log = Path(folder) / "audit.jsonl"
        audit = {"AUDIT_LOG": str(log), "AUDIT_MAX_BYTES": "20000000"}
        with serving(model, workers=WORKERS, **audit) as (port, process):
            load = Load(port, requests_of(model), arguments.minutes * 60)
            memory = asyncio.run(load.run(process.pid))
            process.send_signal(signal.SIGTERM)
            process.wait(STOP_SECONDS)
        logged = logged_rows(Path(folder))
    sys.exit(report(load, logged, memory))


def report(load: Load, logged: collections.Counter[str], memory: list[float]) -> int:
    """Prints the three findings; returns 1 if one is bad."""
    failed = {status: n for status, n in load.statuses.items() if status >= 500}
    lost = sum(1 for request, lines in load.lines_due.items() if logged[request] != lines)
    quarter = max(1, len(memory) // 4)
    first, last = statistics.median(memory[:quarter]), statistics.median(memory[-quarter:])
    answered = ", ".join(f"{status}: {n:,}" for status, n in sorted(load.statuses.items()))
    print(f"answers by status: {answered}")
    print(f"requests whose rows or refusal are not all in the audit log: {lost}")
    print(f"workers' memory: {first:,.0f} MiB at the start, {last:,.0f} MiB at the end")
    return 1 if failed or lost or last > first * MOST_GROWTH else 0


def requests_of(model: Path) -> list[Request]:
    """Good and bad requests around the model's known rows."""
    table = ModelDirectory(model).required_known_rows().rows
    rows = table.to_dict("records")
    broken = [{**rows[0], str(table.columns[0]): value} for value in ("text", None, [1])]
    payloads: list[object] = [
        {"dataframe_records": rows[:1]},
        {"dataframe_records": rows},
        {"dataframe_records": rows * 20},
        {"dataframe_records": rows[:1], "params": {"explain": 3}},
        {"inputs": table.to_dict("list")},
        *({"dataframe_records": [row]} for row in broken),
        {"dataframe_records": []},
        {"nothing": 1},
        [],
    ]
    good = [(JSON, json.dumps(payload).encode()) for payload in payloads]
    csv = ("text/csv", table.to_csv(index=False).encode())
    bad = [
        (JSON, b'{"dataframe_records": ['),
        (JSON, b"[" * 50_000),
        ("text/csv", b"a,b\n1,2\n"),
        ("text/plain", b"hello"),
        (JSON, b" " * 10_000_001),
    ]
    return [*good, csv, *bad]


class Load:
    """The clients, and what they were answered."""

    def __init__(self, port: int, requests: list[Request], seconds: float) -> None:
        self.statuses: collections.Counter[int] = collections.Counter()
        # A line per scored row, and one of a request that is refused for its content.
        self.lines_due: dict[str, int] = {}
        self._port = port
        self._requests = requests
        self._end = time.monotonic() + seconds
        self._numbers = itertools.count()

    async def run(self, server: int) -> list[float]:
        """Runs all clients; returns samples of the workers' memory, in MiB."""
        memory: list[float] = []
        clients = asyncio.gather(*(self._client(seed) for seed in range(CLIENTS)))
        while not clients.done():
            memory.append(workers_memory(server))
            await asyncio.wait([clients], timeout=SAMPLE_SECONDS)
        await clients
        return memory

    async def _client(self, seed: int) -> None:
        choose = random.Random(seed)
        while time.monotonic() < self._end:
            reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
            # What closes a connection (a body that is too long) ends the inner loop.
            with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
                while time.monotonic() < self._end:
                    await self._ask(reader, writer, *choose.choice(self._requests))
            writer.close()

    async def _ask(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, kind: str, body: bytes
    ) -> None:
        request_id = f"soak-{next(self._numbers)}"
        head = (
            f"POST /invocations HTTP/1.1\r\nHost: x\r\nContent-Type: {kind}\r\n"
            f"Content-Length: {len(body)}\r\nX-Request-ID: {request_id}\r\n\r\n"
        )
        writer.write(head.encode())
        if len(body) <= 10_000_000:
            writer.write(body)
        answer = await reader.readuntil(b"\r\n\r\n")
        status = int(answer[9:12])
        (length,) = (
            int(line[15:]) for line in answer.lower().split(b"\r\n") if b"content-length" in line
        )
        content = await reader.readexactly(length)
        self.statuses[status] += 1
        if status == 200:
            self.lines_due[request_id] = len(json.loads(content)["predictions"])
        elif status in (400, 413, 415):
            self.lines_due[request_id] = 1
        if status == 413:
            raise ConnectionError


def workers_memory(server: int) -> float:
    """Resident memory of the server's workers, in MiB."""
    children = Path(f"/proc/{server}/task/{server}/children").read_text().split()
    total = 0
    for pid in children:
        with contextlib.suppress(FileNotFoundError):
            pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
            total += pages * os.sysconf("SC_PAGE_SIZE")
    return total / 2**20


def logged_rows(folder: Path) -> collections.Counter[str]:
    """How many lines each request has in the audit log; an incomplete one raises."""
    rows: collections.Counter[str] = collections.Counter()
    for file in folder.glob("audit.jsonl*"):
        if file.suffix != ".lock":
            with file.open() as lines:
                rows.update(json.loads(line)["request_id"] for line in lines)
    return rows


if __name__ == "__main__":
    main()
