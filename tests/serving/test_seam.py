"""Between server and version: what a version does not offer or does wrong, and foreign models."""

from __future__ import annotations

import asyncio
import json
import logging
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import lightgbm
import mlflow.lightgbm
import mlflow.sklearn
import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest
from mlflow.models import infer_signature
from mlflow.pyfunc import scoring_server
from sklearn.linear_model import LogisticRegression
from starlette.types import ASGIApp

from fraud_model import __version__
from fraud_model.arrays import Floats
from fraud_model.errors import RegistryError
from fraud_model.model.directory import ModelDirectory
from fraud_model.model.protocol import SCORING_PROTOCOL, Scorer
from fraud_model.serving import docs_page, loading
from fraud_model.serving.app import build
from fraud_model.serving.audit import AuditLog
from fraud_model.serving.loading import load_served
from fraud_model.serving.model import ServedModel
from fraud_model.serving.origin import resolve
from fraud_model.serving.settings import Settings
from fraud_model.serving.shadow import process as scoring_process
from tests.support.asgi import call
from tests.support.environment import REPOSITORY, own_environment
from tests.support.server import Server, plain_serving, serving
from tests.support.waiting import wait_until

RELEASE = REPOSITORY / "tests" / "releases" / "0.1.0" / "model"
PAGES = ("/health", "/docs", "/", "/metrics", "/openapi.json")
Models = dict[str, Path]


@pytest.fixture(scope="module")
def rows() -> pd.DataFrame:
    return ModelDirectory(RELEASE).required_known_rows().rows


@pytest.fixture(scope="module")
def models(rows: pd.DataFrame, tmp_path_factory: pytest.TempPathFactory) -> Models:
    """The release, and foreign models of its features with and without a signature."""
    folder = tmp_path_factory.mktemp("foreign")
    labels = np.arange(len(rows)) % 2
    classifier = LogisticRegression().fit(rows / rows.abs().max(), labels)
    booster = lightgbm.train(
        {"objective": "binary", "min_data_in_leaf": 1, "verbose": -1},
        lightgbm.Dataset(rows, labels),
        num_boost_round=5,
    )
    for name, signature in (("signed", infer_signature(rows, labels)), ("bare", None)):
        mlflow.sklearn.save_model(
            classifier,
            str(folder / f"sklearn-{name}"),
            signature=signature,
            serialization_format="cloudpickle",
            pip_requirements=[],
        )
        mlflow.lightgbm.save_model(
            booster, str(folder / f"lightgbm-{name}"), signature=signature, pip_requirements=[]
        )
    return {"release": RELEASE} | {path.name: path for path in folder.iterdir()}


def payloads(rows: pd.DataFrame) -> list[tuple[bytes, str]]:
    """The same rows in every form."""
    split = rows.to_dict(orient="split")
    bodies: list[Any] = [
        {"dataframe_records": rows.to_dict("records")},
        {"dataframe_records": rows.head(1).to_dict("records")},
        {"dataframe_split": {"columns": split["columns"], "data": split["data"]}},
        {"inputs": rows.to_dict("records")},
        {"inputs": rows.to_dict("list")},
        {"instances": rows.to_dict("records")},
        {"inputs": rows.to_numpy().tolist()},
        {"dataframe_records": [{"Time": "text"}]},
        {"rows": []},
    ]
    return [(json.dumps(body).encode(), "application/json") for body in bodies] + [
        (rows.to_csv(index=False).encode(), "text/csv")
    ]


def ask(server: Server, body: bytes, content_type: str) -> tuple[bool, bytes]:
    """Whether a payload is accepted, and the answer if it is."""
    answer = server.post(None, data=body, headers={"Content-Type": content_type})
    return answer.ok, answer.content if answer.ok else b""


def logged(log: Path) -> list[dict[str, Any]]:
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    return [line for line in lines if "refused" not in line]


