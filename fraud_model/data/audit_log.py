"""Reads the server's audit log, including rotated files."""

from __future__ import annotations

import contextlib
import gzip
import re
import zlib
from collections import defaultdict
from collections.abc import Iterator, Sequence
from datetime import datetime
from operator import itemgetter
from pathlib import Path
from typing import IO, Any, cast

import numpy as np
import orjson
import pandas as pd

from fraud_model.arrays import Floats
from fraud_model.data.traffic import (
    ROWS_PER_BATCH,
    Batch,
    Key,
    Scored,
    Shadowed,
    Tally,
    read_column,
)
from fraud_model.errors import DataError
from fraud_model.model.feature import Feature

KEY_COLUMNS: tuple[str, ...] = ("request_id", "row")


class AuditTraffic:
    """The lines of one model version in an audit log: `path.1`, `path.2`, …, and `path` last.

    Raises:
        DataError: there is no such file, or it holds no audit line.
    """

    key_columns = KEY_COLUMNS
    has_time = True
    in_calendar = True

    def __init__(self, path: Path, name: str, version: str, features: Sequence[Feature]) -> None:
        self.tally = Tally()
        self._path = path
        self._name = name
        self._version = version
        self._features = tuple(features)
        if not _files(path):
            raise DataError(
                f"{path}: no such audit log (looked in {Path.cwd()}). The server writes one where "
                "AUDIT_LOG names a file; a table of transactions ends in .csv, .csv.gz or .parquet."
            )

    def batches(self, keys: Sequence[str]) -> Iterator[Batch]:
        """The log in order of its files; see Traffic."""
        piece = _Piece(self._features, bool(keys))
        with contextlib.ExitStack() as stack:
            for file in self._opened(stack):
                try:
                    for line in file:
                        self.tally.lines += 1
                        self._read(line, piece)
                        if piece.lines >= ROWS_PER_BATCH:
                            yield piece.take()
                except (EOFError, zlib.error, gzip.BadGzipFile):
                    self.tally.torn += 1
        yield piece.take()
        tally = self.tally
        if tally.lines and tally.unreadable + tally.torn == tally.lines:
            raise DataError(
                f"{self._path}: none of its {tally.lines:,} lines is an audit line with the "
                f"features of {self._name} version {self._version}. Is it the file that AUDIT_LOG "
                "names? A table ends in .csv, .csv.gz or .parquet."
            )

    def _opened(self, stack: contextlib.ExitStack) -> list[IO[bytes]]:
        # All at once, so that a file that is rotated meanwhile is read, and read only once. A
        # rotation or deletion between listing and opening shows up when they are listed again.
        while True:
            known = _files(self._path)
            with contextlib.ExitStack() as opened:
                try:
                    files = [opened.enter_context(_open(file)) for file in known]
                except DataError:
                    if _files(self._path) == known:
                        raise
                    continue
                if _files(self._path) == known:
                    stack.push(opened.pop_all())
                    self.tally.files = len(files)
                    return files

    def _read(self, line: bytes, piece: _Piece) -> None:
        try:
            entry = orjson.loads(line)
            if "shadow_of" in entry:
                served = (self._name, entry["shadow_of"])
            else:
                served = (entry["model_name"], entry["model_version"])
            if served == (self._name, self._version):
                piece.add(entry)
            else:
                label = f"{served[0] or 'unnamed'} {served[1] or 'unregistered'}"
                self.tally.other_versions[label] += 1
        except (orjson.JSONDecodeError, KeyError, TypeError, ValueError):
            if line.endswith(b"\n"):
                self.tally.unreadable += 1
            else:
                self.tally.torn += 1


