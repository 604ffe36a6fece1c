"""Categories that move are noticed, and those that do not are left alone."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from fraud_model.arrays import Floats
from fraud_model.model.feature import Feature
from fraud_model.model.profile import Categories, Reference
from fraud_model.monitoring.categories import bars, chi_square, cut, grouped
from fraud_model.monitoring.drift import PSI_THRESHOLD, before_and_now, stability

ROWS = 50_000


def reference(shares: Floats) -> Reference:
    """Categories `c0`, `c1`, … with these shares; the last share is that of unknown values."""
    vocabulary = tuple(f"c{place}" for place in range(len(shares) - 1))
    return Reference(Feature("merchant", "category", "string", vocabulary=vocabulary), of(shares))


def of(shares: Floats) -> Categories:
    shares = np.roll(shares, 1)
    return Categories(tuple((shares / shares.sum()).tolist()))


def drawn(shares: Floats, rows: int, seed: int = 0) -> pd.Series:
    """Counts by code."""
    counts = np.random.default_rng(seed).multinomial(rows, np.roll(shares / shares.sum(), 1))
    return pd.Series(counts)


def categories(known: Reference) -> Categories:
    assert isinstance(known.distribution, Categories)
    return known.distribution


FEW = np.array([0.5, 0.3, 0.15, 0.05, 0.0])
MANY = np.append(np.full(200, 0.0049), 0.02)


@pytest.mark.parametrize("shares", [FEW, MANY])
def test_the_same_shares_have_a_psi_of_next_to_nothing(shares: Floats) -> None:
    known = categories(reference(shares))
    for seed in range(20):
        seen, expected = grouped(drawn(shares, 1_000, seed).to_numpy(), known)
        assert stability(seen, expected) < PSI_THRESHOLD / 3
        assert chi_square(seen, expected, ROWS) > 1e-4


def test_psi_of_few_categories_is_what_its_formula_gives() -> None:
    now = np.array([0.3, 0.3, 0.25, 0.15, 0.0])
    counts = drawn(now, 100_000).to_numpy()
    seen, expected = grouped(counts, categories(reference(FEW)))
    a, e = now[:-1], FEW[:-1]
    assert stability(seen, expected) == pytest.approx(((a - e) * np.log(a / e)).sum(), rel=0.05)


def test_a_rare_one_of_many_that_becomes_frequent_is_noticed() -> None:
    now = MANY.copy()
    now[150] = 0.3
    counts = drawn(now, 2_000).to_numpy()
    seen, expected = grouped(counts, categories(reference(MANY)))
    assert len(seen) == 11
    assert stability(seen, expected) > PSI_THRESHOLD
    of, before, after = before_and_now(counts, reference(MANY))
    assert of == "share of 'c150'"
    assert before == pytest.approx(0.0049)
    assert after == pytest.approx(0.23, abs=0.03)


def test_unknown_values_are_a_class_of_their_own() -> None:
    now = np.array([0.45, 0.25, 0.12, 0.03, 0.15])
    counts = drawn(now, 2_000).to_numpy()
    seen, expected = grouped(counts, categories(reference(FEW)))
    assert stability(seen, expected) > PSI_THRESHOLD
    of, before, after = before_and_now(counts, reference(FEW))
    assert (of, before) == ("share of unknown values", 0.0)
    assert after == pytest.approx(0.15, abs=0.03)


def test_the_chi_square_test_is_that_of_two_samples() -> None:
    counts = drawn(np.array([0.48, 0.3, 0.16, 0.06, 0.0]), 3_000).to_numpy()
    seen, expected = grouped(counts, categories(reference(FEW)))
    both = np.array([counts[1:], FEW[:-1] * ROWS])
    assert chi_square(seen, expected, ROWS) == pytest.approx(
        stats.chi2_contingency(both, correction=False).pvalue
    )


def test_bars_show_what_moved_most_and_the_rest_together() -> None:
    now = np.roll(np.array([0.2, 0.31, 0.15, 0.05, 0.29]), 1)
    labels, *shares = zip(*bars(now, reference(FEW), 2), strict=True)
    assert labels == ("c0", "unknown values", "3 others")
    assert shares == [pytest.approx((0.5, 0.0, 0.5)), pytest.approx((0.2, 0.29, 0.51))]


def test_truth_values_are_told_by_the_share_of_true() -> None:
    feature = Feature("chip", "boolean", "string", format="yes/no")
    known = Reference.of(feature, pd.Series(["yes", "no", "no", "no"] * 100))
    counts = np.array([0, 30, 10, 0])[: len(known.distribution.shares)]
    assert before_and_now(counts, known) == ("share of yes", 0.25, 0.25)
    assert bars(counts / 40, known, 5) == [("yes", 0.25, 0.25), ("no", 0.75, 0.75)]


def test_a_long_name_keeps_both_ends() -> None:
    assert cut("merchant of all kinds of goods 17", 21) == "merchant o…f goods 17"
    assert cut("short", 21) == "short"
