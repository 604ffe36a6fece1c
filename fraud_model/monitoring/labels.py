"""Labels that arrive after the answer, and how well the version did on what they cover."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import stats
from sklearn.metrics import average_precision_score

from fraud_model.errors import DataError
from fraud_model.evaluation import CONFIDENCE, Interval, Scored, alerts_within, evaluate
from fraud_model.monitoring.traffic import Key
from fraud_model.monitoring.windows import Window
from fraud_model.profile import Floats, Profile
from fraud_model.reading import read_table
from fraud_model.schema import SECONDS_PER_DAY

Codes = npt.NDArray[np.int64]

UNKNOWN = -1
# A window has matured when this share of its transactions has a label: frauds are often reported
# before the others are cleared, and judging on those alone would flatter nobody and scare everyone.
MATURED_SHARE = 0.95
FEWEST_FRAUDS = 10
BOOTSTRAP_SAMPLES = 500


class Labels:
    """Labels by key: 1 for a fraud, 0 for a transaction known to be genuine.

    Attributes:
        columns: the key columns that labels and traffic share.
    """

    def __init__(self, columns: tuple[str, ...], known: dict[Key, int]) -> None:
        self.columns = columns
        self._known = known

    def __len__(self) -> int:
        return len(self._known)

    def of(self, keys: Sequence[Key]) -> Codes:
        """The label of each key, UNKNOWN where there is none yet, shape (keys,)."""
        known = self._known
        return np.fromiter((known.get(key, UNKNOWN) for key in keys), np.int64, len(keys))


def read_labels(path: Path, target: str, key_columns: Sequence[str]) -> Labels:
    """Reads a table with a label per row, and columns that the traffic's keys have too.

    An empty label is not known yet. By `request_id` alone, a label means the request's first row.

    Raises:
        DataError: the label or a key column is missing, a label is neither 0 nor 1, or a key has
            two labels.
    """
    table = read_table(path, numbers=(target,))
    shared = tuple(name for name in key_columns if name in table.columns)
    if target not in table.columns or not shared:
        found = ", ".join(map(repr, table.columns))
        raise DataError(
            f"{path}: labels need the column {target!r} (1 = fraud, 0 = genuine) and one or more "
            f"of {', '.join(map(repr, key_columns))} to find their transactions by; found: {found}."
        )
    if "request_id" in shared and "row" not in shared and "row" in key_columns:
        table = table.assign(row="0")
        shared = (*shared, "row")
    numbers = pd.to_numeric(table[target], errors="coerce")
    wrong = ~(numbers.isin((0, 1)) | table[target].isna())
    if wrong.any():
        row = int(wrong.to_numpy().argmax())
        found = str(table[target].iloc[row])
        raise DataError(
            f"{path}: row {row + 1}, column {target!r} holds {found!r}; a label is 0 (genuine), "
            "1 (fraud), or empty while nobody knows."
        )
    labelled = numbers.notna()
    keys = zip(*(table.loc[labelled, name].map(str) for name in shared), strict=True)
    known: dict[Key, int] = {}
    for key, label in zip(keys, numbers[labelled].astype(int), strict=True):
        if known.setdefault(key, label) != label:
            named = ", ".join(f"{n} {k!r}" for n, k in zip(shared, key, strict=True))
            raise DataError(f"{path}: {named} is labelled both 0 and 1. Keep the one that is true.")
    return Labels(shared, known)


class Labelled:
    """The scored transactions that have a label, as they come."""

    def __init__(self) -> None:
        self._parts: list[dict[str, npt.NDArray[np.float64] | Codes]] = []

    def add(
        self,
        labels: Codes,
        probability: Floats,
        amounts: Floats | None,
        seconds: Floats,
        windows: Codes,
    ) -> None:
        """Keeps the rows with a label and a probability; all arrays have shape (rows,)."""
        kept = (labels != UNKNOWN) & ~np.isnan(probability)
        part = {
            "label": labels[kept],
            "probability": probability[kept],
            "seconds": seconds[kept],
            "window": windows[kept],
        }
        if amounts is not None:
            part["amount"] = amounts[kept]
        self._parts.append(part)

    def table(self) -> pd.DataFrame:
        """All of them: label, probability, seconds, window, and amount where there is one."""
        return pd.concat([pd.DataFrame(part) for part in self._parts], ignore_index=True)


@dataclass(frozen=True)
class Performance:
    """What a version reached on the matured part of its traffic.

    `windows` are the numbers of the matured ones, and `by_window` the average precision of each
    that holds frauds enough. `figures` are intervals by name; none where frauds are too few.
    `calibration` is the frauds seen over the frauds expected from the probabilities: 1 is right.
    """

    windows: tuple[int, ...]
    rows: int
    frauds: int
    figures: dict[str, Interval]
    by_window: dict[int, float]
    scored: Scored | None


def measure(labelled: pd.DataFrame, windows: dict[int, Window], profile: Profile) -> Performance:
    """Measures the windows that have matured."""
    matured = tuple(
        number
        for number, window in sorted(windows.items())
        if window.rows and window.labelled >= MATURED_SHARE * window.rows
    )
    table = labelled[labelled["window"].isin(matured)]
    frauds = int(table["label"].sum())
    by_window = {
        int(str(number)): float(average_precision_score(part["label"], part["probability"]))
        for number, part in table.groupby("window")
        if part["label"].sum() >= FEWEST_FRAUDS and part["label"].min() == 0
    }
    if frauds < FEWEST_FRAUDS or frauds == len(table):
        return Performance(matured, len(table), frauds, {}, by_window, None)
    days = sum(windows[number].seconds or 0.0 for number in matured) / SECONDS_PER_DAY
    scored = Scored(
        labels=table["label"].to_numpy(),
        probability=table["probability"].to_numpy(),
        amounts=table["amount"].to_numpy() if "amount" in table else None,
        days=days or 1.0,
    )
    figures = _intervals(scored, profile)
    return Performance(matured, len(table), frauds, figures, by_window, scored)


def _intervals(scored: Scored, profile: Profile) -> dict[str, Interval]:
    figures = evaluate(scored, profile.threshold, profile.alert_budget)
    frauds, budget = int(figures["frauds"]), alerts_within(scored, profile.alert_budget)
    caught = round(figures["recall_at_budget"] * frauds)
    expected = float(scored.probability.sum())
    low, high = _poisson(frauds)
    found = {
        "average_precision": Interval(
            figures["average_precision"],
            figures["average_precision_low"],
            figures["average_precision_high"],
        ),
        "precision_at_budget": _share(caught, budget),
        "recall_at_budget": _share(caught, frauds),
        "calibration": Interval(frauds / expected, low / expected, high / expected),
    }
    if scored.amounts is not None:
        fraud = scored.labels == 1
        flagged = scored.probability[fraud] >= profile.threshold
        found["fraud_value_caught_share"] = _value_share(scored.amounts[fraud], flagged)
    return found


def _share(part: int, whole: int) -> Interval:
    """A share with Wilson's interval."""
    interval = stats.binomtest(part, whole).proportion_ci(CONFIDENCE, method="wilson")
    return Interval(part / whole, float(interval.low), float(interval.high))


def _poisson(count: int) -> tuple[float, float]:
    """Garwood's exact interval of a count's expectation."""
    tail = (1 - CONFIDENCE) / 2
    low = stats.chi2.ppf(tail, 2 * count) / 2 if count else 0.0
    return float(low), float(stats.chi2.ppf(1 - tail, 2 * count + 2) / 2)


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
