"""A header that cannot be used is named."""

from __future__ import annotations

import pytest

from fraud_model.data.schema import check_names
from fraud_model.errors import DataError


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["a", "b", "a"], "'a' 2 times"),
        (["a", " "], "column 2 has no name"),
        (["a;b;Class"], "separated by semicolons"),
        (["a\tb"], "separated by tabs"),
    ],
)
def test_bad_headers_are_named(names: list[str], message: str) -> None:
    with pytest.raises(DataError, match=message):
        check_names(names, "t.csv")
