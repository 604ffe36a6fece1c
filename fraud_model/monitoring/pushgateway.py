"""Tells a Prometheus Pushgateway what a check found, for dashboards and alerts."""

from __future__ import annotations

import os
from urllib.parse import urlsplit

from prometheus_client import CollectorRegistry, Gauge, push_to_gateway, pushadd_to_gateway

from fraud_model.monitoring.result import Check

URL = "PUSHGATEWAY"
JOB = "fraud-monitor"
SECONDS = 5


def push_check(check: Check, model_name: str, *, keeps_alarm: bool) -> str:
    """Replaces what PUSHGATEWAY holds of a model, and returns the outcome.

    With `keeps_alarm` whether there is an alarm stays as it was. The text is empty if it is not
    set. A gateway that does not answer never makes a check fail.
    """
    url = os.environ.get(URL)
    if not url:
        return ""
    registry = CollectorRegistry()
    values = {
        "fraud_monitor_unknown": (
            "1 if the last check had too little to judge, else 0.",
            check.status == "unknown",
        ),
        "fraud_monitor_scores_moved_bands": (
            "How far the scores of the window that moved most did, in bands of quiet traffic.",
            max((window.ratio for window in check.judged), default=0.0),
        ),
        "fraud_monitor_windows_judged": ("Windows that held enough.", len(check.judged)),
    }
    if not keeps_alarm:
        values["fraud_monitor_alarm"] = (
            "1 if the last check that could tell raised an alarm, else 0.",
            check.status == "alarm",
        )
    for name, (meaning, value) in values.items():
        Gauge(name, meaning, ["version"], registry=registry).labels(check.version).set(value)
    checked = "fraud_monitor_checked_timestamp_seconds"
    Gauge(checked, "When the last check ended.", registry=registry).set_to_current_time()
    place = f"the Pushgateway at {urlsplit(url).hostname or url}"
    try:
        push = pushadd_to_gateway if keeps_alarm else push_to_gateway
        push(url, JOB, registry, {"model": model_name}, timeout=SECONDS)
    except (OSError, ValueError) as error:
        return f"{place} was not told ({error})"
    return f"{place} was told"
