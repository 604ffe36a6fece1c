"""What a second worker of a Dask cluster gains, and what that means for sixteen, by arithmetic.

    python -m benchmarks.dask_scaling

In the environment of requirements.txt and benchmarks/requirements.txt, on a machine with two cores
and nothing else to do. Simulated rows (30 features) go through what a training on a cluster does
with them, on clusters of one and of two worker processes of one thread each, in turn:

- prepare: this process fits encoder and scaler, and scales the rows;
- send: this process sends them to the workers;
- fit: `lightgbm.dask` fits one booster of 100 rounds;
- score: the workers score the rows that they have.

Prints a Markdown table, medians with lowest and highest: seconds that pass, and the processor's,
of this process or of the busiest worker, which other work on the machine changes little. Then what
follows for 16 workers by Amdahl's law: of a time of T1 with one worker and T2 with two, 2 T2 - T1
stays, and 2 (T1 - T2) is shared among them. What this process does alone stays as it is.
"""

from __future__ import annotations

import argparse
import logging
import statistics
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, redirect_stdout
from io import StringIO

from distributed import Client, LocalCluster

from benchmarks.figures import spread
from fraud_model.arrays import Floats, Labels
from fraud_model.data.overrides import ColumnRules
from fraud_model.data.schema import DEFAULT_AMOUNT, DEFAULT_TARGET, DEFAULT_TIME
from fraud_model.data.simulation import FULL_FRAUDS, FULL_ROWS, simulate
from fraud_model.data.table import columns_of
from fraud_model.model.encoding import Encoder
from fraud_model.training.config import Hyperparameters
from fraud_model.training.inputs import fit_inputs
from fraud_model.training.place import opened

MANY = 16
# What the workers share; the rest is this process's.
SHARED = ("fit", "score")
KINDS = ("s", "processor s")
# By phase: seconds of each kind.
Taken = dict[str, list[tuple[float, float]]]


def main() -> None:
    """Measures, and prints the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=100)
    parser.add_argument("--repeats", type=int, default=5)
    arguments = parser.parse_args()
    taken: dict[int, Taken] = {1: defaultdict(list), 2: defaultdict(list)}
    prepared = prepare(arguments.rows, arguments.repeats, list(taken.values()))
    hyperparameters = Hyperparameters(rounds=arguments.rounds)
    with ExitStack() as stack:
        addresses = {workers: stack.enter_context(started(workers)) for workers in taken}
        # The first round of each is not counted: workers import LightGBM in it.
        for counted in [False] + [True] * arguments.repeats:
            for workers, address in addresses.items():
                found = measure(address, *prepared, hyperparameters)
                for name, seconds in found.items():
                    taken[workers][name] += seconds if counted else []
    heads = [f"{n} worker{'s' * (n > 1)}, {kind}" for kind in KINDS for n in (1, 2, MANY)]
    print(f"| {arguments.rows:,} rows | {' | '.join(heads)} |")
    print("|---" * (1 + len(heads)) + "|")
    for line in table(taken):
        print(line)


def prepare(rows: int, repeats: int, taken: list[Taken]) -> tuple[Floats, Labels, Encoder]:
    """Scaled inputs and labels of simulated rows; that takes as long with any number of workers."""
    transactions = simulate(rows, rows * FULL_FRAUDS // FULL_ROWS, seed=0)
    columns, _ = columns_of(
        transactions, "simulated", DEFAULT_TARGET, DEFAULT_TIME, DEFAULT_AMOUNT, ColumnRules()
    )
    for _ in range(repeats):
        found: Taken = defaultdict(list)
        with timed(found, "prepare", time.process_time):
            inputs = fit_inputs(transactions, columns)
        for each in taken:
            each["prepare"] += found["prepare"]
    return inputs.scaled, transactions[DEFAULT_TARGET].to_numpy(), inputs.encoder


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
    address: str,
    scaled: Floats,
    labels: Labels,
    encoder: Encoder,
    hyperparameters: Hyperparameters,
) -> Taken:
    """Sends the rows, fits a booster on them and scores them, once."""
    taken: Taken = defaultdict(list)
    with ExitStack() as stack:
        stack.enter_context(redirect_stdout(StringIO()))
        place = stack.enter_context(opened(address))
        with Client(address, set_as_default=False) as client:
            before = client.run(time.process_time)

            def busiest() -> float:
                now = client.run(time.process_time)
                return float(max(now[worker] - before[worker] for worker in now))

            with timed(taken, "send", time.process_time):
                rows = stack.enter_context(place.hold(scaled, labels, encoder))
            with timed(taken, "fit", busiest):
                booster = rows.train(hyperparameters, hyperparameters.rounds)
            with timed(taken, "score", busiest):
                rows.log_odds([booster])
    return taken


@contextmanager
def timed(taken: Taken, name: str, processor: Callable[[], float]) -> Iterator[None]:
    """Adds what the block takes: seconds, and the processor's by a clock of its own."""
    used, start = processor(), time.perf_counter()
    yield
    elapsed = time.perf_counter() - start
    taken[name].append((elapsed, processor() - used))


def table(taken: dict[int, Taken]) -> Iterator[str]:
    """The rows of the table, with the sums as the last but one."""
    sums = [0.0] * 3 * len(KINDS)
    for name in ("prepare", "send", *SHARED):
        cells, medians = [], []
        for kind in range(len(KINDS)):
            found = [[each[kind] for each in taken[workers][name]] for workers in (1, 2)]
            one, two = (statistics.median(seconds) for seconds in found)
            many = 2 * two - one + 2 * (one - two) / MANY if name in SHARED else two
            medians += [one, two, many]
            cells += [spread(each) for each in found]
            cells.append(f"{many:.2f}")
        sums = [total + more for total, more in zip(sums, medians, strict=True)]
        yield f"| {name} | {' | '.join(cells)} |"
    yield f"| all | {' | '.join(f'{total:.2f}' for total in sums)} |"
    faster = [sums[place // 3 * 3] / total for place, total in enumerate(sums)]
    yield f"| times as fast | {' | '.join(f'{ratio:.2f}' for ratio in faster)} |"


if __name__ == "__main__":
    main()
