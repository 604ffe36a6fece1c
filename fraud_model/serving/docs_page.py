"""The server's description of itself as a page, whose examples work when pasted."""

from __future__ import annotations

import html
import json
import string
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from fraud_model.serving.model import FLAG, PROBABILITY
from fraud_model.serving.openapi import NO_SIGNATURE, REFUSALS

PAGE = Path(__file__).with_name("docs.html")
# A single quote in a shell's single quotes.
QUOTE = "'\\''"
JSON, CSV, PARQUET = "application/json", "text/csv", "application/vnd.apache.parquet"

ANSWERS = {
    PROBABILITY: "How likely it is a fraud, from 0 to 1. Calibrated: of transactions with 0.2, "
    "about one in five is one.",
    FLAG: "Whether the version would have somebody look at it.",
    "risk_level": "Low, Medium or High. What is flagged is Medium at least.",
    "reasons": "If asked for: the features that moved this score most, and by how much in "
    "log-odds. Above 0 is towards fraud.",
}


def page(described: dict[str, Any], server: str) -> str:
    """The OpenAPI document as HTML that needs no other file.

    `server` is the address in its examples.
    """
    scoring = described["paths"]["/invocations"]["post"]
    info = described["info"]
    return string.Template(PAGE.read_text(encoding="utf-8")).substitute(
        title=html.escape(info["title"]),
        version=html.escape(info["version"]),
        description=html.escape(info["description"]),
        limits=html.escape(scoring["requestBody"]["description"]),
        routes=_rows(
            (f"{method.upper()} {path}", what["summary"])
            for path, methods in described["paths"].items()
            for method, what in methods.items()
        ),
        refusals=_rows(REFUSALS.items()),
        answer=_answer(described),
        examples=_examples(described, server),
        row=_row(described),
    )


def _rows(pairs: Iterable[tuple[str, str]]) -> str:
    return "".join(
        f'<tr><th scope="row"><code>{html.escape(name)}</code></th>'
        f"<td>{html.escape(text)}</td></tr>"
        for name, text in pairs
    )


def _answer(described: dict[str, Any]) -> str:
    items = described["components"]["schemas"]["Predictions"]["properties"]["predictions"]
    answered = items.get("items", {}).get("properties")
    if answered is None:
        return "<p>One prediction a row, in the order of the rows, in <code>predictions</code>.</p>"
    return (
        "<p>One object a row, in the order of the rows, in <code>predictions</code>:</p>"
        f"<table>{_rows((name, ANSWERS[name]) for name in answered)}</table>"
    )


def _examples(described: dict[str, Any], server: str) -> str:
    content = described["paths"]["/invocations"]["post"]["requestBody"]["content"]
    known = content[JSON]["examples"]
    if not known:
        return "<p>This version has no known rows to make an example of.</p>"
    (row,) = known["low"]["value"]["dataframe_records"]
    token = " -H 'Authorization: Bearer '\"$API_TOKEN\"" * (
        "securitySchemes" in described["components"]
    )
    table = {"columns": list(row), "data": [list(row.values())]}
    payloads = {
        "Rows as records": {"dataframe_records": [row]},
        "Rows without their names, which is shorter": {"dataframe_split": table},
        "The name that other model servers use": {"instances": [row]},
        "MLflow's own name for it": {"inputs": [row]},
    }
    params = content[JSON]["schema"]["oneOf"][0]["properties"]["params"]["properties"]
    if "explain" in params:
        payloads["With the three most important reasons"] = {
            "dataframe_records": [row],
            "params": {"explain": 3},
        }
    parts = [
        _example(title, _curl(server, token, JSON, f"-d {_quoted(json.dumps(payload))}"))
        for title, payload in payloads.items()
    ]
    text = "\n".join(
        ",".join(json.dumps(v) if isinstance(v, str) else _cell(v) for v in values)
        for values in (list(row), list(row.values()))
    )
    parts.append(_example("CSV", _curl(server, token, CSV, f"--data-binary {_quoted(text)}")))
    made = (
        f"import json, pandas; pandas.DataFrame([json.loads({json.dumps(json.dumps(row))})])"
        '.to_parquet("rows.parquet")'
    )
    parts.append(
        _example(
            "A Parquet file, here one that is made of the row",
            f"python -c {_quoted(made)}\n"
            + _curl(server, token, PARQUET, "--data-binary @rows.parquet"),
        )
    )
    return "".join(parts)


def _cell(value: object) -> str:
    return "" if value is None else json.dumps(value)


def _curl(server: str, token: str, media_type: str, data: str) -> str:
    return f"curl \"{server}/invocations\"{token} -H 'Content-Type: {media_type}' {data}"


def _quoted(text: str) -> str:
    return f"'{text.replace(chr(39), QUOTE)}'"


def _example(title: str, command: str) -> str:
    # A box that scrolls has to be reached by keyboard.
    return (
        f"<h3>{html.escape(title)}</h3>"
        f'<pre tabindex="0" role="region" aria-label="{html.escape(title)}">'
        f"{html.escape(command)}</pre>"
    )


def _row(described: dict[str, Any]) -> str:
    columns = described["components"]["schemas"]["Transaction"].get("properties")
    if columns is None:
        return f"<p>{NO_SIGNATURE}</p>"
    names = ", ".join(f"<code>{html.escape(name)}</code>" for name in columns)
    content = described["paths"]["/invocations"]["post"]["requestBody"]["content"]
    params = content["application/json"]["schema"]["oneOf"][0]["properties"]["params"]["properties"]
    about = f"<p>A row has {len(columns)} values: {names}."
    if "explain" in params:
        about += (
            ' Beside the rows, <code>"params": {"explain": 3}</code> asks for the reasons of each '
            "score."
        )
    if "threshold" in params:
        about += ' <code>"params": {"threshold": 0.5}</code> replaces the version\'s own threshold.'
    if "review_cost" in params:
        about += (
            ' <code>"params": {"review_cost": 5}</code> replaces the version\'s own cost of a '
            "review."
        )
    return f"{about}</p>"
