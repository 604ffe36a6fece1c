"""Averages boosters that differ by their seed alone, which narrows the spread between seeds."""

from __future__ import annotations

import re
from collections.abc import Sequence

import lightgbm

from fraud_model.model.booster_text import numbers_of, rewritten, split_trees, text_of


def average(boosters: Sequence[lightgbm.Booster]) -> lightgbm.Booster:
    """One booster whose raw score is the mean of the others' raw scores, up to rounding.

    It holds all of their trees, with leaves divided by the number of boosters. They must have been
    trained with the same parameters on the same features.
    """
    if len(boosters) == 1:
        return boosters[0]
    parts = [split_trees(booster) for booster in boosters]
    end = re.compile(r"^end of trees\n.*", re.MULTILINE | re.DOTALL)
    trees = [end.sub("", tree) for _, all_trees in parts for tree in all_trees]
    shared = [_numbered(_shared(tree, len(boosters)), number) for number, tree in enumerate(trees)]
    header, last = parts[0][0], parts[0][1][-1]
    closing = end.search(last)
    return lightgbm.Booster(model_str=header + "".join(shared) + (closing[0] if closing else ""))


def _shared(tree: str, among: int) -> str:
    for key in ("leaf_value", "internal_value"):
        values = numbers_of(tree, key) / among
        tree = rewritten(tree, key, lambda _, values=values: text_of(values))  # type: ignore[misc]
    return tree


def _numbered(tree: str, number: int) -> str:
    return re.sub(r"^Tree=\d+", f"Tree={number}", tree)
