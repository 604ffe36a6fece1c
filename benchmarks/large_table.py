"""What training on a table of many rows costs beside a bare fit: seconds and memory.

    python -m benchmarks.large_table

In the environment of requirements.txt, on Linux. The table is simulated, a piece at a time, with 30
features, in one Parquet file. In turn, several times:

- bare: `lightgbm.train` with our hyperparameters in a process that holds the scaled inputs already;
  on the train part, and on all rows. The time is that of the fits with their binning, the memory
  that of the whole process.
- train: `mlflow run . -e train`'s own command, from the Parquet file to the registered version, the
  time of the whole process; once with `refit=false`, which fits once, on the train part, and once
  as by default, which fits again on all rows and, to check the hand-over, on a part of the train
  part.

Prints a Markdown table with medians and the lowest and highest ratio. Memory is the highest
resident one, the mapped files of the table's columns included.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks.entry_point import cost, cost_of
from benchmarks.figures import spread
from benchmarks.score import write

BARE = """
import sys, time
import lightgbm
from fraud_model.data.dataset import load_dataset
from fraud_model.data.split import split
from fraud_model.training.config import Hyperparameters
from fraud_model.training.inputs import fit_inputs

dataset = load_dataset(sys.argv[1], target="Class", time="Time", amount="Amount")
rows = {"part": split(dataset, "time", 0).train, "all": dataset.table}[sys.argv[2]]
values, labels = fit_inputs(rows, dataset.columns).scaled, rows["Class"].to_numpy()
hyperparameters = Hyperparameters()
del dataset, rows
start = time.perf_counter()
lightgbm.train(
    hyperparameters.lightgbm_parameters(), lightgbm.Dataset(values, labels), hyperparameters.rounds
)
print(time.perf_counter() - start)
"""

FROM_DISK = """
import sys
from fraud_model.data.dataset import load_dataset
from fraud_model.data.split import split
from fraud_model.training.config import Hyperparameters
from fraud_model.training.fit import fit_all

dataset = load_dataset(sys.argv[1], target="Class", time="Time", amount="Amount")
split(dataset, "time", 0)
hyperparameters = Hyperparameters()
fit_all(dataset.table, dataset.columns, hyperparameters, (hyperparameters.rounds,))
"""


def main() -> None:
    """Measures, and prints the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=int, nargs="+", default=[1_000_000, 10_000_000])
    parser.add_argument("--repeats", type=int, default=3)
    arguments = parser.parse_args()
    print("| rows | fits | bare, s | train, s | train / bare | MiB |")
    print("|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as name:
        for rows in arguments.rows:
            measure(Path(name), rows, arguments.repeats)


def measure(folder: Path, rows: int, repeats: int) -> None:
    """Prints the rows of the table for one number of transactions."""
    data = folder / "table.parquet"
    write(data, rows, labelled=True)
    bare: dict[str, list[float]] = {"part": [], "all": []}
    from_disk: list[tuple[float, float]] = []
    whole: dict[str, list[tuple[float, float]]] = {"false": [], "true": []}
    for _ in range(repeats):
        for which, times in bare.items():
            times.append(bare_seconds(data, which))
        from_disk.append(cost_of(sys.executable, "-c", FROM_DISK, str(data), folder=folder))
        for refit, costs in whole.items():
            costs.append(cost("train", "--data", str(data), "--refit", refit, folder=folder))
    both = [sum(times) for times in zip(*bare.values(), strict=True)]
    print(_row(rows, "all rows, from disk", bare["all"], from_disk))
    print(_row(rows, "the train part", bare["part"], whole["false"]))
    print(_row(rows, "the train part, and all rows", both, whole["true"]), flush=True)


def bare_seconds(data: Path, which: str) -> float:
    """Seconds of a bare fit on the train part or on all rows of a table."""
    ended = subprocess.run(
        [sys.executable, "-c", BARE, str(data), which], check=True, capture_output=True, text=True
    )
    return float(ended.stdout.splitlines()[-1])


def _row(rows: int, fits: str, bare: list[float], whole: list[tuple[float, float]]) -> str:
    seconds, memory = zip(*whole, strict=True)
    ratios = [ours / theirs for ours, theirs in zip(seconds, bare, strict=True)]
    return (
        f"| {rows:,} | {fits} | {statistics.median(bare):.1f} | {statistics.median(seconds):.1f} | "
        f"{spread(ratios)} | "
        f"{max(memory):,.0f} |"
    )


if __name__ == "__main__":
    main()
