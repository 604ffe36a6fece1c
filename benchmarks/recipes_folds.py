"""How `recipes` divides a table into what is learned from and what is scored.

`rolling` is what a model meets in use: it learns from the past and scores what comes next. The
others let it learn from the future of what it scores; `stratified` also puts transactions of one
burst of fraud on both sides.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from sklearn.model_selection import GroupKFold, StratifiedKFold

from fraud_model.arrays import Counts, Floats, Labels
from fraud_model.evaluation import folds
from fraud_model.evaluation.folds import Fold

FOLDS = 5
ORIGINS = 8
# The share of the past that a version learns from whose validation part comes after it.
EARLIER = 0.75


@dataclass(frozen=True)
class RollingFold(Fold):
    """A fold by time; `earlier` is the older part of `learn`, without the validation part."""

    earlier: Counts


def rolling(times: Floats, labels: Labels, label_delay: float) -> Iterator[Fold]:
    """Rolling origins with blocks of about as many frauds each; times and delay are in hours."""
    for fold in folds.rolling(times, labels, label_delay, ORIGINS):
        yield RollingFold(fold.learn, fold.test, fold.learn[: int(EARLIER * len(fold.learn))])


def pieces(times: Floats, labels: Labels) -> Iterator[Fold]:
    """Contiguous pieces with as many frauds each; the model learns from those around."""
    bounds = np.quantile(times[labels == 1], np.linspace(0, 1, FOLDS + 1)[1:-1])
    yield from _folds(np.searchsorted(bounds, times, side="right"))


def hours(times: Floats, seed: int) -> Iterator[Fold]:
    """Whole hours dealt to folds at random; times are in hours."""
    hour = np.floor(times - times.min())
    dealt = GroupKFold(FOLDS, shuffle=True, random_state=seed)
    for learn, test in dealt.split(times, groups=hour):
        yield Fold(learn, test)


def stratified(labels: Labels, seed: int) -> Iterator[Fold]:
    """Rows dealt to folds at random, as many frauds in each."""
    dealt = StratifiedKFold(FOLDS, shuffle=True, random_state=seed)
    for learn, test in dealt.split(labels, labels):
        yield Fold(learn, test)


def _folds(group: Counts) -> Iterator[Fold]:
    for fold in range(FOLDS):
        yield Fold(np.flatnonzero(group != fold), np.flatnonzero(group == fold))
