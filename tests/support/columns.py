"""The columns of a table, as training infers them."""

from __future__ import annotations

import pandas as pd

from fraud_model.data.columns import Columns
from fraud_model.data.overrides import ColumnRules
from fraud_model.data.table import columns_of


def inferred(table: pd.DataFrame) -> Columns:
    """The columns of a table with the default names of target, time and amount."""
    columns, _ = columns_of(table, "t.csv", "Class", "Time", "Amount", ColumnRules())
    return columns
