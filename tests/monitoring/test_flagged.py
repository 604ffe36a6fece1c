"""The number of transactions that are flagged, against what a version would flag of new ones."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from fraud_model.arrays import Counts
from fraud_model.data.traffic import Batch, Scored
from fraud_model.model.directory import ModelDirectory
from fraud_model.model.hours import DAY, Hours
from fraud_model.model.profile import Profile
from fraud_model.monitoring.flagged import FlaggedRange
from fraud_model.monitoring.windows import Span, Windows

ROWS = 200_000
BURST = 3.5


@pytest.fixture(scope="module")
def profile(exported: Path) -> Profile:
    return ModelDirectory(exported, "version 1").required_profile()


def reference(
    profile: Profile, *, caught: int = 320, rate: float = 0.002, dispersion: float = 1.0
) -> FlaggedRange:
    """Of a version of 400,000 rows that caught so many of the 400 frauds of its holdout."""
    metrics = replace(
        profile.metrics,
        true_positives=caught, false_negatives=400 - caught,
        false_positives=20, true_negatives=200_000,
    )  # fmt: skip
    return FlaggedRange(
        replace(profile, fraud_rate=rate, metrics=metrics), hours(profile, dispersion)
    )


def hours(profile: Profile, dispersion: float) -> Hours:
    """All hours alike, one in a hundred above each edge."""
    assert profile.hours is not None
    edges = len(profile.scores.edges)
    counts = tuple((16_500, *[0] * (edges - 1), 167) for _ in range(DAY))
    return replace(profile.hours, scores=counts, dispersion=(dispersion,) * edges)


def all_day(rows: int = ROWS) -> Counts:
    return np.append(np.full(DAY, rows // DAY), 0)


def bursts(seed: int, mean: float) -> int:
    random = np.random.default_rng(seed)
    return int(random.geometric(1 / BURST, random.poisson(mean / BURST)).sum())


def test_new_frauds_are_flagged_as_those_of_the_holdout_were(profile: Profile) -> None:
    found = reference(profile, caught=200).shift(0, all_day())
    # Half of 400 frauds, and one in ten thousand of the others.
    assert found.expected == pytest.approx(220, rel=0.02)
    assert reference(profile, caught=400).shift(0, all_day()).expected > 400


def test_bursts_of_frauds_are_no_alarm(profile: Profile) -> None:
    steady, bursty = reference(profile), reference(profile, dispersion=2 * BURST - 1)
    mean = steady.shift(0, all_day()).expected
    numbers = [bursts(seed, mean) for seed in range(1_000)]
    assert sum(bursty.shift(number, all_day()).ratio > 1 for number in numbers) <= 2
    assert sum(steady.shift(number, all_day()).ratio > 1 for number in numbers) > 50


@pytest.mark.parametrize("times", [0.2, 2])
def test_another_fraud_rate_is(profile: Profile, times: float) -> None:
    bursty = reference(profile, dispersion=2 * BURST - 1)
    mean = bursty.shift(0, all_day()).expected
    numbers = [bursts(seed, times * mean) for seed in range(100)]
    assert sum(bursty.shift(number, all_day()).ratio > 1 for number in numbers) >= 90


def test_a_small_window_without_any_flag_is_no_alarm(profile: Profile) -> None:
    found = reference(profile).shift(0, all_day(1_200))
    assert found.low == 0
    assert found.ratio < 1


def test_an_hour_of_more_fraud_expects_more(profile: Profile) -> None:
    known = hours(profile, 1.0)
    worse = [list(row) for row in known.scores]
    worse[3] = [16_000, *worse[3][1:-1], 667]
    flagged = FlaggedRange(profile, replace(known, scores=tuple(map(tuple, worse))))
    night, noon = (np.zeros(DAY + 1, np.int64) for _ in range(2))
    night[3] = noon[12] = 10_000
    assert flagged.shift(0, night).expected == pytest.approx(
        4 * flagged.shift(0, noon).expected, rel=0.01
    )


def test_what_a_request_asks_to_be_flagged_does_not_count(profile: Profile) -> None:
    windows = Windows(profile, Span(86_400, None), has_time=True)
    rows = 100
    windows.add(
        Batch(
            Scored(
                seconds=np.linspace(0, 86_000, rows),
                values=np.zeros((rows, len(profile.features))),
                probability=np.repeat([0.0, 1.0], [rows - 10, 10]),
                flagged=np.ones(rows, dtype=bool),
                keys=(),
                moments=np.linspace(0, 86_000, rows),
            ),
            np.empty(0),
        )
    )
    (window,) = windows.by_number.values()
    assert (window.flagged, window.decided) == (rows, 10)
