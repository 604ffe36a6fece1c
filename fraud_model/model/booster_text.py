"""The text in which LightGBM saves a booster: a header, then its trees, as lines `key=value`."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

import lightgbm
import numpy as np

from fraud_model.arrays import Floats


def split_trees(booster: lightgbm.Booster) -> tuple[str, list[str]]:
    """The header, and the text of each tree; what follows the trees stands with the last one.

    The header lacks the trees' lengths in bytes. LightGBM looks for the trees itself without them,
    so that trees may be changed.
    """
    header, *trees = re.split(r"^(?=Tree=)", booster.model_to_string(), flags=re.MULTILINE)
    return re.sub(r"^tree_sizes=.*\n", "", header, flags=re.MULTILINE), trees


def numbers_of(text: str, key: str) -> Floats:
    """The numbers in the line of `key`; none where there is no such line."""
    found = re.search(rf"^{key}=(.*)$", text, re.MULTILINE)
    return np.array(found.group(1).split() if found else [], dtype=np.float64)


def rewritten(text: str, key: str, change: Callable[[str], str]) -> str:
    """The text with another value in each line of `key`."""
    return re.sub(
        rf"^({key}=)(.*)$", lambda line: line[1] + change(line[2]), text, flags=re.MULTILINE
    )


def text_of(values: Sequence[float] | Floats) -> str:
    """Numbers as a line holds them, without loss."""
    return " ".join(repr(float(value)) for value in values)
