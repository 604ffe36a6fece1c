"""Our hyperparameters against their peers: average precision by repeated cross-validation.

    python3.11 -m venv .bench && . .bench/bin/activate
    pip install -r requirements.txt -r benchmarks/requirements.txt
    python -m benchmarks.recipes data/creditcard.csv --fraud-rate 0.00172

Every model is fitted on the same stratified folds of standardised features with a fixed number of
rounds: with some thirty frauds in a part for early stopping, its noise would be measured instead of
the models. If a table holds only a part of the genuine traffic, a precision measured on it is too
high: `--fraud-rate` weights the genuine transactions of the scored fold so that frauds have this
share of the weight.

Prints a Markdown table: mean average precision over all folds, its standard deviation between
folds, the mean paired difference from ours with a 95 % interval, and the median seconds of a fit as
a multiple of ours. The interval's standard error is corrected for the training sets that
repetitions share (C. Nadeau, Y. Bengio, Inference for the generalization error, 2003).
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from pathlib import Path

import lightgbm
import numpy as np
import xgboost
from scipy import stats
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import average_precision_score
from sklearn.model_selection import RepeatedStratifiedKFold
from sklearn.preprocessing import StandardScaler
from tqdm import tqdm

from fraud_model.arrays import Floats, Labels
from fraud_model.data.dataset import load_dataset
from fraud_model.data.schema import DEFAULT_AMOUNT, DEFAULT_TARGET, DEFAULT_TIME
from fraud_model.training.config import Hyperparameters

Scorer = Callable[[Floats], Floats]
Peer = Callable[[Floats, Labels, int], Scorer]

FOLDS = 5
ROUNDS = 400
LEARNING_RATE = 0.05


def ours(features: Floats, labels: Labels, seed: int) -> Scorer:
    """The hyperparameters of the `train` entry point."""
    hyperparameters = Hyperparameters(seed=seed)
    return _boosted(hyperparameters.lightgbm_parameters(), hyperparameters.rounds, features, labels)


def plain_lightgbm(features: Floats, labels: Labels, seed: int) -> Scorer:
    """LightGBM's defaults at learning rate 0.05, 400 rounds."""
    return _boosted(_plain(seed), ROUNDS, features, labels)


def weighted_lightgbm(features: Floats, labels: Labels, seed: int) -> Scorer:
    """The same with scale_pos_weight = negatives / positives."""
    weight = (labels == 0).sum() / (labels == 1).sum()
    return _boosted({**_plain(seed), "scale_pos_weight": weight}, ROUNDS, features, labels)


def xgb(features: Floats, labels: Labels, seed: int) -> Scorer:
    """XGBoost's defaults at learning rate 0.05, 400 rounds."""
    model = xgboost.XGBClassifier(
        n_estimators=ROUNDS, learning_rate=LEARNING_RATE, random_state=seed
    ).fit(features, labels)
    return lambda rows: np.asarray(model.predict_proba(rows)[:, 1], dtype=np.float64)


def random_forest(features: Floats, labels: Labels, seed: int) -> Scorer:
    """400 trees, scikit-learn's defaults."""
    model = RandomForestClassifier(n_estimators=ROUNDS, random_state=seed, n_jobs=-1)
    model.fit(features, labels)
    return lambda rows: np.asarray(model.predict_proba(rows)[:, 1])


def logistic_regression(features: Floats, labels: Labels, seed: int) -> Scorer:
    """The baseline that `train` makes a model beat."""
    model = LogisticRegression(max_iter=1000, random_state=seed).fit(features, labels)
    return lambda rows: np.asarray(model.decision_function(rows))


PEERS: dict[str, Peer] = {
    "ours": ours,
    "plain LightGBM": plain_lightgbm,
    "XGBoost": xgb,
    "random forest": random_forest,
    "logistic regression": logistic_regression,
    "LightGBM, scale_pos_weight": weighted_lightgbm,
}


def main() -> None:
    """Runs every peer on every fold and prints the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("table", type=Path)
    parser.add_argument("--fraud-rate", type=float, help="share of frauds in the real traffic")
    parser.add_argument("--repeats", type=int, default=5)
    arguments = parser.parse_args()
    dataset = load_dataset(
        str(arguments.table), target=DEFAULT_TARGET, time=DEFAULT_TIME, amount=DEFAULT_AMOUNT
    )
    features = dataset.table[list(dataset.columns.features)].to_numpy()
    labels = dataset.table[dataset.columns.target].to_numpy()
    rate = arguments.fraud_rate or dataset.fraud_rate
    weight = (1 - rate) / rate * labels.sum() / (labels == 0).sum()
    reached, seconds = cross_validate(features, labels, weight, arguments.repeats)
    print(
        f"\n{len(labels):,} transactions, {labels.sum()} frauds, "
        f"{FOLDS} folds x {arguments.repeats}"
    )
    print("| model | average precision | spread | difference from ours | fit |")
    print("|---|---|---|---|---|")
    for name, values in reached.items():
        ratio = np.median(seconds[name]) / np.median(seconds["ours"])
        print(
            f"| {name} | {values.mean():.4f} | {values.std(ddof=1):.3f} | "
            f"{_difference(values - reached['ours'])} | {ratio:.1f} |"
        )


def cross_validate(
    features: Floats, labels: Labels, genuine_weight: float, repeats: int
) -> tuple[dict[str, Floats], dict[str, list[float]]]:
    """Average precision and seconds per fit of every peer, fold by fold."""
    folds = RepeatedStratifiedKFold(n_splits=FOLDS, n_repeats=repeats, random_state=0)
    reached: dict[str, list[float]] = {name: [] for name in PEERS}
    seconds: dict[str, list[float]] = {name: [] for name in PEERS}
    steps = tqdm(list(folds.split(features, labels)), unit="fold")
    for seed, (train, test) in enumerate(steps):
        scaler = StandardScaler().fit(features[train])
        weights = np.where(labels[test] == 1, 1.0, genuine_weight)
        for name, peer in PEERS.items():
            start = time.perf_counter()
            score = peer(scaler.transform(features[train]), labels[train], seed)
            seconds[name].append(time.perf_counter() - start)
            scores = score(scaler.transform(features[test]))
            reached[name].append(
                float(average_precision_score(labels[test], scores, sample_weight=weights))
            )
    return {name: np.array(values) for name, values in reached.items()}, seconds


def _plain(seed: int) -> dict[str, object]:
    return {"objective": "binary", "learning_rate": LEARNING_RATE, "seed": seed, "verbose": -1}


def _boosted(
    parameters: dict[str, object], rounds: int, features: Floats, labels: Labels
) -> Scorer:
    booster = lightgbm.train(parameters, lightgbm.Dataset(features, labels), rounds)
    return lambda rows: np.asarray(booster.predict(rows, raw_score=True))


def _difference(paired: Floats) -> str:
    if not paired.any():
        return ""
    folds = len(paired)
    error = paired.std(ddof=1) * np.sqrt(1 / folds + 1 / (FOLDS - 1))
    margin = stats.t.ppf(0.975, folds - 1) * error
    return f"{paired.mean():+.4f} ± {margin:.4f}"


if __name__ == "__main__":
    main()
