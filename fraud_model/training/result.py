"""The result of a training run, before it becomes a version."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from fraud_model.arrays import Floats
from fraud_model.data.dataset import Dataset
from fraud_model.data.split import Parts
from fraud_model.evaluation.evaluate import Scored
from fraud_model.evaluation.threshold import Policy
from fraud_model.model.detector import Decision, FraudDetector
from fraud_model.model.metrics import Metrics
from fraud_model.model.profile import Profile, Reference, Scores
from fraud_model.training.fit import Fitted
from fraud_model.training.hand_over import HandOver


@dataclass(frozen=True)
class TrainingResult:
    """A detector with its decision, the data behind it, and its metrics.

    `detector` is the one to serve. `fitted`, `scored` and `metrics` are those of the evaluation
    model, which is another one where the detector was refitted on all rows; `scored` and `metrics`
    have the keys `validation` and `holdout`. `served_probability` is what the served model gives
    the rows of both, one after the other, shape (rows,). `alert_budget` is in alerts a day. Each
    genuine transaction of the table stands for `genuine_weight` of them. `hand_over` is None where
    nothing was handed over, or it could not be checked. `warnings` are for somebody to look at.
    """

    dataset: Dataset
    parts: Parts
    fitted: Fitted
    detector: FraudDetector
    policy: Policy
    alert_budget: float
    genuine_weight: float
    scored: dict[str, Scored]
    served_probability: Floats
    metrics: dict[str, Metrics]
    hand_over: HandOver | None
    warnings: tuple[str, ...] = ()

    @property
    def decision(self) -> Decision:
        """What is flagged, and how scores become probabilities."""
        *_, decision = self.detector.parts
        return decision

    @property
    def refitted(self) -> bool:
        """Whether the served model has learned all rows."""
        return self.detector.evaluation_detector() is not self.detector

    @property
    def fraud_rate(self) -> float:
        """Share of frauds in the traffic that the table stands for."""
        genuine = len(self.dataset.table) - self.dataset.frauds
        return self.dataset.frauds / (self.dataset.frauds + self.genuine_weight * genuine)

    def profile(self) -> Profile:
        """The reference profile: features of all transactions, scores of those held out."""
        dataset, columns = self.dataset, self.dataset.columns
        seen = dataset.table[list(columns.features)]
        weights = np.where(dataset.table[columns.target] == 1, 1.0, self.genuine_weight)
        if len(dataset.unknown):
            # Nearly all of those whose label is not known are genuine.
            seen = pd.concat([seen, dataset.unknown], ignore_index=True)
            unknown = np.full(len(dataset.unknown), self.genuine_weight)
            weights = np.concatenate([weights, unknown])
        held = [self.scored[name] for name in ("validation", "holdout")]
        # Traffic is scored by the served model. Where that was refitted, its scores of these rows
        # are nearer to those of new ones than the evaluation model's are: simulated days lie at
        # 0.2 to 0.8 of the band with the former, at 2 to 4 times the band with the latter.
        probability = self.served_probability
        held_weights = np.concatenate([part.weights for part in held])
        flagged = np.concatenate(
            [self.decision.flags(part.probability, part.amounts) for part in held]
        )
        seconds = None
        if self.parts.how == "time" and held[0].times is not None and held[1].times is not None:
            seconds = float(held[1].times[-1] - held[0].times[0])
        amounts = columns.amounts(seen)
        return Profile(
            target=columns.target,
            time=columns.time,
            amount=columns.amount,
            rows=len(seen),
            fraud_rate=self.fraud_rate,
            flagged_rate=float(np.average(flagged, weights=held_weights)),
            threshold=self.decision.threshold,
            review_cost=self.decision.review_cost,
            alert_budget=self.alert_budget,
            mean_amount=(None if amounts is None else float(np.average(amounts, weights=weights))),
            features={
                feature.name: Reference.of(
                    feature, seen[feature.name], None if self.genuine_weight == 1 else weights
                )
                for feature in self.detector.encoder.features
                if feature.kind != "time"
            },
            scores=Scores.of(probability, self.decision.threshold, seconds, held_weights),
            metrics=self.metrics["holdout"],
        )
