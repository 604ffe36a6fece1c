"""Nothing of a refused body is in the answer or the log: not a value, not a name."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import requests

from fraud_model.model.directory import ModelDirectory
from tests.support.server import Server, serving

WORD = "q4111secret"
NUMBER = 4111222333
# A number may be written in another way than it came.
ECHO = re.compile(r"q4111|4111[,_.]?222")

JSON, CSV, PARQUET = "application/json", "text/csv", "application/vnd.apache.parquet"
# Longer than what the worker scores itself.
PADDING = 25_000

Sent = tuple[str, bytes]


@pytest.fixture(scope="module")
def watched(exported: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serving(
        tmp_path_factory.mktemp("watched"), "--model-uri", str(exported), MAX_ROWS="2000"
    ) as running:
        yield running


@pytest.fixture(scope="module")
def row(exported: Path) -> dict[str, Any]:
    known = ModelDirectory(exported).required_known_rows().rows
    return {str(name): float(value) for name, value in known.iloc[0].items()}


def as_parquet(table: pd.DataFrame) -> bytes:
    output = io.BytesIO()
    table.to_parquet(output)
    return output.getvalue()


def with_column(table: pd.DataFrame, **columns: Any) -> pd.DataFrame:
    return table.assign(**columns)


def broken_json(row: dict[str, Any]) -> list[bytes]:
    feature, *others = row
    values: list[Any] = [
        WORD, [WORD], {WORD: NUMBER}, [NUMBER], f"{NUMBER}x", NUMBER * 10**400, [[WORD]], {}, None,
    ]  # fmt: skip
    bad = [{**row, feature: value, others[0]: NUMBER, others[1]: f"{NUMBER}"} for value in values]
    bad.append(dict.fromkeys(others, NUMBER) | {WORD: NUMBER})
    payloads: list[Any] = [WORD, NUMBER, [WORD], {WORD: NUMBER}, {"inputs": WORD}]
    for key in ("dataframe_records", "inputs", "instances"):
        payloads += [{key: [row, wrong]} for wrong in bad]
        payloads += [{key: wrong} for wrong in bad]
        payloads += [{key: {name: [value, row.get(name)] for name, value in wrong.items()}}
                     for wrong in bad]  # fmt: skip
        payloads += [{key: content} for content in (WORD, NUMBER, [WORD], [[NUMBER]], {WORD: WORD})]
    for wrong in bad:
        split = {"columns": list(wrong), "data": [list(wrong.values())], "index": [WORD]}
        payloads.append({"dataframe_split": split})
        payloads.append({"dataframe_split": {**split, "data": [[NUMBER], WORD]}})
        payloads.append({"dataframe_split": {**split, WORD: NUMBER}})
    params: list[Any] = [
        WORD, NUMBER, [WORD], {"threshold": NUMBER}, {"threshold": WORD}, {"explain": NUMBER},
        {"explain": -NUMBER}, {"explain": NUMBER + 0.5}, {"threshold": [NUMBER]},
        {WORD: 1, "threshold": 2}, {"explain": WORD},
    ]  # fmt: skip
    payloads += [{"dataframe_records": [row], "params": param} for param in params]
    payloads += [{"dataframe_records": [row], "inputs": [WORD], WORD: NUMBER}]
    payloads += [{"dataframe_records": [row], chat: WORD} for chat in ("prompt", "messages")]
    payloads += [{"dataframe_records": [{WORD + str(i): NUMBER} for i in range(900)]}]
    payloads += [{"dataframe_records": [{WORD: NUMBER}] * 2_001}]
    payloads += [{"dataframe_records": [row] * 1_500, "params": {"explain": NUMBER}}]
    whole = json.dumps({"dataframe_records": [{**row, feature: NUMBER}], WORD: WORD}).encode()
    texts = [
        whole[:-1], whole[:-20], whole + WORD.encode(), whole.replace(b":", b"=", 3),
        whole.replace(b'"', b"'"), b"{" + WORD.encode(), f'{{"{WORD}": \\{WORD}}}'.encode(),
        f'{{"{WORD}": "\\q{WORD}"}}'.encode(), WORD.encode("utf-16"), whole + b"\xff",
        f'{{"{WORD}": "{WORD}\n"}}'.encode(), f"{NUMBER}".encode() * 600,
        f'{{"{WORD}": {"[" * 2_000}{NUMBER}'.encode(),
        whole.replace(str(NUMBER).encode(), f"{NUMBER}".encode() * 600),
    ]  # fmt: skip
    return [json.dumps(payload).encode() for payload in payloads] + texts


def broken_csv(row: dict[str, Any]) -> list[bytes]:
    feature = next(iter(row))
    table = pd.DataFrame([row, row]).astype(object)
    named = table.rename(columns={feature: WORD})
    bad = table.copy()
    bad.loc[1, feature] = WORD
    text = bad.to_csv(index=False)
    return [
        text.encode(), named.to_csv(index=False).encode(), f"{WORD}\n{NUMBER}\n".encode(),
        f'{text}"{WORD}'.encode(), (text + f"{NUMBER}," * 40).encode(), text.encode("utf-16"),
        WORD.encode() + b"\xff", text.replace(",", WORD).encode(), f'"{WORD}'.encode(),
        text.replace("\n", f"\n{NUMBER},{WORD},").encode(), (text + WORD + "\x00").encode(),
        (f"{WORD}," * 5_000 + "\n1\n").encode(), f"{WORD}\n{NUMBER}\n".encode() * 3_000,
        with_column(table, **{feature: f"{NUMBER}e999"}).to_csv(index=False).encode(),
    ]  # fmt: skip


def broken_parquet(row: dict[str, Any]) -> list[bytes]:
    feature = next(iter(row))
    table = pd.DataFrame([row, row])
    whole = as_parquet(with_column(table, **{feature: WORD, WORD: NUMBER}))
    return [
        whole, whole[: len(whole) // 2], whole[:-30] + WORD.encode() + whole[-4:], WORD.encode(),
        as_parquet(table.rename(columns={feature: WORD})),
        as_parquet(with_column(table, **{feature: [[WORD], [WORD]]})),
        as_parquet(with_column(table, **{feature: [{WORD: NUMBER}, {WORD: NUMBER}]})),
        as_parquet(with_column(table, **{feature: [None, None], WORD: WORD})),
        as_parquet(with_column(table, **{feature: [WORD.encode(), b""]})),
        as_parquet(pd.DataFrame({f"{WORD}{i}": [NUMBER] for i in range(300)})),
        as_parquet(pd.DataFrame({WORD: range(NUMBER, NUMBER + 2_001)})),
    ]  # fmt: skip


def with_padding(body: bytes, content_type: str) -> bytes:
    if content_type == CSV:
        return body + b"\n" * 3 + b" " * PADDING
    return b" " * PADDING + body


def sent(row: dict[str, Any]) -> Iterator[Sent]:
    for content_type, bodies in (
        (JSON, broken_json(row)),
        (CSV, broken_csv(row)),
        (PARQUET, broken_parquet(row)),
    ):
        for body in bodies:
            yield content_type, body
            if content_type != PARQUET:
                yield content_type, with_padding(body, content_type)
    body = json.dumps({"dataframe_records": [row], WORD: NUMBER}).encode()
    for content_type in (
        WORD, f"text/{WORD}", f"{JSON}; charset={WORD}", f"{JSON}; {WORD}={NUMBER}",
        f"{JSON}; {WORD}", f"{CSV}; header={WORD}", f"{WORD}; charset=utf-8",
        f"multipart/form-data; boundary={WORD}",
    ):  # fmt: skip
        yield content_type, body
        yield content_type, with_padding(body, content_type)


@pytest.mark.slow
def test_a_refused_body_is_never_echoed(watched: Server, row: dict[str, Any]) -> None:
    refused = 0
    for content_type, body in sent(row):
        answer = requests.post(
            f"{watched.url}/invocations",
            data=body,
            headers={"Content-Type": content_type, "Cookie": WORD, "Authorization": WORD},
            timeout=60,
        )
        assert answer.status_code < 500, (content_type, body[:500])
        if answer.status_code >= 400:
            refused += 1
            said = answer.text + str(answer.headers)
            assert not ECHO.search(said), (said, content_type, body[:500])
    assert refused > 200
    for path in (f"/{WORD}", f"/invocations/{WORD}", f"/docs?{WORD}"):
        watched.get(path, headers={"Cookie": WORD})
    said = watched.log.read_text()
    assert not ECHO.search(said), said


@pytest.mark.slow
def test_an_accepted_body_leaves_nothing_in_the_log(watched: Server, row: dict[str, Any]) -> None:
    odd = {**row, WORD: NUMBER}
    for payload in (
        {"dataframe_records": [odd], "params": {WORD: NUMBER}},
        {"dataframe_records": [odd] * 100, "params": {WORD: NUMBER}},
        {"inputs": [odd], "params": {"explain": 1, WORD: WORD}},
    ):
        assert watched.post(payload).status_code == 200
    said = watched.log.read_text()
    assert not ECHO.search(said), said
