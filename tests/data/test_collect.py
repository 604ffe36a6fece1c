"""A training table holds each transaction of the log once, with what is known of it."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet
import pytest

from fraud_model.data import sent_rows
from fraud_model.data.collect import collect
from fraud_model.data.collected import Collected
from fraud_model.data.dataset import load_dataset
from fraud_model.data.doubles import Doubles
from fraud_model.data.label_table import read_label_table
from fraud_model.data.labels import LabelRule
from fraud_model.data.sent_rows import SentRows
from fraud_model.errors import DataError
from tests.support.audit_lines import DAY, START, refused_line, shadow_line, write_lines

DELAY = LabelRule(30.0 * DAY, "genuine")
NOTHING = "request_id,Class\nnobody,\n"


def line(number: int, day: float = 0.0, version: str = "1", **features: Any) -> dict[str, Any]:
    """The line of a scored row; its request id is its number."""
    return {
        "time": datetime.fromtimestamp(START + day * DAY, UTC),
        "request_id": str(number),
        "row": 0,
        "model_name": "fraud-detector",
        "model_version": version,
        "features": features or {"V1": number / 2, "Amount": 10.0},
        "fraud_probability": 0.1,
        "is_fraud": False,
    }


class Place:
    """A log and labels in a folder, and the table that is made of them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.log = folder / "audit.jsonl"
        self.output = folder / "out.parquet"

    def collect(
        self, labels: str = NOTHING, rule: LabelRule = DELAY, base: Path | None = None, **more: Any
    ) -> tuple[Collected, pd.DataFrame]:
        (self.folder / "labels.csv").write_text(labels)
        known = read_label_table(self.folder / "labels.csv", "Class", ("request_id", "row"))
        sent = SentRows(self.log, "fraud-detector", **more)
        earlier = (base, str(base)) if base else None
        done = collect(sent, known, rule, "Class", self.output, earlier)
        return done, pd.read_parquet(self.output)


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def classes(table: pd.DataFrame) -> dict[str, float | None]:
    labels = table["Class"].astype(object).where(table["Class"].notna(), None)
    return dict(zip(table["request_id"], labels, strict=True))


def test_a_feed_of_frauds_alone_labels_what_is_older_than_the_delay(place: Place) -> None:
    write_lines(place.log, [line(1, 0), line(2, 0.5), line(3, 35), line(4, 40), line(5, 41)])
    done, table = place.collect("request_id,Class\n1,1\n4,1\n")
    assert table.columns.tolist() == [
        *("request_id", "row", "served_at", "model_version"),
        *("V1", "Amount", "labelled_at", "Class"),
    ]
    # A young fraud is not known yet either: its neighbours had no time to become frauds.
    assert classes(table) == {"1": 1, "2": 0, "3": None, "4": None, "5": None}
    assert (done.rows, done.frauds, done.genuine, done.unknown, done.young) == (5, 1, 1, 3, 3)
    assert table["V1"].tolist() == [0.5, 1, 1.5, 2, 2.5]
    assert table["served_at"].iloc[1] == pd.Timestamp("2026-11-01 12:00")
    without_rule, table = place.collect("request_id,Class\n1,1\n4,1\n", LabelRule())
    assert classes(table) == {"1": 1, "2": None, "3": None, "4": 1, "5": None}
    assert without_rule.young == 0


def test_what_is_no_served_transaction_is_left_out_and_counted(place: Place) -> None:
    lines = [
        *(line(number) for number in range(5)),
        refused_line(),
        shadow_line(line(1), "2", 0.5),
        {**line(10), "source": "page"},
        {**line(11), "source": "test"},
        {**line(12), "source": "mobile"},
        {**line(13), "model_name": "other"},
        line(14, version=""),
        {**line(15), "features": 7},
        {key: value for key, value in line(16).items() if key != "row"},
    ]
    write_lines(place.log, lines[5:])
    write_lines(place.folder / "audit.jsonl.1", lines[:5])
    with place.log.open("ab") as file:
        file.write(b'[1]\n{"time": "2026-')
    done, table = place.collect()
    assert table["request_id"].tolist() == ["0", "1", "2", "3", "4", "12", "14"]
    assert table["model_version"].tolist() == ["1"] * 6 + [""]
    seen = done.seen
    assert seen.versions == {"1": 6, "": 1}
    assert (seen.refused, seen.shadow, seen.tally.marked.total()) == (1, 1, 2)
    assert seen.tally.other_versions == {"other 1": 1}
    assert (seen.tally.lines, seen.tally.files) == (16, 2)
    assert (seen.tally.unreadable, seen.tally.torn) == (3, 1)
    _, table = place.collect(with_marked=True)
    assert {"10", "11"} <= set(table["request_id"])


