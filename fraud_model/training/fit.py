"""Fits encoder, scaler, boosters and calibration, and refuses what a plain baseline beats."""

from __future__ import annotations

import math
from dataclasses import dataclass

import lightgbm
import numpy as np
import pandas as pd
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import average_precision_score

from fraud_model.arrays import Floats, Labels
from fraud_model.data.column_files import pieces
from fraud_model.data.columns import Columns
from fraud_model.errors import TrainingError
from fraud_model.model.detector import Decision, FraudDetector, Scaler
from fraud_model.model.encoding import Encoder
from fraud_model.training.baseline import beaten_by, undecided
from fraud_model.training.boosting import seeded, train_booster
from fraud_model.training.config import Hyperparameters
from fraud_model.training.curve import LearningCurve, Rows, advice, trace, train_sample
from fraud_model.training.inputs import fit_baseline, fit_inputs, scaled_inputs
from fraud_model.training.leaks import LeakReport, find_leaks, weigh_leaks
from fraud_model.training.place import HERE, Place
from fraud_model.training.seeds import average


@dataclass(frozen=True)
class Fitted:
    """A fitted detector and what its fitting showed.

    `rounds` are the trees that each seed's booster kept, and `curve` is the first seed's.
    `log_odds` are the raw scores of the validation part, and `validation_probability` the
    calibrated ones, both of shape (validation rows,). `leaks` are columns that are too good to be
    true, and `doubt` says that the baseline may be better; None where there is nothing to say.
    """

    detector: FraudDetector
    log_odds: Floats
    validation_probability: Floats
    rounds: tuple[int, ...]
    curve: LearningCurve
    average_precision: float
    baseline_average_precision: float
    leaks: LeakReport | None = None
    doubt: str | None = None


@dataclass(frozen=True)
class Learner:
    """A booster with encoder and scaler, and its log-odds of the rows it was fitted on."""

    booster: lightgbm.Booster
    encoder: Encoder
    scaler: Scaler
    log_odds: Floats


def fit(
    train: pd.DataFrame,
    validation: pd.DataFrame,
    columns: Columns,
    hyperparameters: Hyperparameters,
    genuine_weight: float = 1.0,
    place: Place = HERE,
) -> Fitted:
    """Fits on `train`, at `place`; early stopping and calibration use `validation`.

    A genuine transaction of the table stands for `genuine_weight` of them. The threshold of the
    returned detector is 0.5, a placeholder until a policy decides.

    Raises:
        TrainingError: a logistic regression on the same inputs is better on `validation` by average
            precision, beyond chance.
    """
    inputs = fit_inputs(train, columns)
    encoder, scaler, x_train = inputs.encoder, inputs.scaler, inputs.scaled
    y_train = train[columns.target].to_numpy()
    x_validation = scaled_inputs(validation, encoder, scaler)
    y_validation = validation[columns.target].to_numpy()
    weights = np.where(y_validation == 1, 1.0, genuine_weight)

    stop_on = (x_validation, y_validation) if hyperparameters.early_stopping_rounds else None
    with place.hold(x_train, y_train, encoder) as rows:
        boosters = [rows.train(each, each.rounds, stop_on) for each in seeded(hyperparameters)]
    booster = average(boosters)
    places, stand_for = train_sample(y_train, genuine_weight)
    sample = scaler.transform(encoder.encode(train.iloc[places]))
    curve = trace(
        boosters[0],
        Rows(x_validation, y_validation, weights),
        Rows(sample, y_train[places], stand_for),
        place,
    )
    log_odds = curve.log_odds
    if len(boosters) > 1:
        log_odds = place.log_odds(booster, x_validation)

    baseline = fit_baseline(x_train, y_train, encoder)
    of_baseline = np.concatenate(
        [baseline.decision_function(x_validation[rows]) for rows, _ in pieces(validation)]
    )
    reached, to_beat = (
        float(average_precision_score(y_validation, scores, sample_weight=weights))
        for scores in (log_odds, of_baseline)
    )
    if reached < to_beat and beaten_by(
        y_validation,
        log_odds,
        of_baseline,
        times=columns.seconds(validation),
        genuine_weight=genuine_weight,
    ):
        raise TrainingError(
            "LightGBM does not beat logistic regression; nothing was registered. Average precision "
            f"on the validation part: {reached:.4f} with LightGBM, {to_beat:.4f} with logistic "
            f"regression. {advice(curve, hyperparameters)}"
        )
    learned, measured = (x_train, y_train), (x_validation, y_validation)
    decision = calibrate(log_odds, y_validation, genuine_weight)
    return Fitted(
        detector=FraudDetector(booster, encoder, scaler, decision),
        log_odds=log_odds,
        validation_probability=decision.probability(log_odds),
        rounds=tuple(each.best_iteration or each.current_iteration() for each in boosters),
        curve=curve,
        average_precision=reached,
        baseline_average_precision=to_beat,
        leaks=_leaks(learned, measured, encoder, hyperparameters, genuine_weight, reached),
        doubt=undecided(reached, to_beat, int(y_validation.sum())),
    )


