"""What to make of categories with many values: average precision by how they are encoded.

    python -m benchmarks.categories --seeds 5

In the environment of requirements.txt. Tables are drawn whose category has Zipf-distributed values:
with effects of their own, with a few risky values, without any effect, or with new values coming up
over time; beside it stand eight numbers. The earlier 60 % train, with our hyperparameters, and the
rest is scored. What is learned of the values, frequency or share of frauds, is learned from the
training rows.

Prints a Markdown table: average precision of ours by table, and the mean paired difference of the
others from it over the tables, with a 95 % interval by Student's t over tables and seeds.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import product

import lightgbm
import numpy as np
from scipy import stats
from sklearn.metrics import average_precision_score
from sklearn.preprocessing import TargetEncoder
from tqdm import tqdm

from fraud_model.arrays import Counts, Flags, Floats, Labels
from fraud_model.training.config import Hyperparameters
from fraud_model.training.inputs import FEWEST_ROWS_OF_A_CATEGORY

ROWS, NUMBERS, TRAINED = 40_000, 8, 0.6
RATES, VALUES = (0.01, 0.05), (300, 3_000)
EFFECTS = ("every value", "a few values", "no value", "new values")
ROUNDS = 400


@dataclass(frozen=True)
class Table:
    """A category (int64), numbers, labels, and which rows train; the first axis are the rows."""

    category: Counts
    numbers: Floats
    labels: Labels
    trains: Flags


def draw(rate: float, values: int, effect: str, seed: int) -> Table:
    """A table with a share of frauds, so many values, and what they have to do with fraud."""
    random = np.random.default_rng(seed)
    shares = 1 / np.arange(1, values + 1)
    category = random.choice(values, ROWS, p=shares / shares.sum())
    if effect == "new values":
        category = np.where(
            random.random(ROWS) < np.linspace(0, 0.4, ROWS), category + values, category
        )
    effects = random.normal(size=2 * values)
    if effect == "a few values":
        effects = np.where(random.random(2 * values) < 0.03, 3.0, 0.0)
    if effect == "no value":
        effects = np.zeros(2 * values)
    x = random.normal(size=(ROWS, NUMBERS))
    score = 1.2 * effects[category] + 1.2 * x[:, 0] + 1.5 * ((x[:, 1] > 1) & (x[:, 2] > 0))
    score += 0.5 * x[:, 3] * x[:, 4] + 0.7 * random.logistic(size=ROWS)
    labels = (score > np.quantile(score, 1 - rate)).astype(np.int64)
    return Table(category, x, labels, np.arange(ROWS) < TRAINED * ROWS)


def codes(table: Table, fewest: int) -> Floats:
    """A code for each value of at least so many training rows, the most frequent first; else 0."""
    counts = counts_of(table)
    order = np.argsort(-counts, kind="stable")
    kept = order[counts[order] >= fewest]
    code = np.zeros(len(counts))
    code[kept] = np.arange(1, len(kept) + 1)
    return code[table.category]


def counts_of(table: Table) -> Counts:
    """How many training rows each value has, shape (values,)."""
    return np.bincount(table.category[table.trains], minlength=int(table.category.max()) + 1)


def shares_of_frauds(table: Table) -> Floats:
    """scikit-learn's target statistics: smoothed, and out of fold for training rows."""
    encoder = TargetEncoder(random_state=0)
    values, trains = table.category[:, None], table.trains
    encoded = np.empty(len(values))
    encoded[trains] = encoder.fit_transform(values[trains], table.labels[trains])[:, 0]
    encoded[~trains] = encoder.transform(values[~trains])[:, 0]
    return encoded


def natively(fewest: int) -> Callable[[Table], tuple[list[Floats], list[int]]]:
    """LightGBM's own categories, pooled below so many rows."""
    return lambda table: ([codes(table, fewest)], [0])


OURS = f"native, {FEWEST_ROWS_OF_A_CATEGORY} rows or more (ours)"
ENCODINGS: dict[str, Callable[[Table], tuple[list[Floats], list[int]]]] = {
    OURS: natively(FEWEST_ROWS_OF_A_CATEGORY),
    "native, all values": natively(1),
    "native, 5 rows or more": natively(5),
    "native, 20 rows or more": natively(20),
    "native, 50 rows or more": natively(50),
    "left out": lambda table: ([], []),
    "codes as numbers": lambda table: ([codes(table, 1)], []),
    "ours and counts": lambda table: (
        [codes(table, FEWEST_ROWS_OF_A_CATEGORY), counts_of(table)[table.category].astype(float)],
        [0],
    ),
    "shares of frauds": lambda table: ([shares_of_frauds(table)], []),
    "ours and shares of frauds": lambda table: (
        [codes(table, FEWEST_ROWS_OF_A_CATEGORY), shares_of_frauds(table)],
        [0],
    ),
}


def reached(table: Table, encoding: str) -> float:
    """Average precision on the rows that do not train."""
    columns, categorical = ENCODINGS[encoding](table)
    inputs, trains = np.column_stack([*columns, table.numbers]), table.trains
    data = lightgbm.Dataset(inputs[trains], table.labels[trains], categorical_feature=categorical)
    booster = lightgbm.train(Hyperparameters().lightgbm_parameters(), data, ROUNDS)
    scores = np.asarray(booster.predict(inputs[~trains], raw_score=True))
    return float(average_precision_score(table.labels[~trains], scores))


def main() -> None:
    """Fits every encoding on every table and prints the result."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", type=int, default=5)
    seeds = range(parser.parse_args().seeds)
    cases = list(product(RATES, VALUES, EFFECTS))
    found: dict[str, list[float]] = {name: [] for name in ENCODINGS}
    for case, seed in tqdm(list(product(cases, seeds)), unit="table"):
        table = draw(*case, seed)
        for name in ENCODINGS:
            found[name].append(reached(table, name))
    print("| frauds | values | effect of | average precision of ours |")
    print("|---|---|---|---|")
    ours = np.array(found[OURS]).reshape(len(cases), len(seeds))
    for (rate, values, effect), own in zip(cases, ours.mean(axis=1), strict=True):
        print(f"| {rate:.0%} | {values:,} | {effect} | {own:.3f} |")
    print("\n| encoding | difference from ours | smallest, by table | largest |")
    print("|---|---|---|---|", *_rows(found, len(cases)), sep="\n")


def _rows(found: dict[str, list[float]], cases: int) -> Iterator[str]:
    for name, values in found.items():
        if name == OURS:
            continue
        paired = np.array(values) - np.array(found[OURS])
        spread = stats.sem(paired) if len(paired) > 1 else 0.0
        half = spread * float(stats.t.ppf(0.975, max(1, len(paired) - 1)))
        by_table = paired.reshape(cases, -1).mean(axis=1)
        yield (
            f"| {name} | {paired.mean():+.4f} ± {half:.4f} | {by_table.min():+.3f} | "
            f"{by_table.max():+.3f} |"
        )


if __name__ == "__main__":
    main()
