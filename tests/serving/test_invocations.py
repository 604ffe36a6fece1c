"""What a client of `/invocations` meets: clear refusals, limits, ids, the token and CORS."""

from __future__ import annotations

import json
import re
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import mlflow.pyfunc
import pandas as pd
import pytest
import requests

from fraud_model.model.directory import ModelDirectory
from tests.support.server import Server, serving
from tests.support.waiting import wait_until


@pytest.fixture(scope="module")
def row(exported: Path) -> dict[str, float]:
    known = ModelDirectory(exported).required_known_rows().rows
    return {str(name): float(value) for name, value in known.iloc[0].items()}


@pytest.fixture(scope="module")
def limited(exported: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serving(
        tmp_path_factory.mktemp("limited"),
        "--model-uri",
        str(exported),
        MAX_ROWS="5",
        MAX_BYTES="20000",
        MAX_IN_FLIGHT="2",
        API_TOKEN="secret-token",
        ALLOWED_ORIGINS="https://pages.example",
    ) as running:
        yield running


TOKEN = {"Authorization": "Bearer secret-token"}


def test_an_answer_has_probability_decision_and_risk(
    server: Server, exported: Path, row: dict[str, float]
) -> None:
    known = ModelDirectory(exported).required_known_rows()
    rows, recorded = known.rows, known.probability
    answer = server.post({"dataframe_records": rows.to_dict("records")}).json()["predictions"]
    assert [p["fraud_probability"] for p in answer] == list(recorded)
    for prediction in answer:
        assert set(prediction) == {"fraud_probability", "is_fraud", "risk_level"}


def test_params_reach_the_model(server: Server, row: dict[str, float]) -> None:
    payload: dict[str, Any] = {"dataframe_records": [row], "params": {"threshold": 0.0}}
    assert server.post(payload).json()["predictions"][0]["is_fraud"] is True
    payload["params"] = {"explain": 3}
    assert len(server.post(payload).json()["predictions"][0]["reasons"]) == 3


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("4111-secret", "row 2, column 'V3' is text"),
        (None, "row 2, column 'V3' is"),
        ([4111], "row 2, column 'V3' is a list"),
        (float("nan"), "row 2, column 'V3' is"),
        (float("inf"), "row 2, column 'V3' is infinite"),
        (10**400, "row 2, column 'V3' is a number too large"),
    ],
)
@pytest.mark.parametrize("form", ["dataframe_records", "dataframe_split", "inputs"])
def test_a_bad_value_is_named_by_row_column_and_type_and_never_echoed(
    server: Server, row: dict[str, float], value: object, said: str, form: str
) -> None:
    bad = {**row, "V3": value, "V1": 0.123454321}
    rows: list[dict[str, Any]] = [row, bad]
    content: Any = rows
    if form == "dataframe_split":
        content = {"columns": list(row), "data": [list(some.values()) for some in rows]}
    answer = requests.post(
        f"{server.url}/invocations",
        data=json.dumps({form: content}),
        headers={"Content-Type": "application/json"},
        timeout=60,
    )
    assert answer.status_code == 400
    assert said in answer.json()["message"]
    assert "0.123454321" not in answer.text
    assert "4111" not in answer.text
    assert "Traceback" not in answer.text
    assert "stack_trace" not in answer.text


def test_missing_columns_are_named(server: Server, row: dict[str, float]) -> None:
    incomplete = {name: value for name, value in row.items() if name != "V3"}
    answer = server.post({"dataframe_records": [incomplete]})
    assert answer.status_code == 400
    assert "'V3' missing" in answer.json()["message"]


