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
        high, low = (
            np.concatenate(half) if half else np.empty(0, np.uint64) for half in self._halves
        )
        order = np.lexsort((low, high))
        high, low = high[order], low[order]
        first = np.ones(len(order), dtype=bool)
        # Equal keys keep their order.
        first[order[1:]] = (high[1:] != high[:-1]) | (low[1:] != low[:-1])
        return first
