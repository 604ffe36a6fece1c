"""The shim answers texts, dates, booleans and gaps as MLflow's plain server does, bit for bit."""

from __future__ import annotations

import asyncio
import io
import json
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from mlflow.pyfunc import scoring_server
from starlette.types import ASGIApp

from fraud_model.model.directory import ModelDirectory
from fraud_model.serving.audit import AuditLog
from fraud_model.serving.large import frames as large_frames
from fraud_model.serving.loading import load_served
from fraud_model.serving.model import ServedModel
from fraud_model.serving.origin import resolve
from fraud_model.serving.reply import Reply
from fraud_model.serving.scoring import Scoring
from fraud_model.serving.settings import Settings
from fraud_model.serving.shadow import frames as shadow_frames
from tests.support import generated
from tests.support.asgi import call
from tests.support.store import Store
from tests.support.typed_table import TIME, export_typed, typed_table

pytestmark = pytest.mark.slow

JSON, CSV = "application/json", "text/csv"
PARQUET = "application/vnd.apache.parquet"
FAST = 60

Record = dict[str, Any]

# Of each column's kind, what upstream systems send besides what training saw, and what is wrong.
ODD: Mapping[str, list[Any]] = {
    "paid_at": [
        "2024-02-03", "2024-02-03T04:05:06", "2024-02-03 04:05:06.5", "2024-02-03T04:05:06.123456",
        "2024-02-03T04:05:06.123456789", "2024-02-03T04:05:06Z", "2024-02-03T04:05:06+02:00",
        "2024-02-03T04:05", "20240203", "2024-2-3", "03/02/2024", "1500-01-01", "2262-12-31",
        "0001-01-01T00:00:00", "2024-02-30", " 2024-02-03", "2024-02-03 ", "now", "NaT", "",
        1_706_933_106, 1_706_933_106.5, True, None, "text", "2024-W05-1", "2024-02-03t04:05:06",
        "2024-02-03T24:00:00", "2024-02-03T04:05:60", "2024-02-03\ud800", [], {},
    ],
    "merchant": [
        "never seen", "Merchant 1", " merchant 1 ", "merchant 1\n", "", "NA", "null", "nan", "None",
        "é😀", "\ud800", "a\udfff", "a" * 300, 1, 10**20, 10**400, 1.5, True, None, [], {},
    ],
    "amount": ["1.5", " 2 ", "1e3", "", "text", True, None, -1, 10**30, 10**400, 1e308, []],
    "limit": [
        "$1,234.50", "1.234,50", "(12)", "-12", " 7 ", "12 EUR", "USD 12", "", "text", "nan", "inf",
        "Infinity", "1e400", "1_000", "٣", "\ud800", 12, 12.5, True, None, [], {},
    ],
    "home": ["XX", "\ud800", "", "NA", "DE ", "de", None, 5, 5.0, False, []],
    "mcc": [5411, 5411.0, 5411.5, "5411", "x", 1, -1, 10**20, True, None, 1e300],
    "recurring": [True, False, 0, 1, 1.0, 0.0, 2, "true", "false", "yes", "", None, "no", []],
    "verified": ["yes", "no", "Y", " YES ", "1", "true", "f", "maybe", "\ud800", "", "NA", True, 1,
                 None],
    "device_age": [None, 0, "1.5", "", "nan", "text", True, -5, []],
    "born": ["01/02/1990", "31/12/1999", "1990-02-01", "31/02/1990", "1/2/1990", "", None, 5, "NA",
             "01/01/0001", " 01/02/1990", "01/02/1990 00:00"],
}  # fmt: skip


@pytest.fixture(scope="module")
def served(typed_exported: Path) -> ServedModel:
    return load_served(resolve(str(typed_exported)))


@pytest.fixture(scope="module")
def records(typed_exported: Path) -> list[Record]:
    return ModelDirectory(typed_exported).required_known_rows().records


