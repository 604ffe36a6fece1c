"""Simulated card transactions, drawn from published figures of the real ones.

The source is `creditcard_figures.json`: summary figures of the ULB credit-card fraud data (Machine
Learning Group of Universite Libre de Bruxelles and Worldline, Kaggle `mlg-ulb/creditcardfraud`,
ODbL 1.0 / DbCL 1.0). It holds no transaction. For each class it gives every feature's values at 35
quantile levels and the correlation matrix of the features' normal scores.

How a table is made
    Each class is a Student t copula (Demarta and McNeil, "The t Copula and Related Copulas", 2005)
    with the published correlation: t scores become uniforms, and each uniform goes through its
    feature's piecewise-linear quantile function. The degrees of freedom, 7 for genuine
    transactions and 20 for frauds, are the likeliest for the real sample. They make one row
    extreme in many features at once: 1.7 % of the genuine rows lie outside the 1 % and 99 %
    quantiles in six or more features, here 1.9 %, with a Gaussian copula 0.01 %.

    Frauds so drawn are too easy to tell apart: real ones include stolen cards used like any other.
    So a share of the frauds, `OVERLAP`, is drawn from the genuine class. It was tuned by hand: a
    LightGBM (learning rate 0.05, 400 rounds, no class weights) that learns from the earliest 60 %
    of a full table reaches an average precision of 0.857 on the last 20 % (median of ten seeds
    that the tuning did not use, 0.845 to 0.873; 0.839, 0.813 to 0.857, on the ten it did). On the
    real sample a plain LightGBM reaches 0.855 in cross-validation.

    `Time` is the exception. The published sample ends after 26.6 of 48 hours and over-represents
    its first ones, so its last 24 hours stand for the rhythm of both days. Rows of each class are
    spread evenly over that traffic, so that a split by time leaves each part its proportion of the
    frauds, even where there are few.

How far to trust it
    Good for: trying the whole pipeline at full size, tests, drills of drift. The features that
    matter most in the real data do so here.

    Only if asked for (`Rhythm`): bursts of fraud, and features that move over the day.

    Not reproduced: what a card did before (there are no cards); drift between the two days; the
    rise of the fraud rate at night, and repeats of one fraud; clusters, or any other
    dependence than that of the copula; the few genuine rows that look like plain frauds, which
    hurt a logistic regression most, so that here it comes closer to the trees; values beyond the
    smallest and largest observed; round amounts, except the commonest. The sample's skew towards
    its first hours is in the figures of all features, rare values are coarse, as the frauds'
    figures come from 307 rows, and `OVERLAP` draws the frauds' towards the genuine ones.
    A score reached here says nothing about a model's score on real transactions.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import resources
from math import isfinite
from typing import Any

import numpy as np
import pandas as pd
from scipy.special import stdtr

from fraud_model.arrays import Floats
from fraud_model.data.schema import DEFAULT_AMOUNT as AMOUNT
from fraud_model.data.schema import DEFAULT_TARGET as TARGET
from fraud_model.data.schema import DEFAULT_TIME as TIME
from fraud_model.durations import SECONDS_PER_DAY
from fraud_model.errors import ParameterError

_FIGURES: dict[str, Any] = json.loads(
    resources.files("fraud_model.data").joinpath("creditcard_figures.json").read_text("utf-8")
)
FEATURES: tuple[str, ...] = tuple(_FIGURES["features"])
FULL_ROWS: int = _FIGURES["full_data"]["rows"]
FULL_FRAUDS: int = _FIGURES["full_data"]["frauds"]
SECONDS: int = _FIGURES["full_data"]["seconds"]
OVERLAP = 0.11

_LEVELS: Floats = np.array(_FIGURES["levels"], dtype=np.float64)
_FREEDOM = {"genuine": 7, "fraud": 20}
# Six features and 2.5 standard normals: far enough out to be learnt from some fifty examples.
_PATTERN_FEATURES = 6
_PATTERN_LIFT = 2.5
# Within a burst: mean seconds after its first fraud, and how much of that one's features all have.
_SECONDS_APART = 300
_ALIKE = 0.7


@dataclass(frozen=True)
class Rhythm:
    """What real days have beside their volume: a rhythm of the features, and bursts of fraud.

    `swing` is by how many standard deviations the mean of each feature moves over a day, as a sine
    whose peak lies at another hour for each feature; amounts and times do not. In the real sample
    it is 0.1 to 1.4. `burst` is the mean number of frauds of a burst, 1 or more: their numbers are
    geometric, they come within minutes of each other, and look alike. Bursts of b frauds make the
    variance of the frauds an hour 2b - 1 times their mean; on the real sample that is 6 to 7.

    Raises ParameterError for a value out of range.
    """

    swing: float = 0.0
    burst: float = 1.0

    def __post_init__(self) -> None:
        if not (isfinite(self.swing) and self.swing >= 0):
            raise ParameterError(f"swing={self.swing} is invalid: expected 0 or more")
        if not (isfinite(self.burst) and self.burst >= 1):
            raise ParameterError(f"burst={self.burst} is invalid: expected 1 or more")


@dataclass(frozen=True)
class Drift:
    """What has changed since the data that a model was trained on.

    `shift` maps a feature to the standard deviations (of the undrifted column, both classes) that
    its mean moves by. Amounts are scaled rather than moved, so that none turns negative; `Time`
    cannot be shifted, since it orders the rows.

    `new_pattern` is the share of the frauds, 0 to 1, that follow a pattern of their own: genuine
    transactions but for joint high values of the six features that tell known frauds apart least.
    A model trained without drift has no reason to look there; one trained with it can learn it.

    Raises ParameterError for an unknown feature, a shift that is not finite, or a share outside
    0 to 1.
    """

    shift: Mapping[str, float] = field(default_factory=dict)
    new_pattern: float = 0.0

    def __post_init__(self) -> None:
        for feature, deviations in self.shift.items():
            if feature not in FEATURES or feature == TIME:
                known = ", ".join(name for name in FEATURES if name != TIME)
                raise ParameterError(f"cannot shift {feature!r}: choose from {known}")
            if not isfinite(deviations):
                raise ParameterError(
                    f"shift of {feature}={deviations} is invalid: expected a finite number"
                )
        if not 0 <= self.new_pattern <= 1:
            raise ParameterError(f"new_pattern={self.new_pattern} is invalid: expected 0 to 1")


def simulate(
    rows: int = FULL_ROWS,
    frauds: int = FULL_FRAUDS,
    seed: int = 0,
    drift: Drift | None = None,
    rhythm: Rhythm | None = None,
) -> pd.DataFrame:
    """Draw a table of `rows` transactions of which exactly `frauds` are frauds.

    Columns, in the order of the real file: the features as float64 (`Time` in whole seconds from
    the first day's start, 0 to 172,792 whatever the number of rows; `Amount` in euros, not
    negative, rounded to cents) and `Class` as int64, 1 for a fraud. Rows are sorted by `Time`.

    The same arguments give the same table. With `drift` or `rhythm`, the same seed gives the same
    table but for what they change.

    Raises ParameterError for counts or a seed that cannot be used, and for a shift that would turn
    amounts negative.
    """
    if rows < 1:
        raise ParameterError(f"rows={rows} is invalid: expected at least 1")
    if not 0 <= frauds < rows:
        raise ParameterError(f"frauds={frauds} is invalid: expected 0 to {rows - 1} (below rows)")
    if seed < 0:
        raise ParameterError(f"seed={seed} is invalid: expected 0 or more")
    rng = np.random.default_rng(seed)
    overlapping = round(OVERLAP * frauds)
    values = np.concatenate(
        [
            _draw("genuine", rows - frauds, rng),
            _draw("genuine", overlapping, rng),
            _draw("fraud", frauds - overlapping, rng),
        ]
    )
    table = pd.DataFrame(values, columns=list(FEATURES))
    table[TARGET] = np.repeat(np.array([0, 1], dtype=np.int64), [rows - frauds, frauds])
    table[TIME] = table.groupby(TARGET)[TIME].transform(
        lambda shares: _seconds(_spread(shares.to_numpy(), rng))
    )
    if rhythm is not None:
        _beat(rhythm, table, np.random.default_rng((seed, 1)))
    table = table.sort_values(TIME, kind="stable", ignore_index=True)
    if drift is not None:
        _apply(drift, table, rng)
    table[AMOUNT] = table[AMOUNT].round(2)
    return table


def _draw(label: str, count: int, rng: np.random.Generator, lift: Floats | float = 0.0) -> Floats:
    """Draw `count` rows of one class, shape (count, features); `lift` is added to the t scores.

    In place of `Time` stand shares of the traffic, for `_seconds` to turn into moments.
    """
    figures, freedom = _FIGURES["classes"][label], _FREEDOM[label]
    root = np.linalg.cholesky(np.array(figures["correlation"]))
    scale = np.sqrt(rng.chisquare(freedom, (count, 1)) / freedom)
    scores = rng.standard_normal((count, len(FEATURES))) @ root.T / scale + lift
    # A table, right to 1e-6: calling the distribution itself would take most of the whole time.
    grid = np.sinh(np.linspace(-5, 5, 4001))
    values: Floats = np.interp(scores, grid, stdtr(freedom, grid))
    for column, feature in enumerate(FEATURES):
        if feature == TIME:
            values[:, column] = _spread(rng.integers(2, size=count) + values[:, column], rng)
        else:
            values[:, column] = np.interp(values[:, column], _LEVELS, figures["quantiles"][feature])
    return values


def _spread(order: Floats, rng: np.random.Generator) -> Floats:
    """Numbers from 0 to 1 in the given order, one in each of `len(order)` equal slices.

    Chance alone would leave parts of a split without frauds. Each lies in the middle half of its
    slice, so that a cut that expects a few frauds is off by one at most.
    """
    count = len(order)
    return (order.argsort().argsort() + rng.uniform(0.25, 0.75, count)) / max(count, 1)


def _seconds(shares: Floats) -> Floats:
    """Whole seconds at which the given shares, 0 to 1, of both days' traffic have passed."""
    observed = np.array(_FIGURES["classes"]["genuine"]["quantiles"][TIME])
    # The sample's last 24 hours run past midnight: the day starts inside them.
    start, midnight = np.interp(
        [observed[-1] - SECONDS_PER_DAY, SECONDS_PER_DAY], observed, _LEVELS
    )
    day, share = np.divmod(2 * shares, 1)
    level = midnight + share * (1 - start)
    level = np.where(level > 1, level - (1 - start), level)
    clock = np.interp(level, _LEVELS, observed) % SECONDS_PER_DAY
    seconds: Floats = np.floor(day * SECONDS_PER_DAY + clock)
    return np.minimum(seconds, SECONDS)


