"""Reads the target: which transactions are labelled fraud, which genuine, and which not yet."""

from __future__ import annotations

import numpy as np
import pandas as pd

from fraud_model.arrays import Floats, Labels
from fraud_model.data.schema import shorten
from fraud_model.errors import DataError
from fraud_model.model.feature import BOOLEAN_WORDS, MISSING_WORDS, category_of

MOST_SHOWN = 10


def read_labels(values: pd.Series, fraud: str, place: str) -> Floats:
    """1 for fraud, 0 for genuine, NaN for an empty label; shape (rows,).

    `fraud` is the value that means fraud, every other one then means genuine; empty for the plain
    ones: 0 and 1, true and false, yes and no.

    Raises:
        DataError: there are other values, or `fraud` is none of them.
    """
    places, found = pd.factorize(values, use_na_sentinel=True)
    words = [category_of(value) for value in found]
    known = [word for word in words if word not in MISSING_WORDS]
    name = str(values.name)
    if fraud and known and fraud not in known:
        raise DataError(
            f"{place}: fraud={fraud!r} is no value of column {name!r}, which holds "
            f"{_listed(known)}. Give one of them."
        )
    labels = []
    for word in words:
        plain = BOOLEAN_WORDS.get(word.lower())
        if word in MISSING_WORDS:
            labels.append(np.nan)
        elif fraud:
            labels.append(float(word == fraud))
        elif plain is not None:
            labels.append(plain)
        else:
            wrong = places == len(labels)
            row = int(np.argmax(wrong)) + 1
            raise DataError(
                f"{place}: row {row}, column {name!r} holds {shorten(word)!r}: expected 0 "
                f"(genuine), 1 (fraud), or nothing (not known yet). The column holds "
                f"{_listed(known)}. Name the value that means fraud with -P fraud=."
            )
    return np.array([*labels, np.nan])[places]


def check_classes(labels: Labels, target: str, place: str) -> None:
    """Raises DataError if the known labels, shape (rows,), are not of both classes."""
    found = set(np.unique(labels).tolist())
    if found == {0, 1}:
        return
    only = {(): "no label is known", (1,): "every transaction is fraud"}.get(
        tuple(found), "every transaction is genuine"
    )
    raise DataError(
        f"{place}: {only} in column {target!r}; a model needs both classes. "
        "Give a table with frauds and genuine transactions."
    )


def _listed(words: list[str]) -> str:
    shown = ", ".join(repr(shorten(word)) for word in words[:MOST_SHOWN])
    return shown + (f" and {len(words) - MOST_SHOWN:,} more values" if words[MOST_SHOWN:] else "")
