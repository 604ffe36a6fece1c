"""What an alarm looks like decides what is advised: learning anew helps against few of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from fraud_model.arrays import Floats
from fraud_model.data.label_table import LabelTable
from fraud_model.data.labels import IGNORE_UNLABELLED, LabelRule
from fraud_model.data.traffic import Batch, Scored, Tally
from fraud_model.model.directory import ModelDirectory
from fraud_model.model.profile import Categories, Profile
from fraud_model.monitoring.check import check
from fraud_model.monitoring.events import events
from fraud_model.monitoring.findings import findings
from fraud_model.monitoring.result import Check
from fraud_model.monitoring.windows import Span

ROWS, DAYS = 2_000, 4
# A day; the version finds them all.
FRAUDS = 15
CHARGEBACKS = LabelTable(("is",), {("fraud",): 1.0}, 0)
Change = Callable[[pd.DataFrame, int], None]


@pytest.fixture(scope="module")
def profile(exported: Path) -> Profile:
    return ModelDirectory(exported, "version 1").required_profile()


class Days:
    """Days drawn from the reference itself, value by value, with a change from some day on."""

    key_columns: tuple[str, ...] = ("is",)
    has_time = True
    in_calendar = False

    def __init__(self, profile: Profile, change: Change, refused: int = 0) -> None:
        self.tally = Tally()
        self._profile, self._change, self._refused = profile, change, refused

    def batches(self, keys: Sequence[str]) -> Iterator[Batch]:
        return map(self._day, range(DAYS))

    def _day(self, day: int) -> Batch:
        random = np.random.default_rng(day)
        values = {n: _draw(self._profile, n, random) for n in self._profile.features}
        counts = np.array(self._profile.scores.counts).sum(axis=0)
        edges = np.append(self._profile.scores.edges, 1.0)
        values["score"] = edges[random.choice(len(edges), ROWS, p=counts / counts.sum())]
        table = pd.DataFrame(values)
        self._change(table, day)
        seconds = day * 86_400 + np.linspace(0, 86_000, ROWS)
        worst = table["score"].rank(method="first") > ROWS - FRAUDS
        return Batch(
            Scored(
                seconds=seconds,
                values=table[list(self._profile.features)].to_numpy(),
                probability=table["score"].to_numpy(),
                flagged=np.zeros(ROWS, dtype=bool),
                keys=[("fraud",) if is_fraud else ("genuine",) for is_fraud in worst],
                moments=np.full(ROWS, np.nan),
            ),
            seconds[: self._refused],
        )


def _draw(profile: Profile, name: str, random: np.random.Generator) -> Floats:
    distribution = profile.features[name].distribution
    assert not isinstance(distribution, Categories)
    shares = np.array(distribution.shares)
    levels = np.append(0, np.cumsum(shares)[:-1])
    return np.asarray(np.interp(random.random(ROWS), levels[1:], distribution.edges))


def checked(
    profile: Profile,
    change: Change,
    refused: int = 0,
    labels: LabelTable | None = None,
    rule: LabelRule = IGNORE_UNLABELLED,
) -> Check:
    traffic = Days(profile, change, refused)
    return check(traffic, "m", profile, Span(86_400, None), labels, rule)


def nothing(table: pd.DataFrame, day: int) -> None:
    """Changes nothing."""


def offset(table: pd.DataFrame, day: int) -> None:
    table["V7"] += 4 * (day >= 2)


def cents(table: pd.DataFrame, day: int) -> None:
    table["Amount"] *= 3 if day else 1


def stuck(table: pd.DataFrame, day: int) -> None:
    if day:
        table["V7"] = table["V7"].iloc[0]
        cents(table, day)
        higher_scores(table, day)


def blank(table: pd.DataFrame, day: int) -> None:
    if day:
        table["V9"] = np.nan


def wider(table: pd.DataFrame, day: int) -> None:
    table["V7"] *= 3 if day else 1


def higher_scores(table: pd.DataFrame, day: int) -> None:
    table.loc[: ROWS // 4, "score"] = 0.9


def both(table: pd.DataFrame, day: int) -> None:
    wider(table, 1)
    higher_scores(table, day)


def test_traffic_like_the_reference_needs_no_advice(profile: Profile) -> None:
    done = checked(profile, nothing)
    assert (done.status, done.advice, done.retrain) == ("quiet", None, False), done.findings


@pytest.mark.parametrize(
    ("change", "cause", "since", "words", "retrain"),
    [
        (offset, "feed", "2 d", "V7 alone jumped by +4", False),
        (cents, "feed", "1 d", "Amount alone jumped to 3.1 times", False),
        (stuck, "feed", "1 d", "one value alone is left of V7", False),
        (blank, "feed", "1 d", "values are missing (V9)", False),
        (wider, "inputs", "1 d", "changed (V7) where the scores did not", False),
        (higher_scores, "fraud", "0 d", "no feature did", False),
        (both, "population", "0 d", "V7 moved, and the scores with them", True),
    ],
)
def test_a_change_is_told_by_its_looks(
    profile: Profile, change: Change, cause: str, since: str, words: str, retrain: bool
) -> None:
    rule = LabelRule(86_400, "genuine")
    advice = checked(profile, change, labels=CHARGEBACKS, rule=rule).advice
    assert advice is not None
    assert (advice.cause, advice.since, advice.retrain) == (cause, since, retrain)
    assert words in advice.looks_like


@pytest.mark.parametrize(
    ("labels", "delay", "since", "action"),
    [
        (CHARGEBACKS, 1, 1, "retrain on transactions since then"),
        (CHARGEBACKS, 1, 2, "hold 15 frauds, and retraining takes 20"),
        (CHARGEBACKS, 2, 2, "hold 0 frauds, and retraining takes 20; the first labels are known "
         "from 4 d on"),
        (CHARGEBACKS, 30, 0, "the first labels are known from 30 d on"),
        (None, 30, 0, "check again with -P labels="),
    ],
)  # fmt: skip
def test_retraining_waits_for_labels_of_what_is_new(
    profile: Profile, labels: LabelTable | None, delay: int, since: int, action: str
) -> None:
    def later(table: pd.DataFrame, day: int) -> None:
        if day >= since:
            both(table, day)

    rule = LabelRule(delay * 86_400, "genuine")
    done = checked(profile, later, labels=labels, rule=rule)
    assert done.advice is not None
    assert (done.advice.cause, done.advice.since) == ("population", f"{since} d")
    assert action in done.advice.action
    assert done.retrain == (action == "retrain on transactions since then")


def test_refused_requests_are_a_broken_feed(profile: Profile) -> None:
    done = checked(profile, nothing, refused=200)
    (alarm,) = (finding for finding in done.findings if finding.kind == "alarm")
    assert "requests are refused: 9.1% of those in 0 d (200 of 2,200)" in alarm.text
    assert done.advice is not None
    assert (done.advice.cause, done.retrain) == ("feed", False)
    assert checked(profile, nothing, refused=10).status == "quiet"


def test_scores_of_one_window_are_a_note(profile: Profile) -> None:
    done = checked(profile, lambda table, day: higher_scores(table, day) if day == 1 else None)
    assert done.status == "quiet"
    assert any(f.kind == "note" and "one window alone" in f.text for f in done.findings)


def moved(ratios: Sequence[float], together: float, rest: float) -> Any:
    """A check whose windows' scores, and nothing else, moved so far."""
    counts = SimpleNamespace(requests=0, flagged_rate=0.0, rows=ROWS, unseen_hours=0, refused=0)
    windows = [
        SimpleNamespace(
            number=number, label=f"{number} h", ratio=ratio, window=counts,
            gaps=[], features={}, scores=True, flagged=None, whole=True,
        )
        for number, ratio in enumerate(ratios)
    ]  # fmt: skip
    return SimpleNamespace(
        windows=windows, judged=windows, overall=windows[0], score_together=together,
        score_rest=rest, profile=SimpleNamespace(flagged_rate=0.0), performance=None,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("ratios", "together", "rest", "kinds"),
    [
        # None by itself, and all of them together.
        ([0.6, 0.7, 0.8, 0.9], 1.3, 1.1, ["alarm"]),
        ([0.6, 0.7, 0.8, 0.9], 0.9, 0.8, []),
        # One has moved so far that it moves all of them together.
        ([0.1, 0.2, 0.1, 1.9], 1.3, 0.2, ["note"]),
        ([0.7, 0.8, 0.7, 1.9], 1.3, 0.9, ["alarm"]),
    ],
)
def test_windows_that_moved_together(
    ratios: Sequence[float], together: float, rest: float, kinds: Sequence[str]
) -> None:
    found = findings(moved(ratios, together, rest))
    assert [finding.kind for finding in found] == kinds


