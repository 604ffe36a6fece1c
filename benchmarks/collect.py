"""What `collect` costs: seconds and memory by lines of the audit log.

    python -m benchmarks.collect

In the environment of requirements.txt. Each log is written by the server's own audit log, with 30
features a line, and collected by the command itself, with a feed of chargebacks for one line in a
thousand and once more on top of the table that came of it. Prints a Markdown table with the median
of three repeats, and the highest resident memory of all of them.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks.audit_lines import write_lines
from benchmarks.entry_point import cost
from fraud_model.data.simulation import simulate

NAME = "fraud-detector"
ROWS_PER_REQUEST = 100
ONE_FRAUD_IN = 1_000


def main() -> None:
    """Measures, and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--lines", type=int, default=10_000_000)
    parser.add_argument("--repeats", type=int, default=3)
    arguments = parser.parse_args()
    print("| lines | log, MB | table, MB | s | MiB | s, on top of it | MiB, on top of it |")
    print("|---|---|---|---|---|---|---|")
    for lines in (arguments.lines // 10, arguments.lines):
        with tempfile.TemporaryDirectory() as folder:
            print(row(Path(folder), lines, arguments.repeats), flush=True)


def row(folder: Path, lines: int, repeats: int) -> str:
    """One row of the table."""
    log, table = folder / "audit.jsonl", folder / "collected.parquet"
    write(log, folder / "labels.csv", lines)
    cells = []
    for base in ("", str(table)):
        options = (
            *("--log", "audit.jsonl", "--labels", "labels.csv"),
            *("--base", base, "--unlabelled", "genuine"),
        )
        measured = [cost("collect", *options, folder=folder) for _ in range(repeats)]
        seconds, most = statistics.median(s for s, _ in measured), max(m for _, m in measured)
        cells += [f"{seconds:,.0f}", f"{most:,.0f}"]
    sizes = [f"{path.stat().st_size / 1e6:,.0f}" for path in (log, table)]
    return f"| {' | '.join([f'{lines:,}', *sizes, *cells])} |"


def write(log: Path, labels: Path, lines: int) -> None:
    """Writes a log and its labels."""
    table = simulate(50_000, 86).drop(columns="Class")
    values, features = table.to_numpy(), tuple(table.columns)
    answered = {
        "fraud_probability": np.full(len(values), 0.001),
        "is_fraud": np.zeros(len(values), dtype=bool),
    }
    write_lines(log, NAME, features, values, answered, lines, ROWS_PER_REQUEST)
    frauds = np.arange(0, lines, ONE_FRAUD_IN)
    pd.DataFrame({"request_id": frauds, "row": 0, "Class": 1}).to_csv(labels, index=False)


if __name__ == "__main__":
    main()
