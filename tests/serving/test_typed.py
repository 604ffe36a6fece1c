"""Around typed rows: metrics, the audit log, the API document, the shadow and large requests."""

from __future__ import annotations

import asyncio
import io
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pytest

from fraud_model.model.directory import ModelDirectory
from fraud_model.serving import any_json, openapi
from fraud_model.serving.app import build
from fraud_model.serving.audit import AuditLog
from fraud_model.serving.invocations import SHORT_BYTES
from fraud_model.serving.large import frames as large_frames
from fraud_model.serving.loading import load_served
from fraud_model.serving.model import FLAG, PROBABILITY, ScoredRows, ServedModel
from fraud_model.serving.origin import resolve
from fraud_model.serving.scoring import Scoring
from fraud_model.serving.settings import Settings
from fraud_model.serving.shadow import frames
from fraud_model.serving.shadow.process import ShadowScorer, load
from tests.support.asgi import call
from tests.support.environment import REPOSITORY
from tests.support.typed_table import typed_table

Record = dict[str, Any]


@pytest.fixture(scope="module")
def served(typed_exported: Path) -> ServedModel:
    return load_served(resolve(str(typed_exported)))


@pytest.fixture(scope="module")
def row(typed_exported: Path) -> Record:
    """A known row without gaps."""
    records = ModelDirectory(typed_exported).required_known_rows().records
    return {**records[0], "home": "DE", "device_age": 12.5, "merchant": "merchant 1"}


def body_of(*rows: Record) -> bytes:
    return json.dumps({"dataframe_records": rows}).encode()


def counts(served: ServedModel, *bodies: bytes) -> dict[str, float]:
    """What a new server's metrics say of values after these requests."""

    async def ask() -> bytes:
        app = build(served, Settings())
        for body in bodies:
            assert (await call(app, body))[0] == 200
            await asyncio.sleep(0)
        return (await call(app, path="/metrics"))[1]

    lines = asyncio.run(ask()).decode().splitlines()
    found = [re.fullmatch(r'(fraud_values_\w+_total\{feature=".+"\}) (.+)', each) for each in lines]
    return {hit[1]: float(hit[2]) for hit in found if hit}