def _beat(rhythm: Rhythm, table: pd.DataFrame, rng: np.random.Generator) -> None:
    """Gives `table` bursts and a rhythm, in place."""
    features = [name for name in FEATURES if name not in (TIME, AMOUNT)]
    frauds = rng.permutation(np.flatnonzero(table[TARGET]))
    # Of each fraud, whether it begins another burst.
    first = np.maximum.accumulate(
        np.where(rng.random(len(frauds)) < 1 / rhythm.burst, np.arange(len(frauds)), 0)
    )
    leaders = frauds[first]
    follows = first != np.arange(len(frauds))
    apart = np.where(follows, np.floor(rng.exponential(_SECONDS_APART, len(frauds))), 0)
    table.loc[frauds, TIME] = np.minimum(table.loc[leaders, TIME].to_numpy() + apart, SECONDS)
    own = table.loc[frauds, features].to_numpy()
    led = table.loc[leaders, features].to_numpy()
    table.loc[frauds, features] = np.where(follows[:, None], _ALIKE * led + (1 - _ALIKE) * own, own)
    phase = np.arange(len(features)) / len(features) + table[[TIME]].to_numpy() / SECONDS_PER_DAY
    deviations = table[features].std(ddof=0).to_numpy()
    table[features] += rhythm.swing * deviations * np.sin(2 * np.pi * phase)


