"""Our hyperparameters against their peers: average precision by rolling origins and by folds.

    python3.11 -m venv .bench && . .bench/bin/activate
    pip install -r requirements.txt -r benchmarks/requirements.txt
    python -m benchmarks.recipes data/creditcard.csv --fraud-rate 0.00172

Takes any table that `train` takes, with the same `--target`, `--fraud`, `--time-unit`, `--exclude`
and so on. Every model is fitted on the same folds with a fixed number of rounds: with some thirty
frauds in a part for early stopping, its noise would be measured instead of the models. Peers get
categories and gaps as their libraries take them; see `recipes_peers`.
`recipes_folds` says which folds there are. The first table, by rolling origins, is the one that
counts: each model is fitted on all of the past, and once more on its earlier three quarters, which
is what it learns from where the newest quarter is kept for validation. If a table holds only a part
of the genuine traffic, a precision measured on it is too high: `--fraud-rate` weights the genuine
transactions of the scored fold so that frauds have this share of the weight. `--label-delay` leaves
out what is younger than so many hours at the origin.

Prints Markdown tables: mean average precision over the folds, its standard deviation between folds,
the mean paired difference from ours with a 95 % interval, and the median seconds of a fit as a
multiple of ours. The interval's standard error is corrected for the training sets that folds share
(C. Nadeau, Y. Bengio, Inference for the generalization error, 2003).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import numpy as np
from sklearn.metrics import average_precision_score
from tqdm import tqdm

from benchmarks.quality_table import parser_of_table
from benchmarks.recipes_folds import RollingFold, hours, pieces, rolling, stratified
from benchmarks.recipes_peers import PEERS, Inputs
from fraud_model.arrays import Counts, Floats, Labels
from fraud_model.data.dataset import Dataset, load_dataset
from fraud_model.data.overrides import ColumnRules
from fraud_model.evaluation.folds import Fold, mean_over_folds

ALL, EARLIER = "all", "earlier 75 %"
SECONDS_PER_HOUR = 3_600


@dataclass
class Reached:
    """Average precision and seconds of each fit, by model and what it learned from."""

    precision: dict[tuple[str, str], list[float]] = field(default_factory=dict)
    seconds: dict[tuple[str, str], list[float]] = field(default_factory=dict)
    test_over_learned: list[float] = field(default_factory=list)


def main() -> None:
    """Runs every peer on every fold and prints the tables."""
    parser = parser_of_table(__doc__)
    parser.add_argument("--label-delay", type=float, default=0.0, help="hours")
    parser.add_argument("--fraud", default="", help="value of the target that means fraud")
    parser.add_argument("--repeats", type=int, default=5, help="of the folds dealt at random")
    parser.add_argument("--folds", type=int, help="of each kind, at most; all of them by default")
    arguments = parser.parse_args()
    dataset = load_dataset(
        str(arguments.table),
        target=arguments.target,
        time=arguments.time,
        amount=arguments.amount,
        rules=ColumnRules(
            fraud=arguments.fraud, time_unit=arguments.time_unit, exclude=arguments.exclude
        ),
    )
    labels = dataset.table[dataset.columns.target].to_numpy()
    rate = arguments.fraud_rate or dataset.fraud_rate
    weight = dataset.genuine_weight(rate)
    print(f"{len(labels):,} transactions, {labels.sum()} frauds, weighted to {rate:.3%}")
    seeds = range(arguments.repeats)
    schemes: dict[str, Callable[[], Iterable[Fold]]] = {}
    seconds = dataset.seconds
    if seconds is not None:
        times = seconds / SECONDS_PER_HOUR
        delay = arguments.label_delay
        schemes |= {
            "rolling origins": lambda: rolling(times, labels, delay),
            "contiguous pieces": lambda: pieces(times, labels),
            "whole hours": lambda: (fold for seed in seeds for fold in hours(times, seed)),
        }
    schemes["stratified"] = lambda: (fold for seed in seeds for fold in stratified(labels, seed))
    for scheme, folds in schemes.items():
        if not (dealt := list(folds())[: arguments.folds]):
            continue
        reached = run(dealt, dataset, labels, weight)
        print(f"\n{scheme}, {len(dealt)} folds\n")
        print("| model | learned from | average precision | spread | difference from ours | fit |")
        print("|---|---|---|---|---|---|", *rows(reached), sep="\n", flush=True)


def run(folds: list[Fold], dataset: Dataset, labels: Labels, genuine_weight: float) -> Reached:
    """Every peer on every fold."""
    reached = Reached()
    for seed, fold in enumerate(tqdm(folds, unit="fold")):
        reached.test_over_learned.append(len(fold.test) / len(fold.learn))
        weights = np.where(labels[fold.test] == 1, 1.0, genuine_weight)
        learned: dict[str, Counts] = {ALL: fold.learn}
        if isinstance(fold, RollingFold):
            learned[EARLIER] = fold.earlier
        for what, learn in learned.items():
            past, test = Inputs.of(dataset, learn, fold.test)
            for name, peer in PEERS.items():
                start = time.perf_counter()
                score = peer(past, labels[learn], seed)
                seconds = time.perf_counter() - start
                scores = score(test)
                precision = average_precision_score(
                    labels[fold.test], scores, sample_weight=weights
                )
                reached.seconds.setdefault((name, what), []).append(seconds)
                reached.precision.setdefault((name, what), []).append(float(precision))
    return reached


def rows(reached: Reached) -> Iterable[str]:
    """Of a Markdown table."""
    ours = np.array(reached.precision["ours", ALL])
    fit = np.median(reached.seconds["ours", ALL])
    for (name, what), values in reached.precision.items():
        paired = np.array(values) - ours
        ratio = np.median(reached.seconds[name, what]) / fit
        yield (
            f"| {name} | {what} | {np.mean(values):.4f} | {np.std(values, ddof=1):.3f} | "
            f"{_difference(paired, float(np.mean(reached.test_over_learned)))} | {ratio:.1f} |"
        )


def _difference(paired: Floats, test_over_learned: float) -> str:
    if not paired.any():
        return ""
    over = mean_over_folds(paired, test_over_learned)
    return f"{over.value:+.4f} ± {over.high - over.value:.4f}"


if __name__ == "__main__":
    main()
