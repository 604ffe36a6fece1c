"""The server's description of itself is valid, and its example works when pasted."""

from __future__ import annotations

import html
import json
import re
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
import requests
from openapi_spec_validator import validate

from fraud_model.model.directory import ModelDirectory
from fraud_model.serving import docs_page, openapi
from fraud_model.serving.loading import load_served
from fraud_model.serving.origin import resolve
from fraud_model.serving.settings import Settings
from tests.support.server import Server


def test_the_document_is_valid_and_has_the_models_own_rows(server: Server, exported: Path) -> None:
    document = server.get("/openapi.json").json()
    validate(document)
    rows = ModelDirectory(exported).required_known_rows().rows
    row = document["components"]["schemas"]["Transaction"]
    assert list(row["properties"]) == list(rows.columns)
    assert row["required"] == list(rows.columns)


def test_its_examples_score_as_they_say(server: Server) -> None:
    scoring = server.get("/openapi.json").json()["paths"]["/invocations"]["post"]
    examples = scoring["requestBody"]["content"]["application/json"]["examples"]
    answers = {
        name: server.post(example["value"]).json()["predictions"][0]
        for name, example in examples.items()
    }
    assert answers["low"]["risk_level"] == "Low"
    assert answers["high"]["is_fraud"] is True


def test_every_described_route_answers(server: Server) -> None:
    for path, methods in server.get("/openapi.json").json()["paths"].items():
        if "get" in methods:
            assert server.get(path).status_code == 200, path


def test_every_example_of_the_page_works_when_pasted(server: Server, tmp_path: Path) -> None:
    page = server.get("/docs").text
    assert "http" not in re.sub(re.escape(server.url), "", page)
    commands = re.findall(r'<pre tabindex="0"[^>]*>(.*?)</pre>', page, re.DOTALL)
    answers = []
    for command in map(html.unescape, commands):
        done = subprocess.run(
            ["bash", "-c", command], cwd=tmp_path, capture_output=True, text=True, check=True
        )
        (answer,) = json.loads(done.stdout)["predictions"]
        answers.append(answer)
    assert len(answers) == 7
    assert len({answer["fraud_probability"] for answer in answers}) == 1
    assert sum("reasons" in answer for answer in answers) == 1


def test_the_page_tells_limits_and_what_an_answer_means(server: Server) -> None:
    page = server.get("/docs").text
    assert "At most 10,000 rows and 10,000,000 bytes a request" in page
    for name in ("fraud_probability", "is_fraud", "risk_level", "reasons"):
        assert f"<code>{name}</code>" in page


def test_a_version_that_saw_no_real_transaction_is_called_simulated(
    server: Server, exported: Path
) -> None:
    assert server.get("/health").json()["data_kind"] == "real"
    assert "simulated" not in server.get("/docs").text
    origin = replace(resolve(str(exported)), data_kind="simulated")
    described = openapi.document(load_served(origin), Settings())
    assert "trained on simulated transactions" in described["info"]["description"]
    assert "trained on simulated transactions" in docs_page.page(described, "http://localhost")


@pytest.mark.parametrize("path", ["/", "/health", "/docs"])
def test_head_answers_without_a_body(server: Server, path: str) -> None:
    answer = requests.head(f"{server.url}{path}", timeout=60)
    assert answer.status_code == 200
    assert answer.content == b""


def test_mlflows_own_routes_are_there(server: Server) -> None:
    import mlflow

    assert server.get("/ping").status_code == 200
    assert server.get("/version").text == mlflow.__version__
