"""Every plot draws, is titled and has labelled axes."""

from __future__ import annotations

import numpy as np
import pytest

from fraud_model.evaluation.evaluate import Scored, evaluate
from fraud_model.evaluation.plots import draw_curves
from fraud_model.evaluation.threshold import parse_policy
from tests.support.plots import check

random = np.random.default_rng(0)
LABELS = (random.random(2_000) < 0.03).astype(np.int64)
EASY = Scored(
    LABELS, np.clip(0.6 * LABELS + 0.4 * random.random(2_000), 0, 1), random.random(2_000), 1.0
)
CONSTANT = Scored(LABELS, np.full(2_000, 0.03), None, 1.0)


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
