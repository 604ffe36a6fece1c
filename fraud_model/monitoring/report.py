"""A check as one self-contained HTML page, and as JSON."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Iterable
from dataclasses import asdict
from datetime import UTC, datetime
from html import escape
from pathlib import Path
from typing import Any

from fraud_model.errors import ParameterError
from fraud_model.monitoring.plots import draw
from fraud_model.monitoring.report_tables import feature_table, performance_table, shadow_tables
from fraud_model.monitoring.result import Check, Finding, Judged

HTML_FILE = "report.html"
JSON_FILE = "report.json"

COLOURS = {"alarm": "#b3261e", "quiet": "#2e6b34", "unknown": "#8a5a00"}
STYLE = """
body{font:15px/1.5 system-ui,sans-serif;color:#222;max-width:960px;margin:2em auto;padding:0 1em}
h1{font-size:1.5em}h2{font-size:1.15em;margin-top:2em}
.status{color:#fff;border-radius:4px;padding:.1em .6em}
table{border-collapse:collapse;font-size:.9em}td,th{padding:.2em .8em;text-align:right}
td:first-child,th:first-child{text-align:left}tr:nth-child(even){background:#f4f4f4}
td:first-child{overflow-wrap:anywhere;min-width:16em}h1,li{overflow-wrap:anywhere}
.alarm{color:#b3261e;font-weight:600}.wide{overflow-x:auto}.wide img{width:100%;min-width:640px}
li{margin:.3em 0}summary{cursor:pointer;margin:.6em 0}
"""
CAPTIONS = {
    "timeline": "The traffic over time",
    "features_by_window": "Which features moved, and when",
    "features_moved_most": "The distributions that moved most",
    "gaps": "Missing and unknown values",
    "scores": "The score distribution in the window that moved most",
    "performance": "Performance on labelled transactions",
}


def write_report(check: Check, folder: Path) -> None:
    """Writes the page and the JSON into `folder`, which is created if it is missing.

    Raises:
        ParameterError: the folder cannot be written to.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / JSON_FILE).write_text(json.dumps(content(check), indent=1) + "\n")
        (folder / HTML_FILE).write_text(page(check), encoding="utf-8")
    except OSError as error:
        raise ParameterError(
            f"report={str(folder)!r} cannot be written to: {error.strerror}. Choose another folder."
        ) from error


def content(check: Check) -> dict[str, Any]:
    """The check's content for a program."""
    reached = check.performance
    return {
        "version": check.version,
        "status": check.status,
        "retrain": check.retrain,
        "advice": check.advice and asdict(check.advice),
        "findings": [_finding(finding) for finding in check.findings],
        "read": _tally(check),
        "overall": _window(check.overall),
        "windows": [_window(window) for window in check.windows],
        "performance": reached
        and {
            "matured_windows": len(reached.windows),
            "transactions": reached.rows,
            "frauds": reached.frauds,
            "metrics": {k: [v.value, v.low, v.high] for k, v in reached.intervals.items()},
            "comparison": reached.comparison and asdict(reached.comparison),
        },
        "shadows": [shadow.summary() for shadow in check.shadows],
    }


def page(check: Check) -> str:
    """The check as HTML."""
    now = datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")
    parts = [
        "<!doctype html><html lang='en'><head><meta charset='utf-8'>",
        "<meta name='viewport' content='width=device-width'>",
        f"<title>{escape(check.version)}: {check.status}</title><style>{STYLE}</style></head>",
        f"<body><h1>{escape(check.version)} <span class='status' style='background:"
        f"{COLOURS[check.status]}'>{check.status}</span></h1>",
        f"<p>Checked {now}: {escape(read_line(check))}.</p>",
        _list(f"{f.kind}: {f.text}" for f in check.findings),
        _advice(check),
    ]
    for name, figure in draw(check).items():
        image = io.BytesIO()
        figure.savefig(image, format="png", dpi=100)
        data = base64.b64encode(image.getvalue()).decode()
        caption = CAPTIONS.get(name, "Champion and shadow on the same transactions")
        parts.append(
            f"<h2>{caption}</h2><div class='wide'>"
            f"<img alt='{escape(caption)}' src='data:image/png;base64,{data}'></div>"
        )
    parts += [performance_table(check), *shadow_tables(check), feature_table(check)]
    return "\n".join([*parts, "</body></html>\n"])


def read_line(check: Check) -> str:
    """What was read, in a line."""
    tally, overall = check.tally, check.overall.window
    others = ", ".join(
        f"{count:,} of {name}" for name, count in tally.other_versions.most_common(5)
    )
    left_out = [
        f"{tally.torn:,} torn" if tally.torn else "",
        f"{tally.unreadable:,} unreadable" if tally.unreadable else "",
        f"other versions: {others}" if others else "",
        f"{tally.marked.total():,} from the page or a test" if tally.marked else "",
    ]
    return (
        f"{tally.lines:,} lines in {tally.files} file{'s' * (tally.files != 1)}, "
        f"{overall.rows:,} scored transactions, {overall.refused:,} refused requests, "
        f"{overall.incomplete:,} incomplete transactions"
        + "".join(f"; {part}" for part in left_out if part)
    )


def _tally(check: Check) -> dict[str, Any]:
    tally = check.tally
    return {
        "lines": tally.lines,
        "files": tally.files,
        "torn": tally.torn,
        "unreadable": tally.unreadable,
        "other_versions": dict(tally.other_versions),
    }


def _finding(finding: Finding) -> dict[str, Any]:
    told = asdict(finding).items()
    return {name: value for name, value in told if value is not None and name != "place"}


def _window(judged: Judged) -> dict[str, Any]:
    window = judged.window
    return {
        "window": judged.label,
        "transactions": window.rows,
        "whole": judged.whole,
        "unseen_hours": window.unseen_hours,
        "refused_share": window.refused_share,
        "flagged_rate": window.flagged_rate,
        "mean_amount": window.mean_amount,
        "flagged_amount": window.amount_flagged,
        "score_shift": judged.ratio if judged.scores else None,
        "psi": {name: drift.psi for name, drift in judged.features.items()},
        "ks": {n: drift.distance for n, drift in judged.features.items() if drift.is_median},
        "distance": {n: d.distance for n, d in judged.features.items() if not d.is_median},
        "missing_share": {g.feature: g.now for g in judged.gaps if g.kind == "missing"},
        "unknown_share": {g.feature: g.now for g in judged.gaps if g.kind == "unknown"},
    }


def advice_lines(check: Check) -> list[str]:
    """What the alarms look like, and what to do; empty without any."""
    advice = check.advice
    if advice is None:
        return []
    since = f", since {advice.since}" if advice.since else ""
    return [f"looks like {advice.looks_like}{since}", f"recommended: {advice.action}"]


def _advice(check: Check) -> str:
    lines = (
        f"<strong>{escape(line[0].upper() + line[1:])}.</strong>" for line in advice_lines(check)
    )
    return "".join(f"<p>{line}</p>" for line in lines)


def _list(lines: Iterable[str]) -> str:
    items = "".join(f"<li>{escape(line)}</li>" for line in lines)
    return f"<ul>{items}</ul>" if items else "<p>Nothing has moved.</p>"
