"""What LightGBM is best given for categories: average precision by how they are encoded.

    python -m benchmarks.encodings --seeds 3
    python -m benchmarks.encodings --data payments.csv --target isFraud --time step --category type

In the environment of requirements.txt. Without `--data` tables are drawn, with eight numbers and a
category of Zipf-distributed values, or twenty categories at once: with effects of their own, with a
few risky values, without any effect, or with values that come up over time. The earlier half
trains, with our hyperparameters, and the later half is scored.

With `--data` the categories of a CSV file are compared, by rolling origins where `--time` names a
column of hours and on stratified folds otherwise. Its other columns are numbers.

Prints a Markdown table: average precision, and the mean paired difference from the first encoding
with a 95 % interval by Student's t over tables and seeds, or over folds; then corrected for the
training rows that folds share (C. Nadeau, Y. Bengio, Inference for the generalization error, 2003).
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from itertools import product
from pathlib import Path

import lightgbm
import numpy as np
import pandas as pd
from scipy import stats
from sklearn.metrics import average_precision_score
from sklearn.preprocessing import TargetEncoder
from tqdm import tqdm

from benchmarks.recipes_folds import rolling, stratified
from fraud_model.arrays import Floats, Labels
from fraud_model.evaluation.folds import Fold
from fraud_model.training.config import Hyperparameters

NUMBERS, ROUNDS = 8, 400
MANY = 30
# Rows of a table by the share of frauds: so that some eighty frauds train at 0.2 %.
ROWS = {0.002: 80_000, 0.01: 40_000, 0.05: 20_000}
VALUES: dict[str, tuple[int, ...]] = {
    "5": (5,),
    "20": (20,),
    "300": (300,),
    "3,000": (3_000,),
    "20 columns": tuple(np.geomspace(2, 3_000, 20).astype(int).tolist()),
}
EFFECTS = ("every value", "a few values", "no value", "new values")
# LightGBM's defaults are 10, 10 and 100.
STRICT = {"cat_smooth": 100, "cat_l2": 50, "min_data_per_group": 200}


@dataclass(frozen=True)
class Encoded:
    """Inputs of rows to learn from and to score, shape (rows, inputs); codes come first."""

    learn: Floats
    test: Floats
    codes: int = 0


Encoding = Callable[[Floats, Floats, Labels], Encoded]


def natively(fewest: int, *, shares: bool = False) -> Encoding:
    """A code for each value of at least so many training rows, and 0 for all others.

    `shares` adds TargetEncoder's smoothed share of frauds, out of fold for the rows to learn from,
    of columns with `MANY` codes or more.
    """

    def encode(learn: Floats, test: Floats, labels: Labels) -> Encoded:
        parts = [_coded(learn, test, fewest)]
        many = parts[0][0].max(axis=0) >= MANY
        if shares and many.any():
            known, scored = parts[0]
            parts.append(shares_of_frauds(known[:, many], scored[:, many], labels))
        known, scored = (np.hstack(part) for part in zip(*parts, strict=True))
        return Encoded(known, scored, learn.shape[1])

    return encode


def as_shares(learn: Floats, test: Floats, labels: Labels) -> Encoded:
    """Only the share of frauds."""
    return Encoded(*shares_of_frauds(learn, test, labels))


def shares_of_frauds(learn: Floats, test: Floats, labels: Labels) -> tuple[Floats, Floats]:
    """scikit-learn's target statistics of each column."""
    encoder = TargetEncoder(target_type="binary")
    return encoder.fit_transform(learn, labels), encoder.transform(test)


def left_out(learn: Floats, test: Floats, labels: Labels) -> Encoded:
    """Nothing of the categories."""
    return Encoded(learn[:, :0], test[:, :0])


ENCODINGS: dict[str, tuple[Encoding, dict[str, int]]] = {
    "ours: codes, 10 rows or more, and shares of frauds": (natively(10, shares=True), {}),
    "the same, cat_l2=50": (natively(10, shares=True), {"cat_l2": 50}),
    "the same, strict": (natively(10, shares=True), STRICT),
    "codes, 10 rows or more": (natively(10), {}),
    "codes, 10 rows or more, strict": (natively(10), STRICT),
    "codes, 20 rows or more": (natively(20), {}),
    "codes of all values": (natively(1), {}),
    "shares of frauds": (as_shares, {}),
    "left out": (left_out, {}),
}


def draw(
    rate: float, values: str, effect: str, seed: int, scale: float
) -> tuple[Floats, Floats, Labels]:
    """Categories, shape (rows, columns), numbers, shape (rows, NUMBERS), and labels."""
    random = np.random.default_rng(seed)
    rows = round(scale * ROWS[rate])
    x = random.normal(size=(NUMBERS, rows))
    score = np.asarray(2 * x[0] + 2 * x[1] * (x[2] > 0) + np.abs(x[3]), dtype=np.float64)
    columns = []
    for count in VALUES[values]:
        shares = 1 / np.arange(1, count + 1)
        column = random.choice(count, rows, p=shares / shares.sum())
        if effect == "new values":
            column += count * (random.random(rows) < np.linspace(0, 0.6, rows))
        effects = random.normal(0, 1.5, 2 * count)
        if effect == "a few values":
            effects = np.where(random.random(2 * count) < 0.03, 3.0, 0.0)
        if effect == "no value" or (values == "20 columns" and random.random() < 0.6):
            effects = np.zeros(2 * count)
        score += effects[column]
        columns.append(random.permutation(2 * count)[column])
    noisy = score + random.logistic(size=rows)
    labels = (noisy > np.quantile(noisy, 1 - rate)).astype(np.int64)
    return np.column_stack(columns).astype(float), x.T, labels


