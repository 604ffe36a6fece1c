"""The tables of a check's page."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape

from fraud_model.monitoring.findings import alarming_windows
from fraud_model.monitoring.gaps import Gap, Kind
from fraud_model.monitoring.result import Check, Judged

NAMES = {
    "average_precision": "average precision",
    "precision_at_budget": "precision at the alert budget",
    "recall_at_budget": "recall at the alert budget",
    "calibration": "frauds seen over frauds expected",
    "fraud_value_caught_share": "share of the frauds' value that was flagged",
}

# Features in a table, and windows with a table of their own; report.json holds all of both.
MOST_ROWS = 50
MOST_TABLES = 14
KINDS: tuple[Kind, ...] = ("missing", "unknown")
HEADS = ("feature", "PSI", "distance", "corrected p-value", "before", "now", *KINDS)


class Alarming(str):
    """The text of a cell that is behind an alarm."""


def feature_tables(check: Check) -> str:
    """A table for each window and one for all of them, the one to look at open; or an empty text.

    Where there are too many windows, those behind an alarm come before the latest.
    """
    alarming = alarming_windows(check.judged)
    windows = [window for window in check.windows if window.gaps]
    if not windows:
        return ""
    first = check.shown
    behind = set().union(*alarming.values(), [first.number])
    by_need = sorted(windows, key=lambda window: (window.number not in behind, -window.number))
    chosen = {window.number for window in by_need[:MOST_TABLES]}
    left = f"; {len(windows) - len(chosen):,} more windows are in report.json"
    parts = [
        f"<h2>Every feature in {escape(first.label)}</h2>",
        _feature_table(check, first, alarming),
        "<p class='muted'>Distance: Kolmogorov-Smirnov, or total variation of a category. Before "
        "and now: the median, or the share that is named. Missing and unknown: shares, with those "
        "of the reference in brackets. Red is what alarms"
        f"{left if len(chosen) < len(windows) else ''}.</p>",
    ]
    others = [w for w in windows if w.number in chosen and w is not first]
    if first is not check.overall:
        others.append(check.overall)
    for window in others if len(windows) > 1 else ():
        table = _feature_table(check, window, alarming)
        text = f"{window.label}, {window.window.rows:,} transactions"
        parts.append(f"<details><summary>{escape(text)}</summary>{table}</details>")
    return "".join(parts)


def _feature_table(check: Check, judged: Judged, alarming: dict[str, set[int]]) -> str:
    """The features of a window, those behind an alarm first, then those that moved most."""
    shares = {(gap.feature, gap.kind): gap for gap in judged.gaps}
    whole = judged is check.overall
    rows: list[tuple[tuple[bool, float], tuple[str, ...]]] = []
    for name in check.profile.features:
        drift = judged.features.get(name)
        moved = ("",) * 5
        if drift is not None:
            of = "" if drift.is_median else f"{drift.of} "
            alarms = judged.number in alarming.get(name, ())
            moved = (
                (Alarming if alarms else str)(f"{drift.psi:.3f}"),
                f"{drift.distance:.3f}",
                f"{drift.p_value:.2g}",
                f"{of}{drift.shown(drift.before)}",
                drift.shown(drift.now),
            )
        gaps = (_gap(shares.get((name, kind)), alarms=not whole) for kind in KINDS)
        cells = (name, *moved, *gaps)
        calm = not any(isinstance(cell, Alarming) for cell in cells)
        rows.append(((calm, -drift.psi if drift else 0.0), cells))
    rows.sort(key=lambda row: row[0])
    return _table(
        f"Every feature in {judged.label}", HEADS, [cells for _, cells in rows[:MOST_ROWS]]
    ) + (
        f"<p class='muted'>{len(rows) - MOST_ROWS:,} others, which moved less, are in "
        "report.json.</p>"
        if len(rows) > MOST_ROWS
        else ""
    )


def _gap(gap: Gap | None, *, alarms: bool) -> str:
    if gap is None:
        return ""
    text = f"{gap.now:.2%}" + (f" ({gap.before:.2%})" if gap.now or gap.before else "")
    return Alarming(text) if alarms and gap.has_risen else text


def performance_table(check: Check) -> str:
    """The metrics on labelled transactions beside those of the holdout; empty without any."""
    reached = check.performance
    if reached is None or not reached.intervals:
        return ""
    worse = any(f.about == "performance" and f.kind == "alarm" for f in check.findings)
    rows = []
    for name, known in reached.intervals.items():
        value = f"{known.value:.4f}"
        held = reached.held.get(name)
        rows.append(
            (
                NAMES[name],
                Alarming(value) if worse and name == "average_precision" else value,
                _interval(known.low, known.high),
                f"{held.value:.4f}" if held else "",
                _interval(held.low, held.high) if held else "",
            )
        )
    title = (
        f"Performance on {reached.rows:,} labelled transactions with {reached.frauds:,} frauds, "
        "beside the holdout"
    )
    heads = ("metric", "now", "95 % interval", "holdout", "95 % interval of the holdout")
    return f"<h2>{title}</h2>{_table(title, heads, rows)}"


def _interval(low: float, high: float) -> str:
    return "" if low != low else f"{low:.4f} to {high:.4f}"


def shadow_tables(check: Check) -> list[str]:
    """A table for each shadow."""
    return [
        f"<h2>Shadow version {escape(shadow.version)}</h2><p>{escape(shadow.verdict())}</p>"
        + _table(
            f"Champion and shadow version {shadow.version}",
            ("on the same transactions", "champion", "shadow"),
            shadow.table(),
        )
        for shadow in check.shadows
    ]


def _table(title: str, heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    head = "".join(f"<th scope='col'>{escape(head)}</th>" for head in heads)
    lines = []
    for first, *rest in rows:
        cells = "".join(
            f"<td class='alarm'>{escape(cell)}</td>"
            if isinstance(cell, Alarming)
            else f"<td>{escape(cell)}</td>"
            for cell in rest
        )
        lines.append(f"<tr><th scope='row'>{escape(first)}</th>{cells}</tr>")
    # One that is wider than the screen is scrolled, with the keyboard too.
    return (
        f"<div class='wide' role='region' tabindex='0' aria-label='{escape(title)}'><table><thead>"
        f"<tr>{head}</tr></thead><tbody>{''.join(lines)}</tbody></table></div>"
    )
