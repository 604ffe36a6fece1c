"""Every plot draws, is titled and has labelled axes."""

from __future__ import annotations

import io

import numpy as np
import pytest
from matplotlib.figure import Figure

from fraud_model.evaluation.evaluate import Scored, evaluate
from fraud_model.evaluation.plots import draw_curves, draw_importance, draw_learning_curve
from fraud_model.evaluation.threshold import parse_policy

random = np.random.default_rng(0)
LABELS = (random.random(2_000) < 0.03).astype(np.int64)
EASY = Scored(
    LABELS, np.clip(0.6 * LABELS + 0.4 * random.random(2_000), 0, 1), random.random(2_000), 1.0
)
CONSTANT = Scored(LABELS, np.full(2_000, 0.03), None, 1.0)


def check(figure: Figure) -> None:
    figure.savefig(io.BytesIO(), format="png")
    assert figure.get_suptitle()
    for axes in figure.axes:
        assert axes.get_xlabel()
        assert axes.get_ylabel() or "importance" in figure.get_suptitle()


@pytest.mark.parametrize("scored", [EASY, CONSTANT])
@pytest.mark.parametrize("policy", ["f1", "cost:5"])
def test_curves_draw_for_good_and_for_degenerate_scores(scored: Scored, policy: str) -> None:
    metrics = evaluate(scored, 0.5, 100)
    drawn = draw_curves(scored, metrics, part="holdout", threshold=0.5, policy=parse_policy(policy))
    assert set(drawn) == {
        "precision_recall",
        "roc",
        "reliability",
        "score_distribution",
        "threshold",
        "confusion_matrix",
    }
    for figure in drawn.values():
        check(figure)


def test_a_cost_policy_draws_cost() -> None:
    metrics = evaluate(EASY, 0.5, 100)
    drawn = draw_curves(EASY, metrics, part="holdout", threshold=0.5, policy=parse_policy("cost:5"))
    assert drawn["threshold"].get_suptitle() == "Cost against threshold"


def test_learning_curve_and_importance_draw() -> None:
    check(draw_learning_curve({"average_precision": [0.1, 0.5], "binary_logloss": [0.3, 0.2]}, 2))
    figure = draw_importance(["a", "b"], np.array([3.0, 1.0]), np.array([[0.1, -2.0]]))
    check(figure)
    names = [label.get_text() for label in figure.axes[0].get_yticklabels()]
    assert names == ["b", "a"]
