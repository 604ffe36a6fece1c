"""Which results of a check are alarms, which are notes, and what remains unknown."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from fraud_model.monitoring.drift import FEWEST_ROWS, PSI_THRESHOLD
from fraud_model.monitoring.gaps import LEAST_RISE, Gap, Kind
from fraud_model.monitoring.maturity import MATURED_SHARE
from fraud_model.monitoring.performance import FEWEST_FRAUDS, POWER
from fraud_model.monitoring.result import Check, Finding, Judged
from fraud_model.monitoring.score_findings import moved_scores

WINDOWS_IN_A_ROW = 2
# As with a gap that the reference does not have.
REFUSED_SHARE = LEAST_RISE
# Fewer are of one client that errs.
FEWEST_REFUSED = 10


def findings(done: Check) -> list[Finding]:
    """The findings of a check: alarms, notes, and what is unknown."""
    judged = done.judged
    found = [
        *_refused(done),
        *_risen_gaps(done.windows),
        *_moved_features(judged),
        *moved_scores(done),
        *_performance(done),
    ]
    return found + _not_judged(done)


def _not_judged(done: Check) -> list[Finding]:
    """What remains unknown, and why."""
    if not done.windows:
        return [Finding("unknown", f"no transaction of {done.version} in the traffic")]
    total = len(done.windows)
    left = [window for window in done.windows if window.scores is None]
    unfinished = [window for window in left if not window.whole]
    small = [window for window in left if window.whole]
    elsewhen = [window for window in small if window.window.rows >= FEWEST_ROWS]
    small = [window for window in small if window.window.rows < FEWEST_ROWS]
    of = f"of {total} windows"
    found = []
    if unfinished:
        # Every log ends somewhere.
        kind: Literal["note", "unknown"] = "note" if done.judged else "unknown"
        text = f"{len(unfinished)} {of} are not whole, and not judged: {_sizes(unfinished)}"
        found.append(Finding(kind, text))
    if small:
        text = f"{len(small)} {of} hold fewer than {FEWEST_ROWS:,} scored transactions"
        found.append(Finding("unknown", f"{text}: {_sizes(small)}"))
    if elsewhen:
        text = f"{len(elsewhen)} {of} lie largely in hours that the reference has not seen"
        found.append(Finding("unknown", f"{text}: {_sizes(elsewhen)}"))
    unseen = done.overall.window.unseen_hours
    if unseen and not elsewhen:
        text = "transactions lie in hours that the reference has not seen, and are left out"
        found.append(Finding("note", f"{unseen:,} {text}"))
    return found


def _sizes(windows: Sequence[Judged]) -> str:
    sizes = ", ".join(f"{w.label} ({w.window.rows:,})" for w in windows[:5])
    return sizes + (", …" if len(windows) > 5 else "")


def alarming_windows(judged: Sequence[Judged]) -> dict[str, set[int]]:
    """The numbers of the consecutive windows in which a feature's PSI reached its threshold.

    Features without such windows are left out.
    """
    found: dict[str, set[int]] = {}
    for first in range(len(judged) - WINDOWS_IN_A_ROW + 1):
        row = judged[first : first + WINDOWS_IN_A_ROW]
        for name in row[0].features:
            if all(window.features[name].psi >= PSI_THRESHOLD for window in row):
                found.setdefault(name, set()).update(window.number for window in row)
    return found


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
            f"{name} {what} in {worst.label}, {gap.before:.1%} in the reference; in "
            f"{len(risen)} of {len(judged)} windows{until}"
        )
        finding = Finding(
            "alarm",
            text,
            name,
            gap.before,
            gap.now,
            first.label,
            kind,
            place=first.number,
            last=last.number,
            worst=worst.number,
            windows=len(risen),
            judged=len(judged),
            p_value=gap.p_value,
        )
        found.append((gap.now - gap.before, finding))
    return [finding for _, finding in sorted(found, key=lambda pair: -pair[0])]


def _moved_features(judged: Sequence[Judged]) -> list[Finding]:
    """An alarm for each feature that moved in consecutive windows, a note for others that moved."""
    found = []
    names = judged[0].features if judged else {}
    alarming = alarming_windows(judged)
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
            first = judged[moved.index(True)]
            finding = Finding(
                "alarm",
                where,
                name,
                since=first.label,
                about="feature",
                place=first.number,
                last=max(alarming[name]),
                worst=worst.number,
                windows=sum(moved),
                judged=len(judged),
                p_value=drift.p_value,
            )
            found.append((drift.psi, finding))
        else:
            text = f"{where}, never {WINDOWS_IN_A_ROW} in a row"
            found.append((0.0, Finding("note", text, name, about="feature")))
    return [finding for _, finding in sorted(found, key=lambda pair: -pair[0])]


def _refused(done: Check) -> list[Finding]:
    """An alarm for requests that were refused; the reference holds none.

    A window that is not whole counts too: of refusals alone it never becomes so.
    """
    windows = [w for w in done.windows if w.window.requests]
    shares = {w.label: w.window.refused / w.window.requests for w in windows}
    risen = [
        w
        for w in windows
        if w.window.refused >= FEWEST_REFUSED and shares[w.label] >= REFUSED_SHARE
    ]
    if not risen:
        return []
    worst = max(risen, key=lambda window: shares[window.label])
    until = "" if risen[-1] is windows[-1] else f", last in {risen[-1].label}"
    text = (
        f"requests are refused: {shares[worst.label]:.1%} of those in {worst.label} "
        f"({worst.window.refused:,} of {worst.window.requests:,}), none in the reference; in "
        f"{len(risen)} of {len(windows)} windows{until}"
    )
    return [
        Finding(
            "alarm",
            text,
            None,
            0.0,
            shares[worst.label],
            risen[0].label,
            "refused",
            place=risen[0].number,
            last=risen[-1].number,
            worst=worst.number,
            windows=len(risen),
            judged=len(windows),
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
    now, compared = reached.intervals["average_precision"], reached.comparison
    before = done.profile.metrics
    low, high = before.average_precision_low, before.average_precision_high
    text = (
        f"average precision is {now.value:.4f} [{now.low:.4f}, {now.high:.4f}] on "
        f"{reached.rows:,} labelled transactions with {reached.frauds:,} frauds, and was "
        f"{before.average_precision:.4f} [{low:.4f}, {high:.4f}] on the holdout"
    )
    if compared is None:
        return [Finding("note", text, about="performance")]
    text += (
        f"; at the holdout's share of frauds it is {compared.now.value:.4f}, one-sided "
        f"p = {compared.p_value:.2g}; a fall to {compared.detectable:.4f} would have been seen "
        f"with a power of {POWER:.0%}"
    )
    if not compared.has_fallen:
        return [Finding("note", text, about="performance")]
    first = next(window for window in done.windows if window.number == reached.since)
    later = sum(number >= first.number for number in reached.windows)
    if later < len(reached.windows):
        text += f"; it seems to have fallen in {first.label}, and not before"
    return [
        Finding(
            "alarm",
            text,
            since=first.label,
            about="performance",
            place=first.number,
            last=reached.windows[-1],
            windows=later,
            judged=len(reached.windows),
            p_value=compared.p_value,
        )
    ]
