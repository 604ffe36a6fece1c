"""Whether the scores of a check's windows have moved further than chance brings."""

from __future__ import annotations

from scipy import stats

from fraud_model.monitoring.flagged import FLAGGED_LEVEL
from fraud_model.monitoring.result import Check, Finding, Judged
from fraud_model.monitoring.score_band import BAND_LEVEL

FEWEST_BEYOND = 2
# Of all windows together: how far, in bands, they have to have moved without the one that moved
# most. One window alone must not raise an alarm.
LEAST_REST = 0.7


def moved_scores(done: Check) -> list[Finding]:
    """An alarm where more windows left the band than chance brings, two at least, or all of them
    did together and not for one alone; else a note.
    """
    judged = done.judged
    beyond = [window for window in judged if window.ratio > 1]
    together = done.score_together > 1 and done.score_rest > LEAST_REST
    if not beyond and not together:
        return []
    worst = max(judged, key=lambda window: window.ratio)
    by_chance = (1 - BAND_LEVEL) + (1 - FLAGGED_LEVEL)
    so_many = float(stats.binom.sf(len(beyond) - 1, len(judged), by_chance))
    if beyond:
        labels = ", ".join(window.label for window in beyond[:5])
        text = (
            f"scores have moved {worst.ratio:.2f} times as far as their band allows in "
            f"{worst.label}: {_flagged(done, worst)}"
            f"; outside the band in {labels}{', …' if len(beyond) > 5 else ''}"
        )
        if together:
            text += f"; all windows together {done.score_together:.2f} times as far"
    else:
        text = (
            f"scores of all windows together have moved {done.score_together:.2f} times as far as "
            f"their band allows: {_flagged(done, done.overall)}; most in {worst.label}"
        )
    if not together and len(beyond) < FEWEST_BEYOND:
        return [Finding("note", f"{text}, one window alone", about="scores")]
    if not together and so_many > by_chance:
        text += f"; chance alone brings that in {len(judged):,} windows"
        return [Finding("note", text, about="scores")]
    out = beyond or judged
    return [
        Finding(
            "alarm",
            text,
            since=out[0].label,
            about="scores",
            place=out[0].number,
            last=out[-1].number,
            worst=worst.number,
            windows=len(out),
            judged=len(judged),
            # Either of two tests would have alarmed.
            p_value=2 * min(by_chance if together else 1.0, so_many),
        )
    ]


def _flagged(done: Check, window: Judged) -> str:
    text = f"{window.window.flagged_rate:.3%} flagged, "
    if window.flagged is None:
        return f"{text}{done.profile.flagged_rate:.3%} in the reference"
    return f"{text}{window.flagged.expected / window.flagged.rows:.3%} expected"
