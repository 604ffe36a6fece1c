"""Small losses do not add up: the champions before the current one are a measure too."""

from __future__ import annotations

import numpy as np

from fraud_model.arrays import Flags, Floats
from fraud_model.evaluation.evaluate import Scored
from fraud_model.evaluation.holdout import Answers, ScoredHoldout
from fraud_model.evaluation.learned import MOSTLY_UNTIL
from fraud_model.registry.candidate import Candidate
from fraud_model.registry.gate_thresholds import GateThresholds
from fraud_model.registry.knowledge import Knowledge
from fraud_model.registry.pairing import Bench
from fraud_model.registry.verdict import against_champion, against_earlier

FRAUDS, ROWS = 100, 5_000
LABELS = (np.arange(ROWS) < FRAUDS).astype(np.int64)
LIMITS = GateThresholds(min_new_days=0)


def version(number: int) -> Knowledge:
    return Knowledge(
        Candidate(
            f"models:/m/{number}", f"version {number}", "real", 0.5, facts={MOSTLY_UNTIL: "0"}
        )
    )


def probability(missed: int) -> Floats:
    """A ranking that puts all frauds first but some, which it puts last."""
    ranking = np.linspace(1, 0, ROWS)
    ranking[:missed] = 0
    return ranking


def flagged(missed: int) -> Flags:
    return probability(missed) >= 0.99


def bench(missed: dict[int, int]) -> Bench:
    """What the versions of these numbers, the last of which is the challenger, answered."""
    *champions, challenger = missed
    unseen = np.ones(ROWS, dtype=bool)
    own = Scored(LABELS, probability(missed[challenger]), None, days=1.0)
    answers = {
        (f"models:/m/{number}", which): Answers(
            probability(missed[number]), flagged(missed[number]), unseen
        )
        for number in champions
        for which in ("served", "evaluation")
    }
    kept = ScoredHoldout(own, flagged(missed[challenger]), answers)  # type: ignore[arg-type]
    return Bench(version(challenger), LIMITS, kept)


def test_losses_that_each_pass_are_refused_where_they_add_up() -> None:
    # Each misses a fraud more than the one before, of a hundred.
    held = bench({1: 0, 2: 1, 3: 2, 4: 3})
    challenger, champion = held.own, version(3)
    verdict = against_champion(held.compare(challenger, champion), challenger, champion, LIMITS)
    assert (verdict.standing, verdict.passed) == ("not distinguishable", True)
    near = against_earlier(held, challenger, [version(2)], LIMITS.tolerance)
    assert near.passed
    check = against_earlier(held, challenger, [version(2), version(1)], LIMITS.tolerance)
    assert not check.passed
    assert "to version 1 (" in check.value


def test_an_earlier_champion_that_cannot_be_compared_passes_and_is_named() -> None:
    held = bench({1: 0, 2: 1})
    check = against_earlier(held, held.own, [version(7)], LIMITS.tolerance)
    assert check.passed
    assert "version 7" in check.value
