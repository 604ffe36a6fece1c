"""What a decision does in groups of transactions, as a fairness review compares them."""

from __future__ import annotations

import numpy as np
import pandas as pd

from fraud_model.data.columns import Columns
from fraud_model.evaluation.evaluate import Scored
from fraud_model.evaluation.slices import slices
from fraud_model.model.feature import Feature

ROWS = 1_000
RANDOM = np.random.default_rng(0)
LABELS = (RANDOM.random(ROWS) < 0.1).astype(np.int64)
TABLE = pd.DataFrame(
    {
        "Amount": RANDOM.lognormal(3, 1, ROWS),
        "age": np.where(RANDOM.random(ROWS) < 0.1, np.nan, RANDOM.integers(18, 90, ROWS)),
        "shop": [f"shop {number}" for number in RANDOM.integers(0, 30, ROWS)],
        "Class": LABELS,
    }
)
COLUMNS = Columns(
    "Class",
    ("Amount", "age", "shop"),
    None,
    "Amount",
    specs=(
        Feature("Amount"),
        Feature("age", missing=True),
        Feature("shop", kind="category", vocabulary=tuple(sorted(set(TABLE["shop"])))),
    ),
)
SCORED = Scored(LABELS, RANDOM.random(ROWS), TABLE["Amount"].to_numpy(), 1.0)


def test_groups_are_whole_and_few_and_rates_are_those_of_their_rows() -> None:
    # Who is young is flagged more often.
    young = (TABLE["age"] < 36).to_numpy()
    flagged = np.where(young, SCORED.probability > 0.5, SCORED.probability > 0.9)
    found = slices(TABLE, COLUMNS, SCORED, flagged, ["age"])
    by = {name: [one for one in found if one.by == name] for name in ("Amount", "age", "shop")}
    for group in by.values():
        assert sum(one.rows for one in group) == ROWS
        assert sum(one.flagged for one in group) == flagged.sum()
        assert len(group) <= 10
    assert [one.value for one in by["shop"]][-1] == "22 others"
    assert by["age"][-1].value == "missing"
    youngest, *_, oldest = by["age"][:-1]
    rows = (TABLE["age"] <= float(youngest.value.removeprefix("up to "))).to_numpy()
    genuine = rows & (LABELS == 0)
    assert youngest.false_positive_rate
    assert oldest.false_positive_rate
    assert youngest.false_positive_rate.value == flagged[genuine].mean()
    assert youngest.false_positive_rate.low > oldest.false_positive_rate.high


def test_columns_that_the_model_does_not_see_are_groups_as_well() -> None:
    beside = {"gender": np.where(LABELS == 1, "f", "m"), "income": RANDOM.normal(size=ROWS)}
    found = slices(TABLE.assign(**beside), COLUMNS, SCORED, LABELS == 1, ["gender", "income"])
    rows = {(one.by, one.value): one.rows for one in found}
    assert rows["gender", "f"] == LABELS.sum()
    assert [rows["income", value] for by, value in rows if by == "income"] == [250] * 4


def test_a_group_without_frauds_or_flags_has_no_share_of_them() -> None:
    nothing = np.zeros(ROWS, dtype=bool)
    scored = Scored(np.zeros(ROWS, np.int64), SCORED.probability, None, 1.0)
    for one in slices(TABLE, COLUMNS, scored, nothing, []):
        assert (one.recall, one.precision) == (None, None)
        assert one.false_positive_rate
        assert one.false_positive_rate.value == 0 < one.false_positive_rate.high < 0.5
