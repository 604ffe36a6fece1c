"""How well a version did on the part of its traffic that has labels."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import stats
from scipy.special import expit, logit
from sklearn.metrics import average_precision_score

from fraud_model.arrays import Floats
from fraud_model.durations import SECONDS_PER_DAY
from fraud_model.evaluation.evaluate import Scored, evaluate
from fraud_model.evaluation.intervals import (
    CONFIDENCE,
    Interval,
    average_precision_interval,
    count_interval,
    share_interval,
)
from fraud_model.model.metrics import Metrics
from fraud_model.model.profile import Profile
from fraud_model.monitoring.maturity import has_matured
from fraud_model.monitoring.windows import Window

FEWEST_FRAUDS = 10
BOOTSTRAP_SAMPLES = 500
# Of a version that is as good as on its holdout, one check in a hundred says that it got worse.
LEVEL, POWER = 0.01, 0.8


@dataclass(frozen=True)
class Comparison:
    """Average precision now and on the holdout, at one share of frauds.

    The same scores have a lower average precision where frauds are rarer, so the genuine
    transactions of now are weighted until their share of frauds is the holdout's. `p_value` is that
    of the one-sided test that it fell, on the scale of its log-odds, where both are nearly normal.
    `detectable` is the average precision that the test would find, if that were the true one, with
    a probability of `POWER`.
    """

    now: Interval
    p_value: float
    detectable: float

    @property
    def has_fallen(self) -> bool:
        """Whether the version got worse, beyond chance."""
        return self.p_value <= LEVEL


@dataclass(frozen=True)
class Performance:
    """What a version reached on the matured part of its traffic.

    `windows` are the numbers of the matured ones, and `by_window` the average precision of each
    that holds enough frauds. `rows` and `frauds` count the labelled transactions in them, and
    `frauds_by_window` the frauds in each.
    `intervals` are metrics by name, each with its interval; empty if there are too few frauds.
    `held` are those of the holdout, NaN where an interval is not known. `comparison` is that with
    the holdout, None where there are too few.
    `since` is the number of the window in which the fall seems to have begun, None without one.
    `calibration` is the frauds seen over the frauds expected from the probabilities: 1 is ideal.
    """

    windows: tuple[int, ...]
    rows: int
    frauds: int
    intervals: dict[str, Interval]
    by_window: dict[int, float]
    frauds_by_window: dict[int, int]
    scored: Scored | None
    comparison: Comparison | None = None
    held: dict[str, Interval] = field(default_factory=dict)
    since: int | None = None


def measure(labelled: pd.DataFrame, windows: dict[int, Window], profile: Profile) -> Performance:
    """Measures the windows that have matured."""
    matured = tuple(
        number
        for number, window in sorted(windows.items())
        if has_matured(window.labelled, window.rows)
    )
    table = labelled[labelled["window"].isin(matured)]
    frauds = int(table["label"].sum())
    by_window = {
        int(str(number)): float(average_precision_score(part["label"], part["probability"]))
        for number, part in table.groupby("window")
        if part["label"].sum() >= FEWEST_FRAUDS and part["label"].min() == 0
    }
    counted = table[table["label"] == 1]["window"].value_counts()
    each = {number: int(counted.get(number, 0)) for number in matured}
    if frauds < FEWEST_FRAUDS or frauds == len(table):
        return Performance(matured, len(table), frauds, {}, by_window, each, None)
    days = sum(windows[number].seconds or 0.0 for number in matured) / SECONDS_PER_DAY
    scored = Scored(
        labels=table["label"].to_numpy(),
        probability=table["probability"].to_numpy(),
        amounts=table["amount"].to_numpy() if "amount" in table else None,
        days=days or 1.0,
        times=None if table["seconds"].isna().any() else table["seconds"].to_numpy(),
    )
    intervals = _intervals(scored, profile)
    compared = compare(scored, profile)
    held = of_holdout(profile.metrics)
    since = None
    if compared.has_fallen:
        begun = change_point(by_window, each)
        since = matured[0]
        if begun is not None:
            rows = table["window"].to_numpy() < begun
            times = None if scored.times is None else scored.times[rows]
            earlier = Scored(scored.labels[rows], scored.probability[rows], None, 1.0, times)
            since = matured[0] if compare(earlier, profile).has_fallen else begun
    return Performance(
        matured, len(table), frauds, intervals, by_window, each, scored, compared, held, since
    )


def change_point(by_window: Mapping[int, float], frauds: Mapping[int, int]) -> int | None:
    """The window from which on a value is lower, by least squares weighted with its frauds.

    None where no part of the windows has a lower mean than what comes before.
    """
    numbers = sorted(by_window)
    values = np.array([by_window[number] for number in numbers])
    weights = np.array([frauds[number] for number in numbers], dtype=np.float64)
    found: dict[int, float] = {}
    for place in range(1, len(numbers)):
        before, after = (
            float(np.average(values[part], weights=weights[part]))
            for part in (slice(place), slice(place, None))
        )
        if after < before:
            means = np.where(np.arange(len(values)) < place, before, after)
            found[numbers[place]] = float((weights * (values - means) ** 2).sum())
    return min(found, key=lambda number: found[number]) if found else None


def compare(scored: Scored, profile: Profile) -> Comparison:
    """Whether average precision fell below the holdout's, at the holdout's share of frauds."""
    held = profile.metrics
    rate = profile.holdout_fraud_rate or held.frauds / held.rows
    frauds = int(scored.labels.sum())
    genuine = len(scored.labels) - frauds
    now = average_precision_interval(
        scored.labels,
        scored.probability,
        times=scored.times,
        genuine_weight=frauds * (1 - rate) / rate / genuine,
    )
    before = Interval(
        held.average_precision, held.average_precision_low, held.average_precision_high
    )
    (centre, error), (centre_before, error_before) = _log_odds(now), _log_odds(before)
    both = float(np.hypot(error, error_before))
    seen = stats.norm.isf(LEVEL) + stats.norm.isf(1 - POWER)
    return Comparison(
        now,
        float(stats.norm.cdf((centre - centre_before) / both)),
        float(expit(centre_before - seen * both)),
    )


def _log_odds(interval: Interval) -> tuple[float, float]:
    """Centre and standard error of an average precision's log-odds, from its interval."""
    low, high = logit(np.clip([interval.low, interval.high], 1e-6, 1 - 1e-6))
    # The interval's quantile of Student's t is larger than this, so the error is on the safe side.
    return float(low + high) / 2, float(high - low) / (2 * stats.norm.ppf((1 + CONFIDENCE) / 2))


