"""Boosters as `lightgbm.train` makes them: data, seeds, progress."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import lightgbm
import numpy as np

from fraud_model.arrays import Floats, Labels
from fraud_model.model.encoding import Encoder
from fraud_model.training.config import Hyperparameters
from fraud_model.training.inputs import booster_names

ROUNDS_BETWEEN_REPORTS = 50
TREES_IN_CACHE = 20


def seeded(hyperparameters: Hyperparameters) -> list[Hyperparameters]:
    """The hyperparameters of each booster that is averaged: seed, seed + 1 and so on."""
    return [
        replace(hyperparameters, seed=hyperparameters.seed + more)
        for more in range(hyperparameters.seeds)
    ]


def booster_dataset(values: Floats, labels: Labels, encoder: Encoder) -> lightgbm.Dataset:
    """What boosters learn from: scaled inputs, shape (rows, inputs), and labels, shape (rows,)."""
    return lightgbm.Dataset(
        values,
        labels,
        feature_name=booster_names(encoder.inputs),
        categorical_feature=list(encoder.categorical),
    )


def booster_parameters(hyperparameters: Hyperparameters) -> dict[str, Any]:
    """LightGBM's parameters of one booster, and what it is evaluated by where it stops early."""
    return {
        **hyperparameters.lightgbm_parameters(),
        "metric": ["average_precision", "binary_logloss"],
    }


def train_booster(
    data: lightgbm.Dataset,
    hyperparameters: Hyperparameters,
    rounds: int,
    validation: lightgbm.Dataset | None = None,
    *,
    keep: bool = False,
    after_round: Callable[[lightgbm.callback.CallbackEnv], None] | None = None,
    **more: object,
) -> lightgbm.Booster:
    """`lightgbm.train`, stopped early on the validation part where one is given.

    `keep` leaves what it has learned from with the booster. `after_round` is called after each
    round instead of the line that tells how far it is, and `more` are further parameters.

    LightGBM evaluates after every round, which at full size takes a third of the time of the fit;
    so it is asked to only where it has to stop early.
    """
    callbacks: list[Callable[..., object]] = [after_round or _report_progress]
    if validation is not None:
        callbacks.append(
            lightgbm.early_stopping(
                hyperparameters.early_stopping_rounds, first_metric_only=True, verbose=False
            )
        )
    return lightgbm.train(
        {**booster_parameters(hyperparameters), **more},
        data,
        num_boost_round=rounds,
        valid_sets=[] if validation is None else [validation],
        valid_names=[] if validation is None else ["validation"],
        callbacks=callbacks,
        keep_training_booster=keep,
    )


def log_odds_by_round(
    booster: lightgbm.Booster, values: Floats, apart: int
) -> Iterator[tuple[int, Floats]]:
    """Raw scores of scaled inputs, shape (rows,), after every `apart` rounds and the last one.

    It is one array, which the next step adds to. Few trees at a time stay in the processor's cache:
    20 of 400 at a time take two thirds of the time of all at once.
    """
    last = booster.current_iteration()
    log_odds = np.zeros(len(values))
    for start in range(0, last, apart):
        more = min(apart, last - start)
        log_odds += np.asarray(
            booster.predict(values, start_iteration=start, num_iteration=more, raw_score=True)
        )
        yield start + more, log_odds


def log_odds_of(booster: lightgbm.Booster, values: Floats) -> Floats:
    """Raw scores of scaled inputs, shape (rows,)."""
    *_, (_, log_odds) = log_odds_by_round(booster, values, TREES_IN_CACHE)
    return log_odds


def log_odds_of_learned_rows(booster: lightgbm.Booster) -> Floats:
    """What a kept booster gives the rows that it was trained on, which it need not score again."""
    found: list[Floats] = []

    def look(probability: Floats, _: lightgbm.Dataset) -> tuple[str, float, bool]:
        found.append(probability)
        return "none", 0.0, True

    booster.eval_train(look)
    probability = np.clip(found[0], np.finfo(float).tiny, 1 - np.finfo(float).epsneg)
    return np.asarray(np.log(probability / (1 - probability)))


def _report_progress(state: lightgbm.callback.CallbackEnv) -> None:
    done = state.iteration + 1
    if done % ROUNDS_BETWEEN_REPORTS == 0:
        print(f"  round {done} of {state.end_iteration}")
