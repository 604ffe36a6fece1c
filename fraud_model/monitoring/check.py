"""One check of a version's traffic: windows, all of it together, late labels and shadows."""

from __future__ import annotations

import numpy as np
from tqdm import tqdm

from fraud_model.arrays import Counts
from fraud_model.data.label_table import LabelTable
from fraud_model.data.labels import IGNORE_UNLABELLED, LabelRule
from fraud_model.data.traffic import Batch, Traffic
from fraud_model.errors import ParameterError
from fraud_model.model.profile import Profile
from fraud_model.monitoring.drift import FEWEST_ROWS, feature_drifts
from fraud_model.monitoring.findings import findings
from fraud_model.monitoring.gaps import gaps
from fraud_model.monitoring.maturity import Labelled
from fraud_model.monitoring.performance import measure
from fraud_model.monitoring.result import OVERALL, Check, Judged
from fraud_model.monitoring.score_band import ScoreBand
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
        known = labelled.known(together.last)
        for number, count in known["window"].value_counts().items():
            windows.by_number[int(str(number))].labelled = int(count)
        performance = measure(known, windows.by_number, profile)
    done = Check(
        version=version,
        profile=profile,
        tally=traffic.tally,
        windows=judged,
        overall=_judge(-1, OVERALL, None, together, profile, band),
        performance=performance,
        shadows=[tally.result(profile.alert_budget, together.last) for tally in shadows.values()],
    )
    done.findings.extend(findings(done))
    return done


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