@pytest.mark.parametrize(
    ("body", "content_type", "said"),
    [
        ('{"dataframe_records": [', "application/json", "line 1, column 24"),
        ("[1]", "application/json", "The body is a list"),
        ('{"rows": []}', "application/json", "none of dataframe_records"),
        ('{"dataframe_records": []}', "application/json", "has no rows"),
        ("[" * 9_000, "application/json", "nested too deeply"),
        ("a,b\n1,2\n", "text/csv", "missing; the model needs"),
        ("x", "application/vnd.apache.parquet", "cannot be read as"),
    ],
)
def test_what_is_wrong_with_a_body_is_said(
    server: Server, body: str, content_type: str, said: str
) -> None:
    answer = requests.post(
        f"{server.url}/invocations", data=body, headers={"Content-Type": content_type}, timeout=60
    )
    assert answer.status_code == 400
    assert said in answer.json()["message"]


def test_a_bad_number_in_csv_is_named(server: Server, row: dict[str, float]) -> None:
    table = pd.DataFrame([row, row]).astype(object)
    table.loc[1, "V7"] = "4111-secret"
    answer = requests.post(
        f"{server.url}/invocations",
        data=table.to_csv(index=False),
        headers={"Content-Type": "text/csv"},
        timeout=60,
    )
    assert answer.status_code == 400
    assert "row 2, column 'V7'" in answer.json()["message"]
    assert "4111" not in answer.text


def test_other_content_types_and_charsets_are_refused(server: Server) -> None:
    for content_type in ("text/plain", "application/json; charset=latin-1"):
        answer = requests.post(
            f"{server.url}/invocations",
            data="{}",
            headers={"Content-Type": content_type},
            timeout=60,
        )
        assert answer.status_code == 415
        assert "UTF-8" in answer.json()["message"]


def test_other_methods_are_refused(server: Server) -> None:
    assert server.get("/invocations").status_code == 405
    assert requests.post(f"{server.url}/health", timeout=60).status_code == 405
    assert server.get("/nowhere").status_code == 404


def test_a_request_id_is_taken_or_made(server: Server, row: dict[str, float]) -> None:
    payload = {"dataframe_records": [row]}
    given = server.post(payload, headers={"X-Request-ID": "order-17"})
    assert given.headers["X-Request-ID"] == "order-17"
    made = {server.post(payload).headers["X-Request-ID"] for _ in range(3)}
    assert len(made) == 3
    odd = server.post(payload, headers={"X-Request-ID": "x" * 500})
    assert re.fullmatch(r"[0-9a-f]{32}", odd.headers["X-Request-ID"])
    assert server.get("/health").headers["X-Request-ID"]


def test_too_many_rows_are_refused_in_every_format(limited: Server, row: dict[str, float]) -> None:
    table = pd.DataFrame([row] * 6)
    for payload in (
        {"dataframe_records": table.to_dict("records")},
        {"inputs": table.to_dict("list")},
        {"dataframe_records": table.to_dict("records"), "params": {"explain": 1}},
    ):
        answer = limited.post(payload, headers=TOKEN)
        assert answer.status_code == 413
        assert "at most 5 rows" in answer.json()["message"]
    answer = requests.post(
        f"{limited.url}/invocations",
        data=table.to_csv(index=False),
        headers={"Content-Type": "text/csv", **TOKEN},
        timeout=60,
    )
    assert answer.status_code == 413
    assert limited.post({"dataframe_records": [row] * 5}, headers=TOKEN).ok


def test_too_many_bytes_are_refused_announced_or_not(limited: Server) -> None:
    body = b" " * 30_000

    def chunks() -> Iterator[bytes]:
        for _ in range(30):
            yield b" " * 1_000

    for data in (body, chunks()):
        answer = requests.post(
            f"{limited.url}/invocations",
            data=data,
            headers={"Content-Type": "application/json", **TOKEN},
            timeout=60,
        )
        assert answer.status_code == 413
        assert "20,000 bytes" in answer.json()["message"]