def metric(server: Server, name: str) -> float:
    lines = server.get("/metrics").text.splitlines()
    return sum(float(line.split()[-1]) for line in lines if line.startswith(f"{name} "))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "shadow"),
    [("release", "sklearn-signed"), ("sklearn-bare", "release"), ("lightgbm-signed", "release")],
)
def test_it_answers_as_the_plain_server_to_the_last_bit(
    models: Models, rows: pd.DataFrame, tmp_path: Path, name: str, shadow: str
) -> None:
    log = tmp_path / "audit.jsonl"
    settings = {"AUDIT_LOG": str(log), "SHADOW_MODEL_URI": str(models[shadow])}
    with (
        serving(tmp_path, "--model-uri", str(models[name]), **settings) as ours,
        plain_serving(tmp_path, models[name]) as plain,
    ):
        wait_until(
            lambda: str(ours.get("/health").json()["shadow"]).startswith("failed: "),
            what="the shadow that cannot be compared fails",
        )
        accepted = 0
        for body, content_type in payloads(rows):
            answer = ask(ours, body, content_type)
            assert answer == ask(plain, body, content_type), body[:100]
            if answer[0]:
                predictions = json.loads(answer[1])["predictions"]
                written = logged(log)[accepted:]
                accepted += len(predictions)
                if name == "release":
                    for line, prediction in zip(written, predictions, strict=True):
                        assert line["features"].keys() == set(rows.columns)
                        assert line["fraud_probability"] == prediction["fraud_probability"]
                        assert line["is_fraud"] == prediction["is_fraud"]
                else:
                    assert [line["prediction"] for line in written] == predictions
        assert accepted > 4 * len(rows)
        assert metric(ours, "fraud_rows_scored_total") == accepted
        probabilities = accepted if name == "release" else 0
        assert metric(ours, "fraud_probability_count") == probabilities
        for page in PAGES:
            assert ours.get(page).status_code == 200
        health = ours.get("/health").json()
        assert (health["version"], health["route"]) == (__version__, "predict")
        assert ("threshold" in health) == (name == "release")
        assert "Traceback" not in ours.log.read_text()


@pytest.mark.parametrize("name", ["sklearn-signed", "lightgbm-bare"])
def test_a_foreign_model_answers_in_process_as_it_does_for_mlflow(
    models: Models, rows: pd.DataFrame, name: str, tmp_path: Path
) -> None:
    served = load_served(resolve(str(models[name])))
    log = tmp_path / "audit.jsonl"
    app = build(served, Settings(audit_log=str(log)))

    async def compare() -> None:
        accepted = 0
        for body, content_type in payloads(rows):
            try:
                found = scoring_server.invocations(body, content_type, served.pyfunc, served.inputs)
            except Exception:
                assert (await call(app, body, content_type=content_type))[0] == 400
                continue
            status, answer = await call(app, body, content_type=content_type)
            assert (status, answer.decode()) == (200, found.response)
            accepted += len(json.loads(answer)["predictions"])
        assert len(logged(log)) == accepted > 0
        for page in PAGES:
            assert (await call(app, path=page))[0] == 200

    asyncio.run(compare())


@pytest.mark.parametrize("name", ["sklearn-signed", "sklearn-bare", "lightgbm-signed"])
def test_a_foreign_model_is_refused_as_a_shadow(models: Models, name: str) -> None:
    with pytest.raises(RegistryError, match="cannot be compared"):
        scoring_process.load(str(models[name]), ["Time"])


def test_the_release_scores_as_a_shadow(rows: pd.DataFrame) -> None:
    served = scoring_process.load(str(RELEASE), list(rows.columns))
    scored = served.score(rows[list(served.features)].to_numpy())
    assert (
        scored["fraud_probability"].tolist()
        == ModelDirectory(RELEASE).required_known_rows().probability.tolist()
    )


@pytest.fixture
def copied(exported: Path, tmp_path: Path) -> Path:
    """An own copy of the shared model."""
    return Path(shutil.copytree(exported, tmp_path / "model"))


