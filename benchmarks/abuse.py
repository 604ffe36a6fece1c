"""Hostile bodies against one worker: what each costs the server and its other clients.

    python -m benchmarks.abuse

In the environment of requirements.txt. Trains a small model, serves it with one worker, and sends
the bodies of `abuse_bodies` one after the other while a second client sends one-row requests. It
prints, for each body, the answers and their time, the processor time and the memory that all of the
server's processes took for it, and the longest wait of a one-row request; then the latency of
one-row requests, alone and beside a client that sends 1,000 rows at a time; at the end how long the
server takes to stop, and its memory: at the start, before anything is sent; once the process for
large requests is loaded; after all of it; and once that process has ended, since it had nothing to
do for a minute.
"""

from __future__ import annotations

import argparse
import contextlib
import http.client
import multiprocessing
import os
import signal
import tempfile
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import orjson
import requests

from benchmarks.abuse_bodies import JSON, Body, bodies, example
from benchmarks.small_model import make_model
from benchmarks.small_server import STOP_SECONDS, serving
from fraud_model.model.directory import ModelDirectory

SAMPLE_SECONDS = 0.02
ASK_SECONDS = 0.005
REST_SECONDS = 1.0
LATENCIES = 5_000
LARGE_ROWS = 1_000
HEAD = """\
| body | MB | answers | s | processor s | memory, MiB | longest wait beside, ms |
|---|---|---|---|---|---|---|"""


@dataclass
class Cost:
    """What one body cost: seconds and MiB of all of the server's processes, and others' waits."""

    statuses: Counter[int] = field(default_factory=Counter)
    seconds: float = 0.0
    processor: float = 0.0
    memory: float = 0.0
    waits: list[float] = field(default_factory=list)


