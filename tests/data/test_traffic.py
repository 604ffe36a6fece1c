"""Whatever state a log is in, what is whole is read once, and the rest is counted."""

from __future__ import annotations

import gzip
from dataclasses import asdict
from pathlib import Path
from typing import IO

import mlflow.pyfunc
import numpy as np
import pandas as pd
import pytest

from fraud_model.data import audit_log
from fraud_model.data.audit_log import AuditTraffic
from fraud_model.data.simulation import simulate
from fraud_model.data.table_traffic import TableTraffic
from fraud_model.data.traffic import Batch
from fraud_model.errors import DataError, ParameterError
from fraud_model.model.directory import ModelDirectory
from fraud_model.model.feature import Feature
from fraud_model.model.profile import Profile
from fraud_model.monitoring import windows
from fraud_model.monitoring.windows import Span, Windows
from tests.support.audit_lines import refused_line, scored_lines, shadow_line, write_lines

TABLE = simulate(rows=60, frauds=3, seed=4)


@pytest.fixture(scope="module")
def lines(exported: Path) -> list[dict[str, object]]:
    return scored_lines(mlflow.pyfunc.load_model(str(exported)).unwrap_python_model(), TABLE)


def described(profile: Profile) -> list[Feature]:
    return [reference.feature for reference in profile.features.values()]


def opened(path: Path, model: Path) -> TableTraffic:
    profile = ModelDirectory(model, "version 1").required_profile()
    return TableTraffic(path, model, list(profile.features), profile.time)


def read(path: Path, *keys: str) -> tuple[AuditTraffic, list[Batch]]:
    traffic = AuditTraffic(path, "fraud-detector", "1", [Feature("V1"), Feature("Amount")])
    return traffic, list(traffic.batches(keys))


def test_rows_come_with_their_features_scores_and_keys(
    tmp_path: Path, lines: list[dict[str, object]]
) -> None:
    _, (batch,) = read(write_lines(tmp_path / "audit.jsonl", lines), "request_id", "row")
    np.testing.assert_array_equal(batch.scored.values, TABLE[["V1", "Amount"]].to_numpy())
    assert batch.scored.probability.tolist() == [line["fraud_probability"] for line in lines]
    assert list(batch.scored.keys)[:2] == [("0-0", "0"), ("0-1", "0")]
    assert np.all(np.diff(batch.scored.seconds) > 0)


