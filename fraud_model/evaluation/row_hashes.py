"""Rows that are known again by keyed hashes of what their values mean.

Files write the same transaction in several ways: a date as text or as a time, a number with more or
fewer bits, a category as 5411 or "5411". So values are read as their columns are described, and
numbers are rounded to float32, the fewest bits that tables have.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b

import numpy as np
import numpy.typing as npt
import pandas as pd

from fraud_model.arrays import Counts, Floats, Labels
from fraud_model.data.column_files import pieces
from fraud_model.data.columns import Columns
from fraud_model.model.feature import MISSING_WORDS, Feature, category_of

KEY_BYTES, HASH_BYTES = 16, 8
# Times are read with microseconds; a unit such as milliseconds leaves a rest beyond them.
DECIMALS_OF_SECONDS = 6

Bits = npt.NDArray[np.uint64]


@dataclass(frozen=True)
class RowHashes:
    """Rows that are known by their hashes, and their labels, -1 where there is none.

    `features` are sorted; `hashes` (uint64) and `labels` have the shape (rows,), hashes ascending.
    `read_as` says what each feature held. It is None in records of before hashes were of what
    values mean; these know a row by its values as they are stored.
    """

    key: bytes
    features: tuple[str, ...]
    hashes: Bits
    labels: Labels
    read_as: tuple[Feature, ...] | None

    @classmethod
    def of(cls, rows: pd.DataFrame, columns: Columns) -> tuple[RowHashes, Counts]:
        """The rows of a table with these columns, under a new key; and their order in it."""
        key, features = secrets.token_bytes(KEY_BYTES), tuple(sorted(columns.features))
        read_as = tuple(columns.described[name] for name in features)
        empty = cls(key, features, np.empty(0, np.uint64), np.empty(0, np.int64), read_as)
        hashes = empty.hashes_of(rows, columns)
        order = np.argsort(hashes, kind="stable")
        labels = rows[columns.target].to_numpy()[order]
        return cls(key, features, hashes[order], labels, read_as), order

    def can_tell(self, features: Sequence[str]) -> bool:
        """Whether a table with these features can be looked up."""
        return set(self.features) <= set(features)

    def places(self, rows: pd.DataFrame, columns: Columns) -> Counts:
        """Where each row stands among the hashes, shape (rows,); -1 for those that do not."""
        if not len(self.hashes):
            return np.full(len(rows), -1)
        hashes = self.hashes_of(rows, columns)
        found = np.minimum(np.searchsorted(self.hashes, hashes), len(self.hashes) - 1)
        return np.where(self.hashes[found] == hashes, found, -1)

    def hashes_of(self, rows: pd.DataFrame, columns: Columns) -> Bits:
        """The hashes of a table's rows under the key, BLAKE2b, shape (rows,)."""
        digests = bytearray()
        for _, piece in pieces(rows):
            bits = np.empty((len(piece), len(self.features)), np.uint64)
            for place, name in enumerate(self.features):
                if self.read_as is None:
                    bits[:, place] = _stored(piece[name])
                else:
                    described = columns.described[name]
                    bits[:, place] = _meant(piece[name], described, self.read_as[place])
            width = bits.shape[1] * bits.itemsize
            buffer = memoryview(bits.tobytes())
            digests += b"".join(
                blake2b(
                    buffer[start : start + width], digest_size=HASH_BYTES, key=self.key
                ).digest()
                for start in range(0, len(bits) * width, width)
            )
        return np.frombuffer(digests, dtype=np.uint64)


def _meant(values: pd.Series, described: Feature, read_as: Feature) -> Bits:
    """What values mean as 64 bits: a number of them, or a hash of a category's text.

    `described` says what the table makes of the column. Where that is of another kind than
    `read_as`, values are read as those were that they are compared with.
    """
    if read_as.kind == "category":
        return _texts(values)
    if described.kind == "category" or (described.kind == "time") != (read_as.kind == "time"):
        read = _as_far_as_read(values, read_as)
    else:
        read = described.read(values)
    if read_as.kind == "time":
        read = read.round(DECIMALS_OF_SECONDS)
    else:
        with np.errstate(over="ignore"):
            read = read.astype(np.float32).astype(np.float64)
    # Adding zero makes 0.0 of -0.0, which compares equal and has other bits. So has a NaN.
    read = read + 0.0
    read[np.isnan(read)] = np.nan
    return read.view(np.uint64)


def _texts(values: pd.Series) -> Bits:
    places, found = pd.factorize(values)
    texts = [category_of(value) for value in found.tolist()]
    hashes = pd.util.hash_array(np.array([*texts, ""], dtype=object), categorize=False)
    missing = [text in MISSING_WORDS for text in [*texts, ""]]
    # A missing value has the place -1.
    return np.where(missing, np.array(np.nan).view(np.uint64), hashes)[places]


def _as_far_as_read(values: pd.Series, feature: Feature) -> Floats:
    """A column as float64; what cannot be read is no value that was there before, and NaN."""
    places, found = pd.factorize(values.astype(object))
    read = [_read(value, feature) for value in found.tolist()]
    return np.array([*read, np.nan])[places]


def _read(value: object, feature: Feature) -> float:
    try:
        return feature.read_value(value)
    except (ValueError, TypeError):
        return np.nan


def _stored(values: pd.Series) -> Bits:
    if pd.api.types.is_numeric_dtype(values.dtype):
        numbers: Floats = values.to_numpy(dtype=np.float64, na_value=np.nan) + 0.0
        return numbers.view(np.uint64)
    return np.asarray(pd.util.hash_pandas_object(values, index=False), np.uint64)