def main() -> None:
    """Sends the bodies and prints the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--scale", type=float, default=1.0, help="share of the bodies' size")
    scale = parser.parse_args().scale
    with tempfile.TemporaryDirectory() as folder:
        model = Path(make_model(Path(folder)))
        row = example(ModelDirectory(model).required_known_rows().rows)
        with serving(model) as (port, process):
            url = f"http://127.0.0.1:{port}"
            first = usage(process.pid)[1]
            # The first large request starts the process that answers it.
            send(url, Body("large", JSON, orjson.dumps({"dataframe_records": [row] * LARGE_ROWS})))
            time.sleep(REST_SECONDS)
            loaded = usage(process.pid)[1]
            print(HEAD)
            for body in bodies(row, scale):
                print(line(body, measure(url, process.pid, body, row)), flush=True)
                time.sleep(REST_SECONDS)
            print_latency(url, row, round(LATENCIES * scale))
            last = usage(process.pid)[1]
            while requests.get(f"{url}/health", timeout=120).json()["large_requests"] != "idle":
                time.sleep(REST_SECONDS)
            time.sleep(REST_SECONDS)
            rest = usage(process.pid)[1]
            print(
                f"memory: {first:,.0f} MiB at the start, {loaded:,.0f} MiB with the process for "
                f"large requests, {last:,.0f} MiB after all of it, {rest:,.0f} MiB without that "
                "process"
            )
            start = time.perf_counter()
            process.send_signal(signal.SIGTERM)
            process.wait(STOP_SECONDS)
            print(f"stopped {time.perf_counter() - start:.1f} s after SIGTERM")


def line(body: Body, cost: Cost) -> str:
    """A row of the table."""
    answers = ", ".join(f"{n} x {status}" for status, n in sorted(cost.statuses.items()))
    wait = 1000 * max(cost.waits, default=0.0)
    return (
        f"| {body.name} | {len(body.content) / 1e6:.2f} | {answers} | {cost.seconds:.2f} | "
        f"{cost.processor:.2f} | {cost.memory:,.0f} | {wait:,.0f} |"
    )


def measure(url: str, pid: int, body: Body, row: dict[str, float]) -> Cost:
    """Sends a body, as often at once as it says, with one-row requests beside it."""
    cost = Cost()
    over = threading.Event()
    before, memory_before = usage(pid)
    peak = memory_before

    def ask() -> None:
        small = orjson.dumps({"dataframe_records": [row]})
        with requests.Session() as session:
            session.headers["Content-Type"] = JSON
            while not over.is_set():
                start = time.perf_counter()
                session.post(f"{url}/invocations", data=small, timeout=120)
                cost.waits.append(time.perf_counter() - start)
                time.sleep(ASK_SECONDS)

    def look() -> None:
        nonlocal peak
        while not over.is_set():
            peak = max(peak, usage(pid)[1])
            time.sleep(SAMPLE_SECONDS)

    beside = [threading.Thread(target=target) for target in (ask, look)]
    for thread in beside:
        thread.start()
    start = time.perf_counter()
    with ThreadPoolExecutor(body.at_once) as senders:
        cost.statuses.update(senders.map(lambda _: send(url, body), range(body.at_once)))
    cost.seconds = time.perf_counter() - start
    over.set()
    for thread in beside:
        thread.join()
    cost.processor = usage(pid)[0] - before
    cost.memory = peak - memory_before
    return cost


def print_latency(url: str, row: dict[str, float], count: int) -> None:
    """The latency of one-row requests, alone and beside a client of large ones."""
    print(f"one-row requests alone: {latency(url, row, count)}")
    # A process, since a thread would hold up the client that measures.
    beside = multiprocessing.get_context("spawn").Process(
        target=send_large, args=(url, row), daemon=True
    )
    beside.start()
    time.sleep(REST_SECONDS * 2)
    print(f"one-row requests beside {LARGE_ROWS:,}-row ones: {latency(url, row, count)}")
    beside.kill()
    beside.join()


def latency(url: str, row: dict[str, float], count: int) -> str:
    """Median and 99th percentile of that many one-row requests on one connection."""
    body = orjson.dumps({"dataframe_records": [row]})
    connection = http.client.HTTPConnection(url.removeprefix("http://"))
    seconds = []
    for _ in range(count):
        start = time.perf_counter()
        post(connection, body)
        seconds.append(time.perf_counter() - start)
    median, late = 1000 * np.percentile(seconds, [50, 99])
    return f"p50 {median:.2f} ms, p99 {late:.2f} ms, ratio {late / median:.1f}"


def send_large(url: str, row: dict[str, float]) -> None:
    """Sends one large request after the other until it is killed."""
    body = orjson.dumps({"dataframe_records": [row] * LARGE_ROWS})
    connection = http.client.HTTPConnection(url.removeprefix("http://"))
    while True:
        post(connection, body)


def post(connection: http.client.HTTPConnection, body: bytes) -> None:
    """Posts a body and reads the answer.

    Raises:
        RuntimeError: the status is not 200.
    """
    connection.request("POST", "/invocations", body, {"Content-Type": JSON})
    answer = connection.getresponse()
    answer.read()
    if answer.status != 200:
        raise RuntimeError(f"the server answers {answer.status}")


def send(url: str, body: Body) -> int:
    """Posts a body; the status of the answer, 0 if the connection broke."""
    try:
        headers = {"Content-Type": body.content_type}
        address = f"{url}/invocations"
        return requests.post(address, data=body.content, headers=headers, timeout=120).status_code
    except requests.RequestException:
        return 0


def usage(pid: int) -> tuple[float, float]:
    """Processor seconds and MiB of resident memory of a process and all that it has started."""
    seconds = memory = 0.0
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        numbers = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        # Its own time, and that of children that have ended.
        seconds = sum(map(int, numbers[11:15])) / os.sysconf("SC_CLK_TCK")
        pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
        memory = pages * os.sysconf("SC_PAGE_SIZE") / 2**20
        for thread in Path(f"/proc/{pid}/task").iterdir():
            for child in (thread / "children").read_text().split():
                more = usage(int(child))
                seconds, memory = seconds + more[0], memory + more[1]
    return seconds, memory


if __name__ == "__main__":
    main()