def test_turned_over_files_come_first_and_in_order(
    tmp_path: Path, lines: list[dict[str, object]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audit_log, "LINES_PER_BLOCK", 7)
    write_lines(tmp_path / "audit.jsonl", lines[50:])
    write_lines(tmp_path / "audit.jsonl.10", lines[30:50])
    write_lines(tmp_path / "audit.jsonl.2", lines[10:30])
    packed = write_lines(tmp_path / "packed", lines[:10]).read_bytes()
    (tmp_path / "audit.jsonl.1.gz").write_bytes(gzip.compress(packed))
    (tmp_path / "audit.jsonl.lock").touch()
    traffic, batches = read(tmp_path / "audit.jsonl")
    together = np.concatenate([batch.scored.probability for batch in batches])
    assert together.tolist() == [line["fraud_probability"] for line in lines]
    assert (traffic.tally.files, traffic.tally.lines) == (4, 60)


@pytest.mark.slow
def test_a_large_log_is_read_by_several_processes_with_the_same_result(
    tmp_path: Path, lines: list[dict[str, object]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audit_log, "LINES_PER_BLOCK", 7)
    monkeypatch.setattr(audit_log, "cores", lambda: 2)
    shadow = shadow_line({**lines[6], "model_version": "1"}, "2", 0.1)
    path = write_lines(tmp_path / "audit.jsonl", [*lines, refused_line(2), shadow])
    with path.open("ab") as file:
        file.write(b'not json\n{"time": "yesterday", "model_name": ')
    traffic, batches = read(path, "request_id", "row")
    monkeypatch.setattr(audit_log, "BYTES_WORTH_PROCESSES", 0)
    by_processes, again = read(path, "request_id", "row")
    assert by_processes.tally == traffic.tally
    assert len(again) == len(batches) == 10
    for one, other in zip(again, batches, strict=True):
        np.testing.assert_equal(asdict(one), asdict(other))


def test_a_file_that_is_deleted_before_it_is_opened_is_left_out(
    tmp_path: Path, lines: list[dict[str, object]], monkeypatch: pytest.MonkeyPatch
) -> None:
    write_lines(tmp_path / "audit.jsonl", lines[50:])
    old = write_lines(tmp_path / "audit.jsonl.1", lines[:50])
    opening = audit_log._open

    def delete_and_open(file: Path) -> IO[bytes]:
        old.unlink(missing_ok=True)
        return opening(file)

    monkeypatch.setattr(audit_log, "_open", delete_and_open)
    traffic, _ = read(tmp_path / "audit.jsonl")
    assert (traffic.tally.files, traffic.tally.lines) == (1, 10)


def test_what_cannot_be_used_is_counted(tmp_path: Path, lines: list[dict[str, object]]) -> None:
    path = write_lines(
        tmp_path / "audit.jsonl",
        [
            *lines[:5],
            {**lines[5], "model_version": "9"},
            {**lines[5], "model_name": "other"},
            {**lines[5], "features": {"V1": 1.0}},
            shadow_line({**lines[6], "model_version": "9"}, "2", 0.1),
        ],
    )
    with path.open("ab") as file:
        file.write(b'not json\n[1]\n{"time": "yesterday", "model_name": ')
    traffic, (batch,) = read(path)
    assert len(batch.scored.probability) == 5
    tally = traffic.tally
    assert (tally.lines, tally.torn, tally.unreadable) == (12, 1, 3)
    assert tally.other_versions == {"fraud-detector 9": 2, "other 1": 1}


def test_a_damaged_packed_file_loses_only_its_rest(
    tmp_path: Path, lines: list[dict[str, object]]
) -> None:
    packed = gzip.compress(write_lines(tmp_path / "packed", lines).read_bytes())
    (tmp_path / "audit.jsonl.1.gz").write_bytes(packed[:-20])
    write_lines(tmp_path / "audit.jsonl", lines[:3])
    traffic, batches = read(tmp_path / "audit.jsonl")
    assert sum(len(batch.scored.probability) for batch in batches) >= 3
    assert traffic.tally.torn == 1


def test_refusals_and_shadows_are_told_apart(
    tmp_path: Path, lines: list[dict[str, object]]
) -> None:
    shadow = shadow_line(lines[0], "2", 0.75)
    path = write_lines(tmp_path / "audit.jsonl", [lines[0], refused_line(), shadow])
    _, (batch,) = read(path, "request_id", "row")
    assert len(batch.scored.probability) == len(batch.refused) == 1
    (part,) = batch.shadowed
    assert (part.version, part.shadow.tolist(), list(part.keys)) == ("2", [0.75], [("0-0", "0")])
    assert part.champion.tolist() == [lines[0]["fraud_probability"]]


def test_features_are_read_as_they_were_sent(
    tmp_path: Path, lines: list[dict[str, object]]
) -> None:
    sent = [
        {"V1": 1, "shop": "a", "chip": True, "limit": "$1,200.50"},
        {"V1": 2.5, "shop": "opened yesterday", "chip": "no", "limit": None},
        {"V1": 3, "shop": None, "chip": None},
        {"V1": "text", "shop": "b", "chip": "perhaps", "limit": "many"},
        {"V1": 4, "shop": ["a"], "chip": False, "limit": 7},
        # A value that every transaction has.
        {"shop": "a", "chip": True, "limit": 7},
    ]
    path = write_lines(
        tmp_path / "audit.jsonl",
        [{**line, "features": row} for line, row in zip(lines, sent, strict=False)],
    )
    features = [
        Feature("V1"),
        Feature("shop", "category", "string", missing=True, vocabulary=("a", "b")),
        Feature("chip", "boolean", "boolean", missing=True),
        Feature("limit", "number", "string", missing=True, format="."),
    ]
    traffic = AuditTraffic(path, "fraud-detector", "1", features)
    (batch,) = traffic.batches(())
    unknown = 0
    np.testing.assert_array_equal(
        batch.scored.values,
        [
            [1, 1, 1, 1200.5],
            [2.5, unknown, 0, np.nan],
            [3, np.nan, np.nan, np.nan],
            [np.nan, 2, np.nan, np.nan],
            [4, unknown, 0, 7],
        ],
    )
    assert (traffic.tally.lines, traffic.tally.unreadable) == (6, 1)


def test_no_log_and_another_file_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no such audit log"):
        read(tmp_path / "audit.jsonl")
    (tmp_path / "notes.txt").write_text("one\ntwo\n")
    with pytest.raises(DataError, match="none of its 2 lines is an audit line"):
        read(tmp_path / "notes.txt")


def test_a_table_is_scored_and_incomplete_rows_are_not(exported: Path, tmp_path: Path) -> None:
    table = TABLE.drop(columns="Class").assign(id=[f"{i:04}" for i in range(60)])
    table.loc[3, "V5"] = np.nan
    table.sample(frac=1, random_state=0).to_csv(tmp_path / "traffic.csv", index=False)
    traffic = opened(tmp_path / "traffic.csv", exported)
    assert traffic.key_columns == ("id", "row")
    (batch,) = traffic.batches(("id",))
    assert [key for (key,) in batch.scored.keys] == table["id"].tolist()
    assert np.isnan(batch.scored.probability).nonzero()[0].tolist() == [3]
    model = mlflow.pyfunc.load_model(str(exported))
    expected = model.predict(table.drop(index=3).drop(columns="id"))["fraud_probability"]
    assert np.delete(batch.scored.probability, 3) == pytest.approx(expected.to_numpy())


def test_a_table_that_lacks_a_feature_is_refused(exported: Path, tmp_path: Path) -> None:
    TABLE.drop(columns="V9").to_csv(tmp_path / "traffic.csv", index=False)
    with pytest.raises(DataError, match="missing columns 'V9'"):
        opened(tmp_path / "traffic.csv", exported)


@pytest.mark.parametrize("text", ["", "0d", "1w", "-3", "1.5h", "d"])
def test_a_window_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(ParameterError, match="window="):
        Span.parse(text)


def test_windows_add_up_to_the_traffic(
    tmp_path: Path, lines: list[dict[str, object]], exported: Path
) -> None:
    later = [{**line, "time": f"2026-11-03T0{i % 9}:00:00Z"} for i, line in enumerate(lines)]
    path = write_lines(tmp_path / "audit.jsonl", [*lines, refused_line(2), *later])
    profile = ModelDirectory(exported, "version 1").required_profile()
    traffic = AuditTraffic(path, "fraud-detector", "1", described(profile))
    counted = Windows(profile, Span.parse("1d"), has_time=True)
    for batch in traffic.batches(()):
        counted.add(batch)
    first, second = (window for _, window in sorted(counted.by_number.items()))
    assert (first.rows, second.rows, second.refused) == (60, 60, 1)
    assert second.refused_share == pytest.approx(1 / 61)
    assert first.mean_amount == pytest.approx(TABLE["Amount"].mean())
    counts = first.feature_counts(profile)["V4"]
    assert (
        counts.tolist()
        == profile.features["V4"].distribution.count(TABLE["V4"].to_numpy()).tolist()
    )


def test_too_many_windows_are_refused(
    tmp_path: Path,
    lines: list[dict[str, object]],
    exported: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(windows, "MOST_WINDOWS", 5)
    profile = ModelDirectory(exported, "version 1").required_profile()
    path = write_lines(tmp_path / "audit.jsonl", lines)
    traffic = AuditTraffic(path, "fraud-detector", "1", described(profile))
    counted = Windows(profile, Span.parse("10"), has_time=True)
    (batch,) = traffic.batches(())
    with pytest.raises(ParameterError, match=r"more than 5 windows.*longer ones"):
        counted.add(batch)


def test_labels_by_number_find_the_rows_of_a_table(exported: Path, tmp_path: Path) -> None:
    pd.DataFrame(TABLE).to_parquet(tmp_path / "traffic.parquet")
    traffic = opened(tmp_path / "traffic.parquet", exported)
    (batch,) = traffic.batches(("row",))
    assert [key for (key,) in batch.scored.keys] == [str(i) for i in range(60)]
