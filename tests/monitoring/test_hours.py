"""A window is compared with the reference of its own hours, and only with hours that were seen."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from fraud_model.arrays import Floats
from fraud_model.data.simulation import Rhythm, simulate
from fraud_model.data.table_traffic import TableTraffic
from fraud_model.data.traffic import Batch, Scored
from fraud_model.model.directory import ModelDirectory
from fraud_model.model.feature import Feature
from fraud_model.model.hours import (
    DAY,
    WEEK,
    Hours,
    choose_slots,
    count_by_slot,
    dispersion,
    slots_of,
    tuples,
)
from fraud_model.model.profile import Distribution, Profile, Scores
from fraud_model.monitoring.check import check
from fraud_model.monitoring.expected import expected
from fraud_model.monitoring.result import Check
from fraud_model.monitoring.score_band import ScoreBand
from fraud_model.monitoring.windows import Span, Windows
from fraud_model.registry.export import export
from fraud_model.registry.moves import move
from fraud_model.tracking import open_run
from fraud_model.training.config import Hyperparameters, TrainingConfig
from fraud_model.training.pipeline import train
from tests.support.store import Store

HOUR = 3_600
NIGHT, NOON = 3, 12


@pytest.fixture(scope="module")
def profile(exported: Path) -> Profile:
    return ModelDirectory(exported, "version 1").required_profile()


def known(profile: Profile) -> Hours:
    assert profile.hours is not None
    return profile.hours


def all_hours(profile: Profile) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    return np.append(np.array(known(profile).rows), 0)


def test_of_all_its_hours_the_reference_expects_itself(profile: Profile) -> None:
    found = expected(profile, all_hours(profile))
    assert found.rows == profile.rows
    for name, reference in profile.features.items():
        assert found.features[name].distribution.shares == pytest.approx(
            reference.distribution.shares
        )


def test_of_one_hour_it_expects_that_hour(profile: Profile) -> None:
    rows = np.zeros(DAY + 1, np.int64)
    rows[NOON] = 5_000
    found = expected(profile, rows)
    assert found.rows == known(profile).rows[NOON]
    counts = np.array(known(profile).features["V3"][NOON])
    distribution = found.features["V3"].distribution
    groups = profile.features["V3"].distribution.groups
    assert np.bincount(groups, distribution.shares) == pytest.approx(counts / counts.sum())


def test_transactions_without_a_time_are_compared_with_all_hours(profile: Profile) -> None:
    rows = np.zeros(DAY + 1, np.int64)
    rows[-1] = 5_000
    assert expected(profile, rows) is profile


def scored(profile: Profile, moments: Floats) -> Batch:
    rows = len(moments)
    return Batch(
        Scored(
            seconds=np.linspace(0, 86_000, rows),
            values=np.zeros((rows, len(profile.features))),
            probability=np.full(rows, 0.01),
            flagged=np.zeros(rows, dtype=bool),
            keys=(),
            moments=moments,
        ),
        np.empty(0),
    )


def test_hours_that_were_never_seen_are_left_out(profile: Profile) -> None:
    hours = known(profile)
    rows = tuple(0 if slot == NIGHT else count for slot, count in enumerate(hours.rows))
    without = replace(profile, hours=replace(hours, rows=rows))
    windows = Windows(without, Span(86_400, None), has_time=True)
    windows.add(scored(profile, np.repeat([NIGHT, NOON], [40, 60]) * float(HOUR)))
    (window,) = windows.by_number.values()
    assert (window.rows, window.unseen_hours, window.scores.sum()) == (100, 40, 60)
    assert window.hours[NOON] == window.hours.sum() == 60


def test_a_time_of_a_feature_and_the_servers_clock_are_two_things(profile: Profile) -> None:
    windows = Windows(profile, Span(86_400, None), has_time=True)
    windows.add(scored(profile, np.full(50, NOON * HOUR + 40 * 86_400.0)))
    (window,) = windows.by_number.values()
    assert window.hours[NOON] == 50


@pytest.mark.parametrize(
    ("days", "rows", "is_dated", "slots"),
    [
        (1, 5_000, True, DAY),
        (13, 50_000, True, DAY),
        (15, 50_000, True, WEEK),
        (15, 50_000, False, DAY),
        (15, 5_000, True, DAY),
        (15, 500, True, 0),
    ],
)
def test_weekdays_count_once_there_are_weeks(
    days: int, rows: int, is_dated: bool, slots: int
) -> None:
    assert choose_slots(np.linspace(0, days * 86_400, rows), is_dated) == slots


def test_a_moment_lies_in_its_hour_of_the_day_or_week() -> None:
    moments = np.array([0, 3_599, 3_600, 86_400, 7 * 86_400 + 7_200, np.nan])
    assert slots_of(moments, DAY).tolist() == [0, 0, 1, 0, 2, DAY]
    assert slots_of(moments, WEEK).tolist() == [0, 0, 1, 24, 2, WEEK]


def frauds_of(days: int, burst: int, seed: int) -> tuple[Floats, np.ndarray]:
    """Moments of a thousand transactions an hour, and which are frauds: one in a hundred."""
    random = np.random.default_rng(seed)
    begins = random.uniform(0, days * 86_400, days * 240 // burst)
    moments = np.concatenate([random.uniform(0, days * 86_400, days * 24_000), *[begins] * burst])
    return moments, np.append(np.zeros(days * 24_000, int), np.ones(len(begins) * burst, int))


@pytest.mark.parametrize(("burst", "low", "high"), [(1, 1.0, 2.0), (6, 3.5, 12.0)])
def test_bursts_are_dispersion_and_chance_is_none(burst: int, low: float, high: float) -> None:
    moments, bins = frauds_of(3, burst, seed=1)
    assert low <= dispersion(moments, bins, 1)[0] <= high


def test_a_daily_rhythm_is_no_dispersion() -> None:
    random = np.random.default_rng(0)
    moments = random.uniform(0, 4 * 86_400, 100_000)
    night = slots_of(moments, DAY) < 6
    bins = (random.random(len(moments)) < np.where(night, 0.4, 0.1)).astype(int)
    assert dispersion(moments, bins, 1)[0] < 2


def rhythmic(seed: int, days: int) -> tuple[Floats, Floats]:
    """Moments, and scores that are higher at night."""
    random = np.random.default_rng(seed)
    moments = random.uniform(0, days * 86_400, days * 20_000)
    night = slots_of(moments, DAY) < 6
    return moments, random.beta(np.where(night, 0.2, 0.1), 5)


def scores_and_hours() -> tuple[Scores, Hours]:
    moments, probability = rhythmic(0, 2)
    order = np.argsort(moments)
    scores = Scores.of(probability[order], 0.3, 2 * 86_400.0)
    slots, bins = slots_of(moments, DAY), np.searchsorted(scores.edges, probability)
    shape = (DAY, len(scores.edges) + 1)
    counts = count_by_slot(slots, bins, np.ones(len(bins)), shape)
    varied = dispersion(moments, bins, len(scores.edges))
    return scores, Hours(
        time=Feature("Time", "time"),
        rows=tuple(np.bincount(slots, minlength=DAY).tolist()),
        features={},
        missing={},
        scores=tuples(counts),
        dispersion=tuple(varied.tolist()),
    )


def night_of(seed: int) -> tuple[Floats, Floats]:
    moments, probability = rhythmic(seed, 1)
    night = slots_of(moments, DAY) < 6
    return moments[night], probability[night]


def test_a_night_is_compared_with_nights() -> None:
    scores, hours = scores_and_hours()
    band, ratios = ScoreBand(scores, hours), []
    for seed in range(1, 101):
        moments, probability = night_of(seed)
        slots = np.bincount(hours.slots(moments), minlength=DAY + 1)
        ratios.append(band.shift(scores.count(probability), 6 * 3_600.0, slots).ratio)
    assert sum(ratio > 1 for ratio in ratios) <= 1
    # A day that scores like a night has moved further than the night has.
    noon = np.zeros(DAY + 1, np.int64)
    noon[NOON] = len(probability)
    assert band.shift(scores.count(probability), 3_600.0, noon).ratio > 2 * ratios[-1]


@pytest.mark.slow
def test_what_a_version_was_measured_on_is_quiet(store: Store, tmp_path: Path) -> None:
    rhythm = Rhythm(swing=0.5, burst=3.5)
    table = simulate(20_000, 100, seed=1, rhythm=rhythm).sort_values("Time")
    table.to_parquet(tmp_path / "table.parquet")
    config = TrainingConfig(
        data=str(tmp_path / "table.parquet"),
        model_name="rhythmic",
        hyperparameters=Hyperparameters(rounds=60),
    )
    with open_run("train"):
        train(config)
    move("rhythmic", "1", "Production")
    export("rhythmic", "Production", tmp_path / "model")
    own = table.tail(round(0.4 * len(table))).drop(columns="Class")
    own.to_parquet(tmp_path / "own.parquet")
    profile = ModelDirectory(tmp_path / "model").required_profile()

    def checked(profile: Profile) -> Check:
        names, path = list(profile.features), tmp_path / "own.parquet"
        traffic = TableTraffic(path, tmp_path / "model", names, profile.time)
        return check(traffic, "m", profile, Span(6 * HOUR, None), None)

    done = checked(profile)
    assert len(done.judged) >= 2
    assert {finding.kind for finding in done.findings} <= {"note"}, done.findings
    # The hours are what makes it so.
    assert checked(replace(profile, hours=None)).status == "alarm"


def test_groups_hold_a_tenth_each() -> None:
    distribution = Distribution.of(np.random.default_rng(0).normal(size=10_000))
    shares = np.bincount(distribution.groups, distribution.shares)
    assert shares == pytest.approx(np.full(10, 0.1), abs=0.011)
