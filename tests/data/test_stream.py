"""A table is read in pieces, in order, and no more of it is held than a few of them."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow
import pyarrow.parquet
import pytest

from fraud_model.data import row_readers
from fraud_model.data.stream import Stream
from fraud_model.errors import DataError
from tests.support.object_store import object_store, use_store

GROUPS = 48


def test_memory_does_not_grow_with_a_parquet_file(tmp_path: Path) -> None:
    rows = row_readers.ROWS_PER_PIECE
    values = np.random.default_rng(0).random((rows, 4))
    group = pyarrow.table(dict(zip("abcd", values.T, strict=True)))
    path = tmp_path / "table.parquet"
    with pyarrow.parquet.ParquetWriter(path, group.schema) as writer:
        for _ in range(GROUPS):
            writer.write_table(group)
    stream = Stream(str(path), tmp_path)
    assert stream.rows == GROUPS * rows
    before, most, last = pyarrow.total_allocated_bytes(), 0, 0
    for piece in stream.pieces(["a", "b", "c", "d"], ()):
        assert piece.first == last
        last += len(piece)
        most = max(most, pyarrow.total_allocated_bytes() - before)
    assert last == stream.rows
    assert most < GROUPS * values.nbytes / 4


def test_an_address_is_fetched_and_known_by_its_content(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = pd.DataFrame({"a": [1.5, 2.5], "b": ["x", "y"]})
    table.to_parquet(tmp_path / "table")
    with object_store("bank") as store:
        use_store(store.endpoint, monkeypatch)
        store.put("2026/1.parquet", (tmp_path / "table").read_bytes())
        store.put("2026/2.parquet", (tmp_path / "table").read_bytes())
        read = []
        for name in ("one", "two"):
            (tmp_path / name).mkdir()
            stream = Stream("s3://bank/2026/*.parquet", tmp_path / name)
            read.append(stream.identity)
            pieces = list(stream.pieces(["b", "a"], ["a"]))
            assert [p.place for p in pieces] == [f"s3://bank/2026/{n}.parquet" for n in (1, 2)]
            assert [p.frame(["a"])["a"].tolist() for p in pieces] == [[1.5, 2.5]] * 2
        assert read[0] == read[1]
        assert "sha256" in read[0][0]


def test_what_is_damaged_after_its_beginning_is_named(tmp_path: Path) -> None:
    rows = "".join(f"{number},a\n" for number in range(5_000))
    (tmp_path / "ragged.csv").write_text(f"a,b\n{rows}1,2,3\n")
    (tmp_path / "short.csv").write_text(f"a,b\n{rows}1")
    packed = gzip.compress(rows.encode())
    (tmp_path / "cut.csv.gz").write_bytes(packed[:-20])
    (tmp_path / "lines.jsonl").write_text('{"a": 1}\n' * 50_000 + '{"a": \n')
    for name, message in {
        "ragged.csv": "Expected 2 fields in line 5002, saw 3",
        "short.csv": "row 5001, the last one, has 1 of 2 values: the file is cut short",
        "cut.csv.gz": "the compressed file is cut short or damaged",
        "lines.jsonl": "line 50001 is not a JSON record",
    }.items():
        with pytest.raises(DataError, match=message):
            list(Stream(str(tmp_path / name), tmp_path).pieces(["a"], ["a"]))


def test_two_encodings_and_files_of_other_columns(tmp_path: Path) -> None:
    # Not UTF-8, long after the beginning.
    text = "a,b\n" + "1,x\n" * 40_000 + "2,caf\xe9\n"
    (tmp_path / "1.csv").write_bytes(text.encode("cp1252"))
    stream = Stream(str(tmp_path / "1.csv"), tmp_path)
    assert "text in Windows-1252, as it is not UTF-8" in stream.notes
    *_, last = stream.pieces(["b"], ["a"])
    assert last.frame(["b"])["b"].iloc[-1] == "caf\xe9"
    (tmp_path / "2.csv").write_text("a,c\n1,2\n")
    with pytest.raises(DataError, match=r"other columns than the first file: - 'b'; \+ 'c'"):
        Stream(str(tmp_path / "*.csv"), tmp_path)
