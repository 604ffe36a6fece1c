"""Drift is what has moved, and nothing else."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from fraud_model.arrays import Floats
from fraud_model.model.profile import Distribution, Scores
from fraud_model.monitoring.drift import kolmogorov_smirnov, median, psi
from fraud_model.monitoring.score_band import ScoreBand

REFERENCE = np.random.default_rng(0).normal(size=50_000)
KNOWN = Distribution.of(REFERENCE)


def draw(rows: int, seed: int = 1) -> Floats:
    return np.random.default_rng(seed).normal(size=rows)


def test_psi_of_a_shift_is_what_its_formula_gives() -> None:
    moved = draw(50_000) + 1
    edges = [-np.inf, *np.quantile(REFERENCE, np.linspace(0.1, 0.9, 9)), np.inf]
    a = np.histogram(moved, edges)[0] / len(moved)
    e = np.histogram(REFERENCE, edges)[0] / len(REFERENCE)
    assert psi(KNOWN.count(moved), KNOWN) == pytest.approx(
        float(((a - e) * np.log(a / e)).sum()), rel=0.03
    )


def test_psi_of_the_same_distribution_is_next_to_nothing() -> None:
    assert psi(KNOWN.count(draw(1_000)), KNOWN) < 0.05
    assert psi(KNOWN.count(draw(50_000)), KNOWN) < 0.001


def test_a_value_never_seen_moves_a_constant_feature() -> None:
    constant = Distribution.of(np.zeros(1_000))
    assert psi(constant.count(np.zeros(1_000)), constant) == pytest.approx(0)
    assert psi(constant.count(np.ones(1_000)), constant) > 1


@pytest.mark.parametrize("rows", [5_000, 20_000])
@pytest.mark.parametrize("shift", [0.0, 0.02, 0.3])
def test_kolmogorov_smirnov_agrees_with_scipy(shift: float, rows: int) -> None:
    now = draw(rows) + shift
    distance, p_value = kolmogorov_smirnov(KNOWN.count(now), KNOWN, len(REFERENCE))
    exact = stats.ks_2samp(now, REFERENCE, method="asymp")
    # Read at the reference's hundredths, it can only be smaller.
    assert exact.statistic - 0.01 <= distance <= exact.statistic + 1e-9
    assert p_value >= exact.pvalue * 0.99
    effective = round(rows * len(REFERENCE) / (rows + len(REFERENCE)))
    assert p_value == pytest.approx(stats.kstwo.sf(distance, effective), rel=0.1, abs=1e-9)


def test_the_median_before_and_now() -> None:
    assert median(np.array(KNOWN.shares), KNOWN) == pytest.approx(0, abs=0.03)
    counts = KNOWN.count(draw(10_000) + 1)
    assert median(counts / counts.sum(), KNOWN) == pytest.approx(1, abs=0.05)


def uniform_scores(seed: int = 0, rows: int = 40_000) -> Scores:
    return Scores.of(np.random.default_rng(seed).beta(0.1, 5, rows), 0.3, 86_400.0)


def test_scores_of_the_same_distribution_stay_in_the_band() -> None:
    scores = uniform_scores()
    band = ScoreBand(scores)
    random = np.random.default_rng(5)
    ratios = [
        band.shift(scores.count(random.beta(0.1, 5, 10_000)), 86_400.0).ratio for _ in range(100)
    ]
    assert sum(ratio > 1 for ratio in ratios) <= 1


@pytest.mark.parametrize(("a", "b"), [(0.1, 4), (0.13, 5), (0.08, 5)])
def test_scores_that_move_leave_the_band(a: float, b: float) -> None:
    scores = uniform_scores()
    moved = np.random.default_rng(5).beta(a, b, 10_000)
    assert ScoreBand(scores).shift(scores.count(moved), 86_400.0).ratio > 1


def test_evenly_spread_frauds_do_not_narrow_the_band() -> None:
    # Every block of the reference holds as many frauds as any other.
    scores = Scores.of(np.tile(np.append(np.zeros(499), 0.9), 80), 0.5, 86_400.0)
    band = ScoreBand(scores)
    random = np.random.default_rng(3)
    drawn = [np.where(random.random(20_000) < 1 / 500, 0.9, 0.0) for _ in range(100)]
    assert sum(band.shift(scores.count(window), 43_200.0).ratio > 1 for window in drawn) <= 1


def test_a_shift_of_no_consequence_is_none_in_a_large_window() -> None:
    scores = uniform_scores()
    moved = np.random.default_rng(5).beta(0.1035, 5, 1_000_000)
    assert ScoreBand(scores).shift(scores.count(moved), 86_400.0).ratio < 1


def test_the_band_knows_that_scores_change_over_the_day() -> None:
    # The second half of the day scores higher than the first, every day.
    random = np.random.default_rng(0)
    day = [random.beta(a, 5, 20_000) for a in (0.1, 0.2)]
    scores = Scores.of(np.concatenate(day), 0.3, 86_400.0)
    band = ScoreBand(scores)
    an_hour = scores.count(random.beta(0.2, 5, 2_000))
    assert band.shift(an_hour, 3_600.0).ratio < 1
    # All of a day like its second half is no usual day.
    assert band.shift(scores.count(random.beta(0.2, 5, 40_000)), 86_400.0).ratio > 1
