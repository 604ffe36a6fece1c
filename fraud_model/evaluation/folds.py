"""Folds that a model is measured on, and what a mean difference over them is worth.

Rolling origins are what a model meets in use: it learns from the past and scores what comes next.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from scipy import stats
from sklearn.model_selection import StratifiedKFold

from fraud_model.arrays import Counts, Floats, Groups, Labels
from fraud_model.evaluation.intervals import CONFIDENCE, Interval

# The share of the frauds before the first origin.
FIRST_ORIGIN = 0.4


@dataclass(frozen=True)
class Fold:
    """Positions of rows: the score is that on `test` of what learned from `learn`."""

    learn: Counts
    test: Counts


def rolling(times: Floats, labels: Labels, delay: float, origins: int) -> Iterator[Fold]:
    """Rolling origins: all that is older than the origin and the delay, then the next block.

    Blocks hold about as many frauds each. Times and delay have one unit, and times ascend.
    """
    shares = np.linspace(FIRST_ORIGIN, 1, origins + 1)
    bounds = np.quantile(times[labels == 1], shares)
    bounds[-1] = np.inf
    for begin, end in pairwise(bounds):
        learn = np.flatnonzero(times < begin - delay)
        yield Fold(learn, np.flatnonzero((times >= begin) & (times < end)))


def stratified(labels: Labels, groups: Groups, folds: int, seed: int) -> Iterator[Fold]:
    """Groups of rows dealt to folds at random, as many groups with a fraud in each fold.

    Rows of a group stay together; `groups` has shape (rows,).
    """
    names, group = np.unique(groups, return_inverse=True)
    frauds = np.zeros(len(names), labels.dtype)
    np.maximum.at(frauds, group, labels)
    dealt = StratifiedKFold(folds, shuffle=True, random_state=seed)
    for learn, test in dealt.split(frauds, frauds):
        yield Fold(np.flatnonzero(np.isin(group, learn)), np.flatnonzero(np.isin(group, test)))


def mean_over_folds(paired: Floats, test_over_learned: float) -> Interval:
    """The mean of paired differences, one a fold, with its interval.

    Folds share most of what is learned from, so that their differences are not independent: the
    standard error is corrected by the size of the test part over that of the learned one (C.
    Nadeau, Y. Bengio, Inference for the generalization error, 2003).

    Args:
        paired: shape (folds,), of at least two folds.
        test_over_learned: rows that are scored for each one that is learned from, on average.
    """
    folds, mean = len(paired), float(paired.mean())
    error = paired.std(ddof=1) * np.sqrt(1 / folds + test_over_learned)
    margin = float(stats.t.ppf((1 + CONFIDENCE) / 2, folds - 1) * error)
    return Interval(mean, mean - margin, mean + margin)
