"""Chooses what is flagged, by a stated policy: a threshold, or what a review costs."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from fraud_model.arrays import Counts, Flags, Floats
from fraud_model.errors import DataError, ParameterError
from fraud_model.evaluation.evaluate import Scored
from fraud_model.model.detector import Decision

HIGH_RISK = 0.7

EXAMPLES = "f1, precision:0.9, recall:0.8, alerts:100, cost:5, or a number from 0 to 1"


@dataclass(frozen=True)
class Policy:
    """A stated policy: its kind, and the value that it states (None for `f1`)."""

    kind: Literal["f1", "precision", "recall", "alerts", "cost", "fixed"]
    value: float | None = None

    def __str__(self) -> str:
        if self.value is None:
            return self.kind
        return f"{self.value:g}" if self.kind == "fixed" else f"{self.kind}:{self.value:g}"


@dataclass(frozen=True)
class Operating:
    """What each candidate threshold would do: arrays over descending distinct scores.

    At `threshold[i]` all transactions that score at least that much are flagged. Where genuine
    transactions were thinned, `flagged` counts those that the rows stand for.
    """

    threshold: Floats
    flagged: Floats
    caught: Floats
    frauds: float

    @property
    def precision(self) -> Floats:
        """Share of flagged transactions that are frauds."""
        return self.caught / self.flagged

    @property
    def recall(self) -> Floats:
        """Share of frauds that are flagged."""
        return self.caught / self.frauds

    @property
    def f1(self) -> Floats:
        """Harmonic mean of precision and recall, 2 TP / (flagged + frauds)."""
        return 2 * self.caught / (self.flagged + self.frauds)


def parse_policy(text: str) -> Policy:
    """Reads `f1`, `precision:0.9`, `recall:0.8`, `alerts:100`, `cost:5` or a number.

    Raises:
        ParameterError: the text is none of these, or its value is out of range.
    """
    kind, colon, value_text = text.strip().partition(":")
    if kind == "f1" and not colon:
        return Policy("f1")
    try:
        value = float(value_text if colon else kind)
    except ValueError:
        value = math.nan
    if not colon and 0 <= value <= 1:
        return Policy("fixed", value)
    match kind:
        case "precision" | "recall" if 0 < value <= 1:
            return Policy(kind, value)
        case "alerts" | "cost" if 0 < value < math.inf:
            return Policy(kind, value)
    raise ParameterError(f"threshold={text!r} is invalid: expected {EXAMPLES}.")


def parse_risk_bounds(text: str) -> tuple[float, float] | None:
    """Reads the bounds of Medium and High, as in `0.1,0.7`; None for `auto`.

    Raises:
        ParameterError: they are not two ascending probabilities.
    """
    if text == "auto":
        return None
    try:
        medium, high = map(float, text.split(","))
    except ValueError:
        medium = high = math.nan
    if not 0 < medium <= high <= 1:
        raise ParameterError(
            f"risk_bounds={text!r} is invalid: expected the probabilities from which the risk is "
            "Medium and High, such as 0.1,0.7, or auto."
        )
    return medium, high


def operating_points(scored: Scored) -> Operating:
    """The operating point of each distinct score, from the strictest to the laxest."""
    order, last = _ranked(scored)
    caught = np.cumsum(scored.labels[order])[last]
    return Operating(
        scored.probability[order][last],
        np.cumsum(scored.weights[order])[last],
        caught.astype(np.float64),
        float(scored.labels.sum()),
    )


def total_cost(scored: Scored, amounts: Floats, review: float) -> tuple[Floats, Floats]:
    """Thresholds (as `operating_points`) and the cost of each, in the currency of `amounts`.

    A flagged transaction costs a review of the fixed sum `review`, a missed fraud its amount.
    """
    points = operating_points(scored)
    order, last = _ranked(scored)
    at_stake = amounts * scored.labels
    saved = np.cumsum(at_stake[order])[last]
    return points.threshold, float(at_stake.sum()) - saved + review * points.flagged


def cost_of(scored: Scored, amounts: Floats, flagged: Flags, review: float) -> float:
    """What it costs to flag these transactions, shape (rows,); see `total_cost`."""
    missed = amounts * scored.labels * ~flagged
    return float(missed.sum() + review * scored.weights[flagged].sum())


def decide(
    policy: Policy,
    calibration: Decision,
    scored: Scored,
    amount: str | None,
    risk_bounds: tuple[float, float] | None,
) -> Decision:
    """The decision that `policy` asks for, on these transactions.

    `cost:c` flags where probability x amount, the loss that a review is expected to prevent,
    reaches the cost of the review. Every other policy chooses a threshold. `calibration` gives the
    sigmoid, `amount` names the column, and `risk_bounds` are those of Medium and High; by default
    the threshold and 0.7, the higher of both for High.

    Raises:
        DataError: the policy cannot be met on these transactions.
    """
    if policy.kind == "cost":
        if amount is None:
            raise DataError(
                f"threshold={policy}: a missed fraud costs its amount, and the table has no "
                "amount column. Name it with -P amount_column=, or use another policy."
            )
        medium, high = risk_bounds or (HIGH_RISK, HIGH_RISK)
        return replace(
            calibration,
            threshold=None,
            review_cost=policy.value,
            amount=amount,
            medium=medium,
            high=high,
        )
    threshold = choose_threshold(policy, scored)
    medium, high = risk_bounds or (threshold, max(HIGH_RISK, threshold))
    return replace(calibration, threshold=threshold, medium=medium, high=high)


def choose_threshold(policy: Policy, scored: Scored) -> float:
    """The threshold on the probabilities that `policy`, other than `cost`, asks for.

    `f1` takes the best F1; `precision:p` the highest recall with at least that precision;
    `recall:r` the highest threshold with at least that recall; `alerts:n` the lowest threshold
    that flags at most n a day over the covered days.

    Raises:
        DataError: the policy cannot be met on these transactions.
    """
    points = operating_points(scored)
    match policy.kind, policy.value:
        case "fixed", float(value):
            return value
        case "precision", float(value):
            meets = np.flatnonzero(points.precision >= value)
            if not len(meets):
                raise DataError(
                    f"threshold={policy}: no threshold reaches that precision on the validation "
                    f"part; the best is {points.precision.max():.3f}. Ask for a lower precision."
                )
            best = int(meets[-1])
        case "recall", float(value):
            best = int(np.argmax(points.recall >= value))
        case "alerts", float(value):
            within = np.flatnonzero(points.flagged <= value * scored.days)
            if not len(within):
                raise DataError(
                    f"threshold={policy}: the validation part covers {scored.days:.3g} days, so "
                    f"that is {value * scored.days:.3g} alerts, and the strictest threshold flags "
                    f"{points.flagged[0]:.0f}. Ask for more alerts a day."
                )
            best = int(within[-1])
        case _:
            best = int(np.argmax(points.f1))
    return _between(points.threshold, best)


def _ranked(scored: Scored) -> tuple[Counts, Counts]:
    """The rows by descending score, and the place of the last one of each distinct score."""
    order = np.argsort(-scored.probability, kind="stable")
    last = np.append(np.flatnonzero(np.diff(scored.probability[order])), len(order) - 1)
    return order, last


def _between(thresholds: Floats, best: int) -> float:
    # Half-way to the next score flags the same rows here and leaves room on both sides elsewhere.
    below = thresholds[best + 1] if best + 1 < len(thresholds) else 0.0
    return float((thresholds[best] + below) / 2)