class Both:
    """Our scoring, with an audit log, and MLflow's application around the same version."""

    def __init__(self, served: ServedModel, folder: Path) -> None:
        audit = AuditLog(folder / "audit.jsonl", 10**9, served.origin)
        self.ours = Scoring(served, Settings(), audit)
        self.known = ModelDirectory(Path(served.origin.path)).required_known_rows()
        self.plain: ASGIApp = scoring_server.init(served.pyfunc)

    def answer(self, body: bytes, content_type: str = JSON) -> Reply:
        """Our answer, as a worker gives it."""
        plain = self.ours.score_plain(body, content_type, "1")
        reply = plain or self.ours.score(body, content_type, "1")
        # As the process for large requests and the worker send it on.
        assert large_frames.pack_answer(reply, with_values=True)
        if reply.rows is not None and reply.rows.has_probabilities:
            assert shadow_frames.pack([("1", reply.rows)])
        return reply

    def alike(self, body: bytes, content_type: str = JSON) -> tuple[bool, Any]:
        """Whether both take it, and the answer that they share.

        The plain server refuses some payloads with 500, or lets the exception through; ours never.
        """
        reply = self.answer(body, content_type)
        try:
            status, text = asyncio.run(call(self.plain, body, content_type=content_type))
        except Exception:
            status, text = 500, b""
        assert reply.status < 500, body[:2000]
        assert (reply.status == 200) == (status == 200), (body[:2000], reply.body, text[:900])
        if status != 200:
            return False, None
        assert json.loads(reply.body) == json.loads(text), body[:2000]
        return True, json.loads(text)


@pytest.fixture(scope="module")
def both(served: ServedModel, tmp_path_factory: pytest.TempPathFactory) -> Both:
    return Both(served, tmp_path_factory.mktemp("audit"))


@pytest.fixture(scope="module")
def text_dates(store: Store, tmp_path_factory: pytest.TempPathFactory) -> Both:
    """Around a version whose time is a text, so that MLflow reads its rows from CSV too."""
    table = typed_table(rows=3_000)
    table[TIME] = pd.to_datetime(table[TIME]).dt.strftime("%d/%m/%Y %H:%M:%S")
    folder = export_typed(table, "typed-text", tmp_path_factory.mktemp("text"))
    return Both(load_served(resolve(str(folder))), folder.parent)


def forms(rows: list[Record]) -> list[Any]:
    """The rows in every form of JSON."""
    columns = {name: [row.get(name) for row in rows] for name in rows[0]}
    data = [[row.get(name) for name in columns] for row in rows]
    return [
        {"dataframe_records": rows},
        {"dataframe_split": {"columns": [*columns], "data": data}},
        {"inputs": rows},
        {"inputs": columns},
        {"instances": rows},
        {"instances": columns},
    ]


def test_typed_rows_are_scored_on_the_fast_route(
    served: ServedModel, records: list[Record]
) -> None:
    assert served.route == "fast"
    assert served.scorer is not None
    assert served.scorer.encode_rows([[*row.values()] for row in records]) is not None


def test_every_format_answers_as_recorded(
    both: Both, records: list[Record], typed_exported: Path
) -> None:
    known = ModelDirectory(typed_exported).required_known_rows()
    bodies = [(json.dumps(payload).encode(), JSON) for payload in forms(records)]
    bodies.append((known.rows.to_parquet(), PARQUET))
    for body, content_type in bodies:
        taken, answer = both.alike(body, content_type)
        assert taken, body[:200]
        found = [prediction["fraud_probability"] for prediction in answer["predictions"]]
        assert found == known.probability.tolist()


def test_csv_with_dates_is_refused_as_mlflow_does(both: Both, records: list[Record]) -> None:
    body = pd.DataFrame(records).to_csv(index=False).encode()
    assert not both.alike(body, CSV)[0]
    assert b"MLflow reads no dates from CSV: send 'paid_at'" in both.answer(body, CSV).body


@pytest.mark.parametrize("name", ODD)
def test_odd_values_are_read_alike(both: Both, records: list[Record], name: str) -> None:
    for value in ODD[name]:
        odd = {**records[0], name: value}
        for payload in ({"dataframe_records": [odd]}, {"dataframe_records": [records[1], odd]}):
            both.alike(json.dumps(payload).encode())
        both.alike(json.dumps({"inputs": {key: [one] for key, one in odd.items()}}).encode())


@pytest.mark.parametrize("name", ODD)
def test_a_column_may_be_away_where_missing_is_allowed(
    both: Both, served: ServedModel, records: list[Record], name: str
) -> None:
    optional = {column.name for column in served.columns if not column.required}
    away = [{key: value for key, value in row.items() if key != name} for row in records[:2]]
    for rows in (away, [records[0], away[1]], [away[0], records[1]]):
        for payload in forms(rows):
            both.alike(json.dumps(payload).encode())
    taken, _ = both.alike(json.dumps({"dataframe_records": away}).encode())
    assert taken == (name in optional)