def unfinished(server: Server) -> socket.socket:
    """A connection that announces a body and does not send it."""
    connection = socket.create_connection(("127.0.0.1", int(server.url.rpartition(":")[2])))
    connection.sendall(
        b"POST /invocations HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n"
        b"Content-Type: application/json\r\nAuthorization: Bearer secret-token\r\n\r\n{"
    )
    return connection


def test_more_requests_than_allowed_are_sent_away(limited: Server, row: dict[str, float]) -> None:
    def in_flight(count: int) -> bool:
        text = limited.get("/metrics", headers=TOKEN).text
        return f"fraud_requests_in_flight {count}.0" in text

    with unfinished(limited), unfinished(limited):
        wait_until(lambda: in_flight(2), what="both requests are in flight")
        answer = limited.post({"dataframe_records": [row]}, headers=TOKEN)
        assert answer.status_code == 429
        assert int(answer.headers["Retry-After"]) >= 1
        assert limited.get("/health").ok
    wait_until(lambda: in_flight(0), what="the requests are over")
    assert limited.post({"dataframe_records": [row]}, headers=TOKEN).ok


def test_the_token_guards_what_scores_or_tells(limited: Server, row: dict[str, float]) -> None:
    for path in ("/ping", "/health", "/", "/docs", "/redoc", "/openapi.json"):
        assert limited.get(path).ok
    for path in ("/metrics", "/version", "/invocations"):
        refused = limited.get(path)
        assert refused.status_code == 401, path
        assert refused.headers["WWW-Authenticate"] == "Bearer"
        assert limited.get(path, headers={"Authorization": "Bearer wrong"}).status_code == 401
        assert limited.get(path, headers=TOKEN).status_code in {200, 405}
    assert limited.post({"dataframe_records": [row]}).status_code == 401
    assert limited.post({"dataframe_records": [row]}, headers=TOKEN).ok


def test_other_origins_are_let_in_by_name_only(limited: Server, server: Server) -> None:
    asked = {
        "Origin": "https://pages.example",
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "authorization, content-type",
    }

    def allowed(to: Server, origin: str) -> str | None:
        answer = requests.options(
            f"{to.url}/invocations", headers={**asked, "Origin": origin}, timeout=60
        )
        return answer.headers.get("Access-Control-Allow-Origin")

    assert allowed(limited, "https://pages.example") == "https://pages.example"
    assert allowed(limited, "https://other.example") is None
    assert allowed(server, "https://pages.example") is None


# Scores a row once the file named in it is there, so that a test decides how long scoring takes.
HELD_MODEL = """
import time
from pathlib import Path

import mlflow


class Held(mlflow.pyfunc.PythonModel):
    def predict(self, context, model_input, params=None):
        for file in model_input["file"]:
            while not Path(file).exists():
                time.sleep(0.01)
        return list(range(len(model_input)))


mlflow.models.set_model(Held())
"""


@pytest.mark.slow
def test_what_takes_too_long_is_given_up_and_the_server_goes_on(tmp_path: Path) -> None:
    code, model, there = tmp_path / "held.py", tmp_path / "model", tmp_path / "there"
    code.write_text(HELD_MODEL)
    there.touch()
    mlflow.pyfunc.save_model(str(model), python_model=str(code), pip_requirements=[])
    held = {"dataframe_records": [{"file": str(tmp_path / "missing")}]}
    with serving(tmp_path, "--model-uri", str(model), REQUEST_TIMEOUT="1") as running:
        answer = running.post(held)
        assert answer.status_code == 504
        assert answer.json()["error_code"] == "TIMEOUT"
        assert 'errors_total{kind="timeout"} 1' in running.get("/metrics").text
        with unfinished(running) as connection:
            connection.settimeout(120)
            assert b" 408 " in connection.recv(4096)
        # On a busy machine some may take longer than is allowed here.
        wait_until(
            lambda: running.post({"dataframe_records": [{"file": str(there)}]}).ok,
            what="a quick request is answered",
        )
        (tmp_path / "missing").touch()
        assert running.stop() == 0
