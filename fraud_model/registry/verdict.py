"""What the gate makes of two models' difference: in front of the champion, and of earlier ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from fraud_model.errors import RegistryError
from fraud_model.evaluation.intervals import Interval
from fraud_model.registry.gate_thresholds import Check, GateThresholds
from fraud_model.registry.knowledge import Knowledge
from fraud_model.registry.pairing import Bench, Pair, Untold

DIFFERENCE = "average precision, challenger - champion"
EARLIER = "average precision, challenger - earlier champions"

Standing = Literal["better", "not distinguishable", "worse", "cannot be told", "not compared"]

# How many standard errors half a 95 % interval is, about.
STANDARD_ERRORS = 2.0


@dataclass(frozen=True)
class Verdict:
    """How the challenger stands to the champion, whether that lets it pass, and why."""

    standing: Standing
    passed: bool
    reason: str


def against_champion(
    pair: Pair | Untold, challenger: Knowledge, champion: Knowledge, thresholds: GateThresholds
) -> Verdict:
    """Better passes and worse does not; in between newer data decides."""
    if isinstance(pair, Untold):
        way_out = "to let it in without a comparison: -P champion=none"
        return Verdict("cannot be told", False, f"{pair.reason}; {way_out}")
    difference, tolerance = pair.difference, thresholds.tolerance
    if difference.low > 0:
        return Verdict("better", True, "the interval lies above 0")
    if difference.high < 0:
        return Verdict("worse", False, "the interval lies below 0")
    if difference.value < -tolerance:
        return Verdict("not distinguishable", False, f"and lower by more than {tolerance:g}")
    return _newer_data(challenger.new_days(champion), thresholds.min_new_days)


def _newer_data(days: float | None, least: float) -> Verdict:
    if least == 0:
        return Verdict("not distinguishable", True, "no newer data is asked for (min_new_days=0)")
    way_out = "to let it pass all the same: -P min_new_days=0"
    if days is None:
        reason = f"how much newer its data is cannot be told; {way_out}"
        return Verdict("not distinguishable", False, reason)
    if days >= least:
        reason = (
            f"newer data, not a better score, lets it pass: it learned {days:.1f} days that the "
            "champion has not learned"
        )
        return Verdict("not distinguishable", True, reason)
    learned = (
        f"it learned {max(days, 0):.1f} days that the champion has not learned, and {least:g} are "
        "asked for"
    )
    return Verdict("not distinguishable", False, f"{learned}; {way_out}")


def champion_check(verdict: Verdict, pair: Pair | Untold) -> Check:
    """The verdict as a line of the gate."""
    required = "better, or not worse and from newer data"
    if isinstance(pair, Untold):
        return Check(DIFFERENCE, f"cannot be told: {verdict.reason}", required, False)
    value = f"{shown(pair.difference)} {verdict.standing}: {verdict.reason} ({pair.text})"
    return Check(DIFFERENCE, value, required, verdict.passed)


def against_earlier(
    bench: Bench, challenger: Knowledge, earlier: Sequence[Knowledge], tolerance: float
) -> Check:
    """Holds the challenger against each of the champions before, so that losses do not add up.

    It fails where it is lower than one of them by more than the tolerance, and by more than one
    standard error.
    """
    required = f">= -{tolerance:g}, or within one standard error"
    found, untold = [], []
    for other in earlier:
        try:
            pair = bench.compare(challenger, other)
        except RegistryError as error:
            untold.append(f"{other.candidate.label}: {error}")
            continue
        if isinstance(pair, Untold):
            untold.append(f"{other.candidate.label}: cannot be told")
        else:
            found.append((pair.difference, other.candidate.label, pair.text))
    said = [f"{shown(d)} to {label} ({text})" for d, label, text in found]
    lost = [loses(difference, tolerance) for difference, _, _ in found]
    if any(lost):
        worst = min(range(len(found)), key=lambda i: (not lost[i], found[i][0].value))
        return Check(EARLIER, said[worst], required, False)
    closest = [said[min(range(len(found)), key=lambda i: found[i][0].value)]] if found else []
    return Check(EARLIER, "; ".join(closest + untold) or "none", required, True)


def loses(difference: Interval, tolerance: float) -> bool:
    """Whether a difference lies below the tolerance, and below 0 by more than a standard error."""
    error = (difference.high - difference.low) / 2 / STANDARD_ERRORS
    return difference.value < -tolerance and difference.value < -error


def shown(difference: Interval) -> str:
    """A difference with its interval."""
    return f"{difference.value:+.4f} [{difference.low:+.4f}, {difference.high:+.4f}]"