def test_a_gap_is_refused_by_name_where_training_saw_none(
    both: Both, records: list[Record]
) -> None:
    body = json.dumps({"dataframe_records": [{**records[0], "merchant": None}]}).encode()
    assert not both.alike(body)[0]
    assert b"row 1, column 'merchant' is missing" in both.answer(body).body


def test_an_unseen_category_scores_as_unknown_whatever_it_is(
    both: Both, records: list[Record]
) -> None:
    bodies = [
        json.dumps({"dataframe_records": [{**records[0], "merchant": value}]}).encode()
        for value in ("never seen", "nor this")
    ]
    (one, first), (other, second) = map(both.alike, bodies)
    assert one
    assert other
    assert first == second


@st.composite
def payloads(draw: st.DrawFn, records: list[Record]) -> bytes:
    """JSON bodies around known rows, most with something odd in some of the columns."""
    rows = [dict(row) for row in draw(st.lists(st.sampled_from(records), min_size=1, max_size=3))]
    for _ in range(draw(st.integers(0, 2))):
        name = draw(st.sampled_from([*ODD]))
        row = draw(st.sampled_from(rows))
        if draw(st.integers(0, 9)) == 0:
            row.pop(name, None)
        else:
            row[name] = draw(st.sampled_from(ODD[name]))
    if not rows[0]:
        return b"{}"
    return json.dumps(draw(st.sampled_from(forms(rows)))).encode()


def compare_generated(both: Both, records: list[Record], examples: int) -> None:
    taken = {True: 0, False: 0}

    @generated.examples(examples)
    @given(payloads(records))
    def compare(body: bytes) -> None:
        accepted, _ = both.alike(body)
        taken[accepted] += 1

    compare()
    assert min(taken.values()) > examples / 10


def test_generated_payloads(both: Both, records: list[Record]) -> None:
    compare_generated(both, records, FAST)


@pytest.mark.slow
@pytest.mark.long
def test_thousands_of_generated_payloads(both: Both, records: list[Record]) -> None:
    compare_generated(both, records, 2_000)


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("merchant", ["never seen", "NA"]),
        ("merchant", ["12", "13"]),
        ("home", ["", "DE"]),
        ("mcc", ["5411", "5812"]),
        ("recurring", ["True", "no"]),
        ("verified", ["yes", "N"]),
        ("device_age", ["", "3"]),
        ("limit", ["$12", "12"]),
        ("limit", ["12", "13"]),
        ("paid_at", ["03/02/2024 04:05:06", ""]),
        ("paid_at", ["2024-02-03", "2024-02-03"]),
        ("born", ["01/02/1990", ""]),
    ],
)
def test_csv_is_read_alike(text_dates: Both, name: str, values: list[str]) -> None:
    odd = text_dates.known.rows.head(2).assign(**{name: values})
    text_dates.alike(odd.to_csv(index=False).encode(), CSV)


def test_csv_answers_as_recorded(text_dates: Both) -> None:
    taken, answer = text_dates.alike(text_dates.known.rows.to_csv(index=False).encode(), CSV)
    assert taken
    found = [prediction["fraud_probability"] for prediction in answer["predictions"]]
    assert found == text_dates.known.probability.tolist()


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("paid_at", pd.to_datetime(["2024-02-03T04:05:06.5", "2024-02-04"], format="ISO8601")),
        ("paid_at", pd.to_datetime(["2024-02-03T04:05Z", "2024-02-04T05:05Z"])),
        ("paid_at", [datetime(2024, 2, 3, 4, 5, 6).date(), datetime(2024, 2, 4).date()]),
        ("paid_at", ["2024-02-03", "2024-02-04"]),
        ("recurring", [True, False]),
        ("recurring", [True, None]),
        ("mcc", np.array([5411, 5812])),
        ("home", pd.Categorical(["DE", None])),
        ("merchant", pd.Categorical(["merchant 1", "merchant 2"])),
        ("device_age", pd.array([1, None], dtype="Int64")),
        ("amount", np.array([1.5, 2.5], dtype=np.float32)),
        ("limit", np.array([12.5, 13.0])),
        ("born", ["01/02/1990", "31/12/1999"]),
    ],
)
def test_parquet_is_read_alike(both: Both, typed_exported: Path, name: str, values: Any) -> None:
    table = ModelDirectory(typed_exported).required_known_rows().rows.head(2)
    file = io.BytesIO()
    table.assign(**{name: values}).to_parquet(file)
    both.alike(file.getvalue(), PARQUET)
