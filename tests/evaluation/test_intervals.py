from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import average_precision_score

from fraud_model.arrays import Floats, Labels
from fraud_model.evaluation.intervals import (
    average_precision_interval,
    count_interval,
    paired_difference,
    paired_metric_difference,
)

FRAUDS, GENUINE = 30, 3_000
LABELS: Labels = np.repeat([1, 0], [FRAUDS, GENUINE])


def draw(random: np.random.Generator, noise: float = 1.0) -> tuple[Floats, Floats]:
    """A champion's scores, and those of a challenger that ranks alike up to some noise."""
    hard = random.random(FRAUDS) < 0.2
    frauds = np.where(hard, -5.0, 4.0) + 1.5 * random.standard_normal(FRAUDS)
    champion = np.append(frauds, -4 + 1.8 * random.standard_normal(GENUINE))
    return champion, champion + noise * random.standard_normal(len(champion))


def test_intervals_cover_the_truth() -> None:
    random = np.random.default_rng(0)
    many = [draw(random) for _ in range(60)]
    # Over many draws, the plain mean; a challenger of noise is worse by as much.
    truth, worse = (
        np.mean([average_precision_score(LABELS, pair[side]) for pair in many]) for side in (0, 1)
    )
    level = [average_precision_interval(LABELS, pair[0]) for pair in many]
    difference = [paired_difference(LABELS, pair[1], pair[0]) for pair in many]
    assert sum(found.low <= truth <= found.high for found in level) >= 55
    assert sum(found.low <= worse - truth <= found.high for found in difference) >= 55
    assert np.median([found.high - found.low for found in level]) < 0.35
    assert np.median([found.high - found.low for found in difference]) < 0.15


def test_bursts_are_covered_by_blocks_of_time_and_widen_the_interval() -> None:
    random = np.random.default_rng(1)
    # Ten bursts of ten frauds each; a burst is missed as a whole.
    labels = np.repeat([1, 0], [100, GENUINE])
    rows, blocks = [], []
    for _ in range(60):
        missed = np.repeat(random.random(10) < 0.3, 10)
        scores = np.append(np.where(missed, 0.0, 1.0), np.full(GENUINE, 0.5))
        hours = np.append(np.repeat(random.permutation(48)[:10], 10), np.arange(GENUINE) / 63)
        times: Floats = (3_600.0 * (hours + 0.25 * random.random(len(hours)))).astype(np.float64)
        rows.append(average_precision_interval(labels, scores))
        blocks.append(average_precision_interval(labels, scores, times=times))
    truth = 0.7 + 0.3 * 100 / len(labels)
    assert sum(found.low <= truth <= found.high for found in rows) < 45
    assert sum(found.low <= truth <= found.high for found in blocks) >= 55
    assert all(
        block.high - block.low > row.high - row.low for row, block in zip(rows, blocks, strict=True)
    )


def test_times_change_little_where_frauds_come_one_by_one() -> None:
    random = np.random.default_rng(2)
    champion, challenger = draw(random)
    times = random.random(len(LABELS)) * 2 * 86_400
    without = average_precision_interval(LABELS, champion)
    with_times = average_precision_interval(LABELS, champion, times=times)
    assert with_times.high - with_times.low < 1.5 * (without.high - without.low)
    moved = average_precision_interval(LABELS, champion, times=times + 1e9)
    assert (moved.low, moved.high) == pytest.approx((with_times.low, with_times.high), abs=1e-6)
    assert paired_difference(LABELS, challenger, champion, times=times).low < 0


