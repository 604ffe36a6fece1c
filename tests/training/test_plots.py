"""The learning curve and the importance of the features draw."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from fraud_model.training.config import Hyperparameters
from fraud_model.training.curve import TRAIN_ROWS, LearningCurve, advice, train_sample
from fraud_model.training.plots import draw_importance, draw_learning_curve
from tests.support.plots import check


def test_learning_curve_and_importance_draw() -> None:
    curve = LearningCurve(
        [1, 2], {"average_precision": [0.1, 0.5], "binary_logloss": [0.3, 0.2]}, np.zeros(3)
    )
    curve = replace(curve, training={"average_precision": [0.2, 0.9]})
    drawn = draw_learning_curve(curve, 2)
    check(drawn)
    _, labels = drawn.axes[0].get_legend_handles_labels()
    assert labels == ["validation part", "train part, a sample of its rows", "kept: round 2"]
    figure = draw_importance(["a", "b"], np.array([3.0, 1.0]), np.array([[0.1, -2.0]]))
    check(figure)
    names = [label.get_text() for label in figure.axes[0].get_yticklabels()]
    assert names == ["b", "a"]


def test_names_of_sixty_characters_leave_room_for_the_bars() -> None:
    names = [f"merchant_category_of_the_last_three_months_by_country_no_{n:03}" for n in range(20)]
    figure = draw_importance(names, np.arange(20.0), np.ones((2, 20)))
    check(figure)
    for axes in figure.axes:
        assert axes.get_position().width > 0.25
        boxes = [label.get_window_extent() for label in axes.get_yticklabels()]
        assert all(upper.y0 >= lower.y1 for lower, upper in pairwise(boxes)), "none overlap"


def test_the_train_part_is_sampled_with_what_each_row_stands_for() -> None:
    labels = np.zeros(100_000, dtype=np.int64)
    labels[::500] = 1
    places, weights = train_sample(labels, 10.0)
    assert labels[places].sum() == 200
    assert len(places) <= TRAIN_ROWS
    assert weights.sum() == pytest.approx(200 + 10 * 99_800)


@pytest.mark.parametrize(
    ("best", "last", "stopping", "said"),
    [
        (400, 400, 0, "still rising at the last of 400 rounds"),
        (380, 380, 50, "still rising at the last of 400 rounds"),
        (60, 400, 0, "highest after round 60 of 400"),
        # Early stopping leaves no rounds behind the best one.
        (60, 60, 50, "highest after round 60 of 400"),
    ],
)
def test_more_rounds_are_advised_where_the_asked_ones_were_too_few(
    best: int, last: int, stopping: int, said: str
) -> None:
    rounds = list(range(20, last + 1, 20))
    curve = LearningCurve(
        rounds, {"average_precision": [-abs(number - best) for number in rounds]}, np.zeros(3)
    )
    text = advice(curve, Hyperparameters(rounds=400, early_stopping_rounds=stopping))
    assert said in text
    assert ("raise -P rounds= (now 400)" in text) == ("rising" in said)
    assert ("lower -P learning_rate=" in text) == ("highest" in said)
