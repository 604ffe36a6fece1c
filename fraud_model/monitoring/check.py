"""One check of a version's traffic: windows, all of it together, late labels and shadows."""

from __future__ import annotations

import numpy as np
from tqdm import tqdm

from fraud_model.arrays import Counts
from fraud_model.data.traffic import Batch, Traffic
from fraud_model.model.profile import Profile
from fraud_model.monitoring.drift import FEWEST_ROWS, feature_drifts
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
    band = ScoreBand(profile.scores)
    judged = [
        _judge(
            number,
            span.label(number, traffic.in_calendar),
            float(number * span.seconds) if span.seconds and traffic.in_calendar else None,
            window,
            profile,
            band,
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
        overall=_judge(-1, OVERALL, None, together, profile, band),
        performance=performance,
        shadows=[tally.result(profile.alert_budget) for tally in shadows.values()],
    )
    done.findings.extend(findings(done))
    return done


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


def _judge(
    number: int,
    label: str,
    start: float | None,
    window: Window,
    profile: Profile,
    band: ScoreBand,
) -> Judged:
    found = gaps(window, profile) if window.rows + window.incomplete >= FEWEST_ROWS else []
    if window.rows < FEWEST_ROWS:
        return Judged(number, label, start, window, {}, None, found)
    shift = band.shift(window.scores, window.seconds)
    return Judged(number, label, start, window, feature_drifts(window, profile), shift, found)