def _apply(drift: Drift, table: pd.DataFrame, rng: np.random.Generator) -> None:
    """Change `table` in place by what `drift` says."""
    deviations = table.std(ddof=0)
    mean_amount = float(table[AMOUNT].mean())
    frauds = np.flatnonzero(table[TARGET])
    chosen = rng.choice(frauds, round(drift.new_pattern * len(frauds)), replace=False)
    weakest = sorted((f for f in FEATURES if f not in (TIME, AMOUNT)), key=_separation)
    lift = _PATTERN_LIFT * np.isin(FEATURES, weakest[:_PATTERN_FEATURES]).astype(np.float64)
    renewed = pd.DataFrame(
        _draw("genuine", len(chosen), rng, lift=lift),
        columns=list(FEATURES),
        index=chosen,
    ).drop(columns=TIME)
    table.loc[chosen, renewed.columns] = renewed
    for feature, sds in drift.shift.items():
        move = sds * float(deviations[feature])
        if feature != AMOUNT:
            table[feature] += move
        elif mean_amount + move < 0:
            raise ParameterError(
                f"shift of {AMOUNT}={sds} is invalid: it makes amounts negative. Expected at least "
                f"{-mean_amount / float(deviations[AMOUNT]):.2f}"
            )
        elif mean_amount > 0:
            table[AMOUNT] *= 1 + move / mean_amount


def _separation(feature: str) -> float:
    """Kolmogorov-Smirnov distance, 0 to 1, between the classes' distributions of a feature."""
    genuine, fraud = (
        np.array(_FIGURES["classes"][label]["quantiles"][feature]) for label in ("genuine", "fraud")
    )
    grid = np.concatenate([genuine, fraud])
    return float(np.abs(np.interp(grid, genuine, _LEVELS) - np.interp(grid, fraud, _LEVELS)).max())
