"""A detector's decision on parts of the holdout: by amount, hour and category.

A fairness review compares groups by the share of their genuine transactions that are flagged, the
false-positive rate, and by the share of their frauds that are.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from fraud_model.arrays import Counts, Flags, Floats
from fraud_model.data.columns import Columns
from fraud_model.durations import SECONDS_PER_DAY
from fraud_model.errors import ParameterError
from fraud_model.evaluation.evaluate import Scored
from fraud_model.evaluation.intervals import Interval, metric_interval, share_interval

# MLflow's pages show tables of at most ten rows.
MOST_VALUES = 9
# Categories that are sliced by without being named, in the order of the table.
MOST_CATEGORIES = 3
AMOUNT_LEVELS = (0.5, 0.75, 0.9, 0.99)
QUARTERS = (0.25, 0.5, 0.75)
HOURS = 4

# The code of each row's value, shape (rows,), and the values.
Coded = tuple[Counts, list[str]]


@dataclass(frozen=True)
class Slice:
    """What a decision does in one part of the holdout.

    Shares are 0 to 1, each with its interval; None where there is nothing to take a share of.
    Where genuine transactions were thinned, precision is that of the whole traffic.
    """

    by: str
    value: str
    rows: int
    frauds: int
    flagged: int
    false_positive_rate: Interval | None
    recall: Interval | None
    precision: Interval | None


def named(text: str) -> list[str]:
    """The columns that `-P slices=` names."""
    return list(dict.fromkeys(name.strip() for name in text.split(",") if name.strip()))


def check_slices(names: Sequence[str], columns: Columns) -> None:
    """Refuses names that are no columns.

    Raises:
        ParameterError: one of them is none.
    """
    known = [*columns.features, *columns.ignored]
    unknown = [name for name in names if name not in known]
    if unknown:
        raise ParameterError(
            f"slices={','.join(names)!r} names {unknown[0]!r}, which is no column besides the "
            f"target. Name some of: {', '.join(known)}"
        )


def slices(
    rows: pd.DataFrame, columns: Columns, scored: Scored, flagged: Flags, names: Sequence[str]
) -> list[Slice]:
    """The holdout by amount, hour, its first categories, and the columns that `names` says.

    `rows` holds the features, and of other columns those that are named.
    """
    return [
        _slice(by, value, scored, flagged, codes == code)
        for by, (codes, values) in _groups(rows, columns, scored, names)
        for code, value in enumerate(values)
        if (codes == code).any()
    ]


def _groups(
    rows: pd.DataFrame, columns: Columns, scored: Scored, names: Sequence[str]
) -> Iterator[tuple[str, Coded]]:
    described = columns.described
    if columns.amount is not None and columns.amount not in names:
        amounts = described[columns.amount].read(rows[columns.amount])
        yield columns.amount, _bands(amounts, AMOUNT_LEVELS)
    if scored.times is not None:
        hours = scored.times % SECONDS_PER_DAY // 3600 // HOURS
        values = [f"{hour:02}:00 to {hour + HOURS:02}:00" for hour in range(0, 24, HOURS)]
        yield "hour", (hours.astype(np.int64), values)
    categories = [n for n, f in described.items() if f.kind == "category" and n not in names]
    for name in [*names, *categories[:MOST_CATEGORIES]]:
        if name not in described:
            yield name, _of_any_kind(rows[name])
        elif described[name].kind in ("category", "boolean"):
            yield name, _most_frequent(rows[name])
        else:
            levels = AMOUNT_LEVELS if name == columns.amount else QUARTERS
            yield name, _bands(described[name].read(rows[name]), levels)


def _of_any_kind(values: pd.Series) -> Coded:
    """Numbers of more than a few values in bands, anything else by itself."""
    is_number = pd.api.types.is_numeric_dtype(values) and not pd.api.types.is_bool_dtype(values)
    if is_number and values.nunique() > MOST_VALUES:
        return _bands(values.to_numpy(dtype=np.float64, na_value=np.nan), QUARTERS)
    return _most_frequent(values)


def _bands(values: Floats, levels: Sequence[float]) -> Coded:
    """Numbers by quantiles of themselves; those that are missing come last."""
    missing = np.isnan(values)
    if missing.all():
        return np.zeros(len(values), np.int64), ["missing"]
    edges = np.unique(np.quantile(values[~missing], levels))
    shown = [f"up to {edge:.6g}" for edge in edges] + [f"above {edges[-1]:.6g}", "missing"]
    return np.where(missing, len(edges) + 1, np.searchsorted(edges, values)), shown


def _most_frequent(values: pd.Series) -> Coded:
    """Texts by themselves, the most frequent first, the rare ones together."""
    texts = values.astype("string").fillna("missing")
    counts = texts.value_counts()
    most = MOST_VALUES if len(counts) <= MOST_VALUES else MOST_VALUES - 1
    kept = counts.index[:most].tolist()
    codes = pd.Index(kept).get_indexer(pd.Index(texts))
    return np.where(codes < 0, len(kept), codes), [*kept, f"{len(counts) - most:,} others"]


def _slice(by: str, value: str, scored: Scored, flagged: Flags, chosen: Flags) -> Slice:
    labels, flags = scored.labels[chosen], flagged[chosen]
    times = None if scored.times is None else scored.times[chosen]
    genuine = labels == 0
    false_alarms, passed = int((flags & genuine).sum()), int((~flags & genuine).sum())
    of_genuine = false_alarms + passed
    rate = None
    if of_genuine:
        rate = Interval(false_alarms / of_genuine, *share_interval(false_alarms, of_genuine))
    return Slice(
        by=by,
        value=value,
        rows=len(labels),
        frauds=int(labels.sum()),
        flagged=int(flags.sum()),
        false_positive_rate=rate,
        recall=metric_interval(labels, flags, "recall", times=times) if labels.any() else None,
        precision=metric_interval(
            labels, flags, "precision", times=times, genuine_weight=scored.genuine_weight
        )
        if flags.any()
        else None,
    )
