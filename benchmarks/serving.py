"""The serving shim against its peers: latency, throughput, large requests and start-up.

    for peer in mlserver bentoml; do
        python3.11 -m venv .bench-$peer
        .bench-$peer/bin/pip install -r benchmarks/serving_peers/$peer.txt
    done
    python -m benchmarks.serving --mlserver .bench-mlserver --bentoml .bench-bentoml

In the environment of requirements.txt, on a machine with nothing else to do. A model is trained
on 20,000 simulated rows; every server scores with its booster on one thread, in one worker. Peers
are installed and started as in their documentation, which the limits are about, and then in the
fastest way known to us:

- ours, by default;
- a FastAPI route that validates the row with pydantic and calls the booster, the floor, on the
  same event loop and HTTP parser as ours (uvloop, httptools);
- Seldon MLServer, a V2 tensor of the row or one per feature; then without its inference process;
- BentoML, a method that takes numbers or named features; then a coroutine;
- a FastAPI route that makes a DataFrame, scales with scikit-learn and calls the booster;
- MLflow's own `mlflow models serve`.

One server is alive at a time. In every round each is started, checked to give the model's own
probabilities, warmed up, and asked for some seconds on 1 and on 16 keep-alive connections by one
client; every answer has to be the checked one. Rounds take the servers in turn from another start.
Then, in turns, ours with metrics and audit log against ours with neither; ours with audit log and
a shadow that scores every row against ours with audit log; a row of 30 numbers against the floor,
and one of 10 numbers and 20 categories against it; 1,000-row requests against
`json.loads`, `booster.predict` and `json.dumps` in process; and the start of ours against
importing what it needs.

Prints Markdown: medians over rounds, and ratios as the median of each round's ratio, against the
project's limits.
"""

from __future__ import annotations

import argparse
import gc
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from benchmarks.serving_peers import servers
from benchmarks.serving_peers.client import ask, load, request, wait_for_shadow
from benchmarks.serving_peers.detector import Detector
from benchmarks.serving_peers.report import (
    CONNECTIONS,
    LARGE,
    NUMBERS,
    TYPED,
    Measured,
    Pairs,
    Sample,
    print_limits,
    print_pairs,
    print_servers,
)
from benchmarks.serving_peers.servers import SERVERS, Server, started
from benchmarks.small_model import make_model
from fraud_model.data.simulation import simulate
from fraud_model.model.directory import ModelDirectory

Side = tuple[Server, Mapping[str, str]]

WARM_UP_SECONDS = 1.0
TURNS = 10
IMPORTS = "import mlflow.pyfunc, lightgbm"


def main() -> None:
    """Measures everything and prints the tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--mlserver", required=True, type=Path, help="environment of MLServer")
    parser.add_argument("--bentoml", required=True, type=Path, help="environment of BentoML")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=3.0, help="of each measurement")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        places = {
            "python": sys.executable,
            "mlserver": str(arguments.mlserver.absolute()),
            "bentoml": str(arguments.bentoml.absolute()),
            "model": make_model(Path(folder)),
            "folder": folder,
        }
        typed = Path(folder) / "typed"
        typed.mkdir()
        of_typed = {**places, "model": make_model(typed, typed=True), "folder": str(typed)}
        # What the imports made is not to be looked through during measurements.
        gc.freeze()
        measured = compare_servers(places, arguments.rounds, arguments.seconds)
        recording = compare_recording(places, arguments.rounds, arguments.seconds)
        shadow = compare_shadow(places, arguments.rounds, arguments.seconds)
        kinds = compare_kinds(places, of_typed, arguments.rounds, arguments.seconds)
        large = compare_large(places, arguments.rounds, arguments.seconds)
        starts = compare_starts(places, arguments.rounds)
    print_servers(measured)
    print_pairs(recording, shadow, kinds, large, starts)
    print_limits(measured, recording, shadow, kinds, large, starts)


def compare_servers(places: Mapping[str, str], rounds: int, seconds: float) -> Measured:
    """One-row requests to every server in every format."""
    measured: dict[tuple[str, str], list[Sample]] = {
        (server.name, name): [] for server in SERVERS for name in server.formats
    }
    with tqdm(total=rounds * len(SERVERS), unit="server") as progress:
        for turn in range(rounds):
            first = turn * len(SERVERS) // rounds
            for server in SERVERS[first:] + SERVERS[:first]:
                for name, sample in measure(server, places, seconds).items():
                    measured[server.name, name].append(sample)
                progress.update()
    return measured


def measure(server: Server, places: Mapping[str, str], seconds: float) -> dict[str, Sample]:
    """A round of one server.

    Raises:
        RuntimeError: it does not start, or gives other answers than the model.
    """
    known = ModelDirectory(Path(places["model"])).required_known_rows()
    table, probability = known.rows, known.probability
    rows: list[dict[str, float]] = [
        dict(zip(table.columns, values, strict=True)) for values in table.to_numpy().tolist()
    ]
    samples = {}
    with started(server, places) as port:
        for name, form in server.formats.items():
            messages = [form.message(row) for row in rows]
            bodies = [ask(port, message) for message in messages]
            answered = [form.probability(json.loads(body)) for body in bodies]
            if not np.allclose(answered, probability, rtol=1e-9, atol=0):
                raise RuntimeError(f"{server.name}: {answered} answered, {probability} expected")
            load(port, messages, bodies, CONNECTIONS, WARM_UP_SECONDS)
            one = load(port, messages, bodies, 1, seconds)
            many = load(port, messages, bodies, CONNECTIONS, seconds)
            samples[name] = Sample(statistics.median(one.latencies) * 1000, one.rate, many.rate)
    return samples


def compare_recording(places: Mapping[str, str], rounds: int, seconds: float) -> Pairs:
    """Milliseconds of a one-row request with metrics and audit log, and without either."""
    return _compare((servers.AUDITED, places), (servers.UNRECORDED, places), rounds, seconds)


def compare_shadow(places: Mapping[str, str], rounds: int, seconds: float) -> Pairs:
    """Milliseconds of a one-row request with a shadow that scores each, and without one.

    Raises:
        RuntimeError: the shadow does not come up.
    """
    return _compare((servers.SHADOWED, places), (servers.AUDITED, places), rounds, seconds)


def compare_kinds(
    numbers: Mapping[str, str], typed: Mapping[str, str], rounds: int, seconds: float
) -> dict[str, Pairs]:
    """Milliseconds of a one-row request and of the other's, by what is compared."""
    ours, floor = (servers.PLAIN_ROWS, numbers), (servers.FLOOR, numbers)
    return {
        NUMBERS: _compare(ours, floor, rounds, seconds),
        TYPED: _compare((servers.PLAIN_ROWS, typed), ours, rounds, seconds),
    }


