"""The values of a table as JSON has them."""

from __future__ import annotations

from typing import Any

import numpy.typing as npt
import pandas as pd


def as_json(values: pd.Series) -> npt.NDArray[Any]:
    """The values of a column as objects, shape (rows,): dates in ISO 8601, None for a missing one.

    All dates of a column have one form, for MLflow reads those of a request by the form of the
    first: fractions of a second where one has them, and no zone. Those of a zone are in UTC.
    """
    if pd.api.types.is_datetime64_any_dtype(values.dtype):
        if values.dt.tz is not None:
            values = values.dt.tz_convert(None)
        whole = values.dropna().dt.microsecond.eq(0).all()
        values = values.dt.strftime("%Y-%m-%dT%H:%M:%S" + ("" if whole else ".%f"))
    values = values.astype(object)
    return values.where(values.notna(), None).to_numpy()
