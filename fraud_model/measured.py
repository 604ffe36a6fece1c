"""All that is known of a trained detector before it becomes a version."""

from __future__ import annotations

from dataclasses import dataclass

from fraud_model.data import Dataset
from fraud_model.evaluation import Scored
from fraud_model.pyfunc import FraudDetector
from fraud_model.split import Parts
from fraud_model.threshold import Policy
from fraud_model.training import Fitted


@dataclass(frozen=True)
class Measured:
    """A detector with its chosen threshold, the data behind it, and its figures.

    `scored` and `figures` have the keys `validation` and `holdout`; the figures are those of
    `evaluation.evaluate` at `threshold`.
    """

    dataset: Dataset
    parts: Parts
    fitted: Fitted
    detector: FraudDetector
    policy: Policy
    threshold: float
    alert_budget: float
    scored: dict[str, Scored]
    figures: dict[str, dict[str, float]]
