"""Missing and unknown values alarm where they rose beyond chance, and by enough to matter."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from fraud_model.model.directory import ModelDirectory
from fraud_model.model.feature import Feature
from fraud_model.model.profile import Categories, Profile, Reference
from fraud_model.monitoring.drift import feature_drifts
from fraud_model.monitoring.gaps import Gap, gaps
from fraud_model.monitoring.windows import Window

ROWS = 20_000


@pytest.fixture
def profile(exported: Path) -> Profile:
    return ModelDirectory(exported, "version 1").required_profile()


def window_of(profile: Profile, rows: int, missing: int, unknown: int) -> tuple[Profile, Window]:
    window = Window.empty(profile)
    window.rows = rows
    window.hours[:] = rows
    values = rows - missing
    window.features[:] = 0
    window.features[-3:] = [unknown, values - unknown, 0]
    window.missing[-1] = missing
    return profile, window


def with_category(profile: Profile, missing: float, unknown: float) -> Profile:
    """The profile with the category `shop` at its end."""
    feature = Feature("shop", "category", "string", missing=True, vocabulary=("a", "b"))
    shop = Reference(feature, Categories((unknown, 1 - unknown, 0.0)), missing)
    return replace(profile, rows=ROWS, features={**profile.features, "shop": shop}, hours=None)


def risen(found: list[Gap]) -> list[tuple[str, str]]:
    return [(gap.feature, gap.kind) for gap in found if gap.has_risen]


@pytest.mark.parametrize(
    ("before", "rows", "missing", "alarms"),
    [
        (0.3, 2_000, 620, False),  # like the reference
        (0.3, 2_000, 760, False),  # beyond chance, by 8 points
        (0.3, 2_000, 820, True),
        (0.3, 2_000, 2_000, True),
        (0.0, 2_000, 5, False),  # beyond chance, and next to nothing
        (0.0, 2_000, 40, True),
        (0.01, 2_000, 45, False),  # doubled
        (0.01, 2_000, 80, True),  # four times as much
        (0.0, 20, 1, False),  # many points, and chance
        (1.0, 2_000, 2_000, False),
    ],
)
def test_missing_values(
    profile: Profile, before: float, rows: int, missing: int, alarms: bool
) -> None:
    profile = with_category(profile, before, 0.0)
    found = gaps(window_of(profile, rows, missing, 0)[1], profile)
    assert risen(found) == [("shop", "missing")] * alarms
    (gap,) = (gap for gap in found if gap.feature == "shop" and gap.kind == "missing")
    assert (gap.before, gap.now) == (before, missing / rows)


@pytest.mark.parametrize(
    ("before", "unknown", "alarms"),
    [(0.0, 3, False), (0.0, 100, True), (0.2, 210, False), (0.2, 310, True)],
)
def test_unknown_values_count_among_those_that_are_there(
    profile: Profile, before: float, unknown: int, alarms: bool
) -> None:
    profile = with_category(profile, 0.5, before)
    found = gaps(window_of(profile, 2_000, 1_000, unknown)[1], profile)
    assert risen(found) == [("shop", "unknown")] * alarms


def test_shares_like_those_of_the_reference_stay_quiet(profile: Profile) -> None:
    profile = with_category(profile, 0.1, 0.02)
    random = np.random.default_rng(0)
    for _ in range(500):
        missing = int(random.binomial(1_000, 0.1))
        unknown = int(random.binomial(1_000 - missing, 0.02))
        assert not risen(gaps(window_of(profile, 1_000, missing, unknown)[1], profile))


def test_too_few_values_say_nothing_of_their_distribution(profile: Profile) -> None:
    profile = with_category(profile, 0.9, 0.0)
    for missing, moved in ((800, False), (500, True)):
        _, window = window_of(profile, 1_000, missing, 0)
        # What was always a is b now.
        window.features[-2:] = window.features[:-3:-1]
        drift = feature_drifts(window, profile)["shop"]
        assert (drift.psi > 0.2, drift.p_value < 0.01) == (moved, moved)


def test_values_that_the_version_does_not_know_are_no_drift_as_well(profile: Profile) -> None:
    profile = with_category(profile, 0.0, 0.0)
    _, window = window_of(profile, 2_000, 0, 600)
    assert risen(gaps(window, profile)) == [("shop", "unknown")]
    assert feature_drifts(window, profile)["shop"].psi == pytest.approx(0, abs=1e-3)
