"""What a second worker of a Dask cluster gains, and what that means for sixteen, by arithmetic.

    python -m benchmarks.dask_scaling

In the environment of requirements.txt and benchmarks/requirements.txt, on a machine with two cores
and nothing else to do. Simulated rows (30 features) go through what a training on a cluster does
with them, on clusters of one and of two worker processes of one thread each, in turn:

- prepare: this process fits encoder and scaler, and scales the rows;
- send: this process sends them to the workers;
- fit: `lightgbm.dask` fits one booster of 100 rounds;
- score: the workers score the rows that they have.

Prints a Markdown table of the seconds, medians with lowest and highest, and what follows for
16 workers by Amdahl's law: of a time of T1 with one worker and T2 with two, 2 T2 - T1 stays, and
2 (T1 - T2) is shared among them. What this process does alone stays as it is.
"""

from __future__ import annotations

import argparse
import logging
import statistics
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, redirect_stdout
from io import StringIO

from distributed import LocalCluster

from fraud_model.arrays import Floats, Labels
from fraud_model.data.columns import Columns
from fraud_model.data.overrides import ColumnRules
from fraud_model.data.schema import DEFAULT_AMOUNT, DEFAULT_TARGET, DEFAULT_TIME
from fraud_model.data.simulation import FULL_FRAUDS, FULL_ROWS, simulate
from fraud_model.data.table import columns_of
from fraud_model.model.encoding import Encoder
from fraud_model.training.config import Hyperparameters
from fraud_model.training.inputs import fit_encoder, fit_scaler
from fraud_model.training.place import Place, opened

MANY = 16
# What the workers share; the rest is this process's.
SHARED = ("fit", "score")
Seconds = dict[str, list[float]]


def main() -> None:
    """Measures, and prints the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=100)
    parser.add_argument("--repeats", type=int, default=5)
    arguments = parser.parse_args()
    taken: dict[int, Seconds] = {1: defaultdict(list), 2: defaultdict(list)}
    prepared = prepare(arguments.rows, arguments.repeats, list(taken.values()))
    hyperparameters = Hyperparameters(rounds=arguments.rounds)
    with ExitStack() as stack:
        addresses = {workers: stack.enter_context(started(workers)) for workers in taken}
        # The first round of each is not counted: workers import LightGBM in it.
        for counted in [False] + [True] * arguments.repeats:
            for workers, address in addresses.items():
                with redirect_stdout(StringIO()), opened(address) as place:
                    measure(place, *prepared, hyperparameters, taken[workers], counted)
    print(f"| {arguments.rows:,} rows | 1 worker, s | 2 workers, s | {MANY} workers, s |")
    print("|---|---|---|---|")
    for line in table(taken):
        print(line)


def prepare(rows: int, repeats: int, taken: list[Seconds]) -> tuple[Floats, Labels, Encoder]:
    """Scaled inputs and labels of simulated rows; that takes as long with any number of workers."""
    transactions = simulate(rows, rows * FULL_FRAUDS // FULL_ROWS, seed=0)
    columns: Columns
    columns, _ = columns_of(
        transactions, "simulated", DEFAULT_TARGET, DEFAULT_TIME, DEFAULT_AMOUNT, ColumnRules()
    )
    for _ in range(repeats):
        seconds: Seconds = defaultdict(list)
        with timed(seconds, "prepare"):
            encoder, inputs = fit_encoder(transactions, columns)
            scaled = fit_scaler(inputs, encoder).transform(inputs)
        for each in taken:
            each["prepare"] += seconds["prepare"]
    return scaled, transactions[DEFAULT_TARGET].to_numpy(), encoder


@contextmanager
def started(workers: int) -> Iterator[str]:
    """The address of a cluster of so many worker processes of one thread each."""
    with LocalCluster(
        n_workers=workers,
        threads_per_worker=1,
        dashboard_address="127.0.0.1:0",
        silence_logs=logging.ERROR,
    ) as cluster:
        yield cluster.scheduler_address


def measure(
    place: Place,
    scaled: Floats,
    labels: Labels,
    encoder: Encoder,
    hyperparameters: Hyperparameters,
    taken: Seconds,
    counted: bool,
) -> None:
    """Sends the rows, fits a booster on them and scores them, once."""
    seconds: Seconds = defaultdict(list)
    with ExitStack() as stack:
        with timed(seconds, "send"):
            rows = stack.enter_context(place.hold(scaled, labels, encoder))
        with timed(seconds, "fit"):
            booster = rows.train(hyperparameters, hyperparameters.rounds)
        with timed(seconds, "score"):
            rows.log_odds([booster])
    for name, found in seconds.items():
        taken[name] += found if counted else []


@contextmanager
def timed(taken: Seconds, name: str) -> Iterator[None]:
    """Adds the seconds that the block takes."""
    start = time.perf_counter()
    yield
    taken[name].append(time.perf_counter() - start)


def table(taken: dict[int, Seconds]) -> Iterator[str]:
    """The rows of the table, with the sum as the last one."""
    sums = [0.0, 0.0, 0.0]
    for name in ("prepare", "send", *SHARED):
        one, two = (statistics.median(taken[workers][name]) for workers in (1, 2))
        many = 2 * two - one + 2 * (one - two) / MANY if name in SHARED else two
        sums = [total + more for total, more in zip(sums, (one, two, many), strict=True)]
        cells = [
            f"{statistics.median(taken[workers][name]):.2f} "
            f"({min(taken[workers][name]):.2f} to {max(taken[workers][name]):.2f})"
            for workers in (1, 2)
        ]
        yield f"| {name} | {' | '.join(cells)} | {many:.2f} |"
    yield f"| all | {' | '.join(f'{total:.2f}' for total in sums)} |"
    yield f"| times as fast | 1 | {sums[0] / sums[1]:.2f} | {sums[0] / sums[2]:.2f} |"


if __name__ == "__main__":
    main()
