"""The detector as one LightGBM booster that reads raw values: scaling and calibration in its trees.

`mlflow.lightgbm.load_model` loads this booster. The detector's own expects scaled values under the
same names, and would silently score raw rows wrongly. Raw values are the encoder's inputs: numbers
as they are, and codes for categories, whose splits are not scaled.
"""

from __future__ import annotations

import re

import lightgbm
import numpy as np
import numpy.typing as npt

from fraud_model.arrays import Floats
from fraud_model.model.booster_text import numbers_of, rewritten, split_trees, text_of
from fraud_model.model.detector import Decision, Scaler

ZERO_IS_MISSING = 0b0100
MISSING_KIND = 0b1100

LARGEST = float(np.finfo(np.float64).max)


def fold(booster: lightgbm.Booster, scaler: Scaler, decision: Decision) -> str:
    """The text of a booster whose `predict` answers raw rows with calibrated probabilities.

    Its trees split raw values exactly where the detector's split scaled ones; its probabilities
    differ from the detector's by rounding in the last digits (below 1e-12).

    Raises:
        ValueError: the booster has something that cannot be carried over: more than one tree a
            round, an objective other than `binary sigmoid:1`, averaged trees, linear leaves,
            zeros as missing values, or a scale that is not positive.
    """
    center, scale = np.asarray(scaler.center), np.asarray(scaler.scale)
    if not (np.isfinite(center).all() and np.isfinite(scale).all() and (scale > 0).all()):
        raise ValueError("a center or scale is not finite, or a scale is not positive")
    header, trees = split_trees(booster)
    _refuse_other_models(header)
    header = rewritten(header, "feature_infos", lambda text: _raw_ranges(text, center, scale))
    features = [numbers_of(tree, "split_feature").astype(np.int64) for tree in trees]
    places = np.concatenate(features)
    # Those of all trees at once: a search for each takes ten times as long.
    raw = _raw_thresholds_of(
        np.concatenate([numbers_of(tree, "threshold") for tree in trees]),
        center[places],
        scale[places],
    )
    ends = np.cumsum([len(own) for own in features])[:-1]
    folded = [
        _fold_tree(tree, own, decision.slope, 0.0 if number else decision.intercept)
        for number, (tree, own) in enumerate(zip(trees, np.split(raw, ends), strict=True))
    ]
    return header + "".join(folded)


def raw_thresholds(scaled: Floats, center: Floats, scale: Floats) -> Floats:
    """For each threshold the largest double r with (r - center) / scale <= threshold.

    All three have one shape. Scaling is monotone in floating point too, so r is found by halving
    the doubles, in their own order; an estimate can be off by any number of them near zero.
    """
    low = np.full(scaled.shape, _position(-LARGEST))
    high = np.full(scaled.shape, _position(LARGEST))
    # Scaling the largest double may overflow to infinity, which compares as it should.
    with np.errstate(over="ignore"):
        while (low < high).any():
            # The mean, rounded up, without the overflow of a sum.
            middle = (low >> 1) + (high >> 1) + ((low | high) & 1)
            left = (_double(middle) - center) / scale <= scaled
            low, high = np.where(left, middle, low), np.where(left, high, middle - 1)
    return _double(low) + 0.0  # no negative zero


def _refuse_other_models(header: str) -> None:
    lines = header.splitlines()
    for expected in ("num_tree_per_iteration=1", "objective=binary sigmoid:1"):
        if expected not in lines:
            raise ValueError(f"the booster's text has no line {expected!r}")
    if "average_output" in lines:
        raise ValueError("the booster averages its trees")


def _raw_thresholds_of(scaled: Floats, center: Floats, scale: Floats) -> Floats:
    # A threshold at infinity only tells missing values from all others.
    raw, finite = scaled.copy(), np.isfinite(scaled)
    raw[finite] = raw_thresholds(scaled[finite], center[finite], scale[finite])
    return raw


def _fold_tree(tree: str, raw: Floats, slope: float, intercept: float) -> str:
    if re.search(r"^is_linear=1$", tree, re.MULTILINE):
        raise ValueError("a tree has linear leaves")
    kinds = numbers_of(tree, "decision_type").astype(np.int64)
    if ((kinds & MISSING_KIND) == ZERO_IS_MISSING).any():
        raise ValueError("a split takes zeros for missing values")
    tree = rewritten(tree, "threshold", lambda _: text_of(raw))
    for key in ("leaf_value", "internal_value"):
        values = slope * numbers_of(tree, key) + intercept
        tree = rewritten(tree, key, lambda _, values=values: text_of(values))  # type: ignore[misc]
    return tree


def _raw_ranges(text: str, center: Floats, scale: Floats) -> str:
    ranges = []
    for shown, middle, unit in zip(text.split(), center, scale, strict=True):
        if shown.startswith("["):
            low, high = (float(end) * unit + middle for end in shown.strip("[]").split(":"))
            shown = f"[{low!r}:{high!r}]"
        ranges.append(shown)
    return " ".join(ranges)


def _position(value: float) -> np.int64:
    """The place of a double among all doubles in ascending order; 0 is that of 0.0."""
    bits = np.float64(value).view(np.int64)
    return bits if bits >= 0 else bits ^ np.int64(0x7FFF_FFFF_FFFF_FFFF)


def _double(position: npt.NDArray[np.int64]) -> Floats:
    bits = np.where(position >= 0, position, position ^ np.int64(0x7FFF_FFFF_FFFF_FFFF))
    return bits.view(np.float64)
