"""This project's server beside that of an earlier commit: latency and throughput.

    git worktree add ../before COMMIT
    python -m benchmarks.serving_before ../before

In the environment of requirements.txt, on a machine with nothing else to do. The code of each side
trains a model on 20,000 simulated rows, of 400 trees, and serves it with one worker. Neither is
refitted on all rows, which earlier commits could not do: more rows make more leaves. Both servers
are alive at once and take turns. Prints a Markdown table with medians over the turns, and of the
ratio of each turn the median with the quartiles.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from tqdm import trange

from benchmarks.serving_peers.client import ask, load, request
from benchmarks.serving_peers.report import CONNECTIONS, LARGE
from benchmarks.serving_peers.servers import OURS, REPOSITORY, Server, started
from fraud_model.data.schema import DEFAULT_TARGET
from fraud_model.data.simulation import simulate

MAKE_MODEL = """
import sys
from dataclasses import fields
from functools import partial
from pathlib import Path
from benchmarks import small_model
config = small_model.TrainingConfig
if "refit" in {field.name for field in fields(config)}:
    small_model.TrainingConfig = partial(config, refit=False)
print(small_model.make_model(Path(sys.argv[1])))
"""
ROWS = 10
WARM_UP_SECONDS = 1.0
SIDE = Server(OURS.name, OURS.command, OURS.formats, environment={"PYTHONPATH": "{checkout}"})


@dataclass(frozen=True)
class Request:
    """What is sent: bodies in turn, on so many connections."""

    name: str
    messages: Sequence[bytes]
    connections: int = 1

    @property
    def unit(self) -> str:
        """What is measured: the median latency of one connection, or how many are answered."""
        return "ms" if self.connections == 1 else "requests/s"

    def measure(self, port: int, answers: Sequence[bytes], seconds: float) -> float:
        """One turn."""
        done = load(port, self.messages, answers, self.connections, seconds)
        return done.rate if self.connections > 1 else statistics.median(done.latencies) * 1000


def main() -> None:
    """Measures both sides in turn, and prints the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("checkout", type=Path, help="a working tree of the earlier commit")
    parser.add_argument("--turns", type=int, default=30)
    parser.add_argument("--seconds", type=float, default=1.0, help="of each measurement")
    arguments = parser.parse_args()
    kinds = requests()
    measured: dict[str, list[tuple[float, float]]] = {kind.name: [] for kind in kinds}
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        sides = []
        for name, checkout in (("before", arguments.checkout), ("now", REPOSITORY)):
            port = stack.enter_context(started(SIDE, places(Path(folder, name), checkout)))
            answers = {kind.name: [ask(port, each) for each in kind.messages] for kind in kinds}
            sides.append((port, answers))
        for counted in trange(-1, arguments.turns, unit="turn"):
            for kind in kinds:
                seconds = WARM_UP_SECONDS if counted < 0 else arguments.seconds
                before, now = (kind.measure(p, given[kind.name], seconds) for p, given in sides)
                if counted >= 0:
                    measured[kind.name].append((before, now))
    print("| request | | before | now | now / before (quartiles) |\n|---|---|---|---|---|")
    for kind in kinds:
        before, now = np.array(measured[kind.name]).T
        low, ratio, high = np.percentile(now / before, [25, 50, 75])
        print(
            f"| {kind.name} | {kind.unit} | {np.median(before):,.2f} | {np.median(now):,.2f} | "
            f"{ratio:.2f} ({low:.2f} to {high:.2f}) |"
        )


def requests() -> list[Request]:
    """One row in each format, one row on many connections, and many rows."""
    table = simulate(LARGE, LARGE // 100).drop(columns=DEFAULT_TARGET)
    rows: list[dict[str, float]] = [
        dict(zip(table.columns, values, strict=True)) for values in table.head(ROWS).to_numpy()
    ]
    found = [
        Request(f"`{name}`", [form.message(row) for row in rows])
        for name, form in OURS.formats.items()
    ]
    body = json.dumps({"dataframe_records": table.to_dict("records")}).encode()
    return [
        *found,
        Request(f"`dataframe_records`, {CONNECTIONS} connections", found[0].messages, CONNECTIONS),
        Request(f"`dataframe_records`, {LARGE:,} rows", [request("/invocations", body)]),
    ]


def places(folder: Path, checkout: Path) -> dict[str, str]:
    """What the server of a checkout is started with; its own code trains the model."""
    folder.mkdir()
    made = subprocess.run(
        [sys.executable, "-c", MAKE_MODEL, str(folder)],
        cwd=checkout,
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    )
    return {
        "python": sys.executable,
        "model": made.stdout.split()[-1],
        "folder": str(folder),
        "checkout": str(checkout.absolute()),
    }


if __name__ == "__main__":
    main()
