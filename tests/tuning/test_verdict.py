"""A winner is recommended when it is better where it was not chosen, and not because it was."""

from __future__ import annotations

import numpy as np
import pytest

from fraud_model.evaluation.folds import mean_over_folds
from fraud_model.evaluation.intervals import Interval
from fraud_model.tuning.verdict import Gain, Verdict, gain_elsewhere, gain_on_folds


def gain(value: float, low: float, high: float) -> Gain:
    return Gain(0.8 + value, 0.8, Interval(value, low, high))


@pytest.mark.parametrize(
    ("elsewhere", "on_holdout", "standing"),
    [
        ((0.02, 0.01, 0.03), (0.01, -0.02, 0.04), "better"),
        ((0.01, -0.01, 0.03), (0.02, 0.01, 0.03), "better"),
        # Beyond chance on one side, and downward on the other.
        ((0.02, 0.01, 0.03), (-0.01, -0.04, 0.02), "not distinguishable"),
        ((0.02, -0.01, 0.05), (0.03, -0.01, 0.07), "not distinguishable"),
        ((0.0, 0.0, 0.0), (0.0, 0.0, 0.0), "not distinguishable"),
        ((-0.01, -0.03, 0.01), (-0.03, -0.05, -0.01), "worse"),
    ],
)
def test_the_standing_follows_from_both_intervals(
    elsewhere: tuple[float, float, float], on_holdout: tuple[float, float, float], standing: str
) -> None:
    # What the winner was chosen by never decides.
    chosen_by = gain(0.1, 0.09, 0.11)
    assert Verdict(chosen_by, gain(*elsewhere), gain(*on_holdout)).standing == standing


def test_choosing_among_noise_is_worth_nothing_elsewhere() -> None:
    random = np.random.default_rng(0)
    chosen_by, elsewhere = [], []
    for _ in range(200):
        default, trials = random.normal(0.8, 0.02, 5), random.normal(0.8, 0.02, (40, 5))
        best = trials[trials.mean(axis=1).argmax()]
        chosen_by.append(gain_on_folds(best, default, 0.2).difference.value)
        elsewhere.append(gain_elsewhere(trials, default, 0.2).difference.value)
    error = np.std(elsewhere) / np.sqrt(len(elsewhere))
    assert np.mean(chosen_by) > 0.015
    assert abs(np.mean(elsewhere)) < 3 * error


def test_a_true_gain_is_found_elsewhere() -> None:
    random = np.random.default_rng(1)
    default = random.normal(0.8, 0.1, 5)
    trials = default + random.normal(0, 0.002, (20, 5))
    trials[7] += 0.05
    found = gain_elsewhere(trials, default, 0.2).difference
    assert found.low > 0
    assert found.value == pytest.approx(0.05, abs=0.005)


def test_the_interval_of_a_mean_over_folds_is_wider_than_that_of_independent_ones() -> None:
    paired = np.array([0.01, 0.03, 0.02, 0.0, 0.04])
    found = mean_over_folds(paired, 0.25)
    # By hand: the standard deviation 0.0158, times the root of 1/5 + 1/4, times t(4) = 2.776.
    assert found.value == pytest.approx(0.02)
    assert found.high - found.value == pytest.approx(2.776 * 0.015811 * 0.670820, rel=1e-3)
