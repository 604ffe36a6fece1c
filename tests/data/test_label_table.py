"""Labels find their transactions, in whatever words they come, and corrections win."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from fraud_model.data.label_table import read_label_table
from fraud_model.errors import DataError

AUDIT_KEYS = ("request_id", "row")


def labels_csv(folder: Path, text: str) -> Path:
    path = folder / "labels.csv"
    path.write_text(text)
    return path


def test_a_request_id_alone_means_its_first_row(tmp_path: Path) -> None:
    path = labels_csv(tmp_path, "request_id,Class\n007,1\n8,0\n9,\n")
    labels = read_label_table(path, "Class", AUDIT_KEYS)
    keys = [("007", "0"), ("7", "0"), ("8", "0"), ("8", "1"), ("9", "0")]
    np.testing.assert_array_equal(labels.of(keys), [1, np.nan, 0, np.nan, np.nan])


def test_rows_of_one_request_have_labels_of_their_own(tmp_path: Path) -> None:
    path = labels_csv(tmp_path, "Class,row,request_id\n1,1,a\n0,0,a\n")
    assert read_label_table(path, "Class", AUDIT_KEYS).of([("a", "0"), ("a", "1")]).tolist() == [
        0,
        1,
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("request_id,fraud\na,1\n", "labels need the column 'Class'"),
        ("id,Class\na,1\n", "at least one of 'request_id', 'row'"),
        ("request_id,Class\na,1\nb,2\n", "row 2, column 'Class' holds '2'"),
        ("request_id,Class\na,1\nb,maybe\n", "row 2, column 'Class' holds 'maybe'"),
        ("request_id,Class\na,1\na,0\n", "request_id 'a', row '0' is labelled both 0 and 1"),
    ],
)
def test_labels_that_cannot_be_used_are_refused(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        read_label_table(labels_csv(tmp_path, text), "Class", AUDIT_KEYS)


@pytest.mark.parametrize(
    ("text", "fraud"),
    [
        ("request_id,Class\na,true\nb,false\nc,\n", ""),
        ("request_id,Class\na,Yes\nb,no\nc,\n", ""),
        ("request_id,Class\na,chargeback\nb,settled\nc,\n", "chargeback"),
    ],
)
def test_labels_are_read_in_the_words_that_training_takes(
    tmp_path: Path, text: str, fraud: str
) -> None:
    labels = read_label_table(labels_csv(tmp_path, text), "Class", AUDIT_KEYS, fraud)
    found = labels.of([("a", "0"), ("b", "0"), ("c", "0")])
    np.testing.assert_array_equal(found, [1, 0, np.nan])


@pytest.mark.parametrize(
    "rows",
    [
        "a,1,2026-11-01\na,0,2026-11-20\nb,0,\nb,1,2026-11-02\n",
        # Whatever the order in the file.
        "b,1,2026-11-02\na,0,2026-11-20\nb,0,\na,1,2026-11-01\n",
    ],
)
def test_a_correction_wins_by_its_date(tmp_path: Path, rows: str) -> None:
    path = labels_csv(tmp_path, f"request_id,Class,labelled_at\n{rows}")
    labels = read_label_table(path, "Class", AUDIT_KEYS)
    assert labels.of([("a", "0"), ("b", "0")]).tolist() == [0, 1]
    assert (len(labels), labels.corrected) == (2, 2)


def test_labels_that_contradict_each_other_on_one_date_are_refused(tmp_path: Path) -> None:
    text = "request_id,Class,labelled_at\na,1,2026-11-01\na,0,2026-11-01\n"
    with pytest.raises(DataError, match=r"'a', row '0' is labelled both 0 and 1.*'labelled_at'"):
        read_label_table(labels_csv(tmp_path, text), "Class", AUDIT_KEYS)


def test_a_date_that_is_none_is_refused(tmp_path: Path) -> None:
    text = "request_id,Class,labelled_at\na,1,yesterday\n"
    with pytest.raises(DataError, match=r"labels.csv: .*'labelled_at' holds 'yesterday'"):
        read_label_table(labels_csv(tmp_path, text), "Class", AUDIT_KEYS)
