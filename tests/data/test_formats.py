"""Files are known by their bytes: read in every format, or named for what they are."""

from __future__ import annotations

import bz2
import datetime
import gzip
import lzma
import pickle
import sqlite3
import zipfile
from decimal import Decimal
from pathlib import Path

import pandas as pd
import pyarrow
import pyarrow.parquet
import pytest

from fraud_model.data.files import read_file
from fraud_model.data.sources import read_source
from fraud_model.errors import DataError


@pytest.fixture
def shop() -> pd.DataFrame:
    return pd.DataFrame(
        {"amount": [1.5, None, 3.0], "merchant": ["a", None, "c"], "Class": [0, 1, 0]}
    )


def refusal(path: Path) -> str:
    with pytest.raises(DataError) as refused:
        read_file(path, path.name)
    message = str(refused.value)
    assert "\n" not in message
    assert len(message) < 400
    return message


def test_compressed_files_are_read_whatever_their_name(tmp_path: Path, shop: pd.DataFrame) -> None:
    plain = shop.to_csv(index=False).encode()
    zstd = pyarrow.compress(plain, "zstd", asbytes=True)
    for packed in (gzip.compress(plain), bz2.compress(plain), lzma.compress(plain), zstd):
        (tmp_path / "t.csv").write_bytes(packed)
        pd.testing.assert_frame_equal(read_file(tmp_path / "t.csv", "t")[0], shop)
        (tmp_path / "t.csv").write_bytes(packed[:-6])
        assert "cut short or damaged" in refusal(tmp_path / "t.csv")


def test_a_zip_is_read_where_it_holds_one_table(tmp_path: Path, shop: pd.DataFrame) -> None:
    with zipfile.ZipFile(tmp_path / "one.zip", "w") as packed:
        packed.writestr("data/t.csv", shop.to_csv(index=False))
        packed.writestr("__MACOSX/data/._t.csv", "x")
        packed.writestr("README.md", "x")
    table, notes = read_file(tmp_path / "one.zip", "one.zip")
    pd.testing.assert_frame_equal(table, shop)
    assert notes == ("the table in the zip is data/t.csv",)
    with zipfile.ZipFile(tmp_path / "two.zip", "w") as packed:
        packed.writestr("train.csv", "a")
        packed.writestr("test.csv", "a")
    assert "holds 2 tables: train.csv, test.csv" in refusal(tmp_path / "two.zip")


@pytest.mark.parametrize("ending", ["parquet", "feather", "jsonl", "json", "ndjson.gz"])
def test_every_format_gives_the_same_table(tmp_path: Path, shop: pd.DataFrame, ending: str) -> None:
    path = tmp_path / f"t.{ending}"
    if ending == "parquet":
        shop.to_parquet(path)
    elif ending == "feather":
        shop.to_feather(path)
    else:
        shop.to_json(path, orient="records", lines=ending != "json")
    pd.testing.assert_frame_equal(read_file(path, path.name)[0], shop)


def test_parquet_is_read_under_another_name(tmp_path: Path, shop: pd.DataFrame) -> None:
    shop.to_parquet(tmp_path / "t.csv")
    pd.testing.assert_frame_equal(read_file(tmp_path / "t.csv", "t.csv")[0], shop)


