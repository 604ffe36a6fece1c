"""What `score` costs beside bare booster and Spark: seconds and memory by rows of a Parquet file.

    python -m benchmarks.score

In the environment of requirements.txt. The table is simulated, a piece at a time, with 30 features
and an id. In turn, several times:

- bare: `booster.predict` with the version's own booster, on every core, in one call, on rows that
  are in memory and scaled already; nothing else is timed.
- score: `mlflow run . -e score`'s own command, from the Parquet file to Parquet files with the id.
  The time of the whole process, with its start of some seconds, and of the pass over the table
  alone: reading, encoding, scaling, scoring, writing.
- Spark: `mlflow.pyfunc.spark_udf` with the same version, from the same file to Parquet files with
  the id, on as many cores; the pass alone. Left out where PySpark or Java is not there.

Prints a Markdown table with medians and, of the ratios, the lowest and the highest. The memory is
the highest resident one of `score`'s process.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from importlib.util import find_spec
from pathlib import Path

import lightgbm
import mlflow
import numpy as np
import pyarrow
import pyarrow.dataset
import pyarrow.parquet

from benchmarks.entry_point import ROOT, cost
from benchmarks.figures import spread
from benchmarks.monitoring import make_model
from fraud_model.arrays import Floats
from fraud_model.data.schema import DEFAULT_TARGET, DEFAULT_TIME
from fraud_model.data.simulation import FULL_FRAUDS, FULL_ROWS, simulate
from fraud_model.durations import SECONDS_PER_DAY
from fraud_model.parallel import cores

ROWS_PER_PIECE = 250_000
ID = "id"


def main() -> None:
    """Measures, and prints the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=int, nargs="+", default=[1_000_000, 10_000_000])
    parser.add_argument("--repeats", type=int, default=3)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        model = make_model(folder)
        print(
            "| rows | bare, s | score, s | its pass, s | Spark's pass, s | score / bare "
            "| pass / bare | Spark / pass | MiB |"
        )
        print("|---|---|---|---|---|---|---|---|---|")
        for rows in arguments.rows:
            print(row(folder, model, rows, arguments.repeats), flush=True)


def row(folder: Path, model: Path, rows: int, repeats: int) -> str:
    """One row of the table."""
    data, output = folder / "table.parquet", folder / "scores"
    write(data, rows)
    options = ("--data", str(data), "--output", str(output), "--keys", ID)
    has_spark = find_spec("pyspark") is not None and shutil.which("java") is not None
    bare, whole, alone, spark, most = [], [], [], [], 0.0
    for _ in range(repeats):
        bare.append(bare_seconds(model, data, rows))
        seconds, memory = cost("score", *options, "--model-dir", str(model), folder=folder)
        whole.append(seconds)
        alone.append(rows / last_rate())
        most = max(most, memory)
        drop(output, rows)
        if has_spark:
            spark.append(spark_seconds(model, data, output))
            drop(output, rows)
    measured = (bare, whole, alone, spark)
    cells = [
        f"{rows:,}",
        *(f"{statistics.median(times):.1f}" if times else "" for times in measured),
    ]
    for times, beside in ((whole, bare), (alone, bare), (spark, alone)):
        ratios = [one / other for one, other in zip(times, beside, strict=False)]
        cells.append(spread(ratios) if ratios else "")
    return f"| {' | '.join([*cells, f'{most:,.0f}'])} |"


def drop(output: Path, rows: int) -> None:
    """Deletes scores, which are to be of so many rows."""
    if pyarrow.dataset.dataset(output).count_rows() != rows:
        raise RuntimeError("rows are lost")
    shutil.rmtree(output)


def spark_seconds(model: Path, data: Path, output: Path) -> float:
    """Seconds that Spark takes for the table, in a process of its own that has started."""
    command = [sys.executable, "-m", "benchmarks.score_spark", str(model), str(data), str(output)]
    env = {**os.environ, "PYTHONPATH": str(ROOT), "PYSPARK_PYTHON": sys.executable}
    done = subprocess.run(command, env=env, check=True, stdout=subprocess.PIPE, text=True)
    return float(done.stdout.split()[-1])


def write(path: Path, rows: int, *, labelled: bool = False) -> None:
    """Writes a table of simulated transactions with an id, two days after two days, in pieces."""
    writer = None
    for number, first in enumerate(range(0, rows, ROWS_PER_PIECE)):
        count = min(ROWS_PER_PIECE, rows - first)
        table = simulate(count, count * FULL_FRAUDS // FULL_ROWS, seed=first)
        table[DEFAULT_TIME] += number * 2 * SECONDS_PER_DAY
        table[ID] = np.arange(first, first + count)
        if not labelled:
            del table[DEFAULT_TARGET]
        arrow = pyarrow.Table.from_pandas(table, preserve_index=False)
        writer = writer or pyarrow.parquet.ParquetWriter(path, arrow.schema)
        writer.write_table(arrow)
    if writer:
        writer.close()


def bare_seconds(model: Path, data: Path, rows: int) -> float:
    """Seconds that the version's booster takes for the table's rows, scaled and in memory."""
    detector = mlflow.pyfunc.load_model(str(model)).unwrap_python_model()
    booster, encoder, scaler, _ = detector.parts
    scaled = np.empty((rows, len(encoder.inputs)))
    first = 0
    for batch in pyarrow.parquet.ParquetFile(data).iter_batches(ROWS_PER_PIECE):
        inputs = encoder.encode(batch.to_pandas())
        scaled[first : first + len(inputs)] = scaler.transform(inputs)
        first += len(inputs)
    return timed(booster, scaled)


def timed(booster: lightgbm.Booster, scaled: Floats) -> float:
    """Seconds of one call."""
    start = time.perf_counter()
    booster.predict(scaled, raw_score=True, num_threads=cores())
    return time.perf_counter() - start


def last_rate() -> float:
    """Rows a second of the pass over the table, as the last run of `score` recorded it."""
    (run,) = mlflow.search_runs(experiment_names=["scoring"], max_results=1, output_format="list")
    return float(run.data.metrics["rows_per_second"])


if __name__ == "__main__":
    main()
