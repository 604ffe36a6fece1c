"""One pass over a table: scores what has no scores yet, writes it, and counts it all."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial

import numpy as np
import pyarrow

from fraud_model.arrays import Counts, Flags, Floats
from fraud_model.data.piece import Piece
from fraud_model.data.stream import Stream
from fraud_model.data.traffic import Batch, Scored, Tally
from fraud_model.errors import DataError
from fraud_model.model.profile import Profile
from fraud_model.scoring.output import SCORES, Output
from fraud_model.scoring.scorer import ScoredPiece, Scorer, on_every_core


class Totals:
    """What is counted of the scores: rows, flagged ones, and the bins of the profile's scores.

    `counts` has the shape (bins,), `probability` is a sum.
    """

    def __init__(self, profile: Profile) -> None:
        self.rows = self.flagged = 0
        self.probability = 0.0
        self.counts: Counts = np.zeros(len(profile.scores.edges) + 1, np.int64)
        self._scores = profile.scores

    def add(self, probability: Floats, flagged: Flags) -> None:
        """Adds rows, arrays of shape (rows,)."""
        self.rows += len(probability)
        self.flagged += int(flagged.sum())
        self.probability += float(probability.sum())
        self.counts += self._scores.count(probability)


class ScoredTable:
    """A table on its way into scores; as traffic it is what a check of drift reads.

    The rows that `output` holds are not scored again. A check gets them too, with the scores that
    were written.

    Attributes:
        totals: what was counted of all rows.
        done: how many rows had scores before.
        is_complete: whether that was all of them.
        rate: rows scored a second; None where none was.
    """

    key_columns: tuple[str, ...] = ()

    def __init__(self, stream: Stream, scorer: Scorer, output: Output, profile: Profile) -> None:
        self.tally = Tally(files=stream.files)
        self.has_time = profile.time is not None
        self.in_calendar = self.has_time and scorer.described[str(profile.time)].is_dated
        self.totals = Totals(profile)
        self.done = output.manifest.rows
        self.is_complete = output.manifest.complete
        self.rate: float | None = None
        self._stream, self._scorer, self._output = stream, scorer, output
        self._columns = scorer.columns(stream.columns, stream.place)

    def score(self, progress: Callable[[int], object]) -> None:
        """Scores and writes the rest of the table; `progress` is told of rows.

        Raises:
            DataError: a row cannot be scored, or a part cannot be written.
        """
        for table in self._output.scores():
            self.totals.add(*_arrays(table))
        progress(self.done)
        for batch in self._batches(self._rest()):
            progress(len(batch.scored.probability))

    def batches(self, keys: Sequence[str]) -> Iterator[Batch]:
        """All rows, those that were scored before included; see Traffic."""
        return self._batches(self._all())

    def _batches(self, tasks: Iterator[Callable[[], ScoredPiece]]) -> Iterator[Batch]:
        start = time.perf_counter()
        for scored in on_every_core(tasks):
            self.totals.add(scored.probability, scored.flagged)
            self.tally.lines += len(scored.probability)
            if scored.table is not None:
                self._output.add(scored.table, scored.place)
            yield Batch(_traffic(scored), np.empty(0))
        if not self.totals.rows:
            raise DataError(f"{self._stream.place} has no rows. Give a table with transactions.")
        if not self.is_complete:
            self._output.finish()
        if self.totals.rows > self.done:
            self.rate = (self.totals.rows - self.done) / (time.perf_counter() - start)

    def _pieces(self) -> Iterator[Piece]:
        return self._stream.pieces(self._columns, self._scorer.numbers)

    def _rest(self) -> Iterator[Callable[[], ScoredPiece]]:
        if self.is_complete:
            return
        left = self.done
        for piece in self._pieces():
            _, after = piece.split(min(left, len(piece)))
            left -= len(piece) - len(after)
            if len(after):
                yield partial(self._scorer.score, after)

    def _all(self) -> Iterator[Callable[[], ScoredPiece]]:
        written = map(_arrays, self._output.scores())
        left, known = self.done, (np.empty(0), np.empty(0, dtype=bool))
        for piece in self._pieces():
            rest = piece
            while left and len(rest):
                if not len(known[0]):
                    known = next(written)
                before, rest = rest.split(min(len(known[0]), len(rest)))
                rows = len(before)
                yield partial(self._scorer.restore, before, known[0][:rows], known[1][:rows])
                known = known[0][rows:], known[1][rows:]
                left -= rows
            if len(rest):
                yield partial(self._scorer.score, rest)


def _arrays(table: pyarrow.Table) -> tuple[Floats, Flags]:
    probability, flagged = (table[name].to_numpy() for name in SCORES)
    return probability, flagged


def _traffic(scored: ScoredPiece) -> Scored:
    return Scored(
        seconds=scored.seconds,
        values=scored.values,
        probability=scored.probability,
        flagged=scored.flagged,
        keys=(),
        moments=scored.seconds,
    )
