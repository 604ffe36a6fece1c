"""What a check of an audit log costs, by its lines and the cores it may use: seconds and memory.

    python -m benchmarks.monitor_size

In the environment of requirements.txt, on Linux. `mlflow run . -e monitor`'s own command reads a
log that the server's own audit log wrote: simulated transactions with 30 features, without labels.
Prints a Markdown table with medians, and the highest resident memory of the process with those that
it starts.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
from pathlib import Path

import mlflow

from benchmarks import entry_point
from benchmarks.audit_lines import write_lines
from benchmarks.monitoring import NAME, make_model
from fraud_model.data.simulation import simulate
from fraud_model.model.detector import FraudDetector
from fraud_model.parallel import cores

LINES = (250_000, 1_000_000, 2_000_000, 10_000_000)
# What the lines repeat.
TRANSACTIONS, FRAUDS = 50_000, 86
ROWS_PER_REQUEST = 1_000


def main() -> None:
    """Measures, and prints the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--lines", type=int, nargs="+", default=LINES)
    parser.add_argument("--repeats", type=int, default=3)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        model = make_model(folder)
        print("| audit lines | cores | seconds | MiB |\n|---|---|---|---|")
        for lines in arguments.lines:
            log = folder / "audit.jsonl"
            write(log, model, lines)
            for count in sorted({1, cores()}):
                seconds, mebibytes = measure(log, model, lines, count, arguments.repeats)
                print(f"| {lines:,} | {count} | {seconds:.1f} | {mebibytes:,.0f} |", flush=True)
            log.unlink()


def write(path: Path, model: Path, lines: int) -> None:
    """Writes an audit log of so many lines."""
    detector: FraudDetector = mlflow.pyfunc.load_model(str(model)).unwrap_python_model()
    features = detector.features
    table = simulate(TRANSACTIONS, FRAUDS)
    scored = detector.score(detector.encoder.encode(table))
    write_lines(
        path, NAME, features, table[list(features)].to_numpy(), scored, lines, ROWS_PER_REQUEST
    )


def measure(log: Path, model: Path, lines: int, count: int, repeats: int) -> tuple[float, float]:
    """Seconds and mebibytes of a check on so many cores: median, and most."""
    options = (
        *("--log", str(log), "--model-dir", str(model), "--report", str(log.parent / "report")),
        # By days the log would be one unfinished day, which is not judged.
        *("--window", str(lines // 2)),
    )
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, sorted(before)[:count])
    try:
        measured = [
            entry_point.cost("monitor", *options, folder=log.parent, good=(0, 3))
            for _ in range(repeats)
        ]
    finally:
        os.sched_setaffinity(0, before)
    return statistics.median(s for s, _ in measured), max(m for _, m in measured)


if __name__ == "__main__":
    main()
