"""The shim accepts and refuses what MLflow's plain server does, and predicts the same bits."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import requests
from hypothesis import given
from hypothesis import strategies as st

from fraud_model.model.directory import ModelDirectory
from tests.support import generated
from tests.support.server import Server, plain_serving

JSON = "application/json"


# Each asks MLflow's plain server as well.
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def plain(exported: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with plain_serving(tmp_path_factory.mktemp("plain"), exported) as running:
        yield running


@pytest.fixture(scope="module")
def rows(exported: Path) -> pd.DataFrame:
    return ModelDirectory(exported).required_known_rows().rows


def ask(server: Server, body: bytes, content_type: str) -> tuple[int, Any]:
    """Status, and the answer where it is a prediction."""
    answer = requests.post(
        f"{server.url}/invocations",
        data=body,
        headers={"Content-Type": content_type} if content_type else {},
        timeout=60,
    )
    return answer.status_code, answer.json() if answer.ok else None


def assert_alike(
    server: Server, plain: Server, body: bytes, content_type: str = JSON
) -> tuple[int, Any]:
    """Both accept or both refuse, and what they predict is equal; returns status class and answer.

    The plain server refuses some payloads with 500; ours never does.
    """
    status, answer = ask(server, body, content_type)
    expected, expected_answer = ask(plain, body, content_type)
    assert status < 500
    assert (status // 100 == 2) == (expected // 100 == 2), body[:2000]
    assert answer == expected_answer, body[:2000]
    return status // 100, answer


# Keys that MLflow takes for a request to a chat model. Ours refuses all of them; see docs/serve.md.
CHAT = ("input", "messages", "prompt")

ODD_VALUES: list[Any] = [
    None, True, False, "1.5", " 2 ", "", "nan", "text", "1_000", "0x10", "1e5", "-0", "1e400",
    "Infinity", "+1", "1.", "1\n", "٣", [], [1.0], ["1"], [None], [1, 2], [[]], {}, {"a": 1},
    math.nan, math.inf, -math.inf, 10**30, 2**53 + 1, 2**63, 2**64, -(2**64), 10**400, 1e308,
    5e-324, -0.0, "\ud83d\ude00", "²", "\ud800", "1\udfff",
]  # fmt: skip


def odd_row(row: dict[str, Any], draw: st.DrawFn) -> dict[str, Any]:
    """A row with something odd about it, or nothing."""
    row = dict(row)
    feature = draw(st.sampled_from(list(row)))
    match draw(st.integers(0, 7)):
        case 7:
            row = {name: str(value) for name, value in row.items()}
        case 0:
            row[feature] = draw(st.sampled_from(ODD_VALUES))
        case 1:
            del row[feature]
        case 2:
            row[draw(st.sampled_from(["extra", "", feature + " ", feature.lower(), "\ud800"]))] = (
                1.0
            )
        case 3:
            row = dict(reversed(row.items()))
        case 4:
            row[feature] = draw(st.integers(-(2**70), 2**70))
        case 5:
            finite = {n: v for n, v in row.items() if isinstance(v, float) and math.isfinite(v)}
            row |= {name: round(value) for name, value in finite.items()}
        case _:
            row[feature] = draw(st.floats(allow_nan=False, allow_infinity=False))
    return row


@st.composite
def payloads(draw: st.DrawFn, records: list[dict[str, Any]]) -> bytes:
    """JSON bodies around real rows: most have one thing wrong, and some nothing."""
    chosen = draw(st.lists(st.sampled_from(records), min_size=1, max_size=4))
    for _ in range(draw(st.integers(0, 2))):
        place = draw(st.integers(0, len(chosen) - 1))
        chosen[place] = odd_row(chosen[place], draw)
    if draw(st.integers(0, 5)) == 0:
        # The same in each row, so that the column holds nothing else.
        value, feature = draw(st.sampled_from(ODD_VALUES)), draw(st.sampled_from(list(records[0])))
        chosen = [{**row, feature: value} for row in chosen]
    content: Any
    key = draw(st.sampled_from(["dataframe_records", "dataframe_split", "inputs", "instances"]))
    if key == "dataframe_split":
        content = {
            "index": list(range(len(chosen))),
            "columns": list(chosen[0]),
            "data": [list(row.values()) for row in chosen],
        }
        match draw(st.integers(0, 5)):
            case 0:
                del content["index"]
            case 1:
                content["columns"] = content["columns"][::-1]
            case 2:
                content["data"] = [row[:-1] for row in content["data"]]
            case 3:
                del content["columns"], content["index"]
            case _:
                pass
    elif key != "dataframe_records" and draw(st.booleans()):
        content = {name: [row.get(name) for row in chosen] for name in chosen[0]}
        match draw(st.integers(0, 5)):
            case 0 | 1 | 2:
                content = {name: values[0] for name, values in content.items()}
            case 3:
                content[draw(st.sampled_from([*content, "extra"]))] = draw(
                    st.sampled_from(ODD_VALUES)
                )
            case _:
                pass
    elif key in ("inputs", "instances") and draw(st.integers(0, 5)) == 0:
        content = [list(row.values()) for row in chosen]
    else:
        content = chosen
    payload: dict[str, Any] = {key: content}
    match draw(st.integers(0, 11)):
        case 0:
            payload["params"] = draw(
                st.sampled_from(
                    [{}, {"threshold": 0.5}, {"threshold": "x"}, {"threshold": 2}, {"explain": 3},
                     {"explain": -1}, {"explain": 1.5}, {"unknown": 1}, None, [], "x", 5]
                )
            )  # fmt: skip
        case 1:
            payload[draw(st.sampled_from(["more", "inputs"]))] = 1
        case 2:
            payload[key] = draw(st.sampled_from([None, [], {}, "text", 1, [[]], [1, 2], [None]]))
        case 3:
            chat = draw(st.sampled_from(CHAT))
            if isinstance(content, dict) and draw(st.booleans()):
                # MLflow takes the features from beside the key.
                payload = dict(content)
            payload[chat] = draw(st.sampled_from([1, "x", None, [], ["x"], {}, chosen]))
        case _:
            pass
    text = json.dumps(payload)
    if draw(st.integers(0, 19)) == 0:
        place = draw(st.integers(0, len(text)))
        text = text[:place] + draw(st.sampled_from(["", "}", "\x00", '"', "é", ","])) + text[place:]
        text = text[: draw(st.integers(place, len(text)))]
    return text.encode()


def chat_keys(body: bytes) -> list[str]:
    try:
        payload = json.loads(body)
    except ValueError:
        return []
    return [key for key in CHAT if isinstance(payload, dict) and key in payload]


def assert_refused_as_chat(server: Server, body: bytes, named: list[str]) -> None:
    answer = requests.post(
        f"{server.url}/invocations", data=body, headers={"Content-Type": JSON}, timeout=60
    )
    assert answer.status_code == 400, body[:2000]
    assert f"has {', '.join(named)}, which only chat models take" in answer.json()["message"]


def compare_generated(server: Server, plain: Server, rows: pd.DataFrame, examples: int) -> None:
    records = [{str(k): v for k, v in record.items()} for record in rows.to_dict("records")]
    seen = {2: 0, 4: 0}

    @generated.examples(examples)
    @given(payloads(records))
    def compare(body: bytes) -> None:
        named = chat_keys(body)
        if named:
            assert_refused_as_chat(server, body, named)
            return
        status, _ = assert_alike(server, plain, body)
        seen[status] += 1

    compare()
    assert min(seen.values()) > examples / 10


def test_some_hundred_generated_payloads(server: Server, plain: Server, rows: pd.DataFrame) -> None:
    compare_generated(server, plain, rows, 300)


@pytest.mark.long
def test_thousands_of_generated_payloads(server: Server, plain: Server, rows: pd.DataFrame) -> None:
    compare_generated(server, plain, rows, 4_000)


@pytest.mark.parametrize("key", ["inputs", "instances"])
@pytest.mark.parametrize("count", [1, 3])
def test_numbers_as_text_and_columns_are_scored(
    server: Server, plain: Server, rows: pd.DataFrame, key: str, count: int
) -> None:
    some = rows.head(count)
    as_text = some.map(str)
    one_as_text = some.assign(**{str(rows.columns[0]): as_text[rows.columns[0]]})
    for table in (some, as_text, one_as_text):
        columns = table.to_dict("list")
        for content in (columns, table.to_dict("records")):
            assert_alike(server, plain, json.dumps({key: content}).encode())
        spread = {**columns, str(rows.columns[1]): columns[rows.columns[1]][0]}
        assert_alike(server, plain, json.dumps({key: spread}).encode())
    status, answer = assert_alike(
        server, plain, json.dumps({key: as_text.to_dict("list")}).encode()
    )
    assert status == 2
    assert len(answer["predictions"]) == count


@pytest.mark.parametrize("key", CHAT)
def test_a_request_to_a_chat_model_is_refused_by_name(
    server: Server, plain: Server, rows: pd.DataFrame, key: str
) -> None:
    row = {str(name): value for name, value in rows.iloc[0].items()}
    # The plain server takes the features from beside the key, and answers none of this row.
    odd = json.dumps({key: "x", **row, str(rows.columns[0]): {}}).encode()
    assert ask(plain, odd, JSON) == (200, [])
    for payload in (
        {key: "x", **row},
        {key: {}, **row},
        {key: "x", **row, str(rows.columns[0]): {}},
        {"dataframe_records": [row], key: 1},
        {"inputs": [row], key: None},
        {key: [{"role": "user", "content": "x"}]},
    ):
        assert_refused_as_chat(server, json.dumps(payload).encode(), [key])


def test_every_format_is_accepted(server: Server, plain: Server, rows: pd.DataFrame) -> None:
    split = rows.to_dict(orient="split")
    del split["index"]
    for payload in (
        {"dataframe_records": rows.to_dict("records")},
        {"dataframe_split": split},
        {"dataframe_split": rows.to_dict(orient="split")},
        {"inputs": rows.to_dict("records")},
        {"inputs": rows.to_dict("list")},
    ):
        status, answer = assert_alike(server, plain, json.dumps(payload).encode())
        assert status == 2
        assert len(answer["predictions"]) == len(rows)
    assert assert_alike(server, plain, rows.to_csv(index=False).encode(), "text/csv")[0] == 2
    parquet = rows.to_parquet()
    assert assert_alike(server, plain, parquet, "application/vnd.apache.parquet")[0] == 2


@pytest.mark.parametrize(
    "content_type",
    ["", "text/plain", "application/json; charset=latin-1", "application/json; charset=UTF-8",
     "application/json;charset=utf-8", "application/json; odd=1", "application/jsonx",
     "APPLICATION/JSON", "text/csv; charset=utf-8", "multipart/form-data"],
)  # fmt: skip
def test_content_types(
    server: Server, plain: Server, rows: pd.DataFrame, content_type: str
) -> None:
    body = json.dumps({"dataframe_records": rows.head(1).to_dict("records")}).encode()
    assert_alike(server, plain, body, content_type)


@pytest.mark.parametrize(
    "body",
    [b"", b"null", b"[]", b"1", b'"x"', b"{}", b"\xff\xfe", b"\xef\xbb\xbf{}", b"NaN",
     b'{"dataframe_records": ' + b"[" * 100_000, b"[" * 100_000 + b"]" * 100_000,
     b'{"dataframe_records": ' + b'{"a":' * 50_000 + b"1" + b"}" * 50_000 + b"}",
     b'{"inputs": 1' + b"0" * 5_000 + b"}"],
)  # fmt: skip
def test_broken_json(server: Server, plain: Server, body: bytes) -> None:
    assert assert_alike(server, plain, body)[0] == 4


@pytest.mark.parametrize(
    "csv", ["", "a,b\n1,2\n", "Time\n", '"', "\x00", "V1,V1\n1,2\n", "Time,V1\n1,2,3\n"]
)
def test_broken_csv(server: Server, plain: Server, csv: str) -> None:
    assert assert_alike(server, plain, csv.encode(), "text/csv")[0] == 4


def test_broken_parquet(server: Server, plain: Server, rows: pd.DataFrame) -> None:
    kind = "application/vnd.apache.parquet"
    whole = rows.to_parquet()
    assert assert_alike(server, plain, whole[: len(whole) // 2], kind)[0] == 4
    assert assert_alike(server, plain, b"PAR1", kind)[0] == 4
    assert assert_alike(server, plain, rows.astype(str).to_parquet(), kind)[0] == 4
    assert assert_alike(server, plain, rows.iloc[:, 1:].to_parquet(), kind)[0] == 4


@pytest.mark.parametrize("path", ["/invocations/", "/ping/", "/version/"])
def test_a_slash_at_the_end_is_redirected(server: Server, plain: Server, path: str) -> None:
    answers = [
        requests.request(
            "POST" if path == "/invocations/" else "GET",
            f"{each.url}{path}",
            data=b"{}",
            headers={"Content-Type": JSON},
            allow_redirects=False,
            timeout=60,
        )
        for each in (server, plain)
    ]
    ours, expected = answers
    assert ours.status_code == expected.status_code == 307
    assert ours.headers["Location"] == f"{server.url}{path[:-1]}"
    assert expected.headers["Location"] == f"{plain.url}{path[:-1]}"


@pytest.mark.parametrize("path", ["/docs", "/redoc", "/openapi.json", "/ping", "/version"])
def test_the_pages_of_the_plain_server_are_there(server: Server, plain: Server, path: str) -> None:
    ours, expected = server.get(path), plain.get(path)
    assert ours.status_code == expected.status_code == 200
    assert ours.headers["Content-Type"] == expected.headers["Content-Type"]


def test_rows_get_through_the_redirect(server: Server, rows: pd.DataFrame) -> None:
    payload = {"dataframe_records": rows.to_dict("records")}
    answer = requests.post(f"{server.url}/invocations/", json=payload, timeout=60)
    assert answer.json() == server.post(payload).json()
