"""The learning curve and the importance of the features draw."""

from __future__ import annotations

import numpy as np

from fraud_model.training.curve import LearningCurve
from fraud_model.training.plots import draw_importance, draw_learning_curve
from tests.support.plots import check


def test_learning_curve_and_importance_draw() -> None:
    curve = LearningCurve(
        [1, 2], {"average_precision": [0.1, 0.5], "binary_logloss": [0.3, 0.2]}, np.zeros(3)
    )
    check(draw_learning_curve(curve, 2))
    figure = draw_importance(["a", "b"], np.array([3.0, 1.0]), np.array([[0.1, -2.0]]))
    check(figure)
    names = [label.get_text() for label in figure.axes[0].get_yticklabels()]
    assert names == ["b", "a"]
