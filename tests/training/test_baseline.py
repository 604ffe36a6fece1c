"""When a baseline beats the model."""

from __future__ import annotations

import numpy as np
import pytest

from fraud_model.arrays import Floats
from fraud_model.training.baseline import beaten_by, undecided

LABELS = np.r_[np.ones(60, np.int64), np.zeros(20_000, np.int64)]


def scores(shift: float, seed: int) -> Floats:
    shifted: Floats = np.random.default_rng(seed).normal(size=len(LABELS)) + shift * LABELS
    return shifted


def test_a_model_that_is_truly_worse_is_beaten() -> None:
    assert beaten_by(LABELS, scores(2.0, 1), scores(4.0, 2))
    assert not beaten_by(LABELS, scores(4.0, 2), scores(2.0, 1))


@pytest.mark.parametrize("frauds", [5, 60])
def test_a_table_that_both_separate_perfectly_is_a_tie(frauds: int) -> None:
    labels = LABELS[60 - frauds :]
    assert not beaten_by(labels, labels * 1.0, labels * 7.0)
    # One genuine row above one fraud.
    nearly = labels * 1.0
    nearly[-1] = 2.0
    assert not beaten_by(labels, nearly, labels * 7.0)


def test_models_of_equal_strength_do_not_beat_each_other() -> None:
    assert not beaten_by(LABELS, scores(3.0, 1), scores(3.0, 2))
    assert not beaten_by(LABELS, scores(3.0, 2), scores(3.0, 1))


def test_a_model_below_the_baseline_that_may_be_chance_is_said() -> None:
    line = undecided(0.71, 0.74, 12)
    assert line is not None
    assert "0.7400" in line
    assert "0.7100" in line
    assert "12 frauds" in line
    assert undecided(1.0, 1.0, 12) is None


def test_few_frauds_do_not_make_a_defeat_of_chance() -> None:
    labels = LABELS[50:]
    refused = 0
    for seed in range(20):
        random = np.random.default_rng(seed)
        model, baseline = random.normal(size=(2, len(labels))) + 3.0 * labels
        refused += beaten_by(labels, model, baseline)
    assert refused <= 3
