"""Every plot draws, is titled and has labelled axes."""

from __future__ import annotations

import numpy as np
import pytest
from matplotlib.figure import Figure

from fraud_model.evaluation.evaluate import Scored, evaluate
from fraud_model.evaluation.plots import draw_curves
from fraud_model.evaluation.threshold import decide, parse_policy
from fraud_model.model.detector import Decision
from tests.support.plots import check

random = np.random.default_rng(0)
LABELS = (random.random(2_000) < 0.03).astype(np.int64)
EASY = Scored(
    LABELS, np.clip(0.6 * LABELS + 0.4 * random.random(2_000), 0, 1), random.random(2_000), 1.0
)
CONSTANT = Scored(LABELS, np.full(2_000, 0.03), np.ones(2_000), 1.0)


def draw(scored: Scored, text: str) -> dict[str, Figure]:
    policy = parse_policy(text)
    calibration = Decision(1.0, 0.0, threshold=0.5, medium=0.5, high=0.5)
    amount = None if scored.amounts is None else "Amount"
    decision = decide(policy, calibration, scored, amount, None)
    flagged = decision.flags(scored.probability, scored.amounts)
    metrics = evaluate(scored, flagged, 100)
    return draw_curves(scored, metrics, part="holdout", decision=decision, policy=policy)


@pytest.mark.parametrize("scored", [EASY, CONSTANT])
@pytest.mark.parametrize("policy", ["f1", "cost:5"])
def test_curves_draw_for_good_and_for_degenerate_scores(scored: Scored, policy: str) -> None:
    drawn = draw(scored, policy)
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
    drawn = draw(EASY, "cost:5")
    assert drawn["threshold"].get_suptitle() == "Cost against threshold"


def test_the_reliability_has_intervals_around_its_points() -> None:
    (bars,) = draw(EASY, "f1")["reliability"].axes[0].containers
    points, _, (segments,) = bars
    observed = points.get_ydata()
    ends = np.array([segment[:, 1] for segment in segments.get_segments()])
    assert (ends[:, 0] <= observed).all()
    assert (ends[:, 1] >= observed).all()
    assert (ends[:, 1] > ends[:, 0]).all()


def test_the_roc_curve_shows_the_decision_and_chance() -> None:
    _, labels = draw(EASY, "f1")["roc"].axes[0].get_legend_handles_labels()
    area, decision, chance = labels
    assert (area[:4], chance) == ("area", "chance")
    assert decision.startswith("probability >= ")