@pytest.mark.parametrize("workers", ["1", pytest.param("2", marks=pytest.mark.slow)])
def test_a_version_that_does_not_answer_as_recorded_does_not_start(
    copied: Path, tmp_path: Path, workers: str
) -> None:
    file = copied / "artifacts" / "known_rows.json"
    known = json.loads(file.read_text())
    known["fraud_probability"][2] += 1e-6
    file.write_text(json.dumps(known))
    done = subprocess.run(
        [
            *(sys.executable, "-m", "fraud_model.serving", "--port", "0"),
            *("--model-uri", str(copied), "--workers", workers),
        ],
        cwd=tmp_path,
        env=own_environment(PYTHONPATH=str(REPOSITORY)),
        capture_output=True,
        text=True,
        timeout=400,
        check=False,
    )
    assert done.returncode == 1
    errors = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1
    assert "known row 3" in errors[0]
    assert "Traceback" not in done.stderr
    assert "ready: " not in done.stderr


def test_known_rows_that_cannot_be_read_are_an_error(copied: Path) -> None:
    (copied / "artifacts" / "known_rows.json").write_text("{}")
    with pytest.raises(RegistryError, match="known rows cannot be read"):
        load_served(resolve(str(copied)))


def test_a_model_that_does_not_load_is_an_error(copied: Path) -> None:
    (copied / "artifacts" / "decision.json").write_text("{}")
    with pytest.raises(RegistryError, match="cannot be loaded: TypeError"):
        load_served(resolve(str(copied)))


def test_without_known_rows_a_version_is_served_by_predict(copied: Path) -> None:
    assert load_served(resolve(str(copied))).route == "fast"
    (copied / "artifacts" / "known_rows.json").unlink()
    served = load_served(resolve(str(copied)))
    assert served.route == "predict"
    assert served.threshold is not None
    status, page = asyncio.run(call(build(served, Settings()), path="/docs"))
    assert (status, b"no known rows" in page) == (200, True)


@pytest.mark.slow
@pytest.mark.parametrize("fault", ["inputs = inputs + 3.0", "raise ValueError('4111')"])
def test_a_scorer_that_does_not_answer_as_predict_is_not_used(
    copied: Path, exported: Path, tmp_path: Path, fault: str
) -> None:
    code = copied / "detector.py"
    head, line, tail = code.read_text().partition("        return self._scored(inputs, decision)\n")
    code.write_text(f"{head}        {fault}\n{line}{tail}")
    found = ModelDirectory(exported).required_known_rows()
    known, recorded = found.rows, found.probability.tolist()
    with serving(tmp_path, "--model-uri", str(copied)) as running:
        health = running.get("/health").json()
        assert (health["status"], health["route"]) == ("healthy", "predict")
        assert "scorer" in health["route_note"]
        answer = running.post({"dataframe_records": known.to_dict("records")}).json()
        assert [p["fraud_probability"] for p in answer["predictions"]] == recorded
        said = running.log.read_text()
        assert health["route_note"] in said
        assert "4111" not in said


@pytest.mark.parametrize("number", [SCORING_PROTOCOL - 1, SCORING_PROTOCOL + 1])
def test_another_number_of_the_protocol_is_not_understood(copied: Path, number: int) -> None:
    code = copied / "detector.py"
    announced = f"scoring_protocol = {SCORING_PROTOCOL}"
    assert announced in code.read_text()
    code.write_text(code.read_text().replace(announced, f"scoring_protocol = {number}"))
    assert load_served(resolve(str(copied))).route == "predict"


