"""How often the intervals of average precision cover the truth, and how wide they are.

    python -m benchmarks.intervals

In the environment of requirements.txt. Holdouts of ten hours are drawn from populations whose
average precision is known, with some 10, 30 and 100 frauds in 0.172 %, one by one or in bursts.
Each method of `intervals_peers` gives its 95 % interval of a champion's average precision, and of
that of a challenger minus the champion's. Prints Markdown: how many of the draws cover the truth,
and the median width.
"""

from __future__ import annotations

import argparse

import numpy as np
from tqdm import tqdm

from benchmarks.intervals_peers import METHODS
from benchmarks.intervals_population import POPULATIONS, Population
from fraud_model.arrays import Floats

FRAUDS = (10, 30, 100)
ROUNDING = 1e-12


def main() -> None:
    """Draws, counts and prints the tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--draws", type=int, default=60)
    arguments = parser.parse_args()
    for population in POPULATIONS:
        level, difference = population.truth
        columns = [
            limits(population, frauds, arguments.draws)
            for frauds in tqdm(FRAUDS, desc=population.name, leave=False)
        ]
        for kind, what, truth in ((0, "average precision", level), (1, "difference", difference)):
            print(f"\n{population.name}: {what} {truth:.3f}, of {arguments.draws} draws\n")
            print(f"| interval | {' | '.join(f'{frauds} frauds' for frauds in FRAUDS)} |")
            print(f"|---{'|---' * len(FRAUDS)}|")
            for method in METHODS:
                cells = [_cell(column[method][:, kind], truth) for column in columns]
                print(f"| {method} | {' | '.join(cells)} |", flush=True)


def limits(population: Population, frauds: int, draws: int) -> dict[str, Floats]:
    """Of each method, shape (draws, 2, 2): average precision and difference, low and high."""
    random = np.random.default_rng(frauds)
    found: dict[str, list[object]] = {name: [] for name in METHODS}
    for _ in range(draws):
        holdout = population.draw(random, frauds)
        for name, method in METHODS.items():
            found[name].append(method(holdout))
    return {name: np.array(values) for name, values in found.items()}


def _cell(found: Floats, truth: float) -> str:
    low, high = found.T
    covering = (low <= truth + ROUNDING) & (truth - ROUNDING <= high)
    return f"{covering.sum()} ({np.median(high - low):.3f})"


if __name__ == "__main__":
    main()
