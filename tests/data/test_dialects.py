"""A CSV file is read in the dialect it is written in, and what was recognised is said."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from fraud_model.data.files import read_file, read_table
from fraud_model.errors import DataError


@pytest.fixture
def shop() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "amount": [1.5, 20.25, 3.0, 1234.5],
            "merchant": ["Müller, Söhne", "a;b", "c|d", 'say "x"'],
            "code": ["00123", "00007", "12345", "00000"],
            "day": ["2026-01-01", "2026-01-02", None, "2026-01-04"],
            "count": [1, 2, 3, 4],
            "Class": [0, 1, 0, 1],
        }
    )


def read(path: Path) -> tuple[pd.DataFrame, tuple[str, ...]]:
    return read_file(path, path.name)


@pytest.mark.parametrize(
    ("written", "notes"),
    [
        ({}, ()),
        ({"sep": ";"}, ("values are separated by semicolons",)),
        ({"sep": ";", "decimal": ","}, ("values are separated by semicolons", "decimal commas")),
        ({"sep": "\t", "decimal": ","}, ("values are separated by tabs", "decimal commas")),
        ({"sep": "|"}, ("values are separated by bars",)),
        ({"encoding": "utf-8-sig"}, ("a byte-order mark",)),
        ({"encoding": "utf-16"}, ("text in UTF-16",)),
        ({"encoding": "cp1252"}, ("text in Windows-1252, as it is not UTF-8",)),
        ({"lineterminator": "\r\n"}, ("lines end as on Windows",)),
        ({"lineterminator": "\r"}, ("lines end as on the first Macs",)),
    ],
)
def test_every_dialect_gives_the_same_table(
    tmp_path: Path, shop: pd.DataFrame, written: dict[str, str], notes: tuple[str, ...]
) -> None:
    path = tmp_path / "t.csv"
    shop.to_csv(path, index=False, **written)  # type: ignore[call-overload]
    table, found = read(path)
    pd.testing.assert_frame_equal(table, shop)
    assert found == notes


def test_letters_late_in_the_file_decide_the_encoding(tmp_path: Path) -> None:
    rows = b"a,Class\n" + b"x,0\n" * 50_000 + "Zürich,1\n".encode("cp1252")
    (tmp_path / "t.csv").write_bytes(rows)
    table, notes = read(tmp_path / "t.csv")
    assert table["a"].iloc[-1] == "Zürich"
    assert notes == ("text in Windows-1252, as it is not UTF-8",)


def test_commas_in_numbers_are_no_decimal_commas_where_points_are(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("amount;list;Class\n1.5;1,2;0\n2.5;3,4;1\n")
    table, notes = read(tmp_path / "t.csv")
    assert table["amount"].tolist() == [1.5, 2.5]
    assert table["list"].tolist() == ["1,2", "3,4"]
    assert notes == ("values are separated by semicolons",)


def test_numbers_longer_than_a_float_keep_their_digits(tmp_path: Path) -> None:
    long = "12345678901234567"
    (tmp_path / "gaps.csv").write_text(f"card,Class\n{long},0\n,1\n")
    (tmp_path / "whole.csv").write_text(f"card,Class\n{long},0\n1,1\n")
    assert read(tmp_path / "gaps.csv")[0]["card"].iloc[0] == long
    assert read(tmp_path / "whole.csv")[0]["card"].tolist() == [int(long), 1]


@pytest.mark.parametrize(
    ("index", "note"),
    [
        ([0, 1, 2, 3], "column 1 has no name and counts the rows: left out"),
        ([7, 3, 9, 1], "column 1 has no name and holds a row number in each row: left out"),
        ([None] * 4, "column 1 has no name and no values: left out"),
    ],
)
@pytest.mark.parametrize("name", ["", "Unnamed: 0"])
def test_a_saved_index_is_left_out_and_said(
    tmp_path: Path, shop: pd.DataFrame, index: list[int | None], note: str, name: str
) -> None:
    shop.insert(0, name, pd.Series(index, dtype="Int64"))
    shop.to_csv(tmp_path / "t.csv", index=False)
    table, notes = read(tmp_path / "t.csv")
    assert list(table.columns) == list(shop.columns)[1:]
    assert notes == (note,)


def test_an_unnamed_column_with_other_values_gets_a_name(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("a,,Class\n1,x,0\n1,y,1\n")
    table, notes = read(tmp_path / "t.csv")
    assert list(table.columns) == ["a", "column_2", "Class"]
    assert notes == ("column 2 has no name: called column_2",)


def test_an_index_that_the_model_knows_stays(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("Unnamed: 0,Class\n0,0\n1,1\n")
    table = read_table(tmp_path / "t.csv", numbers=["Unnamed: 0"])
    assert list(table.columns) == ["Unnamed: 0", "Class"]


def test_what_is_text_in_no_known_encoding_is_named(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_bytes(b"a,Class\n\x81,0\n")
    with pytest.raises(DataError, match=r"t\.csv is not text in UTF-8"):
        read(tmp_path / "t.csv")
