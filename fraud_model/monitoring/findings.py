"""Which results of a check are alarms, which are notes, and what remains unknown."""

from __future__ import annotations

from collections.abc import Sequence

from fraud_model.monitoring.drift import FEWEST_ROWS, PSI_THRESHOLD
from fraud_model.monitoring.gaps import Gap, Kind
from fraud_model.monitoring.maturity import MATURED_SHARE
from fraud_model.monitoring.performance import FEWEST_FRAUDS
from fraud_model.monitoring.result import Check, Finding, Judged

WINDOWS_IN_A_ROW = 2


def findings(done: Check) -> list[Finding]:
    """The findings of a check: alarms, notes, and what is unknown."""
    judged = done.judged
    found = [
        *_risen_gaps(done.windows),
        *_moved_features(judged),
        *_moved_scores(done, judged),
        *_performance(done),
    ]
    small = [window for window in done.windows if window.scores is None]
    if not done.windows:
        found.append(Finding("unknown", f"no transaction of {done.version} in the traffic"))
    elif small:
        sizes = ", ".join(f"{w.label} ({w.window.rows:,})" for w in small[:5])
        found.append(
            Finding(
                "unknown",
                f"{len(small)} of {len(done.windows)} windows hold fewer than {FEWEST_ROWS:,} "
                f"scored transactions: {sizes}{', …' if len(small) > 5 else ''}",
            )
        )
    return found


def alarming_features(judged: Sequence[Judged]) -> set[str]:
    """The features whose PSI reached its threshold in consecutive windows."""
    return {
        name
        for name in (judged[0].features if judged else ())
        for first in range(len(judged) - WINDOWS_IN_A_ROW + 1)
        if all(
            window.features[name].psi >= PSI_THRESHOLD
            for window in judged[first : first + WINDOWS_IN_A_ROW]
        )
    }


def risen_gaps(windows: Sequence[Judged]) -> dict[tuple[str, Kind], list[tuple[Judged, Gap]]]:
    """The shares of missing and unknown values that rose, with the windows in which they did."""
    found: dict[tuple[str, Kind], list[tuple[Judged, Gap]]] = {}
    for window in windows:
        for gap in window.gaps:
            if gap.has_risen:
                found.setdefault((gap.feature, gap.kind), []).append((window, gap))
    return found


def _risen_gaps(windows: Sequence[Judged]) -> list[Finding]:
    """An alarm for each share of missing or unknown values that rose, the largest rise first."""
    judged = [window for window in windows if window.gaps]
    found = []
    for (name, kind), risen in risen_gaps(judged).items():
        worst, gap = max(risen, key=lambda pair: pair[1].now)
        (first, _), (last, _) = risen[0], risen[-1]
        what = {
            "missing": "is missing: {:.1%} of the transactions",
            "unknown": "holds values that the version does not know: {:.1%} of its values",
        }[kind].format(gap.now)
        until = "" if last is judged[-1] else f", last in {last.label}"
        text = (
            f"{name} {what} in {worst.label}, {gap.before:.1%} in the reference; since "
            f"{first.label}{until}, in {len(risen)} of {len(judged)} windows"
        )
        finding = Finding("alarm", text, name, gap.before, gap.now, first.label)
        found.append((gap.now - gap.before, finding))
    return [finding for _, finding in sorted(found, key=lambda pair: -pair[0])]


def _moved_features(judged: Sequence[Judged]) -> list[Finding]:
    """An alarm for each feature that moved in consecutive windows, a note for others that moved."""
    found = []
    names = judged[0].features if judged else {}
    alarming = alarming_features(judged)
    for name in names:
        moved = [window.features[name].psi >= PSI_THRESHOLD for window in judged]
        if not any(moved):
            continue
        worst = max(judged, key=lambda window: window.features[name].psi)
        drift = worst.features[name]
        where = (
            f"{name} has moved: PSI {drift.psi:.2f} in {worst.label}, {drift.of} "
            f"{drift.shown(drift.before)} -> {drift.shown(drift.now)}, "
            f"{'KS' if drift.is_median else 'distance'} {drift.distance:.2f}; "
            f"{PSI_THRESHOLD:g} or more in {sum(moved)} of {len(moved)} windows"
        )
        if name in alarming:
            found.append((drift.psi, Finding("alarm", where)))
        else:
            found.append((0.0, Finding("note", f"{where}, never {WINDOWS_IN_A_ROW} in a row")))
    return [finding for _, finding in sorted(found, key=lambda pair: -pair[0])]


def _moved_scores(done: Check, judged: Sequence[Judged]) -> list[Finding]:
    beyond = [window for window in (*judged, done.overall) if window.ratio > 1]
    if not beyond:
        return []
    worst = max(beyond, key=lambda window: window.ratio)
    labels = ", ".join(window.label for window in beyond[:5])
    return [
        Finding(
            "alarm",
            f"scores have moved {worst.ratio:.2f} times as far as their band allows in "
            f"{worst.label}: {worst.window.flagged_rate:.3%} flagged, "
            f"{done.profile.flagged_rate:.3%} in the reference; outside the band in "
            f"{labels}{', …' if len(beyond) > 5 else ''}",
        )
    ]


def _performance(done: Check) -> list[Finding]:
    reached = done.performance
    if reached is None:
        return []
    if not reached.intervals:
        return [
            Finding(
                "unknown",
                f"performance: {len(reached.windows)} windows have matured (a known label for "
                f"{MATURED_SHARE:.0%} of their transactions), with {reached.frauds} frauds in "
                f"{reached.rows:,} labelled transactions; at least {FEWEST_FRAUDS} frauds, and "
                "genuine transactions, labelled 0 or known by label_delay and unlabelled=genuine, "
                "are needed",
            )
        ]
    now = reached.intervals["average_precision"]
    before = done.profile.metrics
    low, high = before.average_precision_low, before.average_precision_high
    text = (
        f"average precision is {now.value:.4f} [{now.low:.4f}, {now.high:.4f}] on "
        f"{reached.rows:,} labelled transactions with {reached.frauds:,} frauds, and was "
        f"{before.average_precision:.4f} [{low:.4f}, {high:.4f}] on the holdout"
    )
    # Both are estimates: only intervals that do not overlap say that the model got worse.
    return [Finding("alarm" if now.high < low else "note", text)]
