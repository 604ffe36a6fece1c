"""Checks how well calibration and decision carry over from an evaluation model to a refitted one.

The refitted model has learned all rows, so nothing is left to check it on. One step earlier in time
there is: a model fitted on the earlier rows of the train part, the share of them that the train
part is of the table, is calibrated on the later ones, and hands calibration and decision over to
the evaluation model, which has learned both. The validation part, later than all of them, shows
what comes of it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

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


@dataclass(frozen=True)
class HandOver:
    """What a decision that was handed over did on later transactions.

    `expected_frauds` is the sum of the probabilities; `frauds` what there was, with the interval
    that the expected number must lie in to agree with it. `planned` and `came` are the shares of
    transactions that it flagged: where it was made, and afterwards.
    """

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
    hyperparameters: Hyperparameters,
    policy: Policy,
    genuine_weight: float,
    place: Place = HERE,
) -> HandOver | None:
    """Hands a decision over to the evaluation model; None where there are too few frauds for it."""
    columns, train = dataset.columns, parts.train
    cut = round(TRAIN_SHARE * len(train))
    earlier, later = train.iloc[:cut], train.iloc[cut:]
    seconds = parts.seconds["train"]
    if dataset.label_rule.delay and parts.how == "time" and seconds is not None:
        old_enough = seconds[cut] - dataset.label_rule.delay
        earlier = earlier.iloc[: np.searchsorted(seconds[:cut], old_enough, side="right")]
    if (
        earlier[columns.target].sum() < FEWEST_FRAUDS["train"]
        or later[columns.target].sum() < FEWEST_FRAUDS["validation"]
    ):
        return None
    early = fit_all(earlier, columns, hyperparameters, fitted.rounds, place)
    values = scaled_inputs(later, early.encoder, early.scaler)
    log_odds = place.log_odds(early.booster, values)
    try:
        calibration = calibrate(log_odds, later[columns.target].to_numpy(), genuine_weight)
        before = Scored.from_part(
            later,
            columns,
            calibration.probability(log_odds),
            seconds=None if seconds is None else seconds[cut:],
            days=days_of(dataset, parts.places["train"][cut:], parts.how),
            genuine_weight=genuine_weight,
        )
        decision = decide(policy, calibration, before, columns.amount, None)
    except FraudModelError:
        # Too little of a table to calibrate or decide on says nothing about the whole of it.
        return None
    after = Scored.from_part(
        parts.validation,
        columns,
        decision.probability(fitted.log_odds),
        seconds=parts.seconds["validation"],
        days=parts.days["validation"],
        genuine_weight=genuine_weight,
    )

    frauds = after.labels == 1
    return HandOver(
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