def test_a_scorer_that_answers_in_another_order_is_not_used(
    copied: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    served = load_served(resolve(str(copied)))
    assert served.scorer is not None
    scorer = Stub(served.scorer)
    monkeypatch.setattr(loading, "announced_scorer", lambda _: scorer)
    assert load_served(resolve(str(copied))).route == "fast"
    score = scorer.score
    monkeypatch.setattr(scorer, "score", lambda inputs: dict(reversed(score(inputs).items())))
    assert load_served(resolve(str(copied))).route == "predict"


class Stub:
    """A scorer whose `score` a test chooses."""

    scoring_protocol = SCORING_PROTOCOL

    def __init__(self, scorer: Scorer) -> None:
        self.scorer = scorer
        self.features = scorer.features
        self.threshold = scorer.threshold
        self.decision = scorer.decision

    def encode_rows(self, rows: Sequence[Sequence[Any]]) -> Floats | None:
        """Encodes as the version does."""
        return self.scorer.encode_rows(rows)

    def score(self, inputs: Floats) -> dict[str, npt.NDArray[Any]]:
        """Scores as the version does."""
        return dict(self.scorer.score(inputs))


@pytest.fixture
def stub(exported: Path) -> tuple[ServedModel, Stub]:
    served = load_served(resolve(str(exported)))
    assert served.scorer is not None
    stub = Stub(served.scorer)
    return replace(served, scorer=stub), stub


def body_of(exported: Path, count: int = 1) -> bytes:
    known = ModelDirectory(exported).required_known_rows().rows
    return json.dumps({"dataframe_records": known.head(1).to_dict("records") * count}).encode()


def test_a_scorer_that_fails_later_leaves_the_request_to_predict(
    stub: tuple[ServedModel, Stub], exported: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    served, scorer = stub
    app = build(served, Settings())
    expected = asyncio.run(call(app, body_of(exported)))

    def fail(values: Floats) -> None:
        raise RuntimeError("4111")

    monkeypatch.setattr(scorer, "score", fail)
    assert expected[0] == 200
    assert asyncio.run(call(app, body_of(exported))) == expected


@pytest.mark.parametrize(
    ("content_type", "status", "is_fast"),
    [
        ("application/json", 200, True),
        ("application/json; charset=utf-8", 200, True),
        ("application/json;charset=UTF-8", 200, True),
        ("application/json ; charset=Utf-8", 200, False),
        ("application/json; charset=latin-1", 415, False),
        ("application/json; odd=1", 415, False),
        ("application/jsonx", 415, False),
    ],
)
def test_json_with_its_charset_takes_the_fast_route(
    stub: tuple[ServedModel, Stub],
    exported: Path,
    monkeypatch: pytest.MonkeyPatch,
    content_type: str,
    status: int,
    is_fast: bool,
) -> None:
    served, scorer = stub
    score = Mock(wraps=scorer.score)
    monkeypatch.setattr(scorer, "score", score)
    app = build(served, Settings())
    found = asyncio.run(call(app, body_of(exported), content_type=content_type))
    assert (found[0], score.called) == (status, is_fast)


def test_an_exception_anywhere_ends_in_a_500_that_is_counted_and_holds_nothing(
    stub: tuple[ServedModel, Stub],
    exported: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def fail(*_: object) -> None:
        raise ZeroDivisionError("4111")

    async def ask_all(app: ASGIApp) -> None:
        csv = ModelDirectory(exported).required_known_rows().rows.to_csv(index=False).encode()
        for body, content_type in (
            (body_of(exported), "application/json"),
            (csv, "text/csv"),
        ):
            status, answer = await call(app, body, content_type=content_type)
            assert (status, json.loads(answer)["error_code"]) == (500, "INTERNAL_ERROR")
            assert b"4111" not in answer
        status, answer = await call(app, path="/docs")
        assert (status, json.loads(answer)["error_code"]) == (500, "INTERNAL_ERROR")
        # The counting follows the answer.
        await asyncio.sleep(0)
        _, text = await call(app, path="/metrics")
        assert b'fraud_errors_total{kind="internal_error"} 2.0' in text
        assert b'fraud_requests_total{status="500"} 2.0' in text
        assert b"fraud_requests_in_flight 0.0" in text

    monkeypatch.setattr(AuditLog, "write", fail)
    monkeypatch.setattr(docs_page, "page", fail)
    with caplog.at_level(logging.INFO, logger="fraud_model.serving"):
        asyncio.run(ask_all(build(stub[0], Settings(audit_log=str(tmp_path / "audit.jsonl")))))
    # Whatever other tests left behind may be reported while this one runs.
    told = [r.getMessage() for r in caplog.records if r.name == "fraud_model.serving"]
    assert sum("ZeroDivisionError" in message for message in told) == 3
    assert "4111" not in caplog.text