@pytest.mark.parametrize(
    ("extra", "padding"),
    [
        pytest.param({}, 0, id="fast"),
        pytest.param({"not_a_feature": 1}, 0, id="by-mlflow"),
        pytest.param({}, SHORT_BYTES, id="large", marks=pytest.mark.slow),
    ],
)
def test_missing_and_unseen_values_are_counted_by_feature(
    served: ServedModel,
    row: Record,
    extra: Record,
    padding: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # For the process that answers what is large.
    monkeypatch.setenv("PYTHONPATH", str(REPOSITORY))
    known, odd = row | extra, {**row, "home": None, "merchant": "Secret shop", "mcc": 1234} | extra
    other = {**odd, "device_age": None}
    found = counts(served, body_of(known), body_of(odd, other) + b" " * padding)
    assert {name: count for name, count in found.items() if count} == {
        'fraud_values_missing_total{feature="home"}': 2.0,
        'fraud_values_missing_total{feature="device_age"}': 1.0,
        'fraud_values_unseen_total{feature="merchant"}': 2.0,
        'fraud_values_unseen_total{feature="mcc"}': 2.0,
    }
    assert not any("Secret" in name for name in found)


def test_a_table_of_complete_numbers_has_no_such_metrics(exported: Path) -> None:
    served = load_served(resolve(str(exported)))
    assert served.route == "fast"
    known = ModelDirectory(exported).required_known_rows().records
    assert counts(served, body_of(*known)) == {}


@pytest.mark.parametrize("extra", [{}, {"not_a_feature": 1}], ids=["fast", "by-mlflow"])
def test_the_audit_log_holds_the_features_as_they_were_sent(
    served: ServedModel, row: Record, tmp_path: Path, extra: Record
) -> None:
    log = tmp_path / "audit.jsonl"
    scoring = Scoring(served, Settings(), AuditLog(log, 10**9, served.origin))
    sent = {**row, "home": None, "device_age": None, "merchant": "never seen"}
    body = body_of(sent | extra)
    reply = scoring.score_plain(body, "application/json", "1") or scoring.score(
        body, "application/json", "1"
    )
    assert reply.status == 200
    (line,) = map(json.loads, log.read_text().splitlines())
    written = line["features"]
    assert written["paid_at"].startswith(sent["paid_at"][:19])
    assert {**written, "paid_at": ""} == {**sent, "paid_at": ""}
    # It can be sent again, and has the same score.
    again = scoring.score_plain(body_of(written), "application/json", "2")
    assert again is not None
    assert json.loads(again.body) == json.loads(reply.body)


@pytest.mark.parametrize("extra", [{}, {"not_a_feature": 1}], ids=["plain", "by-mlflow"])
def test_half_a_surrogate_pair_is_refused_by_name(
    served: ServedModel, row: Record, tmp_path: Path, extra: Record
) -> None:
    log = tmp_path / "audit.jsonl"
    scoring = Scoring(served, Settings(), AuditLog(log, 10**9, served.origin))
    body = body_of(row, {**row, "merchant": "\ud800", **extra})
    assert scoring.score_plain(body, "application/json", "1") is None
    reply = scoring.score(body, "application/json", "1")
    assert reply.status == 400
    assert b"row 2, column 'merchant' is text with half a surrogate pair" in reply.body


def test_what_json_cannot_hold_as_it_is_is_logged_and_sent_on_as_something_near(
    served: ServedModel, row: Record, tmp_path: Path
) -> None:
    log = tmp_path / "audit.jsonl"
    scoring = Scoring(served, Settings(), AuditLog(log, 10**9, served.origin))
    # Beside a number MLflow takes half a surrogate pair.
    odd = [10**20, "\ud800", -(10**400)]
    body = body_of(*({**row, "merchant": value, "not_a_feature": 1} for value in odd))
    reply = scoring.score(body, "application/json", "1")
    assert reply.status == 200
    assert reply.rows is not None
    written = [orjson.loads(line)["features"] for line in log.read_bytes().splitlines()]
    assert [each["merchant"] for each in written] == [1e20, "\ufffd", str(-(10**400))]
    assert written[0] == {**row, "merchant": 1e20, "paid_at": written[0]["paid_at"]}
    assert large_frames.pack_answer(reply, with_values=True)
    frame = frames.read(io.BytesIO(frames.pack([("1", reply.rows)])), len(served.features))
    assert frame is not None
    assert frame.values[:, served.features.index("merchant")].tolist()[:2] == [1e20, "\ufffd"]


def test_what_is_nested_too_deeply_is_left_out() -> None:
    deep: Any = 1
    for _ in range(1_000):
        deep = [deep]
    assert orjson.loads(any_json.dumps({"a": deep, "b": 2.5}))["b"] == 2.5


def test_the_document_has_the_types_gaps_and_values(served: ServedModel) -> None:
    described = openapi.document(served, Settings())
    transaction = described["components"]["schemas"]["Transaction"]
    columns = transaction["properties"]
    assert columns["paid_at"] == {"type": "string", "format": "date-time"}
    assert columns["recurring"] == {"type": "boolean"}
    low, high = columns["device_age"].pop("x-usual-range")
    ages = typed_table()["device_age"]
    assert ages.between(low, high).sum() == pytest.approx(0.98 * ages.count(), rel=0.01)
    assert columns["device_age"] == {"type": ["number", "null"], "format": "double"}
    assert columns["home"]["type"] == ["string", "null"]
    assert "merchant 1" in columns["merchant"]["examples"]
    assert 5411.0 in columns["mcc"]["examples"]
    assert columns["verified"]["examples"] == ["yes", "no"]
    assert not {"home", "device_age"} & set(transaction["required"])
    assert "enum" not in json.dumps(columns)


def scored(served: ServedModel, *rows: Record) -> ScoredRows:
    reply = Scoring(served, Settings(), None).score_plain(body_of(*rows), "application/json", "1")
    assert reply is not None
    assert reply.rows is not None
    return reply.rows


def test_typed_rows_get_to_the_shadow_and_through_the_large_lane(
    served: ServedModel, typed_exported: Path, row: Record
) -> None:
    rows = scored(served, row, {**row, "home": None})
    shadow = load(str(typed_exported), served.features)
    frame = frames.read(io.BytesIO(frames.pack([("a", rows), ("b", rows)])), len(served.features))
    assert frame is not None
    lines = ShadowScorer(shadow, served.features, "1").lines(frame).splitlines()
    found = [json.loads(line) for line in lines]
    assert len(found) == 4
    for line in found:
        assert line["fraud_probability"] == line["champion_probability"]

    reply = Scoring(served, Settings(), None).score(body_of(row), "application/json", "1")
    assert reply.rows is not None
    for with_values, values in ((True, [[*row.values()]]), (False, [[]])):
        packed = large_frames.pack_answer(reply, with_values=with_values)
        (length,) = large_frames.LENGTH.unpack(packed[:4])
        header, content = json.loads(packed[4 : 4 + length]), packed[4 + length :]
        unpacked = large_frames.unpack_answer(header, content, served.features)
        assert unpacked.rows is not None
        assert unpacked.rows.values.tolist() == values
        for name in (PROBABILITY, FLAG):
            assert unpacked.rows.columns[name].tolist() == reply.rows.columns[name].tolist()


def test_rows_that_the_shadow_refuses_are_dropped_and_the_others_scored(
    served: ServedModel, typed_exported: Path, row: Record
) -> None:
    fine = scored(served, row)
    values = fine.values.copy()
    # A champion that accepts a gap where the shadow does not.
    values[0, served.features.index("merchant")] = None
    gap = ScoredRows(fine.features, values, fine.columns)
    shadow = load(str(typed_exported), served.features)
    frame = frames.read(io.BytesIO(frames.pack([("a", gap), ("b", fine)])), len(served.features))
    assert frame is not None
    refused, answered = ShadowScorer(shadow, served.features, "1").lines(frame).splitlines(True)
    assert refused == frames.DROPPED
    assert json.loads(answered)["request_id"] == "b"


def test_a_champion_of_numbers_and_a_typed_shadow_with_its_columns(
    exported: Path, row: Record, typed_exported: Path
) -> None:
    numbers = load_served(resolve(str(exported)))
    typed = load_served(resolve(str(typed_exported)))
    assert numbers.is_comparable
    assert typed.is_comparable
    known = ModelDirectory(exported).required_known_rows()
    # A typed champion sends what the shadow of numbers needs among its other columns.
    names = (*typed.features, *numbers.features)
    values = np.array(
        [[*row.values(), *numbers_of] for numbers_of in known.rows.to_numpy().tolist()],
        dtype=object,
    )
    columns = {"fraud_probability": known.probability, "is_fraud": known.probability > 1}
    packed = frames.pack([("a", ScoredRows(names, values, columns))])
    frame = frames.read(io.BytesIO(packed), len(names))
    assert frame is not None
    lines = ShadowScorer(load(str(exported), names), names, "1").lines(frame).splitlines()
    found = [json.loads(line)["fraud_probability"] for line in lines]
    assert found == known.probability.tolist()


@pytest.mark.parametrize("name", ["paid_at", "amount", "limit", "verified", "born"])
def test_what_is_refused_is_named_and_not_echoed(
    served: ServedModel, row: Record, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    scoring = Scoring(served, Settings(), None)
    for value in ("q4111secret", ["q4111secret"], {"q4111secret": 1}):
        reply = scoring.score(body_of(row, {**row, name: value}), "application/json", "1")
        assert reply.status == 400
        assert name in json.loads(reply.body)["message"]
        assert "q4111" not in reply.body.decode() + caplog.text