class _Piece:
    """Lines on their way into a batch, as columns."""

    def __init__(self, features: tuple[Feature, ...], with_keys: bool) -> None:
        self._names = tuple(feature.name for feature in features)
        self._values_of = itemgetter(*self._names)
        self._single = len(features) == 1
        self._features = features
        self._are_numbers = all(map(_is_number, features))
        self._with_keys = with_keys
        self._reset()

    def _reset(self) -> None:
        self.lines = 0
        self._seconds: list[float] = []
        self._rows: list[tuple[Any, ...]] = []
        self._probability: list[float] = []
        self._flagged: list[bool] = []
        self._keys: list[Key] = []
        self._refused: list[float] = []
        self._shadowed: dict[str, list[tuple[float, float, float, bool, bool, Key]]]
        self._shadowed = defaultdict(list)

    def add(self, entry: dict[str, Any]) -> None:
        """Adds one line; nothing of a line that raises is kept."""
        seconds = datetime.fromisoformat(entry["time"]).timestamp()
        if "refused" in entry:
            self._refused.append(seconds)
        elif "shadow_of" in entry:
            row = (
                seconds,
                float(entry["champion_probability"]),
                float(entry["fraud_probability"]),
                bool(entry["champion_is_fraud"]),
                bool(entry["is_fraud"]),
                self._key(entry),
            )
            self._shadowed[str(entry["model_version"])].append(row)
        else:
            values = self._values(entry["features"])
            probability, flagged = float(entry["fraud_probability"]), bool(entry["is_fraud"])
            key = self._key(entry)
            self._rows.append(values)
            self._seconds.append(seconds)
            self._probability.append(probability)
            self._flagged.append(flagged)
            self._keys.append(key)
        self.lines += 1

    def _values(self, given: dict[str, Any]) -> tuple[Any, ...]:
        try:
            values = self._values_of(given)
        except KeyError:
            # A request may leave out a value that may be missing.
            if any(not f.missing and f.name not in given for f in self._features):
                raise
            return tuple(map(given.get, self._names))
        return (values,) if self._single else cast(tuple[Any, ...], values)

    def _key(self, entry: dict[str, Any]) -> Key:
        return (str(entry["request_id"]), str(entry["row"])) if self._with_keys else ()

    def take(self) -> Batch:
        """The lines so far as a batch; starts anew."""
        scored = Scored(
            seconds=np.array(self._seconds),
            values=self._read(),
            probability=np.array(self._probability),
            flagged=np.array(self._flagged, dtype=bool),
            keys=self._keys if self._with_keys else (),
        )
        shadowed = [_shadowed(version, rows) for version, rows in self._shadowed.items()]
        batch = Batch(scored, np.array(self._refused), shadowed)
        self._reset()
        return batch

    def _read(self) -> Floats:
        """The rows' values, shape (rows, features)."""
        if self._are_numbers:
            try:
                values = np.array(self._rows, dtype=np.float64)
            except (TypeError, ValueError):
                values = np.array([_numbers(row) for row in self._rows], dtype=np.float64)
            return values.reshape(len(self._rows), len(self._features))
        values = np.empty((len(self._rows), len(self._features)))
        for place, (feature, column) in enumerate(
            zip(self._features, zip(*self._rows, strict=True), strict=False)
        ):
            values[:, place] = _read(feature, column)
        return values


def _is_number(feature: Feature) -> bool:
    return feature.kind == "number" and feature.payload == "double"


def _shadowed(version: str, rows: list[tuple[float, float, float, bool, bool, Key]]) -> Shadowed:
    seconds, champion, shadow, champion_flagged, shadow_flagged, keys = zip(*rows, strict=True)
    return Shadowed(
        version=version,
        seconds=np.array(seconds),
        champion=np.array(champion),
        shadow=np.array(shadow),
        champion_flagged=np.array(champion_flagged),
        shadow_flagged=np.array(shadow_flagged),
        keys=keys,
    )


def _read(feature: Feature, column: tuple[Any, ...]) -> Floats:
    if _is_number(feature):
        try:
            return np.array(column, dtype=np.float64)
        except (TypeError, ValueError):
            return np.array(_numbers(column), dtype=np.float64)
    read, _ = read_column(feature, pd.Series(column, dtype=object))
    return read


def _numbers(row: tuple[Any, ...]) -> list[float]:
    # The server writes numbers; anything else in a line counts as missing.
    return [float(v) if isinstance(v, int | float) else np.nan for v in row]


def rotated_files(path: Path) -> list[tuple[int, Path]]:
    """The rotated files of the log `path` with their numbers, compressed ones too, oldest first."""
    rotated = re.compile(re.escape(path.name) + r"\.(\d+)(\.gz)?")
    numbered = []
    for file in path.parent.glob("*"):
        match = rotated.fullmatch(file.name)
        if match:
            numbered.append((int(match[1]), file))
    return sorted(numbered)


def _files(path: Path) -> list[Path]:
    return [file for _, file in rotated_files(path)] + ([path] if path.is_file() else [])


def _open(file: Path) -> IO[bytes]:
    try:
        return cast(IO[bytes], gzip.open(file)) if file.suffix == ".gz" else file.open("rb")
    except OSError as error:
        raise DataError(f"{file}: cannot be read: {error.strerror}.") from error
