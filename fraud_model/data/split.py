"""Cuts transactions into train, validation and holdout."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import pandas as pd
from sklearn.model_selection import train_test_split

from fraud_model.data.dataset import Dataset
from fraud_model.errors import DataError, ParameterError

TRAIN_SHARE = 0.6
VALIDATION_SHARE = 0.2

# Below these an average precision says nothing, and a threshold is chosen on noise.
FEWEST_TRAIN_FRAUDS = 10
FEWEST_HELD_FRAUDS = 5

SplitBy = Literal["time", "stratified"]


@dataclass(frozen=True)
class Parts:
    """Three disjoint tables with the columns of the dataset, together all of its rows."""

    train: pd.DataFrame
    validation: pd.DataFrame
    holdout: pd.DataFrame
    how: SplitBy

    def named(self) -> dict[str, pd.DataFrame]:
        """The parts by name, in order."""
        return {"train": self.train, "validation": self.validation, "holdout": self.holdout}


def split(dataset: Dataset, by: str, seed: int) -> Parts:
    """Splits 60 / 20 / 20: by time the earliest rows train, the last are the holdout.

    A table without a time column is split as with `by="stratified"`.

    Raises:
        ParameterError: `by` is neither `time` nor `stratified`.
        DataError: a part would hold too few frauds.
    """
    if by not in get_args(SplitBy):
        raise ParameterError(f"split={by!r} is invalid: expected time or stratified.")
    how: SplitBy = "time" if by == "time" and dataset.columns.time is not None else "stratified"
    table, target = dataset.table, dataset.columns.target
    fewest = FEWEST_TRAIN_FRAUDS + 2 * FEWEST_HELD_FRAUDS
    if dataset.frauds < fewest:
        raise DataError(
            f"{dataset.source}: {dataset.frauds} frauds in {len(table):,} transactions are too few "
            f"to split into train, validation and holdout: at least {fewest} are needed. "
            "Give a table that covers more time."
        )
    if how == "time":
        first, second = (
            round(TRAIN_SHARE * len(table)),
            round((TRAIN_SHARE + VALIDATION_SHARE) * len(table)),
        )
        cut = [table.iloc[:first], table.iloc[first:second], table.iloc[second:]]
    else:
        train, rest = train_test_split(
            table, train_size=TRAIN_SHARE, stratify=table[target], random_state=seed
        )
        validation, holdout = train_test_split(
            rest,
            train_size=VALIDATION_SHARE / (1 - TRAIN_SHARE),
            stratify=rest[target],
            random_state=seed,
        )
        cut = [train, validation, holdout]
    for name, part, needed in zip(
        ("train", "validation", "holdout"),
        cut,
        (FEWEST_TRAIN_FRAUDS, FEWEST_HELD_FRAUDS, FEWEST_HELD_FRAUDS),
        strict=True,
    ):
        frauds = int(part[target].sum())
        if frauds < needed or frauds == len(part):
            raise DataError(
                f"{dataset.source}: the {name} part, split by {how}, holds {frauds} frauds in "
                f"{len(part):,} transactions; at least {needed} and some genuine ones are needed. "
                "Give a table that covers more time, or use -P split=stratified."
            )
    train, validation, holdout = (part.reset_index(drop=True) for part in cut)
    return Parts(train, validation, holdout, how)
