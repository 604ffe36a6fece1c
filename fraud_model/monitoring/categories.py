"""The shares of categories and truth values, before and now."""

from __future__ import annotations

import numpy as np
from scipy import stats

from fraud_model.arrays import Counts, Floats
from fraud_model.model.feature import UNKNOWN, Feature
from fraud_model.model.profile import Categories, Distribution, Reference

# Of a category's name in a sentence.
LONGEST = 60


def grouped(counts: Counts, known: Categories) -> tuple[Floats, Floats]:
    """Counts of a window, and shares of the reference, in the groups of `Categories.groups`."""
    seen, expected = (
        np.asarray(np.bincount(known.groups, part), dtype=np.float64)
        for part in (counts, np.array(known.shares))
    )
    return seen, expected


def chi_square(seen: Floats, expected: Floats, rows: int) -> float:
    """The p-value of a chi-square test that counts and the shares of `rows` others are alike."""
    table = np.array([seen, expected * rows])
    table = table[:, table.sum(axis=0) > 0]
    if table.shape[1] < 2:
        return 1.0
    return float(stats.chi2_contingency(table, correction=False).pvalue)


def most_moved(now: Floats, feature: Feature, known: Categories) -> tuple[str, float, float]:
    """The category whose share moved most, with that share before and now."""
    code = int(np.argmax(np.abs(now - np.array(known.shares))))
    of = "unknown values" if code == UNKNOWN else repr(cut(feature.vocabulary[code - 1]))
    return f"share of {of}", known.shares[code], float(now[code])


def share_of_true(shares: Floats, known: Distribution) -> float:
    """Share of true in shares over the bins of a distribution of 0 and 1."""
    return float(shares[known.places(np.array([1.0]))[0]])


def words(feature: Feature) -> tuple[str, str]:
    """The words for true and false, as a truth value has them."""
    true, _, false = (feature.format or "true/false").partition("/")
    return true, false


def bars(now: Floats, known: Reference, most: int) -> list[tuple[str, float, float]]:
    """Label, share before and share now of the categories that moved most, the others together.

    `now`, of shape (bins,), are shares of a window; a truth value has two categories.
    """
    distribution = known.distribution
    if not isinstance(distribution, Categories):
        true = [share_of_true(s, distribution) for s in (np.array(distribution.shares), now)]
        yes, no = words(known.feature)
        return [(yes, true[0], true[1]), (no, 1 - true[0], 1 - true[1])]
    before = np.array(distribution.shares)
    order = np.argsort(-np.abs(now - before), kind="stable")
    order = order[(before[order] > 0) | (now[order] > 0)]
    labels = ("unknown values", *known.feature.vocabulary)
    found = [(labels[code], float(before[code]), float(now[code])) for code in order[:most]]
    others = order[most:]
    if len(others):
        label = f"{len(others):,} others"
        found.append((label, float(before[others].sum()), float(now[others].sum())))
    return found


def cut(text: str, longest: int = LONGEST) -> str:
    """A text with its middle left out where it is too long: names differ at either end."""
    end = longest // 2
    return text if len(text) <= longest else f"{text[: longest - end - 1]}…{text[-end:]}"
