"""The result of a training run, before it becomes a version."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Literal

import numpy as np
import pandas as pd

from fraud_model.arrays import Counts, Floats
from fraud_model.data.column_files import joined_rows
from fraud_model.data.dataset import Dataset
from fraud_model.data.split import Parts
from fraud_model.evaluation.evaluate import Scored
from fraud_model.evaluation.intervals import Interval, metric_interval
from fraud_model.evaluation.threshold import Policy
from fraud_model.model.detector import Decision, FraudDetector
from fraud_model.model.hours import (
    Hours,
    choose_slots,
    count_by_slot,
    dispersion,
    slots_of,
    tuples,
)
from fraud_model.model.metrics import Metrics
from fraud_model.model.profile import Profile, Reference, Scores
from fraud_model.parallel import cores, in_order
from fraud_model.training.fit import Fitted
from fraud_model.training.hand_over import HandOver


@dataclass(frozen=True)
class TrainingResult:
    """A detector with its decision, the data behind it, and its metrics.

    `detector` is the one to serve. `fitted`, `scored` and `metrics` are those of the evaluation
    model, which is another one where the detector was refitted on all rows; `scored` and `metrics`
    have the keys `validation` and `holdout`. `table_probability` is what the served model gives the
    rows of the table, shape (rows,); NaN for the train part of a model that was not refitted, which
    knows those rows better than any others. `alert_budget` is in alerts a day. Each
    genuine transaction of the table stands for `genuine_weight` of them. `hand_over` is empty where
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
    table_probability: Floats
    metrics: dict[str, Metrics]
    hand_over: tuple[HandOver, ...]
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

    def decided(self, part: str = "holdout") -> dict[str, Interval]:
        """Recall and precision of the decision on a part, with their intervals."""
        held = self.scored[part]
        flagged = self.decision.flags(held.probability, held.amounts)
        metrics: tuple[Literal["recall", "precision"], ...] = ("recall", "precision")
        return {
            metric: metric_interval(
                held.labels,
                flagged,
                metric,
                times=held.times,
                genuine_weight=held.genuine_weight,
            )
            for metric in metrics
        }

    @property
    def served_probability(self) -> Floats:
        """What the served model gives validation and holdout, one after the other."""
        places = [self.parts.places[name] for name in ("validation", "holdout")]
        return self.table_probability[np.concatenate(places)]

    @property
    def fraud_rate(self) -> float:
        """Share of frauds in the traffic that the table stands for."""
        genuine = len(self.dataset.table) - self.dataset.frauds
        return self.dataset.frauds / (self.dataset.frauds + self.genuine_weight * genuine)

    def profile(self) -> Profile:
        """The reference profile: features of all transactions, scores of those held out."""
        dataset, columns = self.dataset, self.dataset.columns
        seen = dataset.table
        weights = np.where(dataset.table[columns.target] == 1, 1.0, self.genuine_weight)
        if len(dataset.unknown):
            # Nearly all of those whose label is not known are genuine.
            known = dataset.table[list(columns.features)]
            seen = joined_rows([known, dataset.unknown])
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
        described = [f for f in self.detector.encoder.features if f.kind != "time"]
        counted = None if self.genuine_weight == 1 else weights
        references = in_order(
            (partial(Reference.of, f, seen[f.name], counted) for f in described), cores()
        )
        features = {f.name: found for f, found in zip(described, references, strict=True)}
        scores = Scores.of(probability, self.decision.threshold, seconds, held_weights)
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
            features=features,
            scores=scores,
            metrics=self.metrics["holdout"],
            holdout_fraud_rate=float(np.average(held[1].labels, weights=held[1].weights)),
            hours=self._hours(seen, weights, features, scores),
        )

    def _hours(
        self,
        seen: pd.DataFrame,
        weights: Floats,
        features: dict[str, Reference],
        scores: Scores,
    ) -> Hours | None:
        """The profile by hour; `seen` are the rows of the table, and those without a label last."""
        columns = self.dataset.columns
        seconds = columns.seconds(seen)
        if columns.time is None or seconds is None:
            return None
        slots = choose_slots(seconds, columns.has_dates)
        if not slots:
            return None
        of_row = slots_of(seconds, slots)

        def count(name: str, known: Reference) -> tuple[Counts, Counts]:
            read = known.feature.read(seen[name])
            given = ~np.isnan(read)
            groups = known.distribution.groups_of(read[given])
            shape = (slots, int(known.distribution.groups.max()) + 1)
            by_slot = count_by_slot(of_row[given], groups, weights[given], shape)
            return by_slot, np.bincount(of_row[~given], minlength=slots + 1)[:-1]

        counts = in_order((partial(count, *each) for each in features.items()), cores())
        by_hour, missing = {}, {}
        for name, (by_slot, gaps) in zip(features, counts, strict=True):
            by_hour[name], missing[name] = tuples(by_slot), tuple(gaps.tolist())
        scored = np.flatnonzero(~np.isnan(self.table_probability))
        bins = np.searchsorted(scores.edges, self.table_probability[scored])
        shape = (slots, len(scores.edges) + 1)
        return Hours(
            time=columns.described[columns.time],
            rows=tuple(np.bincount(of_row, minlength=slots + 1)[:-1].tolist()),
            features=by_hour,
            missing=missing,
            scores=tuples(count_by_slot(of_row[scored], bins, weights[scored], shape)),
            dispersion=tuple(dispersion(seconds[scored], bins, len(scores.edges)).tolist()),
        )
