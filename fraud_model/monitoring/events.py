"""What happened: alarms of one time are evidence of one event, with one cause and one date."""

from __future__ import annotations

from dataclasses import replace
from typing import get_args

from fraud_model.monitoring.advice import advise
from fraud_model.monitoring.result import Cause, Check, Event, Finding

# Bounds of a p-value for people: once in so many times.
ONCE_IN = (1_000_000, 1_000, 100, 20)


def events(check: Check) -> list[Event]:
    """The alarms of a check by event, the one to see to first in front.

    Alarms whose windows overlap or follow each other are one event.
    """
    alarms = [finding for finding in check.findings if finding.kind == "alarm"]
    groups: list[list[Finding]] = []
    for alarm in sorted(alarms, key=lambda finding: finding.place or 0):
        if groups and (alarm.place or 0) <= max(f.last or 0 for f in groups[-1]) + 1:
            groups[-1].append(alarm)
        else:
            groups.append([alarm])
    found = [_event(check, [alarm for alarm in alarms if alarm in group]) for group in groups]
    order = get_args(Cause)
    return sorted(found, key=lambda event: order.index(event.advice.cause))


def _event(check: Check, evidence: list[Finding]) -> Event:
    # Labels are pooled over all windows that have matured, and say least of when it began.
    first = min(evidence, key=lambda finding: (finding.about == "performance", finding.place or 0))
    advice = advise(check, evidence, first.place or 0)
    return Event(replace(advice, since=first.since), tuple(evidence), _sure(evidence))


def _sure(evidence: list[Finding]) -> str:
    """How many windows say so, and how often chance alone would."""
    most = max(evidence, key=lambda finding: finding.windows / max(1, finding.judged))
    text = f"in {most.windows:,} of {most.judged:,} windows"
    known = [finding.p_value for finding in evidence if finding.p_value is not None]
    if not known:
        return f"{text}, and never in the reference"
    times = next((times for times in ONCE_IN if min(known) <= 1.001 / times), None)
    return text if times is None else f"{text}; by chance at most once in {times:,} times"
