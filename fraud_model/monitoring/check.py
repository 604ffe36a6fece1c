"""One check of a version's traffic: windows, all of it together, late labels and shadows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from tqdm import tqdm

from fraud_model.arrays import Counts
from fraud_model.data.label_table import LabelTable
from fraud_model.data.labels import IGNORE_UNLABELLED, LabelRule
from fraud_model.data.traffic import Batch, Traffic
from fraud_model.errors import ParameterError
from fraud_model.model.profile import Profile
from fraud_model.monitoring.drift import FEWEST_ROWS, feature_drifts
from fraud_model.monitoring.events import events
from fraud_model.monitoring.expected import expected
from fraud_model.monitoring.findings import findings
from fraud_model.monitoring.flagged import FlaggedRange, FlaggedShift
from fraud_model.monitoring.gaps import gaps
from fraud_model.monitoring.maturity import Labelled
from fraud_model.monitoring.performance import measure
from fraud_model.monitoring.result import OVERALL, Check, Judged
from fraud_model.monitoring.score_band import ScoreBand, ScoreShift
from fraud_model.monitoring.shadow_comparison import ShadowTally
from fraud_model.monitoring.windows import Span, Window, Windows


def check(
    traffic: Traffic,
    version: str,
    profile: Profile,
    span: Span,
    labels: LabelTable | None,
    rule: LabelRule = IGNORE_UNLABELLED,
) -> Check:
    """Reads all of the traffic once, and judges it.

    Labels are known as `rule` says by the time of the latest transaction.

    Raises:
        ParameterError: the windows or the rule do not fit the traffic.
        DataError: the traffic cannot be read.
    """
    span.check(traffic)
    windows = Windows(profile, span, traffic.has_time)
    if rule.delay and not traffic.has_time:
        raise ParameterError(
            "label_delay cannot be measured, because the table has no time column. Leave it out."
        )
    labelled = Labelled(rule)
    shadows: dict[str, ShadowTally] = {}
    with tqdm(unit=" lines", unit_scale=True, desc="traffic") as progress:
        for batch in traffic.batches(labels.columns if labels else ()):
            numbers = windows.add(batch)
            if labels is not None:
                _label(batch, numbers, labels, labelled, profile)
            for part in batch.shadowed:
                shadows.setdefault(part.version, ShadowTally(part.version, rule)).add(part, labels)
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
        known = labelled.known(together.last)
        for number, count in known["window"].value_counts().items():
            windows.by_number[int(str(number))].labelled = int(count)
        performance = measure(known, windows.by_number, profile)
    together_ratio, rest_ratio = judge.together([one for one in judged if one.scores is not None])
    done = Check(
        version=version,
        profile=profile,
        tally=traffic.tally,
        windows=judged,
        overall=judge.judge(-1, OVERALL, None, together, whole=True),
        score_together=together_ratio,
        score_rest=rest_ratio,
        performance=performance,
        shadows=[tally.result(profile.alert_budget, together.last) for tally in shadows.values()],
        rule=rule,
        in_calendar=traffic.in_calendar,
    )
    done.findings.extend(findings(done))
    return replace(done, events=events(done))


def _label(
    batch: Batch, numbers: Counts, labels: LabelTable, labelled: Labelled, profile: Profile
) -> None:
    scored, column = batch.scored, profile.amount_column
    kept = ~np.isnan(scored.probability)
    columns = {"probability": scored.probability[kept]}
    if column is not None:
        columns["amount"] = scored.values[kept, column]
    found = labels.of(scored.keys)[kept]
    labelled.add(found, scored.seconds[kept], numbers[kept], columns)


class Judge:
    """Compares windows with what the reference leads one to expect of their hours."""

    def __init__(self, profile: Profile) -> None:
        self._profile = profile
        self._band = ScoreBand(profile.scores, profile.hours)
        self._flagged = FlaggedRange(profile, profile.hours) if profile.hours else None

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
        scores, flagged = self._moved(window)
        drifts = feature_drifts(window, known)
        return replace(nothing, features=drifts, scores=scores, flagged=flagged, gaps=found)

    def together(self, judged: Sequence[Judged]) -> tuple[float, float]:
        """How far the scores of all windows have moved together, and without the one that moved
        most; 0 without any.
        """
        worst = max(judged, key=lambda window: window.ratio, default=None)
        both = Window.empty(self._profile), Window.empty(self._profile)
        for one in judged:
            both[0].add(one.window)
            if one is not worst:
                both[1].add(one.window)
        everything, rest = (self._ratio(window) for window in both)
        return everything, rest

    def _ratio(self, window: Window) -> float:
        if not window.rows:
            return 0.0
        return max(shift.ratio for shift in self._moved(window) if shift)

    def _moved(self, window: Window) -> tuple[ScoreShift, FlaggedShift | None]:
        """How far the scores of a window moved, and how many are flagged."""
        scores = self._band.shift(window.scores, window.seconds, window.score_hours)
        if self._flagged is None:
            return scores, None
        return scores, self._flagged.shift(window.decided, window.score_hours)
