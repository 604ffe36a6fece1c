"""What boosters and baseline learn from: encoder and scaler, fitted on training rows only."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from fraud_model.arrays import Floats, Labels
from fraud_model.data.column_files import matrix, pieces
from fraud_model.data.columns import Columns
from fraud_model.model.detector import Scaler
from fraud_model.model.encoding import Encoder, rates_of
from fraud_model.model.feature import MISSING_WORDS, Feature, category_of

# A category in fewer rows has no code of its own: little could be learned from it but those rows,
# and a value that few rows share may name somebody, so it does not travel with a version.
FEWEST_ROWS_OF_A_CATEGORY = 10
# From so many categories on, boosters learn better from the share of frauds as well.
MANY_CATEGORIES = 30
FOLDS, SMOOTHING = 5, 20
# Of a column, and of genuine rows, for the baseline: its few coefficients gain nothing by more.
MOST_CATEGORIES, MOST_ROWS_OF_BASELINE = 50, 1_000_000


@dataclass(frozen=True)
class Inputs:
    """What a booster learns from, and what makes it of a table.

    `scaled` has the shape (rows, inputs), where NaN is missing. It lies in a file, see
    `column_files`.
    """

    encoder: Encoder
    scaler: Scaler
    scaled: Floats


def fit_inputs(table: pd.DataFrame, columns: Columns) -> Inputs:
    """Fits encoder and scaler on a table's features, and makes its inputs.

    Categories that are frequent in the table have codes. Those of a column with many also have
    their share of frauds, smoothed; a row to learn from gets that of the other folds' rows, since
    its own label is part of its own fold's (D. Micci-Barreca, A preprocessing scheme for
    high-cardinality categorical attributes, 2001).

    Inputs are standardised to a mean of 0 and a standard deviation of 1; codes are left as they
    are.
    """
    encoder, rates = _fit_encoder(table, columns)
    inputs = matrix(len(table), len(encoder.inputs))
    moments = StandardScaler()
    for rows, piece in pieces(table):
        encoded = encoder.encode(piece)
        for place, learned in rates.items():
            encoded[:, place] = learned[rows]
        moments.partial_fit(encoded)
        inputs[rows] = encoded
    codes = list(encoder.categorical)
    # Without any value there is no mean.
    center, scale = np.nan_to_num(moments.mean_), np.nan_to_num(moments.scale_, nan=1.0)
    center[codes], scale[codes] = 0.0, 1.0
    scaler = Scaler(tuple(center.tolist()), tuple(scale.tolist()))
    for rows, _ in pieces(table):
        inputs[rows] = scaler.transform(inputs[rows])
    return Inputs(encoder, scaler, inputs)


def scaled_inputs(table: pd.DataFrame, encoder: Encoder, scaler: Scaler) -> Floats:
    """A table as a booster reads it, shape (rows, inputs), in a file."""
    inputs = matrix(len(table), len(encoder.inputs))
    for rows, piece in pieces(table):
        inputs[rows] = scaler.transform(encoder.encode(piece))
    return inputs


def _fit_encoder(table: pd.DataFrame, columns: Columns) -> tuple[Encoder, dict[int, Floats]]:
    """The encoder of a table's features; and by the place of an input what its rows learn from.

    That is the share of frauds of the other folds.
    """
    labels = table[columns.target].to_numpy()
    features = [_with_vocabulary(table, feature) for feature in columns.described.values()]
    codes = {
        f.name: f.read(table[f.name]) for f in features if len(f.vocabulary) >= MANY_CATEGORIES
    }
    features = [
        replace(f, rates=_rates(codes[f.name], labels, len(f.vocabulary))) if f.name in codes else f
        for f in features
    ]
    encoder = Encoder(tuple(features), columns.time)
    fold = np.random.default_rng(0).integers(FOLDS, size=len(table))
    learned = {}
    for feature in features:
        if not feature.rates:
            continue
        own, others = codes[feature.name], np.empty(len(table))
        for number in range(FOLDS):
            held, rest = fold == number, fold != number
            rates = _rates(own[rest], labels[rest], len(feature.vocabulary))
            others[held] = rates_of(own[held], replace(feature, rates=rates))
        learned[encoder.inputs.index(feature.inputs[1])] = others
    return encoder, learned


def fit_baseline(scaled: Floats, labels: Labels, encoder: Encoder) -> Pipeline:
    """A logistic regression on scaled inputs, shape (rows, inputs).

    Missing numbers count as their mean, with a column that says so, and the most frequent
    categories have a column each. Of more than `MOST_ROWS_OF_BASELINE` rows it learns all frauds
    and a part of the genuine ones, evenly spaced, which stand for the others.
    """
    genuine = np.flatnonzero(labels == 0)
    apart = max(1, -(-len(genuine) // MOST_ROWS_OF_BASELINE))
    weights = None
    if apart > 1:
        rows = np.sort(np.concatenate([np.flatnonzero(labels == 1), genuine[::apart]]))
        scaled, labels = scaled[rows], labels[rows]
        weights = np.where(labels == 1, 1.0, len(genuine) / len(genuine[::apart]))
    filled = SimpleImputer(strategy="constant", fill_value=0.0, add_indicator=True)
    one_hot = OneHotEncoder(handle_unknown="infrequent_if_exist", max_categories=MOST_CATEGORIES)
    parts = (
        ("numbers", filled, _numbers(encoder)),
        ("categories", one_hot, list(encoder.categorical)),
    )
    inputs = ColumnTransformer([part for part in parts if part[-1]])
    # Numbers without gaps are what it learns from as they are.
    steps = [inputs] if encoder.categorical or np.isnan(scaled).any() else []
    pipeline = make_pipeline(*steps, LogisticRegression(max_iter=1000))
    return pipeline.fit(scaled, labels, logisticregression__sample_weight=weights)


def booster_names(inputs: Sequence[str]) -> list[str]:
    """Names that LightGBM accepts: it refuses white space and JSON's own characters."""
    names = [re.sub(r"[^\w.\-]", "_", name) for name in inputs]
    if len(set(names)) == len(names):
        return names
    return [f"{name}_{position}" for position, name in enumerate(names)]


def _with_vocabulary(table: pd.DataFrame, feature: Feature) -> Feature:
    if feature.kind != "category":
        return feature
    counts = table[feature.name].value_counts()
    # 7 and 7.0 are one category.
    by_word = counts.groupby(counts.index.map(category_of)).sum()
    by_word = by_word.drop(list(MISSING_WORDS), errors="ignore")
    frequent = by_word[by_word >= FEWEST_ROWS_OF_A_CATEGORY]
    words = sorted(frequent.index, key=lambda word: (-frequent[word], word))
    return replace(feature, vocabulary=tuple(words))


def _rates(codes: Floats, labels: Labels, categories: int) -> tuple[float, ...]:
    """The share of frauds of each code, drawn towards that of all rows as by `SMOOTHING` rows."""
    known = ~np.isnan(codes)
    own = codes[known].astype(np.int64)
    rows = np.bincount(own, minlength=categories + 1)
    frauds = np.bincount(own, labels[known], minlength=categories + 1)
    rates = (frauds + SMOOTHING * labels.mean()) / (rows + SMOOTHING)
    return tuple(rates.tolist())


def _numbers(encoder: Encoder) -> list[int]:
    return [place for place in range(len(encoder.inputs)) if place not in encoder.categorical]