def test_versions_with_other_columns_share_a_table(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A table for each row, so that what is common is found across tables.
    monkeypatch.setattr(sent_rows, "VALUES_PER_TABLE", 1)
    sent = [
        line(1, shop="a", limit=5.0, old=True, code=None),
        line(2, version="2", shop="b", limit="5 EUR", new=1, code=None),
        line(3, version="2", shop=None, limit="7 EUR", new=1.5, code=None),
        line(4, version="2", shop=["x"], limit="7 EUR", new=2, code=None),
    ]
    write_lines(place.log, sent)
    done, table = place.collect()
    assert (done.partly, done.as_text) == (("new", "old"), ("limit",))
    assert table["limit"].tolist() == ["5", "5 EUR", "7 EUR", "7 EUR"]
    assert table["shop"].fillna("-").tolist() == ["a", "b", "-", '["x"]']
    np.testing.assert_array_equal(table["new"], [np.nan, 1, 1.5, 2])
    assert table["old"].tolist()[0] is True
    assert table["old"].isna().tolist() == [False, True, True, True]


def test_a_table_grows_without_doubles_and_late_labels_reach_its_rows(place: Place) -> None:
    write_lines(place.log, [line(1), line(2), line(3, 20), line(1)])
    done, _ = place.collect("request_id,Class\n1,1\n")
    assert (done.rows, done.new, done.doubles) == (3, 3, 1)
    earlier = place.output.rename(place.folder / "earlier.parquet")
    # The first rows have left the log since; one is in both; one chargeback came, one was undone.
    write_lines(place.log, [line(3, 20), line(4, 45), line(5, 60, V1=1.0, extra="x")])
    labels = "request_id,Class,labelled_at\n1,1,2026-11-02\n1,0,2026-12-01\n2,1,2026-12-02\n"
    done, table = place.collect(labels, base=earlier)
    assert classes(table) == {"1": 0, "2": 1, "3": 0, "4": None, "5": None}
    assert (done.rows, done.new, done.doubles) == (5, 2, 1)
    assert table["V1"].tolist() == [0.5, 1, 1.5, 2, 1]
    assert table["extra"].isna().tolist() == [True] * 4 + [False]
    # Collected again over itself, nothing changes.
    again, same = place.collect(labels, base=place.output)
    assert (again.new, again.corrected) == (0, 0)
    pd.testing.assert_frame_equal(same, table)


def test_a_label_of_a_later_date_stays_whichever_file_comes_last(place: Place) -> None:
    write_lines(place.log, [line(number) for number in range(1, 5)])
    _, table = place.collect(
        "request_id,Class,labelled_at\n1,1,2026-11-02\n2,0,2026-12-01 10:30\n3,1,2026-12-01\n",
        LabelRule(),
    )
    assert table["labelled_at"].iloc[1] == pd.Timestamp("2026-12-01 10:30")
    earlier = place.output.rename(place.folder / "earlier.parquet")
    # One is corrected, one was corrected before, one has no date.
    later = "request_id,Class,labelled_at\n1,0,2026-11-03\n2,1,2026-11-20\n3,0,\n4,1,\n"
    done, table = place.collect(later, LabelRule(), base=earlier)
    assert classes(table) == {"1": 0, "2": 0, "3": 1, "4": 1}
    assert done.corrected == 1
    assert table["labelled_at"].isna().tolist() == [False, False, False, True]
    # A table of a release that kept no dates.
    undated = pd.read_parquet(earlier).drop(columns="labelled_at")
    undated.to_parquet(place.folder / "undated.parquet")
    done, table = place.collect(later, LabelRule(), base=place.folder / "undated.parquet")
    assert classes(table) == {"1": 0, "2": 1, "3": 0, "4": 1}


def test_the_table_trains_as_it_is(place: Place, table: pd.DataFrame) -> None:
    sent = table.head(3_000)
    rows = sent.drop(columns="Class").to_dict("records")
    lines = [{**line(i // 50), "row": i % 50, "features": row} for i, row in enumerate(rows)]
    write_lines(place.log, lines)
    keys = pd.DataFrame({"request_id": np.arange(3_000) // 50, "row": np.arange(3_000) % 50})
    labels = keys.assign(Class=sent["Class"].to_numpy(), labelled_at="2026-12-01")
    place.collect(labels.to_csv(index=False), LabelRule())
    dataset = load_dataset(str(place.output), target="Class", time="Time", amount="Amount")
    assert dataset.columns.features == tuple(sent.columns[:-1])
    assert (len(dataset.table), dataset.frauds) == (3_000, int(sent["Class"].sum()))


def test_a_failure_leaves_the_earlier_table_and_nothing_else(place: Place) -> None:
    write_lines(place.log, [line(1)])
    place.collect()
    before = place.output.read_bytes()
    write_lines(place.log, [line(2, Class=1.0)])
    with pytest.raises(DataError, match="features called 'Class'"):
        place.collect()
    write_lines(place.log, [{**line(3), "model_name": "other"}])
    with pytest.raises(DataError, match=r"no.* scored row of fraud-detector \(but 1 of other 1\)"):
        place.collect()
    (place.folder / "base.csv").write_text("a\n1\n")
    with pytest.raises(DataError, match=r"base=.*base.csv cannot be read as a Parquet file"):
        place.collect(base=place.folder / "base.csv")
    pd.DataFrame({"request_id": ["a"]}).to_parquet(place.folder / "base.parquet")
    with pytest.raises(DataError, match="lacks the columns 'row', 'served_at'"):
        place.collect(base=place.folder / "base.parquet")
    assert place.output.read_bytes() == before
    assert not [path for path in place.folder.iterdir() if path.name.startswith(".out")]


def test_rows_are_held_in_pieces(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sent_rows, "VALUES_PER_TABLE", 60)
    place.log.write_text(
        "".join(json.dumps({**line(i), "time": "2026-11-01T00:00:00Z"}) + "\n" for i in range(95))
    )
    done, _ = place.collect()
    assert done.rows == 95
    assert pyarrow.parquet.ParquetFile(place.output).num_row_groups == 10


def test_doubles_are_found_by_both_parts_of_the_key() -> None:
    doubles = Doubles()
    doubles.add([("a", 0), ("a", 1), ("1 a", 0)])
    doubles.add([("b", 0), ("a", 1), ("a", 0), ("1", 1)])
    assert doubles.first().tolist() == [True, True, True, True, False, False, True]
