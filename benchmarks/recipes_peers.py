"""What `recipes` compares: our hyperparameters and peers, each at its library's defaults.

Ours learns what `train` makes of the columns. Peers get the same numbers and times, and each
category as a code of its own, however rare, which their libraries take as a category; the forest
takes codes as numbers. Gaps are left to each library.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import catboost
import lightgbm
import numpy as np
import pandas as pd
import xgboost
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier

from fraud_model.arrays import Counts, Floats, Labels
from fraud_model.data.dataset import Dataset
from fraud_model.model.encoding import Encoder
from fraud_model.model.feature import UNKNOWN, category_of
from fraud_model.training.config import Hyperparameters
from fraud_model.training.inputs import fit_baseline, fit_inputs, scaled_inputs


@dataclass(frozen=True)
class Inputs:
    """Rows as models learn and score them, both of shape (rows, inputs).

    `ours` are scaled, with the categories that are frequent in what was learned. `theirs` have all
    categories that were learned as codes, NaN where one was not. `encoder` is ours, `whole` theirs.
    """

    ours: Floats
    theirs: Floats
    encoder: Encoder
    whole: Encoder

    @classmethod
    def of(cls, dataset: Dataset, learn: Counts, test: Counts) -> tuple[Inputs, Inputs]:
        """The rows to learn and to score, by their places in a dataset."""
        past, future = (dataset.table.iloc[rows] for rows in (learn, test))
        ours = fit_inputs(past, dataset.columns)
        encoder = ours.encoder
        whole = replace(
            encoder,
            features=tuple(
                replace(
                    f, rates=(), vocabulary=tuple(past[f.name].dropna().map(category_of).unique())
                )
                if f.kind == "category"
                else f
                for f in encoder.features
            ),
        )
        return (
            cls(ours.scaled, _without_unknown(whole, past), encoder, whole),
            cls(
                scaled_inputs(future, encoder, ours.scaler),
                _without_unknown(whole, future),
                encoder,
                whole,
            ),
        )

    @property
    def categorical(self) -> list[int]:
        """The places of their inputs that are codes."""
        return list(self.whole.categorical)


def _all_values(column: pd.Series) -> tuple[str, ...]:
    return tuple(column.dropna().map(category_of).unique())


def _without_unknown(encoder: Encoder, rows: pd.DataFrame) -> Floats:
    values = encoder.encode(rows)
    codes = values[:, list(encoder.categorical)]
    values[:, list(encoder.categorical)] = np.where(codes == UNKNOWN, np.nan, codes)
    return values


Scorer = Callable[[Inputs], Floats]
Peer = Callable[[Inputs, Labels, int], Scorer]

ROUNDS = 400
LEARNING_RATE = 0.05


def ours(inputs: Inputs, labels: Labels, seed: int) -> Scorer:
    """The hyperparameters of the `train` entry point, on what it makes of the columns."""
    hyperparameters = Hyperparameters(seed=seed)
    codes = list(inputs.encoder.categorical)
    data = lightgbm.Dataset(inputs.ours, labels, categorical_feature=codes)
    booster = lightgbm.train(
        hyperparameters.lightgbm_parameters(), data, num_boost_round=hyperparameters.rounds
    )
    return lambda rows: np.asarray(booster.predict(rows.ours, raw_score=True))


def plain_lightgbm(inputs: Inputs, labels: Labels, seed: int) -> Scorer:
    """LightGBM's defaults at learning rate 0.05, 400 rounds."""
    return _boosted(_plain(seed), inputs, labels)


def weighted_lightgbm(inputs: Inputs, labels: Labels, seed: int) -> Scorer:
    """The same with scale_pos_weight = negatives / positives."""
    weight = (labels == 0).sum() / (labels == 1).sum()
    return _boosted({**_plain(seed), "scale_pos_weight": weight}, inputs, labels)


def histogram(inputs: Inputs, labels: Labels, seed: int) -> Scorer:
    """scikit-learn's boosting at learning rate 0.05, 400 rounds.

    A column of more than 255 categories, which it refuses, is a number to it.
    """
    few = [place for place in inputs.categorical if np.nanmax(inputs.theirs[:, place]) < 255]
    model = HistGradientBoostingClassifier(
        max_iter=ROUNDS,
        learning_rate=LEARNING_RATE,
        early_stopping=False,
        categorical_features=few or None,
        random_state=seed,
    ).fit(inputs.theirs, labels)
    return lambda rows: np.asarray(model.decision_function(rows.theirs))


def xgb(inputs: Inputs, labels: Labels, seed: int) -> Scorer:
    """XGBoost's defaults at learning rate 0.05, 400 rounds."""
    types = ["c" if place in inputs.categorical else "float" for place in _places(inputs)]
    model = xgboost.XGBClassifier(
        n_estimators=ROUNDS,
        learning_rate=LEARNING_RATE,
        random_state=seed,
        feature_types=types,
        enable_categorical=True,
    ).fit(inputs.theirs, labels)
    return lambda rows: np.asarray(model.predict_proba(rows.theirs)[:, 1], dtype=np.float64)


def cat(inputs: Inputs, labels: Labels, seed: int) -> Scorer:
    """CatBoost's defaults at learning rate 0.05, 400 rounds."""
    model = catboost.CatBoostClassifier(
        iterations=ROUNDS,
        learning_rate=LEARNING_RATE,
        random_seed=seed,
        verbose=False,
        allow_writing_files=False,
    ).fit(_with_words(inputs), labels, cat_features=inputs.categorical)
    return lambda rows: np.asarray(
        model.predict(_with_words(rows), prediction_type="RawFormulaVal")
    )


def random_forest(inputs: Inputs, labels: Labels, seed: int) -> Scorer:
    """400 trees, scikit-learn's defaults, codes as numbers."""
    model = RandomForestClassifier(n_estimators=ROUNDS, random_state=seed, n_jobs=-1)
    model.fit(inputs.theirs, labels)
    return lambda rows: np.asarray(model.predict_proba(rows.theirs)[:, 1])


def logistic_regression(inputs: Inputs, labels: Labels, seed: int) -> Scorer:
    """The baseline that `train` makes a model beat."""
    model = fit_baseline(inputs.ours, labels, inputs.encoder)
    return lambda rows: np.asarray(model.decision_function(rows.ours))


PEERS: dict[str, Peer] = {
    "ours": ours,
    "plain LightGBM": plain_lightgbm,
    "LightGBM, scale_pos_weight": weighted_lightgbm,
    "HistGradientBoosting": histogram,
    "XGBoost": xgb,
    "CatBoost": cat,
    "random forest": random_forest,
    "logistic regression": logistic_regression,
}


def _plain(seed: int) -> dict[str, object]:
    return {"objective": "binary", "learning_rate": LEARNING_RATE, "seed": seed, "verbose": -1}


def _boosted(parameters: dict[str, object], inputs: Inputs, labels: Labels) -> Scorer:
    data = lightgbm.Dataset(inputs.theirs, labels, categorical_feature=inputs.categorical)
    booster = lightgbm.train(parameters, data, ROUNDS)
    return lambda rows: np.asarray(booster.predict(rows.theirs, raw_score=True))


def _places(inputs: Inputs) -> range:
    return range(inputs.theirs.shape[1])


def _with_words(inputs: Inputs) -> pd.DataFrame:
    """CatBoost takes whole numbers for categories."""
    columns = pd.DataFrame(inputs.theirs)
    columns[inputs.categorical] = columns[inputs.categorical].fillna(-1)
    return columns.astype(dict.fromkeys(inputs.categorical, np.int64))