def _compare(one: Side, other: Side, rounds: int, seconds: float) -> Pairs:
    # Both servers are alive at once and take turns of a tenth of `seconds`: the difference is less
    # than what two starts of the same server differ by.
    pairs = []
    with ExitStack() as stack:
        loads = []
        for server, places in (one, other):
            port = stack.enter_context(started(server, places))
            (form,) = server.formats.values()
            known = ModelDirectory(Path(places["model"])).required_known_rows()
            messages = [form.message(row) for row in known.records]
            answers = [ask(port, message) for message in messages]
            loads.append(partial(load, port, messages, answers, 1))
            loads[-1](WARM_UP_SECONDS)
            if server is servers.SHADOWED:
                wait_for_shadow(port)
        for _ in range(rounds * TURNS):
            first, second = (
                statistics.median(ask_on(seconds / TURNS).latencies) * 1000 for ask_on in loads
            )
            pairs.append((first, second))
    return pairs


def compare_large(places: Mapping[str, str], rounds: int, seconds: float) -> dict[str, Pairs]:
    """Milliseconds of ours and of the bare work for 1,000 rows, by format and round."""
    detector = Detector(Path(places["model"]))
    table = simulate(LARGE, LARGE // 100)[detector.features]
    contents: dict[str, Any] = {
        "dataframe_records": table.to_dict("records"),
        "dataframe_split": table.to_dict("split", index=False),
        "inputs": table.to_dict("list"),
    }
    bodies = {name: json.dumps({name: content}).encode() for name, content in contents.items()}
    pairs: dict[str, list[tuple[float, float]]] = {name: [] for name in bodies}
    with started(servers.OURS, places) as port:
        for counted in [False] + [True] * rounds:
            for name, body in bodies.items():
                message = request("/invocations", body)
                answer = ask(port, message)
                served = statistics.median(load(port, [message], [answer], 1, seconds).latencies)
                bare = _repeat(partial(bare_work, detector, body, json.loads(answer)), seconds)
                if counted:
                    pairs[name].append((served * 1000, bare * 1000))
    return dict(pairs)


def bare_work(detector: Detector, body: bytes, answer: object) -> None:
    """Decodes a request, scores its rows on all cores and encodes an answer of the same content."""
    ((name, content),) = json.loads(body).items()
    if name == "dataframe_records":
        values = np.array([[*record.values()] for record in content])
    elif name == "dataframe_split":
        values = np.array(content["data"])
    else:
        values = np.array([*content.values()]).T
    detector.booster.predict((values - detector.center) / detector.scale)
    json.dumps(answer)


def compare_starts(places: Mapping[str, str], rounds: int) -> Pairs:
    """Seconds until ours answers /ping, and of the imports alone, by round."""
    pairs = []
    for counted in [False] + [True] * rounds:
        start = time.perf_counter()
        with started(servers.OURS, places):
            ready = time.perf_counter() - start
        start = time.perf_counter()
        subprocess.run([sys.executable, "-c", IMPORTS], check=True)
        imported = time.perf_counter() - start
        if counted:
            pairs.append((ready, imported))
    return pairs


def _repeat(work: Callable[[], None], seconds: float) -> float:
    taken = []
    end = time.perf_counter() + seconds
    while (start := time.perf_counter()) < end:
        work()
        taken.append(time.perf_counter() - start)
    return statistics.median(taken)


if __name__ == "__main__":
    main()
