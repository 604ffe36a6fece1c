"""Cuts transactions into train, validation and holdout."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
import pandas as pd
from sklearn.model_selection import train_test_split

from fraud_model.arrays import Counts, Floats, Groups
from fraud_model.data.column_files import rows_of
from fraud_model.data.columns import days_between
from fraud_model.data.dataset import Dataset
from fraud_model.durations import SECONDS_PER_DAY
from fraud_model.errors import DataError, ParameterError

TRAIN_SHARE = 0.6
VALIDATION_SHARE = 0.2

# Below these an average precision says nothing, and a threshold is chosen on noise.
FEWEST_FRAUDS = {"train": 10, "validation": 5, "holdout": 5}

SplitBy = Literal["time", "stratified"]


@dataclass(frozen=True)
class Parts:
    """Three disjoint tables with the columns of the dataset.

    Together they hold all of its rows but the `gap`, which a label delay leaves between them.
    `days` is how many days of traffic each part stands for, by name; 1 if the table has no time.
    `places` are those of each part's rows in the table, and `seconds` when those happened, by name;
    None if the table has no time.
    """

    train: pd.DataFrame
    validation: pd.DataFrame
    holdout: pd.DataFrame
    how: SplitBy
    days: dict[str, float]
    gap: int
    places: dict[str, Counts]
    seconds: dict[str, Floats | None]

    def named(self) -> dict[str, pd.DataFrame]:
        """The parts by name, in order."""
        return {"train": self.train, "validation": self.validation, "holdout": self.holdout}


def split(dataset: Dataset, by: str, seed: int) -> Parts:
    """Splits 60 / 20 / 20: by time the earliest rows train, the last are the holdout.

    A table without a time column is split as with `by="stratified"`. By time, the label delay
    stays free in front of validation and holdout, as in the Fraud Detection Handbook (Le Borgne et
    al., 2022, chapter 5): on the day a model is fitted, younger labels are not known.

    Raises:
        ParameterError: `by` is neither `time` nor `stratified`.
        DataError: a part would hold too few frauds.
    """
    if by not in get_args(SplitBy):
        raise ParameterError(f"split={by!r} is invalid: expected time or stratified.")
    how: SplitBy = "time" if by == "time" and dataset.columns.time is not None else "stratified"
    fewest = sum(FEWEST_FRAUDS.values())
    if dataset.frauds < fewest:
        raise DataError(
            f"{dataset.source}: {dataset.frauds} frauds in {len(dataset.table):,} transactions are "
            f"too few to split into train, validation and holdout: at least {fewest} are needed. "
            "Give a table that covers more time."
        )
    places = _by_time(dataset) if how == "time" else _stratified(dataset, seed)
    cut = {name: rows_of(dataset.table, rows) for name, rows in places.items()}
    for name, needed in FEWEST_FRAUDS.items():
        _check_part(dataset, name, cut[name], needed, how)
    return Parts(
        **cut,
        how=how,
        days={name: days_of(dataset, rows, how) for name, rows in places.items()},
        gap=len(dataset.table) - sum(map(len, cut.values())),
        places=places,
        seconds={
            name: None if dataset.seconds is None else dataset.seconds[rows]
            for name, rows in places.items()
        },
    )


def _by_time(dataset: Dataset) -> dict[str, Counts]:
    rows, delay = len(dataset.table), dataset.label_rule.delay
    first, second = (round(share * rows) for share in (TRAIN_SHARE, TRAIN_SHARE + VALIDATION_SHARE))
    ends = {"train": first, "validation": second}
    seconds = dataset.seconds
    if delay and seconds is not None:
        for name, end in ends.items():
            ends[name] = int(np.searchsorted(seconds[:end], seconds[end] - delay, side="right"))
    return {
        "train": np.arange(ends["train"]),
        "validation": np.arange(first, max(first, ends["validation"])),
        "holdout": np.arange(second, rows),
    }


def _stratified(dataset: Dataset, seed: int) -> dict[str, Counts]:
    """Deals rows that look alike to one part: they would tell a model what it is asked there."""
    table, alike = dataset.table, alike_of(dataset)
    frauds = table[dataset.columns.target].groupby(alike).max()
    train, rest = train_test_split(
        frauds, train_size=TRAIN_SHARE, stratify=frauds, random_state=seed
    )
    validation, holdout = train_test_split(
        rest, train_size=VALIDATION_SHARE / (1 - TRAIN_SHARE), stratify=rest, random_state=seed
    )
    parts = {"train": train, "validation": validation, "holdout": holdout}
    return {name: np.flatnonzero(np.isin(alike, part.index)) for name, part in parts.items()}


def alike_of(dataset: Dataset) -> Groups:
    """A number for each row of the table, which rows with the same features share."""
    features = dataset.table[list(dataset.columns.features)]
    return np.asarray(pd.util.hash_pandas_object(features, index=False), np.uint64)


def _check_part(dataset: Dataset, name: str, part: pd.DataFrame, needed: int, how: SplitBy) -> None:
    frauds = int(part[dataset.columns.target].sum())
    if frauds >= needed and frauds < len(part):
        return
    delay = dataset.label_rule.delay / SECONDS_PER_DAY
    left = f" with a label delay of {delay:g} days" if delay and how == "time" else ""
    raise DataError(
        f"{dataset.source}: the {name} part, split by {how}{left}, holds {frauds} frauds in "
        f"{len(part):,} transactions; at least {needed} and some genuine ones are needed. "
        "Give a table that covers more time"
        + (", a shorter -P label_delay=," if left else ",")
        + " or use -P split=stratified."
    )


def days_of(dataset: Dataset, places: Counts, how: SplitBy) -> float:
    """Days of traffic that the rows in some places of a dataset stand for; 1 if it has no time.

    Drawn from all days, they are their share of them.
    """
    if dataset.seconds is None:
        return 1.0
    if how == "time":
        return days_between(dataset.seconds[places])
    return dataset.days * len(places) / len(dataset.table)