@pytest.mark.parametrize(
    ("windows", "beyond", "kind", "sure"),
    [
        (4, 2, "alarm", "in 2 of 4 windows; by chance at most once in 1,000 times"),
        (720, 2, "note", ""),
        (720, 6, "note", ""),
        (720, 7, "alarm", "in 7 of 720 windows; by chance at most once in 100 times"),
    ],
)
def test_more_windows_leave_the_band_than_chance_brings(
    windows: int, beyond: int, kind: str, sure: str
) -> None:
    done = moved([2.0] * beyond + [0.0] * (windows - beyond), together=0.5, rest=0.5)
    (found,) = findings(done)
    assert (found.kind, found.about) == (kind, "scores")
    done.findings = [found]
    assert [event.sure for event in events(done)] == [sure] * (kind == "alarm")


def test_alarms_of_one_time_are_one_event_with_one_date(profile: Profile) -> None:
    def gradual(table: pd.DataFrame, day: int) -> None:
        wider(table, day)
        table["V3"] *= 3 if day > 1 else 1
        if day:
            higher_scores(table, day)

    (event,) = checked(profile, gradual).events
    assert (event.advice.cause, event.advice.since) == ("population", "1 d")
    assert {f.feature for f in event.evidence} == {"V7", "V3", None}
    assert event.sure == "in 3 of 4 windows; by chance at most once in 1,000,000 times"


def test_what_broke_and_was_mended_is_another_event_than_what_moved_later(profile: Profile) -> None:
    def twice(table: pd.DataFrame, day: int) -> None:
        if day == 0:
            table["V9"] = np.nan
        wider(table, int(day > 1))

    done = checked(profile, twice)
    assert [(e.advice.cause, e.advice.since) for e in done.events] == [
        ("feed", "0 d"),
        ("inputs", "2 d"),
    ]
    assert (done.shown.label, done.retrain) == ("0 d", False)