def _intervals(scored: Scored, profile: Profile) -> dict[str, Interval]:
    decided = profile.flags(scored.probability, scored.amounts)
    metrics = evaluate(scored, decided, profile.alert_budget)
    frauds, budget = metrics.frauds, metrics.alerts_in_budget
    caught = round(metrics.recall_at_budget * frauds)
    expected = float(scored.probability.sum())
    count = count_interval(frauds)
    found = {
        "average_precision": Interval(
            metrics.average_precision,
            metrics.average_precision_low,
            metrics.average_precision_high,
        ),
        "precision_at_budget": _share(caught, budget),
        "recall_at_budget": _share(caught, frauds),
        "calibration": Interval(frauds / expected, count.low / expected, count.high / expected),
    }
    if scored.amounts is not None:
        fraud = scored.labels == 1
        found["fraud_value_caught_share"] = _value_share(scored.amounts[fraud], decided[fraud])
    return found


def of_holdout(held: Metrics) -> dict[str, Interval]:
    """The same metrics of the holdout, as far as they are known; see `Performance`."""
    caught = round(held.recall_at_budget * held.frauds)
    seen = count_interval(held.frauds)
    found = {
        "average_precision": Interval(
            held.average_precision, held.average_precision_low, held.average_precision_high
        ),
        "precision_at_budget": _share(min(caught, held.alerts_in_budget), held.alerts_in_budget),
        "recall_at_budget": _share(caught, held.frauds),
        "calibration": Interval(
            *(
                number / held.expected_frauds if held.expected_frauds else np.nan
                for number in (held.frauds, seen.low, seen.high)
            )
        ),
    }
    if held.fraud_value_caught is not None and held.fraud_value_missed is not None:
        value = held.fraud_value_caught + held.fraud_value_missed
        caught_share = held.fraud_value_caught / value if value else np.nan
        # The amounts themselves, which an interval is drawn from, are not in the profile.
        found["fraud_value_caught_share"] = Interval(caught_share, np.nan, np.nan)
    return {name: known for name, known in found.items() if not np.isnan(known.value)}


def _share(part: int, whole: int) -> Interval:
    """A share with Wilson's interval."""
    return Interval(part / whole, *share_interval(part, whole))


def _value_share(amounts: Floats, flagged: npt.NDArray[np.bool_]) -> Interval:
    """Share of the frauds' amounts that was flagged, with a bootstrap interval over frauds."""
    random = np.random.default_rng(0)
    drawn = random.integers(len(amounts), size=(BOOTSTRAP_SAMPLES, len(amounts)))
    caught = (amounts * flagged)[drawn].sum(axis=1)
    shares = caught / np.maximum(amounts[drawn].sum(axis=1), 1e-12)
    tail = (1 - CONFIDENCE) / 2
    low, high = np.quantile(shares, (tail, 1 - tail))
    value = float((amounts * flagged).sum() / max(float(amounts.sum()), 1e-12))
    return Interval(value, float(low), float(high))
