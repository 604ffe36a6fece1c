"""What the reference leads one to expect of a window, which holds the hours that it holds."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from fraud_model.arrays import Counts, Floats
from fraud_model.model.hours import Hours
from fraud_model.model.profile import Categories, Distribution, Profile, Reference


def expected(profile: Profile, rows: Counts) -> Profile:
    """The profile for transactions of which `rows` came in each slot, shape (slots + 1,).

    The last ones have no hour, and are expected to be like all of the reference. Distributions and
    shares of missing values are the means of those of the hours, weighted by rows; within a group
    of values they are those of the whole reference. `rows` of the profile become the number of
    rows that a sample with those hours would have to hold to be as exact.
    """
    hours = profile.hours
    if hours is None or not rows[:-1].any():
        return profile
    return replace(
        profile,
        rows=max(1, round(effective_rows(rows, np.append(hours.rows, profile.rows)))),
        features={
            name: _reference(known, hours, name, rows) for name, known in profile.features.items()
        },
    )


def effective_rows(rows: Counts, behind: Counts | Floats) -> float:
    """How many rows of the reference stand behind what is expected of these `rows`.

    Both have shape (slots + 1,); `behind` are the reference's rows in each slot.
    """
    share = rows / rows.sum()
    return float(1 / (share**2 / np.maximum(behind, 1)).sum())


def _reference(known: Reference, hours: Hours, name: str, rows: Counts) -> Reference:
    distribution = known.distribution
    shares, groups = np.array(distribution.shares), distribution.groups
    whole: Floats = np.asarray(np.bincount(groups, shares), dtype=np.float64)
    slots = np.array(hours.features[name], dtype=np.float64)
    slots = np.vstack([_shares(slots, whole), whole])
    missing = np.append(np.array(hours.missing[name]) / np.maximum(hours.rows, 1), known.missing)
    share = rows / rows.sum()
    given = share * (1 - missing)
    mixed = given @ slots / given.sum() if given.sum() else whole
    moved = shares * np.divide(mixed, whole, out=np.zeros_like(whole), where=whole > 0)[groups]
    found: Distribution | Categories
    if isinstance(distribution, Categories):
        found = Categories(tuple(moved.tolist()))
    else:
        found = Distribution(distribution.edges, tuple(moved.tolist()))
    return Reference(known.feature, found, float(share @ missing))


def score_shares(hours: Hours, rows: Counts, whole: Floats) -> Floats:
    """Shares of scores in each bin that are expected of these rows, shape (bins,).

    Hours whose scores are not known are expected to be like `whole`, shape (bins,).
    """
    slots = np.vstack([_shares(np.array(hours.scores, dtype=np.float64), whole), whole])
    return np.asarray(rows / rows.sum() @ slots)


def share_above(counts: Floats) -> Floats:
    """Share of the counts above each edge, along the last axis."""
    upto = np.cumsum(counts, axis=-1)
    return 1 - upto[..., :-1] / np.maximum(upto[..., -1:], 1)


def _shares(counts: Floats, whole: Floats) -> Floats:
    """Each slot's shares, shape (slots, bins); `whole` where a slot is empty."""
    total = counts.sum(axis=1, keepdims=True)
    return np.where(total > 0, counts / np.maximum(total, 1e-300), whole)