def test_what_is_no_table_is_named_for_what_it_is(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "book.csv", "w") as book:
        book.writestr("[Content_Types].xml", "")
        book.writestr("xl/workbook.xml", "")
    with sqlite3.connect(tmp_path / "base.csv") as base:
        base.execute("CREATE TABLE t (a)")
    base.close()
    (tmp_path / "login.csv").write_text("\n<!DOCTYPE html><html><body>Sign in</body></html>")
    (tmp_path / "frame.csv").write_bytes(pickle.dumps([1, 2]))
    (tmp_path / "old.csv").write_bytes(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600))
    (tmp_path / "hdf.csv").write_bytes(b"\x89HDF\r\n\x1a\n" + bytes(100))
    (tmp_path / "orc.csv").write_bytes(b"ORC" + bytes(100))
    (tmp_path / "avro.csv").write_bytes(b"Obj\x01" + bytes(100))
    (tmp_path / "paper.csv").write_bytes(b"%PDF-1.7")
    assert "an Excel workbook of Microsoft Office. Save the sheet" in refusal(tmp_path / "book.csv")
    assert "a SQLite database. Give it as -P data=sqlite" in refusal(tmp_path / "base.csv")
    assert "an HTML page, perhaps a login page" in refusal(tmp_path / "login.csv")
    assert "a pickle" in refusal(tmp_path / "frame.csv")
    assert "an Excel workbook (.xls)" in refusal(tmp_path / "old.csv")
    assert "an HDF5 file" in refusal(tmp_path / "hdf.csv")
    assert "an ORC file" in refusal(tmp_path / "orc.csv")
    assert "an Avro file" in refusal(tmp_path / "avro.csv")
    assert "a PDF document" in refusal(tmp_path / "paper.csv")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"a": 1}\n{"a": 2}\n{"a": ' + "9" * 30_000, "line 3 is not a JSON record"),
        ('[{"a": 1},\n{"a": 2},,' + "x" * 30_000, "not JSON: line 2, column 10"),
        ('{"a": [1], "b": 2, "c": {"d": 1}}', "hold lists or objects: 'a', 'c'"),
        ("[1, 2]", "record 1 is not an object"),
        ("[]", "holds no records"),
    ],
)
def test_a_json_error_is_one_short_line_with_its_place(
    tmp_path: Path, text: str, message: str
) -> None:
    (tmp_path / "t.json").write_text(text)
    assert message in refusal(tmp_path / "t.json")


def test_json_that_mixes_numbers_and_text_is_text(tmp_path: Path) -> None:
    (tmp_path / "t.jsonl").write_text('{"code": "00123"}\n{"code": 45}\n{"other": true}\n')
    table, _ = read_file(tmp_path / "t.jsonl", "t")
    assert table["code"].fillna("-").tolist() == ["00123", "45", "-"]


def test_parquet_columns_stay_what_they_are(tmp_path: Path) -> None:
    day, moment = datetime.date(2026, 1, 2), datetime.datetime(2026, 1, 2, 3)
    berlin = pyarrow.array([moment, None], pyarrow.timestamp("us", tz="Europe/Berlin"))
    table = pyarrow.table(
        {
            "decimal": [Decimal("1.20"), None],
            "category": pyarrow.array(["x", None]).dictionary_encode(),
            "day": [day, None],
            "moment": [moment, None],
            "zoned": berlin,
            "flag": [True, False],
            "long": [2**60 + 1, 5],
            "gaps": [2**60 + 1, None],
        }
    )
    pyarrow.parquet.write_table(table, tmp_path / "t.parquet")
    frame, notes = read_file(tmp_path / "t.parquet", "t")
    kinds = {name: str(dtype) for name, dtype in frame.dtypes.items()}
    assert (kinds["decimal"], kinds["category"]) == ("float64", "str")
    assert (kinds["flag"], kinds["long"], kinds["gaps"]) == ("bool", "int64", "str")
    for name in ("day", "moment", "zoned"):
        assert kinds[name].startswith("datetime64")
        assert pd.isna(frame[name].iloc[1])
    assert frame["moment"].iloc[0] == frame["zoned"].iloc[0] == pd.Timestamp(moment)
    assert frame["long"].iloc[0] == 2**60 + 1
    assert frame["gaps"].iloc[0] == str(2**60 + 1)
    assert notes == ("column zoned has the time zone Europe/Berlin: read in UTC",)


def test_nested_columns_are_named_together(tmp_path: Path) -> None:
    table = pyarrow.table({"a": [1], "list": [[1]], "parts": [{"x": 1}]})
    pyarrow.parquet.write_table(table, tmp_path / "t.parquet")
    assert "'list' (list<element: int64>), 'parts' (struct<x: int64>)" in refusal(
        tmp_path / "t.parquet"
    )


