"""What an alarm looks like, since when, and what to do: learning anew helps against few of them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from fraud_model.arrays import Floats
from fraud_model.data.split import FEWEST_FRAUDS
from fraud_model.model.profile import Categories
from fraud_model.monitoring.drift import PSI_THRESHOLD
from fraud_model.monitoring.result import Advice, Check, Finding, Judged
from fraud_model.monitoring.windows import moment

# Quantiles of a column that jumped, in shares of its values.
LEVELS = np.linspace(0.1, 0.9, 9)
# They moved by the same, give or take this share of it.
ALIKE = 0.25
# A jump is there within one window; the window before has at most this share of it.
BEFORE = 0.3
# More than this share of values beyond all that was seen are of another unit, or another column.
OUTSIDE = 0.5
# Of a feature that is stuck, one value holds this share, where none held more than the other one.
STUCK, VARIED = 0.99, 0.9
# A training refuses a table of fewer.
FRAUDS_TO_LEARN = sum(FEWEST_FRAUDS.values())


def advise(check: Check, alarms: Sequence[Finding], since: int) -> Advice:
    """What alarms of one time look like, of which there is at least one.

    `since` is the number of their first window. A broken feed goes first: a model must not learn
    from it. Then what labels say of the version, and without them whether what moved has moved the
    scores.
    """
    by: dict[str | None, list[Finding]] = {}
    for finding in alarms:
        by.setdefault(finding.about, []).append(finding)
    moved, scores = by.get("feature", []), by.get("scores", [])
    return (
        _feed(check, by)
        or _worse(check, by.get("performance", []), since)
        or _moved(check, moved, scores, since)
        or _unseen(by.get("unknown", []))
        or _inputs(moved)
        or _fraud(check, scores)
    )


def _feed(check: Check, by: dict[str | None, list[Finding]]) -> Advice | None:
    broken = by.get("refused", []) + by.get("missing", [])
    if broken:
        names = _names([f for f in broken if f.feature])
        what = " and ".join(
            text
            for text, found in (
                ("requests are refused", by.get("refused")),
                (f"values are missing ({names})", by.get("missing")),
            )
            if found
        )
        return Advice(
            "feed",
            f"a feed that broke: {what}",
            "mend what delivers them, then check again; a model would learn the fault",
            False,
        )
    moved = by.get("feature", [])
    stuck = [finding for finding in moved if _is_stuck(check, finding)]
    if stuck:
        names = _names(stuck)
        return _broke(names, f"one value alone is left of {names}")
    if len(moved) == 1 and moved[0].feature is not None:
        how = jump(check.judged, moved[0].feature)
        if how:
            return _broke(moved[0].feature, f"{moved[0].feature} alone {how}")
    return None


def _broke(name: str, how: str) -> Advice:
    return Advice(
        "feed",
        f"a feed that broke: {how}",
        f"look at what delivers {name}; retrain only if it is meant to stay so",
        False,
    )


def _is_stuck(check: Check, finding: Finding) -> bool:
    """Whether one known value holds nearly all of a feature, of which the reference had others."""
    worst = next(window for window in check.judged if window.number == finding.worst)
    name = finding.feature or ""
    distribution = worst.expected.features[name].distribution
    counts = worst.window.feature_counts(worst.expected)[name]
    # What lies outside of all that was seen, or in no vocabulary, may be many values.
    known = slice(1, None if isinstance(distribution, Categories) else -1)
    most = counts[known].max() / counts.sum()
    return bool(most >= STUCK and max(distribution.shares) <= VARIED)


def _worse(check: Check, found: Sequence[Finding], since: int) -> Advice | None:
    if not found:
        return None
    return Advice(
        "model",
        "fraud that the version tells apart less well than on its holdout",
        *_learn(check, since),
    )


def _moved(
    check: Check, moved: Sequence[Finding], scores: Sequence[Finding], since: int
) -> Advice | None:
    if not moved or not scores:
        return None
    return Advice(
        "population",
        f"other transactions than those learned: {_names(moved)} moved, and the scores with them",
        *_learn(check, since),
    )


def _learn(check: Check, since: int) -> tuple[str, bool]:
    """What to do where learning helps, and whether enough labels are known to do it now.

    What was learned before teaches nothing of what has happened since the window `since`.
    """
    reached = check.performance
    if reached is None:
        return (
            "label transactions since then, and check again with -P labels=; without their labels "
            "there is nothing new to learn",
            False,
        )
    frauds = sum(n for number, n in reached.frauds_by_window.items() if number >= since)
    if frauds >= FRAUDS_TO_LEARN:
        return "retrain on transactions since then", True
    action = (
        "wait for labels of transactions since then, and check again: windows that have matured "
        f"hold {frauds} frauds, and retraining takes {FRAUDS_TO_LEARN}"
    )
    first = next(window for window in check.windows if window.number == since)
    begin = first.window.first if first.start is None else first.start
    known_from = begin + check.rule.delay
    if known_from > check.overall.window.last:
        action += f"; the first labels are known from {moment(known_from, check.in_calendar)} on"
    return action, False


def _unseen(found: Sequence[Finding]) -> Advice | None:
    if not found:
        return None
    return Advice(
        "unseen values",
        f"values that the version does not know ({_names(found)})",
        "see whether they are new or spelt otherwise; retraining learns new ones only once such "
        "transactions have labels",
        False,
    )


def _inputs(moved: Sequence[Finding]) -> Advice | None:
    if not moved:
        return None
    return Advice(
        "inputs",
        f"transactions that changed ({_names(moved)}) where the scores did not",
        "watch; there is nothing to learn as long as scores and labels are as before",
        False,
    )


def _fraud(check: Check, scores: Sequence[Finding]) -> Advice:
    known = check.performance is not None and check.performance.comparison is not None
    if known:
        action = (
            "see that the alert budget is kept; the version tells fraud apart as on its holdout, "
            "so retraining would change little"
        )
    else:
        action = "label what was flagged since then, and check again with -P labels="
    return Advice(
        "fraud",
        "more or less fraud, or another kind: the scores moved, and no feature did",
        action,
        False,
    )


def jump(judged: Sequence[Judged], name: str) -> str:
    """How a number jumped from one window to the next; empty if it did not, or did otherwise.

    By a constant, by a factor, or out of all that was seen, as a column does whose unit, sign or
    source was changed. A population that changes moves the ends of a distribution otherwise than
    its middle, and takes its time.
    """
    since = next(p for p, window in enumerate(judged) if window.features[name].psi >= PSI_THRESHOLD)
    first, last = judged[since], judged[-1]
    drift = first.features[name]
    if not drift.is_median:
        return ""
    if since:
        before = judged[since - 1].features[name].psi
        if before > BEFORE * drift.psi:
            return ""
    if drift.psi < BEFORE * last.features[name].psi:
        return ""
    reference = first.expected.features[name].distribution
    counts = first.window.feature_counts(first.expected)[name]
    now = counts / counts.sum()
    if now[0] + now[-1] > OUTSIDE:
        return "left the range of all that was seen"
    edges = np.array(reference.edges)  # type: ignore[union-attr]
    old, new = (_quantiles(np.asarray(s), edges) for s in (reference.shares, now))
    difference = new - old
    if _alike(difference):
        return f"jumped by {np.median(difference):+.3g}"
    if (old > 0).all() and _alike(np.log(np.maximum(new, 1e-300) / old)):
        return f"jumped to {np.median(new / old):.2g} times its values"
    return ""


def _quantiles(shares: Floats, edges: Floats) -> Floats:
    return np.asarray(np.interp(LEVELS, np.cumsum(shares)[:-1], edges))


def _alike(moved: Floats) -> bool:
    middle = abs(float(np.median(moved)))
    return middle > 0 and float(np.ptp(moved)) <= 2 * ALIKE * middle


def _names(found: Sequence[Finding]) -> str:
    names = [finding.feature or "" for finding in found]
    return ", ".join(names[:5]) + (f" and {len(names) - 5} others" if len(names) > 5 else "")
