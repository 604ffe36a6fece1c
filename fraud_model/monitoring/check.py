"""One check of a version's traffic: windows, all of it together, late labels and shadows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from tqdm import tqdm

from fraud_model.arrays import Counts
from fraud_model.data.traffic import Batch, Traffic
from fraud_model.model.profile import Profile
from fraud_model.monitoring.advice import advise
from fraud_model.monitoring.drift import FEWEST_ROWS, feature_drifts
from fraud_model.monitoring.expected import expected
from fraud_model.monitoring.findings import findings
from fraud_model.monitoring.gaps import gaps
from fraud_model.monitoring.labels import UNKNOWN, Labels
from fraud_model.monitoring.performance import Labelled, measure
from fraud_model.monitoring.result import OVERALL, Check, Judged
from fraud_model.monitoring.score_band import ScoreBand
from fraud_model.monitoring.shadow_comparison import ShadowTally
from fraud_model.monitoring.windows import Span, Window, Windows


def check(
    traffic: Traffic, version: str, profile: Profile, span: Span, labels: Labels | None
) -> Check:
    """Reads all of the traffic once, and judges it.

    Raises:
        ParameterError: the windows do not fit the traffic.
        DataError: the traffic cannot be read.
    """
    span.check(traffic)
    windows = Windows(profile, span, traffic.has_time)
    labelled = Labelled()
    shadows: dict[str, ShadowTally] = {}
    with tqdm(unit=" lines", unit_scale=True, desc="traffic") as progress:
        for batch in traffic.batches(labels.columns if labels else ()):
            numbers = windows.add(batch)
            if labels is not None:
                _label(batch, numbers, labels, labelled, windows, profile)
            for part in batch.shadowed:
                shadows.setdefault(part.version, ShadowTally(part.version)).add(part, labels)
            progress.update(traffic.tally.lines - progress.n)
    judge = Judge(profile)
    judged = [
        judge.judge(
            number,
            span.label(number, traffic.in_calendar),
            float(number * span.seconds) if span.seconds and traffic.in_calendar else None,
            window,
            windows.is_whole(number),
        )
        for number, window in sorted(windows.by_number.items())
    ]
    together = Window.empty(profile)
    for window in windows.by_number.values():
        together.add(window)
    performance = None
    if labels is not None and windows.by_number:
        performance = measure(labelled.table(), windows.by_number, profile)
    done = Check(
        version=version,
        profile=profile,
        tally=traffic.tally,
        windows=judged,
        overall=judge.judge(-1, OVERALL, None, together, whole=True),
        score_rest=judge.score_rest([window for window in judged if window.scores is not None]),
        performance=performance,
        shadows=[tally.result(profile.alert_budget) for tally in shadows.values()],
    )
    done.findings.extend(findings(done))
    return replace(done, advice=advise(done))


def _label(
    batch: Batch,
    numbers: Counts,
    labels: Labels,
    labelled: Labelled,
    windows: Windows,
    profile: Profile,
) -> None:
    scored = batch.scored
    codes = labels.of(scored.keys)
    column = profile.amount_column
    amounts = None if column is None else scored.values[:, column]
    labelled.add(codes, scored.probability, amounts, scored.seconds, numbers)
    found = numbers[(codes != UNKNOWN) & ~np.isnan(scored.probability)]
    for number, count in zip(*np.unique(found, return_counts=True), strict=True):
        windows.by_number[int(number)].labelled += int(count)


class Judge:
    """Compares windows with what the reference leads one to expect of their hours."""

    def __init__(self, profile: Profile) -> None:
        self._profile = profile
        self._band = ScoreBand(profile.scores, profile.hours)

    def judge(
        self, number: int, label: str, start: float | None, window: Window, whole: bool
    ) -> Judged:
        """How far a window has moved; a window that is not whole only keeps its counts."""
        known = expected(self._profile, window.hours)
        nothing = Judged(number, label, start, window, {}, None, [], known, whole)
        if not whole or window.hours.sum() < FEWEST_ROWS:
            return nothing
        found = gaps(window, known)
        if window.score_hours.sum() < FEWEST_ROWS:
            return replace(nothing, gaps=found)
        shift = self._band.shift(window.scores, window.seconds, window.score_hours)
        drifts = feature_drifts(window, known)
        return replace(nothing, features=drifts, scores=shift, gaps=found)

    def score_rest(self, judged: Sequence[Judged]) -> float:
        """How far the scores of all windows but the one that moved most have moved together."""
        worst = max(judged, key=lambda window: window.ratio, default=None)
        rest = Window.empty(self._profile)
        for one in judged:
            if one is not worst:
                rest.add(one.window)
        if not rest.rows:
            return 0.0
        return self._band.shift(rest.scores, rest.seconds, rest.score_hours).ratio
