"""Names columns that alone rank the frauds nearly perfectly: likely filled in after the fact."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from sklearn.metrics import average_precision_score
from sklearn.tree import DecisionTreeClassifier

from fraud_model.arrays import Counts, Floats, Labels
from fraud_model.parallel import cores, in_order

# Of the way from a random order, whose average precision is the share of frauds, to a perfect one.
SUSPICIOUS = 0.99
# Enough for values in several separate ranges, too few to learn single rows by heart.
LEAVES = 16
# Of frauds and of genuine rows each, of either part.
SCREENED_ROWS = 2_000


@dataclass(frozen=True)
class Leak:
    """A column, and the average precision on the validation part that it alone has."""

    column: str
    average_precision: float


@dataclass(frozen=True)
class LeakReport:
    """Leaks, best first; the validation part's average precision with and without all of them.

    `without_them` is None where no other column is left.
    """

    leaks: tuple[Leak, ...]
    with_them: float
    without_them: float | None

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the columns."""
        return tuple(leak.column for leak in self.leaks)

    def message(self) -> str:
        """Two lines: which columns, and what the model does without them."""
        several = len(self.leaks) > 1
        alone = ", ".join(f"'{each.column}' ({each.average_precision:.4f})" for each in self.leaks)
        them, were = ("them", "they were") if several else ("it", "it was")
        left = (
            f"no column is left without {them}"
            if self.without_them is None
            else f"{self.without_them:.4f} without {them}"
        )
        return (
            f"{'columns' if several else 'column'} {alone}{', each' if several else ''} alone "
            f"{'rank' if several else 'ranks'} the frauds almost perfectly (average precision in "
            f"parentheses). Perhaps {were} filled in after the fact.\n"
            f"Average precision on the validation part: {self.with_them:.4f} with {them}, {left}. "
            f"If a transaction is scored before {'they are' if several else 'it is'} known, train "
            f"with -P exclude={','.join(self.columns)}"
        )


def find_leaks(
    train: tuple[Floats, Labels],
    validation: tuple[Floats, Labels],
    sources: Sequence[str],
    *,
    categorical: Sequence[int] = (),
    genuine_weight: float = 1.0,
) -> tuple[Leak, ...]:
    """Columns with `SUSPICIOUS` average precision on `train` and on `validation`, best first.

    Numbers are ranked by a tree of `LEAVES` leaves on this one input, categories by their share of
    frauds, both learned on `train`; numbers are named too if all frauds lie at one end. A missing
    value is a value of its own. Both parts have to agree, as a handful of validation frauds may be
    ranked perfectly by chance.

    Args:
        train: inputs of shape (rows, inputs), NaN where missing, and labels of shape (rows,),
            with frauds and genuine rows among them.
        validation: likewise, other rows.
        sources: the column that each input comes from; inputs of one column count as one.
        categorical: positions of the inputs that are codes of categories.
        genuine_weight: how many transactions each genuine row stands for, at least 1.
    """
    rng = np.random.default_rng(0)
    parts = (train, validation)
    few = [_sample(labels, rng) for _, labels in parts]

    def look(position: int) -> float:
        columns = [(values[:, position], labels) for values, labels in parts]
        is_category = position in categorical
        # Fewer genuine rows flatter an input, so the screen loses none; the rest is costly.
        screened = [
            (values[rows], labels[rows])
            for (values, labels), rows in zip(columns, few, strict=True)
        ]
        if not _suspicious(screened, is_category, 1.0):
            return 0.0
        return _suspicious(columns, is_category, genuine_weight)

    reached = in_order((partial(look, place) for place in range(len(sources))), cores())
    best: dict[str, float] = {}
    for source, found in zip(sources, reached, strict=True):
        if found:
            best[source] = max(found, best.get(source, 0.0))
    ranked = sorted(best.items(), key=lambda each: -each[1])
    return tuple(Leak(column, reached) for column, reached in ranked)


def weigh_leaks(
    leaks: tuple[Leak, ...],
    sources: Sequence[str],
    reached: float,
    average_precision_of: Callable[[list[int]], float],
) -> LeakReport | None:
    """What the model does without the `leaks`; None, at no cost, if there are none.

    Args:
        leaks: what `find_leaks` found.
        sources: the column that each input comes from.
        reached: average precision on the validation part with all inputs.
        average_precision_of: fits on the inputs at the given positions and returns the average
            precision on the validation part; called once at most.
    """
    if not leaks:
        return None
    named = {leak.column for leak in leaks}
    left = [position for position, source in enumerate(sources) if source not in named]
    return LeakReport(leaks, reached, average_precision_of(left) if left else None)


def _suspicious(
    parts: Sequence[tuple[Floats, Labels]], is_category: bool, genuine_weight: float
) -> float:
    """Average precision of one input on the last part; 0 unless suspicious on each."""
    # The tree misses by a row or two where frauds lie at one end, as in a numbered table.
    if not is_category and any(
        all(_at_the_end(sign * values, labels) for values, labels in parts) for sign in (1, -1)
    ):
        return 1.0
    learned = (_category_rates if is_category else _tree_rates)(*parts[0])
    reached = [_if_suspicious(learned(values), labels, genuine_weight) for values, labels in parts]
    return reached[-1] if all(reached) else 0.0


def _if_suspicious(scores: Floats, labels: Labels, genuine_weight: float) -> float:
    weights = np.where(labels == 1, 1.0, genuine_weight)
    share = float(weights[labels == 1].sum() / weights.sum())
    reached = float(average_precision_score(labels, scores, sample_weight=weights))
    return reached if reached - share >= SUSPICIOUS * (1 - share) else 0.0


def _at_the_end(values: Floats, labels: Labels) -> bool:
    """Whether every fraud has a higher value than every genuine row; a missing one is lowest."""
    filled = np.nan_to_num(values, nan=-np.finfo(np.float64).max)
    return bool(filled[labels == 1].min() > filled[labels == 0].max())


def _tree_rates(values: Floats, labels: Labels) -> Callable[[Floats], Floats]:
    tree = DecisionTreeClassifier(max_leaf_nodes=LEAVES, random_state=0)
    tree.fit(_column(values), labels)
    return lambda others: np.asarray(tree.predict_proba(_column(others))[:, 1])


def _column(values: Floats) -> Floats:
    """As scikit-learn's trees take it: float32, without infinities."""
    largest = float(np.finfo(np.float32).max)
    return np.clip(values, -largest, largest).reshape(-1, 1)


def _category_rates(values: Floats, labels: Labels) -> Callable[[Floats], Floats]:
    """Share of frauds by code; one row at the overall share is added to each code's."""
    codes, positions = np.unique(values, return_inverse=True)
    overall = float(labels.mean())
    rates = (np.bincount(positions, labels) + overall) / (np.bincount(positions) + 1)

    def rate(others: Floats) -> Floats:
        # NaN sorts last, and is found there.
        at = np.minimum(np.searchsorted(codes, others), len(codes) - 1)
        known = (codes[at] == others) | (np.isnan(codes[at]) & np.isnan(others))
        return np.where(known, rates[at], overall)

    return rate


def _sample(labels: Labels, rng: np.random.Generator) -> Counts:
    """Positions of up to `SCREENED_ROWS` rows of each class."""
    classes = (np.flatnonzero(labels == label) for label in (0, 1))
    return np.concatenate(
        [rng.choice(rows, min(len(rows), SCREENED_ROWS), replace=False) for rows in classes]
    )
