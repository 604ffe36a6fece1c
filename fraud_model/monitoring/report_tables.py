"""The tables of a check's page."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape

from fraud_model.monitoring.findings import alarming_features, risen_gaps
from fraud_model.monitoring.gaps import Gap, Kind
from fraud_model.monitoring.result import Check

NAMES = {
    "average_precision": "average precision",
    "precision_at_budget": "precision at the alert budget",
    "recall_at_budget": "recall at the alert budget",
    "calibration": "frauds seen over frauds expected",
    "fraud_value_caught_share": "share of the frauds' value that was flagged",
}

# Features in the page's table before one has to ask for the rest.
MOST_ROWS = 50
KINDS: tuple[Kind, ...] = ("missing", "unknown")


class Alarming(str):
    """The text of a cell that is behind an alarm."""


def feature_table(check: Check) -> str:
    """Every feature in all windows together, those behind an alarm first; empty without any."""
    features, alarming = check.overall.features, alarming_features(check.judged)
    risen = risen_gaps(check.windows)
    shares = {(gap.feature, gap.kind): gap for gap in check.overall.gaps}
    behind_alarm = {*alarming, *(name for name, _ in risen)}
    moved_most = sorted(check.profile.features, key=lambda n: -features[n].psi if features else 0)
    names = sorted(moved_most, key=lambda name: name not in behind_alarm) if shares else []
    rows = []
    for name in names:
        drift = features.get(name)
        moved = ("",) * 5
        if drift is not None:
            of = "" if drift.is_median else f"{drift.of} "
            moved = (
                (Alarming if name in alarming else str)(f"{drift.psi:.3f}"),
                f"{drift.distance:.3f}",
                f"{drift.p_value:.2g}",
                f"{of}{drift.shown(drift.before)}",
                drift.shown(drift.now),
            )
        gaps = [_gap(shares.get((name, kind)), (name, kind) in risen) for kind in KINDS]
        rows.append((name, *moved, *gaps))
    if not rows:
        return ""
    heads = ("feature", "PSI", "distance", "corrected p-value", "before", "now", *KINDS)
    parts = [
        "<h2>Every feature, all windows together</h2>",
        "<p>Distance: Kolmogorov-Smirnov, or total variation of a category. Before and now: the "
        "median, or the share that is named. Missing and unknown: shares, with those of the "
        "reference in brackets.</p>",
        _table(heads, rows[:MOST_ROWS]),
    ]
    if len(rows) > MOST_ROWS:
        others = f"<summary>{len(rows) - MOST_ROWS:,} others, which moved less</summary>"
        parts.append(f"<details>{others}{_table(heads, rows[MOST_ROWS:])}</details>")
    return "".join(parts)


def _gap(gap: Gap | None, has_risen: bool) -> str:
    if gap is None:
        return ""
    text = f"{gap.now:.2%}" + (f" ({gap.before:.2%})" if gap.now or gap.before else "")
    return Alarming(text) if has_risen else text


def performance_table(check: Check) -> str:
    """The metrics on labelled transactions; empty without any."""
    reached = check.performance
    if reached is None or not reached.intervals:
        return ""
    rows = [
        (NAMES[name], f"{known.value:.4f}", f"{known.low:.4f} to {known.high:.4f}")
        for name, known in reached.intervals.items()
    ]
    return (
        f"<h2>Performance on {reached.rows:,} labelled transactions, {reached.frauds:,} frauds</h2>"
        + _table(("metric", "value", "95 % interval"), rows)
    )


def shadow_tables(check: Check) -> list[str]:
    """A table for each shadow."""
    return [
        f"<h2>Shadow version {escape(shadow.version)}</h2><p>{escape(shadow.verdict())}</p>"
        + _table(("on the same transactions", "champion", "shadow"), shadow.table())
        for shadow in check.shadows
    ]


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = ["<tr>" + "".join(f"<th>{escape(head)}</th>" for head in heads) + "</tr>"]
    for row in rows:
        cells = [
            f"<td class='alarm'>{escape(cell)}</td>"
            if isinstance(cell, Alarming)
            else f"<td>{escape(cell)}</td>"
            for cell in row
        ]
        lines.append("<tr>" + "".join(cells) + "</tr>")
    return f"<div class='wide'><table>{''.join(lines)}</table></div>"
