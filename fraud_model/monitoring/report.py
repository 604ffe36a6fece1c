"""A check as files: one self-contained HTML page, and JSON."""

from __future__ import annotations

import json
from dataclasses import asdict
from math import isnan
from pathlib import Path
from typing import Any

from fraud_model.errors import ParameterError
from fraud_model.evaluation.intervals import Interval
from fraud_model.monitoring.page import page
from fraud_model.monitoring.result import Check, Event, Finding, Judged
from fraud_model.monitoring.summary import NextSteps, headline

HTML_FILE = "report.html"
JSON_FILE = "report.json"
TOLD = ("kind", "text", "feature", "before", "now", "since", "about")


def write_report(check: Check, folder: Path, steps: NextSteps) -> None:
    """Writes the page and the JSON into `folder`, which is created if it is missing.

    Raises:
        ParameterError: the folder cannot be written to.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / JSON_FILE).write_text(json.dumps(content(check, steps), indent=1) + "\n")
        (folder / HTML_FILE).write_text(page(check, steps), encoding="utf-8")
    except OSError as error:
        raise ParameterError(
            f"report={str(folder)!r} cannot be written to: {error.strerror}. Choose another folder."
        ) from error


def content(check: Check, steps: NextSteps) -> dict[str, Any]:
    """The check's content for a program."""
    reached = check.performance
    return {
        "version": check.version,
        "status": check.status,
        "headline": headline(check),
        "retrain": check.retrain,
        "advice": check.advice and asdict(check.advice),
        "run": steps.run,
        "events": [_event(event, steps) for event in check.events],
        "findings": [_finding(finding) for finding in check.findings],
        "read": _tally(check),
        "overall": _window(check.overall),
        "windows": [_window(window) for window in check.windows],
        "performance": reached
        and {
            "matured_windows": len(reached.windows),
            "transactions": reached.rows,
            "frauds": reached.frauds,
            "metrics": {k: _interval(v) for k, v in reached.intervals.items()},
            "holdout": {k: _interval(v) for k, v in reached.held.items()},
            "comparison": reached.comparison and asdict(reached.comparison),
        },
        "shadows": [shadow.summary() for shadow in check.shadows],
    }


def _event(event: Event, steps: NextSteps) -> dict[str, Any]:
    return {
        **asdict(event.advice),
        "how_sure": event.sure,
        "command": steps.command(event),
        "evidence": [finding.text for finding in event.evidence],
    }


def _interval(known: Interval) -> list[float | None]:
    # JSON knows no NaN.
    return [None if isnan(v) else v for v in (known.value, known.low, known.high)]


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
    return {name: value for name in TOLD if (value := getattr(finding, name)) is not None}


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