def test_a_weighted_row_stands_for_as_many() -> None:
    champion, challenger = draw(np.random.default_rng(3))
    repeated = np.append(np.arange(FRAUDS), np.repeat(np.arange(FRAUDS, len(LABELS)), 7))
    weighted = average_precision_interval(LABELS, champion, genuine_weight=7)
    full = average_precision_interval(LABELS[repeated], champion[repeated])
    weights = np.where(LABELS == 1, 1, 7)
    expected = average_precision_score(LABELS, champion, sample_weight=weights)
    assert weighted.value == pytest.approx(full.value) == pytest.approx(expected)
    # A seventh of the genuine rows tells less than all of them.
    assert weighted.high - weighted.low >= full.high - full.low
    difference = paired_difference(LABELS, challenger, champion, genuine_weight=7)
    unweighted = paired_difference(LABELS[repeated], challenger[repeated], champion[repeated])
    assert difference.value == pytest.approx(unweighted.value)
    few = paired_metric_difference(
        LABELS, challenger > 0, champion > 0, "precision", genuine_weight=7
    )
    many = paired_metric_difference(
        LABELS[repeated], challenger[repeated] > 0, champion[repeated] > 0, "precision"
    )
    assert few.value == pytest.approx(many.value)


def test_a_model_does_not_differ_from_itself() -> None:
    scores, _ = draw(np.random.default_rng(4))
    times: Floats = np.arange(0.0, 60.0 * len(LABELS), 60.0)
    flags = scores > 0
    for found in (
        paired_difference(LABELS, scores, scores, times=times),
        paired_metric_difference(LABELS, flags, flags, "recall", times=times),
        paired_metric_difference(LABELS, flags, flags, "precision"),
    ):
        assert (found.low, found.value, found.high) == (0, 0, 0)


def test_models_that_agree_on_few_frauds_alone_may_still_differ() -> None:
    random = np.random.default_rng(7)
    labels = np.repeat([1, 0], [5, GENUINE])
    champion, challenger = (np.append(np.ones(5), random.random(GENUINE)) for _ in range(2))
    found = paired_difference(labels, challenger, champion)
    assert found.value == 0
    assert found.low < -0.01 < 0.01 < found.high


def test_a_decision_that_flags_less_catches_less_with_fewer_false_alarms() -> None:
    scores, _ = draw(np.random.default_rng(5))
    recall = paired_metric_difference(LABELS, scores > 4, scores > -1, "recall")
    precision = paired_metric_difference(LABELS, scores > 4, scores > -1, "precision")
    assert recall.high < 0 < precision.low
    assert recall.value == (scores[:FRAUDS] > 4).mean() - (scores[:FRAUDS] > -1).mean()
    nothing = paired_metric_difference(LABELS, scores > 100, scores > -1, "recall")
    assert nothing.high < -0.3
    silent = paired_metric_difference(LABELS, scores > 100, scores > -1, "precision")
    assert (silent.low, silent.high) == (-1, 1)


@pytest.mark.parametrize("frauds", [1, 5, 10])
def test_few_frauds_without_a_miss_are_no_proof(frauds: int) -> None:
    labels = np.repeat([1, 0], [frauds, 1_000])
    found = average_precision_interval(labels, labels.astype(float))
    assert found.value == found.high == 1
    assert 0 < found.low < 1 - 1 / frauds + 1e-9 or frauds == 1
    in_one_block = average_precision_interval(
        labels, labels.astype(float), times=np.append(np.zeros(frauds), np.arange(1_000) * 60.0)
    )
    assert in_one_block.low <= found.low


def test_equal_scores_have_an_interval() -> None:
    found = average_precision_interval(LABELS, np.full(len(LABELS), 0.5))
    assert found.value == pytest.approx(FRAUDS / len(LABELS))
    assert found.low <= found.value < found.high < 0.3


def test_a_count_of_frauds_has_poissons_interval_and_a_wider_one_in_bursts() -> None:
    # Garwood's tabled limits for 10.
    found = count_interval(10)
    assert (found.low, found.high) == pytest.approx((4.80, 18.39), abs=0.01)
    assert count_interval(0).low == 0
    hours = np.random.default_rng(6).random(100) * 48
    alone = count_interval(100, hours * 3_600)
    bursts = count_interval(100, np.repeat(hours[:10], 10) * 3_600)
    assert bursts.low < alone.low < 100 < alone.high < bursts.high
