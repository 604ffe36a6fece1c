"""Files are read whole or refused with a reason."""

from __future__ import annotations

import gzip
from pathlib import Path

import pandas as pd
import pytest

from fraud_model.data.files import read_table
from fraud_model.errors import DataError


def write(folder: Path, name: str, content: str | bytes) -> Path:
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def test_csv_gz_and_parquet_hold_the_same_table(tmp_path: Path, table: pd.DataFrame) -> None:
    table = table.head(200)
    table.to_csv(tmp_path / "t.csv", index=False)
    table.to_csv(tmp_path / "t.csv.gz", index=False)
    table.to_parquet(tmp_path / "t.parquet", index=False)
    for name in ("t.csv", "t.csv.gz", "t.parquet"):
        pd.testing.assert_frame_equal(
            read_table(tmp_path / name), table, check_exact=True, check_dtype=False
        )


def test_quoted_labels_and_a_byte_order_mark_are_read(tmp_path: Path) -> None:
    table = read_table(
        write(tmp_path, "t.csv", '\ufeff"Time","V1","Class"\r\n0,1.5,"0"\r\n1,2,"1"\r\n')
    )
    assert list(table.columns) == ["Time", "V1", "Class"]
    assert table["Class"].tolist() == [0, 1]


def test_numbers_late_in_a_column_may_look_different(tmp_path: Path) -> None:
    lines = ["Time,Class"] + [f"{second},0" for second in range(200_000)] + ["1e+05,1", "2.5,1"]
    table = read_table(write(tmp_path, "t.csv", "\n".join(lines)))
    assert table["Time"].iloc[-2:].tolist() == [100_000.0, 2.5]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("t.csv", b"", "is empty"),
        ("t.csv", "a,b,Class\n1,2,0\n1,2,0,9\n", "line 3, saw 4"),
        ("t.csv", "a,b,Class\n1,2,0,9\n1,2,0,9\n", "Rows and header must have the same number"),
        ("t.csv", "a,a,Class\n1,2,0\n", "duplicate columns"),
        ("t.csv", bytes(range(128, 256)), "not text in UTF-8"),
        ("t.csv", "a,b,Class\n1,2,0\n1,", "has 2 of 3 values: the file is cut short"),
        ("t.csv", "a,b,a,b\n1,2,0,3\n", "'a' 2 times, 'b' 2 times"),
        (
            "t.csv.gz",
            gzip.compress(b"a,Class\n" + b"1.25,0\n" * 9999)[:-20],
            "cut short or damaged",
        ),
        ("t.parquet", "a,Class\n1,0\n", "not a complete Parquet file"),
    ],
)
def test_what_is_no_whole_table_is_refused(
    tmp_path: Path, name: str, content: str | bytes, message: str
) -> None:
    with pytest.raises(DataError, match=message) as refusal:
        read_table(write(tmp_path, name, content))
    assert name in str(refusal.value)
    assert "\n" not in str(refusal.value)


def test_a_path_that_is_no_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no such file"):
        read_table(tmp_path / "absent.csv")
    with pytest.raises(DataError, match="is a folder"):
        read_table(tmp_path)
