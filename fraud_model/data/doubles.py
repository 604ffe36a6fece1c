"""Finds rows with the same key among millions, without holding the keys."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt
import pandas as pd

from fraud_model.arrays import Flags

# Together 128 bits: two different keys among ten million are alike once in 10^24 tables.
HASH_KEYS = ("one half of it..", "and another half")

Hashes = npt.NDArray[np.uint64]


class Doubles:
    """Keys as hashes of 16 bytes, in the order in which they are added."""

    def __init__(self) -> None:
        self._halves: tuple[list[Hashes], list[Hashes]] = ([], [])

    def add(self, keys: Iterable[tuple[str, int]]) -> None:
        """Adds a text and a number for each row."""
        texts = np.array([f"{number} {text}" for text, number in keys], dtype=object)
        for half, key in zip(self._halves, HASH_KEYS, strict=True):
            half.append(pd.util.hash_array(texts, hash_key=key, categorize=False))

    def first(self) -> Flags:
        """Whether each row is the first one with its key, shape (rows,)."""
        high, low = map(_joined, self._halves)
        first = np.ones(len(high), dtype=bool)
        # By their first bits, so that a sixteenth of the keys is sorted at a time.
        part_of = (high >> np.uint64(60)).astype(np.uint8)
        for part in range(16):
            places = np.flatnonzero(part_of == part)
            # Equal keys keep their order.
            places = places[np.lexsort((low[places], high[places]))]
            new = [half[places[1:]] != half[places[:-1]] for half in (high, low)]
            first[places[1:]] = new[0] | new[1]
        return first


def _joined(pieces: list[Hashes]) -> Hashes:
    """The pieces as one, which takes their place."""
    pieces[:] = [np.concatenate(pieces)] if pieces else [np.empty(0, np.uint64)]
    return pieces[0]
