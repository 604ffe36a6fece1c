"""The result of a training run, before it becomes a version."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fraud_model.data.dataset import Dataset
from fraud_model.data.split import Parts
from fraud_model.evaluation.evaluate import Scored
from fraud_model.evaluation.threshold import Policy
from fraud_model.model.detector import FraudDetector
from fraud_model.model.metrics import Metrics
from fraud_model.model.profile import Distribution, Profile, Scores
from fraud_model.training.fit import Fitted


@dataclass(frozen=True)
class TrainingResult:
    """A detector with its chosen threshold, the data behind it, and its metrics.

    `scored` and `metrics` have the keys `validation` and `holdout`; the metrics are those at
    `threshold`. `alert_budget` is in alerts a day.
    """

    dataset: Dataset
    parts: Parts
    fitted: Fitted
    detector: FraudDetector
    policy: Policy
    threshold: float
    alert_budget: float
    scored: dict[str, Scored]
    metrics: dict[str, Metrics]

    def profile(self) -> Profile:
        """The reference profile: features of all transactions, scores of those held out."""
        columns, table = self.dataset.columns, self.dataset.table
        held = [self.parts.validation, self.parts.holdout]
        probability = np.concatenate(
            [self.scored[name].probability for name in ("validation", "holdout")]
        )
        seconds = None
        if columns.time is not None and self.parts.how == "time":
            seconds = float(held[1][columns.time].iloc[-1] - held[0][columns.time].iloc[0])
        return Profile(
            target=columns.target,
            time=columns.time,
            amount=columns.amount,
            rows=len(table),
            fraud_rate=self.dataset.fraud_rate,
            flagged_rate=float((probability >= self.threshold).mean()),
            threshold=self.threshold,
            alert_budget=self.alert_budget,
            mean_amount=float(table[columns.amount].mean()) if columns.amount else None,
            features={
                name: Distribution.of(table[name].to_numpy())
                for name in columns.features
                if name != columns.time
            },
            scores=Scores.of(probability, self.threshold, seconds),
            metrics=self.metrics["holdout"],
        )
