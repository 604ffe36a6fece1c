"""Columns in files: the same values, outside of the process's own memory."""

import errno
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from fraud_model.data import csv_files, json_files
from fraud_model.data.column_files import matrix, rows_of, stored
from fraud_model.data.files import read_table
from fraud_model.errors import DataError
from tests.support.environment import REPOSITORY

SHOP = pd.DataFrame(
    {
        "number": [1.5, np.nan, -0.0, 4.0],
        "whole": [1, 2, 3, 4],
        "flag": [True, False, True, True],
        "moment": pd.to_datetime(pd.Series(["2026-01-01", None, "2026-01-03", "2026-01-04"])),
        "text": pd.array(["a", None, "", "é"], dtype="str"),
    }
)


def test_a_stored_column_holds_the_same_values() -> None:
    for name in SHOP:
        pd.testing.assert_series_equal(stored(SHOP[name]), SHOP[name])
    pd.testing.assert_frame_equal(
        rows_of(SHOP, np.array([3, 1])), SHOP.iloc[[3, 1]].reset_index(drop=True)
    )
    assert stored(SHOP["text"].iloc[:0]).empty


# Columns whose first rows do not show what the later ones hold.
LATE = {
    "whole": ["1", "2", "3", "4", "5"],
    "gap in whole numbers": ["1", "2", "3", "", "5"],
    "decimals": ["1", "2", "3", "4", "5.5"],
    "text": ["1", "2", "3", "four", "5"],
    "late": ["", "", "", "", "x"],
    "booleans": ["True", "False", "True", "True", "False"],
    "booleans with a gap": ["True", "False", "True", "", "False"],
    "booleans and text": ["True", "False", "True", "no", "False"],
    "nothing": ["", "", "", "", ""],
    "large": ["1", "2", "3", "4", "18446744073709551615"],
}


def test_a_table_read_in_pieces_is_as_if_it_were_read_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "t.csv"
    pd.DataFrame(LATE).to_csv(path, index=False)
    monkeypatch.setattr(csv_files, "ROWS_OF_A_PIECE", 2)
    pd.testing.assert_frame_equal(read_table(path), pd.read_csv(path, low_memory=False))


def test_records_read_in_pieces_are_as_if_they_were_read_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "t.jsonl"
    path.write_text(
        '{"a": 1, "b": true}\n{"a": 2, "b": null}\n{"a": 3, "b": false, "c": "x"}\n'
        '{"a": "four", "b": true, "c": 5}\n'
    )
    at_once = read_table(path)
    monkeypatch.setattr(json_files, "ROWS_OF_A_PIECE", 1)
    pd.testing.assert_frame_equal(read_table(path), at_once)
    assert list(at_once["a"]) == ["1", "2", "3", "four"]


def test_a_full_disk_is_said_with_the_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    def full() -> object:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(tempfile, "TemporaryFile", full)
    with pytest.raises(DataError, match=f"no space is left in {tempfile.gettempdir()}.*TMPDIR"):
        stored(SHOP["number"])


@pytest.mark.skipif(not hasattr(os, "posix_fallocate"), reason="only where space can be reserved")
def test_space_for_inputs_is_there_before_they_are_written() -> None:
    with pytest.raises(DataError, match="no space is left"):
        matrix(1 << 40, 8)


# Reads a table, and fails where it takes more memory of its own than a fraction of the values.
LIMITED = """
import re, resource, sys
from pathlib import Path
from fraud_model.data.dataset import load_dataset
from fraud_model.data.split import split

own = re.search(r"VmData:\\s+(\\d+)", Path("/proc/self/status").read_text())
limit = int(own[1]) * 1024 + int(sys.argv[2])
resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
dataset = load_dataset(sys.argv[1], target="Class", time="Time", amount="Amount")
parts = split(dataset, "time", 0)
print(len(dataset.table), len(parts.train))
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="limits memory as Linux does")
def test_a_table_larger_than_the_memory_is_read(tmp_path: Path) -> None:
    rows, columns = 400_000, 120
    rng = np.random.default_rng(0)
    table = pd.DataFrame({f"V{i}": rng.normal(size=rows) for i in range(columns)})
    table = table.assign(Time=np.arange(rows) * 1.5, Class=(rng.random(rows) < 0.01).astype(int))
    path = tmp_path / "t.parquet"
    table.to_parquet(path)
    ended = subprocess.run(
        [sys.executable, "-c", LIMITED, str(path), str(table.memory_usage().sum() * 2 // 3)],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
    )
    assert ended.returncode == 0, ended.stderr[-2000:]
    assert ended.stdout.split() == ["400000", "240000"]
