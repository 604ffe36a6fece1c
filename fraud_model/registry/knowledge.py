"""What a candidate has learned from, as far as that can still be told."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd

from fraud_model.arrays import Flags
from fraud_model.data.columns import Columns
from fraud_model.durations import SECONDS_PER_DAY
from fraud_model.errors import RegistryError
from fraud_model.evaluation.holdout import Holdout, read_holdout
from fraud_model.evaluation.learned import (
    EVALUATION_UNTIL,
    FROM_TIME,
    MOSTLY_UNTIL,
    UNTIL_TIME,
    Learned,
    Which,
    read_learned,
)
from fraud_model.evaluation.row_hashes import RowHashes
from fraud_model.registry.candidate import Candidate


@dataclass(frozen=True)
class Knowledge:
    """Tells which transactions a candidate has not learned from.

    The hashes that its run keeps decide. Where they are gone, time does: what is later than all it
    has learned is unseen. So is its own holdout by its evaluation model. Nothing else is assumed.
    """

    candidate: Candidate

    @cached_property
    def learned(self) -> Learned | None:
        """The record of its run; None where that is gone."""
        return read_learned(self.candidate.run_id)

    @cached_property
    def holdout(self) -> Holdout | None:
        """The holdout that its run keeps; None where that is gone."""
        try:
            return read_holdout(self.candidate.run_id, self.candidate.label)
        except RegistryError:
            return None

    @property
    def refitted(self) -> bool:
        """Whether the served model has learned more than the evaluation model, as far as known."""
        if self.learned is not None:
            return self.learned.refitted
        return self.until("served") != self.until("evaluation")

    def unseen(self, rows: pd.DataFrame, columns: Columns, which: Which) -> Flags:
        """Which rows of a table with these columns one of its models has not learned from."""
        learned = self.learned
        if learned is not None and learned.rows.can_tell(columns.features):
            return ~learned.seen(rows, columns, which)
        unseen = np.zeros(len(rows), dtype=bool)
        until = self.until(which)
        seconds = columns.seconds(rows)
        if until is not None and seconds is not None:
            unseen |= seconds > until
        hashes = self._own_holdout
        if hashes is not None and hashes.can_tell(columns.features) and self._measured(which):
            unseen |= hashes.places(rows, columns) >= 0
        return unseen

    def until(self, which: Which) -> float | None:
        """The latest time that it has learned, in seconds; None where that cannot be told."""
        tag = UNTIL_TIME if which == "served" else EVALUATION_UNTIL
        return self._fact(tag) if tag in self.candidate.facts else self._before_holdout

    def period(self) -> tuple[float, float] | None:
        """The earliest and the latest time that it has learned; None where they are not known."""
        first, last = self._fact(FROM_TIME), self._fact(UNTIL_TIME)
        return None if first is None or last is None else (first, last)

    def new_days(self, champion: Knowledge) -> float | None:
        """How many days it has learned that a champion has not; None where nothing tells.

        They come after the champion's end; what lies between two periods, neither has learned. A
        few rows with a late time count for nothing. Rounded to a tenth: two nightly tables end
        some seconds less, or more, than a day apart.
        """
        mine, theirs = self._mostly_until(), champion._mostly_until()
        if mine is None or theirs is None:
            return None
        since = max(theirs, self._fact(FROM_TIME) or theirs)
        return round((mine - since) / SECONDS_PER_DAY, 1)

    def _mostly_until(self) -> float | None:
        found = self._fact(MOSTLY_UNTIL)
        return self.until("served") if found is None else found

    def _fact(self, tag: str) -> float | None:
        text = self.candidate.facts.get(tag)
        return float(text) if text else None

    def _measured(self, which: Which) -> bool:
        return which == "evaluation" or not self.refitted

    @cached_property
    def _own_holdout(self) -> RowHashes | None:
        if self.holdout is None:
            return None
        hashes, _ = RowHashes.of(self.holdout.rows, self.holdout.columns)
        return hashes

    @cached_property
    def _before_holdout(self) -> float | None:
        # Release 0.1.0 kept no record, and its split by time put the holdout last.
        if self.holdout is None or self.candidate.facts.get("split") != "time":
            return None
        seconds = self.holdout.columns.seconds(self.holdout.rows)
        return None if seconds is None else float(seconds.min())
