"""When a label is known: labels are late, and silence is no label before its delay is over.

A chargeback names a fraud weeks after the transaction. Until the label delay is over, a transaction
that nobody has complained about is genuine so far, and no more.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

from fraud_model.arrays import Flags, Floats
from fraud_model.durations import seconds_of
from fraud_model.errors import DataError, ParameterError

Unlabelled = Literal["ignore", "genuine"]


@dataclass(frozen=True)
class LabelRule:
    """How late labels are, and what a transaction without one is once its delay is over.

    `delay` is in seconds. `unlabelled` is `ignore` (left out) or `genuine`.
    """

    delay: float = 0.0
    unlabelled: Unlabelled = "ignore"

    @classmethod
    def parse(cls, delay: str, unlabelled: str) -> LabelRule:
        """Reads the parameters `label_delay` (`7d`, `12h`, or 0) and `unlabelled`.

        Raises:
            ParameterError: one of them is invalid.
        """
        seconds = 0 if delay.strip() == "0" else seconds_of(delay)
        if seconds is None:
            raise ParameterError(
                f"label_delay={delay!r} is invalid: expected a duration such as 7d or 12h, or 0."
            )
        for known in get_args(Unlabelled):
            if unlabelled == known:
                return cls(float(seconds), known)
        raise ParameterError(f"unlabelled={unlabelled!r} is invalid: expected ignore or genuine.")

    def settle(
        self, labels: Floats, times: Floats | None, place: str, now: float | None = None
    ) -> tuple[Floats, Flags, Flags]:
        """The labels that are known by the end of a table, or of the traffic that rows are of.

        Args:
            labels: 1, 0, or NaN for an empty label, shape (rows,).
            times: seconds, shape (rows,); None where the table has no time.
            place: what messages call the table.
            now: the end of the traffic, in seconds; None for the latest of `times`.

        Returns:
            The labels; which rows are known; and which of the others are younger than the delay.
            All have shape (rows,).

        Raises:
            DataError: there is a delay, and no time to measure it by.
        """
        young = np.zeros(len(labels), dtype=bool)
        if self.delay:
            if times is None:
                raise DataError(
                    f"{place} has no time column, so label_delay cannot be measured. Name the "
                    "column with -P time_column=, or leave label_delay out."
                )
            end = times.max(initial=-np.inf) if now is None else now
            young = times > end - self.delay
        if self.unlabelled == "genuine":
            labels = np.where(np.isnan(labels) & ~young, 0.0, labels)
        return labels, ~young & ~np.isnan(labels), young


# Labels are not late, and a row without one is left out.
IGNORE_UNLABELLED = LabelRule()
