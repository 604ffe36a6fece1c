"""What the gate requires, and one line of what it found."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import isfinite

from fraud_model.errors import ParameterError


@dataclass(frozen=True)
class GateThresholds:
    """What a challenger must reach.

    Attributes:
        min_accuracy: least accuracy on its holdout, 0 to 1.
        min_average_precision: least average precision on its holdout, 0 to 1.
        min_recall_at_budget: least recall at the alert budget, as a share of what the budget can
            reach, 0 to 1.
        min_recall: least recall of its decision, 0 to 1.
        min_precision: least precision of its decision, 0 to 1.
        max_miscalibration: the factor by which expected and seen frauds may differ, 1 or more.
        tolerance: how much lower than a champion's its average precision, recall or precision may
            be, 0 to 1.
        min_frauds: fewest frauds that neither model has learned from for a comparison, 2 or more.
        min_new_days: how many days it must have learned that the champion has not, to replace one
            that it is not distinguishable from; 0 or more.
        alert_budget: alerts a day that people can review, more than 0.
    """

    min_accuracy: float = 0.95
    min_average_precision: float = 0.5
    min_recall_at_budget: float = 0.1
    min_recall: float = 0.1
    min_precision: float = 0.05
    max_miscalibration: float = 2.0
    tolerance: float = 0.02
    min_frauds: int = 10
    min_new_days: float = 1.0
    alert_budget: float = 100.0

    def __post_init__(self) -> None:
        shares = (
            "min_accuracy",
            "min_average_precision",
            "min_recall_at_budget",
            "min_recall",
            "min_precision",
            "tolerance",
        )
        for name in shares:
            value = getattr(self, name)
            if not 0 <= value <= 1:
                raise ParameterError(f"{name}={value} is invalid: expected a number from 0 to 1.")
        for name, least in (("max_miscalibration", 1), ("min_frauds", 2), ("min_new_days", 0)):
            value = getattr(self, name)
            if not (isfinite(value) and value >= least):
                raise ParameterError(
                    f"{name}={value} is invalid: expected a number of at least {least}."
                )
        if not self.alert_budget > 0:
            raise ParameterError(
                f"alert_budget={self.alert_budget} is invalid: expected more than 0 alerts a day."
            )


@dataclass(frozen=True)
class Check:
    """One line of the gate: a value, what is required of it, and whether it passed."""

    name: str
    value: str
    required: str
    passed: bool


def table(checks: Sequence[Check]) -> str:
    """The checks as a Markdown table."""
    rows = [("check", "value", "required", "")] + [
        (c.name, c.value, c.required, "passed" if c.passed else "FAILED") for c in checks
    ]
    widths = [max(len(row[i]) for row in rows) for i in range(4)]
    lines = [
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |"
        for row in rows
    ]
    lines.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
    return "\n".join(lines)