def test_an_index_in_parquet_is_left_out_or_kept_by_its_name(
    tmp_path: Path, shop: pd.DataFrame
) -> None:
    shop.iloc[[2, 0, 1]].to_parquet(tmp_path / "t.parquet")
    table, (note,) = read_file(tmp_path / "t.parquet", "t")
    assert list(table.columns) == list(shop.columns)
    assert note == "column 4 has no name and holds a row number in each row: left out"
    shop.iloc[[2, 0, 1]].rename_axis("id").to_parquet(tmp_path / "t.parquet")
    assert "id" in read_file(tmp_path / "t.parquet", "t")[0].columns


def test_a_folder_of_parquet_files_is_one_table(tmp_path: Path, shop: pd.DataFrame) -> None:
    # The names of the folders above are no columns.
    folder = tmp_path / "run=7"
    for day in ("2026-01-02", "2026-01-01"):
        (folder / f"day={day}").mkdir(parents=True)
        shop.to_parquet(folder / f"day={day}/part-0.parquet")
    (folder / "_SUCCESS").touch()
    read = read_source(str(folder))
    assert read.frame["day"].tolist() == ["2026-01-01"] * 3 + ["2026-01-02"] * 3
    assert list(read.frame.columns) == [*shop.columns, "day"]
    assert read.frame["amount"].sum() == 2 * shop["amount"].sum()
    assert read.notes == ("2 Parquet files, in the order of their paths",)
    shop.drop(columns="amount").to_parquet(folder / "day=2026-01-02/part-1.parquet")
    with pytest.raises(DataError, match=r"part-1\.parquet has other columns .*- 'amount'"):
        read_source(str(folder))
    (folder / "day=2026-01-02/part-1.parquet").write_bytes(b"PAR1")
    with pytest.raises(DataError, match=r"part-1\.parquet is not a complete Parquet file"):
        read_source(str(folder))


def test_parquet_files_of_a_folder_may_differ_in_numbers_but_not_in_text(tmp_path: Path) -> None:
    pd.DataFrame({"amount": [1, 2], "note": [None, None]}).to_parquet(tmp_path / "a.parquet")
    pd.DataFrame({"note": ["x", "y"], "amount": [0.5, 2]}).to_parquet(tmp_path / "b.parquet")
    frame = read_source(str(tmp_path)).frame
    assert frame["amount"].tolist() == [1, 2, 0.5, 2]
    assert frame["note"].fillna("-").tolist() == ["-", "-", "x", "y"]
    pd.DataFrame({"note": ["x"], "amount": ["1"]}).to_parquet(tmp_path / "c.parquet")
    with pytest.raises(DataError, match="Field amount has incompatible types"):
        read_source(str(tmp_path))


def test_a_folder_without_parquet_says_what_it_holds(tmp_path: Path, shop: pd.DataFrame) -> None:
    shop.to_csv(tmp_path / "a.csv")
    with pytest.raises(DataError, match=r"without Parquet files. It holds a\.csv"):
        read_source(str(tmp_path))
    (tmp_path / "_delta_log").mkdir()
    with pytest.raises(DataError, match="is a Delta table"):
        read_source(str(tmp_path))


def test_files_of_a_pattern_are_one_table(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(",code,Class\n0,00123,0\n")
    (tmp_path / "b.csv").write_text(",Class,code\n0,1,12345\n")
    read = read_source(f"{tmp_path}/*.csv")
    assert read.frame["code"].tolist() == ["00123", "12345"]
    assert read.frame["Class"].tolist() == [0, 1]
    assert read.notes[0] == "2 files, in the order of their names"
    (tmp_path / "c.csv").write_text("kode,Class\n1,0\n")
    with pytest.raises(DataError, match=r"/c\.csv has other columns .*- 'code'; \+ 'kode'"):
        read_source(f"{tmp_path}/*.csv")
    with pytest.raises(DataError, match="no file fits this pattern"):
        read_source(f"{tmp_path}/*.tsv")
