"""The names that `intervals` had before; for callers that are being moved to it."""

from __future__ import annotations

from fraud_model.evaluation.intervals import (
    CONFIDENCE,
    Interval,
    count_interval,
    paired_difference,
    paired_metric_difference,
)
from fraud_model.evaluation.intervals import (
    average_precision_interval as bootstrap_average_precision,
)

__all__ = [
    "CONFIDENCE",
    "Interval",
    "bootstrap_average_precision",
    "count_interval",
    "paired_difference",
    "paired_metric_difference",
]
