"""Checks how well calibration and decision carry over from an evaluation model to a refitted one.

The refitted model has learned all rows, so nothing is left to check it on. Earlier in time there is
(cross-fitting, in the order of time). A model fitted on the earlier rows of the train part, the
share of them that the train part is of the table, is calibrated on the later ones. It hands
calibration and decision over to the evaluation model, which has learned both, and validation part
and holdout, later than all of them, show what comes of it. In a small table, where a fit takes
little and a part holds few frauds, the same is done one step before: that model of the earlier rows
takes over from a model of the earlier ones of its own, and the rows after it show what comes of it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from fraud_model.arrays import Counts, Floats
from fraud_model.data.dataset import Dataset
from fraud_model.data.split import FEWEST_FRAUDS, TRAIN_SHARE, Parts, days_of
from fraud_model.errors import FraudModelError
from fraud_model.evaluation.evaluate import Scored
from fraud_model.evaluation.intervals import Interval, count_interval
from fraud_model.evaluation.threshold import Policy, decide
from fraud_model.model.detector import Decision
from fraud_model.training.config import Hyperparameters
from fraud_model.training.fit import Fitted, calibrate, fit_all
from fraud_model.training.inputs import scaled_inputs
from fraud_model.training.place import HERE, Place

# Of a larger table another fit takes longer than it tells.
MOST_ROWS_OF_TWO_STEPS = 100_000


@dataclass(frozen=True)
class HandOver:
    """What a decision that was handed over did on later transactions, those of a part.

    `from_rows` and `to_rows` are how many transactions the model had learned that handed it over,
    and the one that took it. `expected_frauds` is the sum of the probabilities; `frauds` what there
    was, with the interval that the expected number must lie in to agree with it. `planned` and
    `came` are the shares of transactions that it flagged: where it was made, and afterwards.
    """

    part: str
    from_rows: int
    to_rows: int
    frauds: Interval
    expected_frauds: float
    planned: float
    came: float

    @property
    def agrees(self) -> bool:
        """Whether the number of frauds expected lies within chance of the number seen."""
        return self.frauds.low <= self.expected_frauds <= self.frauds.high


def check_hand_over(
    dataset: Dataset,
    parts: Parts,
    fitted: Fitted,
    holdout_log_odds: Floats,
    hyperparameters: Hyperparameters,
    policy: Policy,
    genuine_weight: float,
    place: Place = HERE,
) -> tuple[HandOver, ...]:
    """Hands a decision over, and says what it did on each part; none where frauds are too few.

    `holdout_log_odds` are the evaluation model's raw scores of the holdout, shape (rows,).
    """
    columns = dataset.columns

    def scored(rows: _Rows, probability: Floats) -> Scored:
        return Scored.from_part(
            rows.table,
            columns,
            probability,
            seconds=rows.seconds,
            days=days_of(dataset, rows.places, parts.how),
            genuine_weight=genuine_weight,
        )

    delay = dataset.label_rule.delay if parts.how == "time" else 0.0
    learned = _Rows.of(parts, "train")
    unseen = [
        (_Rows.of(parts, "validation"), fitted.log_odds),
        (_Rows.of(parts, "holdout"), holdout_log_odds),
    ]
    found: list[HandOver] = []
    for _ in range(2 if len(dataset.table) <= MOST_ROWS_OF_TWO_STEPS else 1):
        earlier, later = learned.cut(delay)
        frauds = {"train": earlier, "validation": later}
        if any(rows.table[columns.target].sum() < FEWEST_FRAUDS[n] for n, rows in frauds.items()):
            break
        model = fit_all(earlier.table, columns, hyperparameters, fitted.rounds, place)
        own = place.log_odds(model.booster, scaled_inputs(later.table, model.encoder, model.scaler))
        try:
            calibration = calibrate(own, later.table[columns.target].to_numpy(), genuine_weight)
            before = scored(later, calibration.probability(own))
            decision = decide(policy, calibration, before, columns.amount, None)
        except FraudModelError:
            # Too little of a table to calibrate or decide on says nothing about the whole of it.
            break
        rows = (len(earlier.table), len(learned.table))
        found[:0] = [
            _hand_over(part.name, rows, decision, before, scored(part, decision.probability(raw)))
            for part, raw in unseen
        ]
        learned, unseen = earlier, [(later, own)]
    return tuple(found)


@dataclass(frozen=True)
class _Rows:
    """Transactions in the order of time, when they happened, and their places in the table."""

    name: str
    table: pd.DataFrame
    seconds: Floats | None
    places: Counts

    @classmethod
    def of(cls, parts: Parts, name: str) -> _Rows:
        return cls(name, parts.named()[name], parts.seconds[name], parts.places[name])

    def cut(self, delay: float) -> tuple[_Rows, _Rows]:
        """Earlier and later ones; the earlier end by the delay, in seconds, before the later."""
        at = end = round(TRAIN_SHARE * len(self.table))
        if delay and self.seconds is not None:
            old_enough = self.seconds[at] - delay
            end = int(np.searchsorted(self.seconds[:at], old_enough, side="right"))
        return self._between(0, end), self._between(at, len(self.table))

    def _between(self, first: int, end: int) -> _Rows:
        seconds = None if self.seconds is None else self.seconds[first:end]
        return _Rows(self.name, self.table.iloc[first:end], seconds, self.places[first:end])


def _hand_over(
    part: str, rows: tuple[int, int], decision: Decision, before: Scored, after: Scored
) -> HandOver:
    frauds = after.labels == 1
    return HandOver(
        part,
        *rows,
        frauds=count_interval(
            int(frauds.sum()), None if after.times is None else after.times[frauds]
        ),
        expected_frauds=float((after.weights * after.probability).sum()),
        planned=_share_flagged(decision, before),
        came=_share_flagged(decision, after),
    )


def _share_flagged(decision: Decision, scored: Scored) -> float:
    flagged = decision.flags(scored.probability, scored.amounts)
    return float(np.average(flagged, weights=scored.weights))