def fit_all(
    table: pd.DataFrame,
    columns: Columns,
    hyperparameters: Hyperparameters,
    rounds: tuple[int, ...],
    place: Place = HERE,
) -> Learner:
    """Fits on all rows of `table`, each seed's booster with its number of `rounds`."""
    inputs = fit_inputs(table, columns)
    encoder, scaler = inputs.encoder, inputs.scaler
    with place.hold(inputs.scaled, table[columns.target].to_numpy(), encoder) as rows:
        # What is held is no longer needed as it was.
        del inputs
        boosters = [
            rows.train(each, count, keep=True)
            for each, count in zip(seeded(hyperparameters), rounds, strict=True)
        ]
        learned = rows.log_odds(boosters)
    return Learner(average(boosters), encoder, scaler, learned)


def refit(
    table: pd.DataFrame,
    columns: Columns,
    hyperparameters: Hyperparameters,
    evaluated: FraudDetector,
    rounds: tuple[int, ...],
    place: Place = HERE,
) -> tuple[FraudDetector, Floats]:
    """The detector to serve, and its log-odds of the rows of `table`, shape (rows,).

    It is fitted on all of them with as many rounds as the evaluation model. Calibration and
    decision are those of `evaluated`, which travels with it: nothing is left to measure it on.
    """
    *_, decision = evaluated.parts
    all_rows = fit_all(table, columns, hyperparameters, rounds, place)
    detector = FraudDetector(
        all_rows.booster, all_rows.encoder, all_rows.scaler, decision, evaluated
    )
    return detector, all_rows.log_odds


def _leaks(
    learned: tuple[Floats, Labels],
    measured: tuple[Floats, Labels],
    encoder: Encoder,
    hyperparameters: Hyperparameters,
    genuine_weight: float,
    reached: float,
) -> LeakReport | None:
    """Columns too good to be true, with what another booster reaches without them."""
    (x_train, y_train), (x_validation, y_validation) = learned, measured
    sources = [encoder.names[owner] for owner in encoder.owners]
    found = find_leaks(
        learned,
        measured,
        sources,
        categorical=encoder.categorical,
        genuine_weight=max(1.0, genuine_weight),
    )

    def without(inputs: list[int]) -> float:
        codes = [place for place, own in enumerate(inputs) if own in encoder.categorical]
        rest = lightgbm.Dataset(x_train[:, inputs], y_train, categorical_feature=codes)
        booster = train_booster(rest, hyperparameters, hyperparameters.rounds)
        scores = np.asarray(booster.predict(x_validation[:, inputs], raw_score=True))
        weights = np.where(y_validation == 1, 1.0, genuine_weight)
        return float(average_precision_score(y_validation, scores, sample_weight=weights))

    return weigh_leaks(found, sources, reached, without)


def calibrate(log_odds: Floats, labels: Labels, genuine_weight: float = 1.0) -> Decision:
    """Fits Platt's sigmoid to held-out log-odds; the order of the scores never changes.

    Where each genuine row stands for `genuine_weight` of them, the odds of fraud are that many
    times lower than in the table (prior correction: G. King and L. Zeng, Logistic regression in
    rare events data, 2001).

    A sigmoid rather than an isotonic step function: with some dozens of frauds the steps would
    tie most scores, and ties cost average precision.
    """
    sigmoid = LogisticRegression(C=1e6, max_iter=1000).fit(log_odds.reshape(-1, 1), labels)
    slope = float(sigmoid.coef_[0, 0])
    if slope <= 0:
        raise TrainingError(
            f"calibration on the validation part has slope {slope:.3g}: higher scores do not mean "
            "more fraud there. Is the target column the right one?"
        )
    intercept = float(sigmoid.intercept_[0]) - math.log(genuine_weight)
    return Decision(slope, intercept, threshold=0.5, medium=0.5, high=0.5)
