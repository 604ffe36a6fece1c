"""Ways to an interval, for `intervals`: of average precision and of the difference of two."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy import stats
from scipy.special import expit, logit

from benchmarks.intervals_population import Holdout
from fraud_model.arrays import Counts, Floats
from fraud_model.evaluation.influence import AveragePrecision
from fraud_model.evaluation.intervals import average_precision_interval, paired_difference

Limits = tuple[float, float]
Method = Callable[[Holdout], tuple[Limits, Limits]]

SAMPLES = 500
CONFIDENCE = 0.95
TAILS = ((1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2)
NEARLY = 1e-3


def percentile_of_rows(holdout: Holdout) -> tuple[Limits, Limits]:
    """Percentiles of samples of all rows with replacement."""
    resampled = _Resampled(holdout)
    number = resampled.frauds + resampled.genuine.sum()
    shares = np.append(np.ones(resampled.frauds), resampled.genuine) / number
    drawn = np.random.default_rng(0).multinomial(number, shares, SAMPLES)
    drawn = drawn[drawn[:, : resampled.frauds].any(axis=1)]
    return _percentiles(*resampled.precisions(*np.split(drawn, [resampled.frauds], axis=1)))


def percentile_apart(holdout: Holdout) -> tuple[Limits, Limits]:
    """Percentiles of samples of frauds and of genuine rows apart."""
    return _percentiles(*_apart(holdout))


def reflected_log_odds(holdout: Holdout) -> tuple[Limits, Limits]:
    """The same samples, reflected at the estimate, average precision as log-odds."""
    champion, challenger = _apart(holdout)
    level, value = (np.clip(x, NEARLY, 1 - NEARLY) for x in (champion, _value(holdout)[0]))
    low, high = np.quantile(logit(level), TAILS)
    below, above = expit(2 * logit(value) - [high, low])
    difference = np.quantile(challenger - champion, TAILS)
    by_two = 2 * _value(holdout)[1]
    return (below, above), (by_two - difference[1], by_two - difference[0])


def bca(holdout: Holdout) -> tuple[Limits, Limits]:
    """`scipy.stats.bootstrap` over the frauds, bias-corrected and accelerated."""
    resampled = _Resampled(holdout)

    def both(indices: Counts, axis: int) -> tuple[Floats, Floats]:
        drawn = np.moveaxis(indices, axis, -1)[..., np.newaxis]
        counts = (drawn == np.arange(resampled.frauds)).sum(axis=-2)
        flat = counts.reshape(-1, resampled.frauds)
        once = np.broadcast_to(resampled.genuine, (len(flat), len(resampled.genuine)))
        champion, challenger = resampled.precisions(flat, once)
        shape = counts.shape[:-1]
        return champion.reshape(shape), (challenger - champion).reshape(shape)

    found = []
    for side in (0, 1):
        result = stats.bootstrap(
            (np.arange(resampled.frauds),),
            lambda indices, axis, side=side: both(indices, axis)[side],
            n_resamples=SAMPLES,
            confidence_level=CONFIDENCE,
            method="BCa",
            rng=np.random.default_rng(0),
        ).confidence_interval
        # Where all samples are alike there is no bias to correct.
        value = _value(holdout)[side]
        found.append(tuple(np.nan_to_num([result.low, result.high], nan=value)))
    return found[0], found[1]


def linearised(holdout: Holdout) -> tuple[Limits, Limits]:
    """Student's t times the standard error by the infinitesimal jackknife, nothing else."""
    weight = holdout.genuine_weight
    champion, challenger = (
        AveragePrecision(holdout.labels, scores, weight).influence
        for scores in (holdout.champion, holdout.challenger)
    )
    quantile = stats.t.ppf(TAILS[1], holdout.labels.sum() - 1)
    margins = (quantile * np.linalg.norm(x) for x in (champion, challenger - champion))
    level, difference = (
        (value - margin, value + margin)
        for value, margin in zip(_value(holdout), margins, strict=True)
    )
    return level, difference


def by_rows(holdout: Holdout) -> tuple[Limits, Limits]:
    """The project's intervals, without times."""
    return _project(holdout, None)


def by_blocks(holdout: Holdout) -> tuple[Limits, Limits]:
    """The project's intervals, with blocks of time."""
    return _project(holdout, holdout.times)


METHODS: dict[str, Method] = {
    "percentile, rows": percentile_of_rows,
    "percentile, frauds and genuine apart": percentile_apart,
    "reflected, log-odds": reflected_log_odds,
    "BCa, frauds": bca,
    "linearised, t": linearised,
    "ours, without times": by_rows,
    "ours, blocks of time": by_blocks,
}


class _Resampled:
    """Average precision of both models under weights of the frauds and of kinds of genuine rows.

    Genuine rows between the same two frauds, for both models, are of one kind.
    """

    def __init__(self, holdout: Holdout) -> None:
        fraud = holdout.labels == 1
        self.frauds = int(fraud.sum())
        self._weight = holdout.genuine_weight
        levels = [
            np.searchsorted(np.unique(-scores[fraud]), -scores)
            for scores in (holdout.champion, holdout.challenger)
        ]
        kinds, self.genuine = np.unique(
            np.column_stack([level[~fraud] for level in levels]), axis=0, return_counts=True
        )
        self._of_fraud = [_indicators(level[fraud], self.frauds) for level in levels]
        self._of_kind = [_indicators(kind, self.frauds) for kind in kinds.T]

    def precisions(self, frauds: Counts, genuine: Counts) -> tuple[Floats, Floats]:
        """The champion's and the challenger's, from weights of shape (samples, frauds or kinds)."""
        found = []
        for of_fraud, of_kind in zip(self._of_fraud, self._of_kind, strict=True):
            new = frauds @ of_fraud
            caught, false = new.cumsum(axis=1), (genuine @ of_kind).cumsum(axis=1) * self._weight
            precision = caught / np.maximum(caught + false, 1e-12)
            found.append((new * precision).sum(axis=1) / caught[:, -1])
        return found[0], found[1]


def _indicators(level: Counts, levels: int) -> Floats:
    return np.asarray(level[:, np.newaxis] == np.arange(levels), np.float64)


def _apart(holdout: Holdout) -> tuple[Floats, Floats]:
    resampled = _Resampled(holdout)
    random = np.random.default_rng(0)
    number, genuine = resampled.frauds, resampled.genuine
    frauds = random.multinomial(number, np.full(number, 1 / number), SAMPLES)
    rows = random.multinomial(genuine.sum(), genuine / genuine.sum(), SAMPLES)
    return resampled.precisions(frauds, rows)


def _value(holdout: Holdout) -> tuple[float, float]:
    champion, challenger = (
        AveragePrecision(holdout.labels, scores, holdout.genuine_weight).value
        for scores in (holdout.champion, holdout.challenger)
    )
    return champion, challenger - champion


def _percentiles(champion: Floats, challenger: Floats) -> tuple[Limits, Limits]:
    level, difference = (np.quantile(x, TAILS) for x in (champion, challenger - champion))
    return (level[0], level[1]), (difference[0], difference[1])


def _project(holdout: Holdout, times: Floats | None) -> tuple[Limits, Limits]:
    weight = holdout.genuine_weight
    level = average_precision_interval(
        holdout.labels, holdout.champion, times=times, genuine_weight=weight
    )
    difference = paired_difference(
        holdout.labels, holdout.challenger, holdout.champion, times=times, genuine_weight=weight
    )
    return (level.low, level.high), (difference.low, difference.high)