def compare_categories(seeds: int, scale: float) -> None:
    """Prints what each encoding reaches on each kind of table, and over all."""
    cases = [
        case
        for case in product(ROWS, VALUES, EFFECTS)
        if case[1] in ("300", "3,000") or case[2] == "every value"
    ]
    found: dict[str, list[float]] = {name: [] for name in ENCODINGS}
    for case, seed in tqdm(list(product(cases, range(seeds))), unit="table"):
        categories, numbers, labels = draw(*case, seed, scale)
        rows = np.arange(len(labels))
        fold = Fold(*np.array_split(rows, 2))
        for name, (encoding, changed) in ENCODINGS.items():
            found[name].append(reached(encoding, changed, categories, numbers, labels, fold, seed))
    show(found, kinds=len(cases))


def compare_table(arguments: argparse.Namespace) -> None:
    """Prints what ours and its peers reach on a CSV file's own categories."""
    table = pd.read_csv(arguments.data).dropna(subset=[arguments.target])
    hours = None
    if arguments.time:
        table = table.sort_values(arguments.time, kind="stable")
        hours = table.pop(arguments.time).to_numpy(np.float64)
    labels = table.pop(arguments.target).to_numpy(np.int64)
    categories = np.column_stack(
        [pd.factorize(table.pop(name), sort=True)[0] for name in arguments.category]
    ).astype(float)
    numbers = table.drop(columns=arguments.exclude).to_numpy(np.float64)
    folds = list(stratified(labels, 0) if hours is None else rolling(hours, labels, 0))
    found: dict[str, list[float]] = {}
    for seed, fold in enumerate(tqdm(folds, unit="fold")):
        for name, (encoding, changed) in ENCODINGS.items():
            scored = reached(encoding, changed, categories, numbers, labels, fold, seed)
            found.setdefault(name, []).append(scored)
    show(found, shared=float(np.mean([len(fold.test) / len(fold.learn) for fold in folds])))


def reached(
    encoding: Encoding,
    changed: dict[str, int],
    categories: Floats,
    numbers: Floats,
    labels: Labels,
    fold: Fold,
    seed: int,
) -> float:
    """Average precision of our hyperparameters, apart from the changed ones."""
    encoded = encoding(categories[fold.learn], categories[fold.test], labels[fold.learn])
    learn = np.hstack([encoded.learn, numbers[fold.learn]])
    test = np.hstack([encoded.test, numbers[fold.test]])
    data = lightgbm.Dataset(
        learn, labels[fold.learn], categorical_feature=list(range(encoded.codes))
    )
    parameters = Hyperparameters(seed=seed).lightgbm_parameters() | changed
    scores = lightgbm.train(parameters, data, ROUNDS).predict(test, raw_score=True)
    return float(average_precision_score(labels[fold.test], np.asarray(scores)))


def show(found: dict[str, list[float]], *, kinds: int = 1, shared: float = 0.0) -> None:
    """Prints a row for each name; the first is what the others are compared with.

    `kinds` of tables stand one after the other, each with as many seeds. `shared` is the rows to
    score over those to learn from, where folds share rows.
    """
    print("| | average precision | difference from the first | least, by table | most |")
    print("|---|---|---|---|---|")
    first = np.array(next(iter(found.values())))
    for name, values in found.items():
        paired = np.array(values) - first
        error = paired.std(ddof=1) * np.sqrt(1 / len(paired) + shared)
        half = stats.t.ppf(0.975, len(paired) - 1) * error
        by_kind = paired.reshape(kinds, -1).mean(axis=1)
        print(
            f"| {name} | {np.mean(values):.4f} | {paired.mean():+.4f} ± {half:.4f} | "
            f"{by_kind.min():+.3f} | {by_kind.max():+.3f} |",
            flush=True,
        )


def _coded(learn: Floats, test: Floats, fewest: int) -> tuple[Floats, Floats]:
    coded = []
    for known, scored in zip(learn.T, test.T, strict=True):
        values, counts = np.unique(known, return_counts=True)
        kept = pd.Index(values[counts >= fewest])
        coded.append([kept.get_indexer(pd.Index(column)) + 1.0 for column in (known, scored)])
    learned, seen = (np.column_stack(part) for part in zip(*coded, strict=True))
    return learned, seen


def main() -> None:
    """Compares encodings on drawn tables, or on the one that is given."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--scale", type=float, default=1.0, help="of the rows of drawn tables")
    parser.add_argument("--data", type=Path, help="a CSV file")
    parser.add_argument("--target", default="Class")
    parser.add_argument("--time", help="a column of hours")
    parser.add_argument("--category", action="append", help="a column; can be repeated")
    parser.add_argument("--exclude", action="append", default=[], help="a column; can be repeated")
    arguments = parser.parse_args()
    if arguments.data:
        compare_table(arguments)
        return
    compare_categories(arguments.seeds, arguments.scale)


if __name__ == "__main__":
    main()
