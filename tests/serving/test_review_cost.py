"""A version that was trained with a cost of a review decides by it, everywhere."""

from __future__ import annotations

import json
from pathlib import Path

import mlflow
import pandas as pd
import pytest

from fraud_model.model.directory import ModelDirectory
from fraud_model.registry.export import export
from fraud_model.registry.moves import move
from fraud_model.tracking import open_run
from fraud_model.training.config import Hyperparameters, TrainingConfig
from fraud_model.training.pipeline import train
from tests.support.server import serving
from tests.support.store import Store

NAME = "by-cost"


pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def by_cost(store: Store, table_csv: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A version with the policy `cost:5`, as an exported directory."""
    with open_run("train"):
        train(
            TrainingConfig(
                data=str(table_csv),
                model_name=NAME,
                threshold="cost:5",
                hyperparameters=Hyperparameters(rounds=60),
            )
        )
    move(NAME, "1", "Production")
    output = tmp_path_factory.mktemp("by-cost") / "model"
    export(NAME, "Production", output)
    return output


@pytest.fixture(scope="module")
def rows(table: pd.DataFrame) -> pd.DataFrame:
    return table.drop(columns="Class").head(300)


def test_signature_tags_and_card_say_so(by_cost: Path, store: Store) -> None:
    signature = ModelDirectory(by_cost).signature
    assert signature is not None
    defaults = {spec.name: spec.default for spec in signature.params.params}
    assert defaults == {"review_cost": 5.0, "explain": 0}
    version = mlflow.MlflowClient().get_model_version(NAME, "1")
    assert version.tags["decision"] == "probability x Amount >= 5"
    assert "threshold" not in version.tags
    card = (by_cost / "artifacts" / "model_card.md").read_text()
    assert "Flagged where probability x Amount >= 5" in card


def test_plain_model_and_server_flag_alike(
    by_cost: Path, rows: pd.DataFrame, tmp_path: Path
) -> None:
    plain = mlflow.pyfunc.load_model(str(by_cost))
    expected = plain.predict(rows)
    loss = expected["fraud_probability"] * rows["Amount"]
    assert (expected["is_fraud"] == (loss >= 5)).all()
    assert 0 < expected["is_fraud"].sum() < len(rows)
    assert "Low" not in set(expected["risk_level"][expected["is_fraud"]])
    with serving(tmp_path, "--model-uri", str(by_cost)) as server:
        health = server.get("/health").json()
        assert health["decision"] == "probability x Amount >= 5"
        assert "threshold" not in health
        payload = {"dataframe_records": rows.head(20).to_dict("records")}
        answered = server.post(payload).json()["predictions"]
        assert [row["is_fraud"] for row in answered] == expected["is_fraud"].head(20).tolist()
        probability = [row["fraud_probability"] for row in answered]
        assert probability == expected["fraud_probability"].head(20).tolist()
        lower = server.post({**payload, "params": {"review_cost": 0.01}}).json()["predictions"]
        flagged = plain.predict(rows.head(20), params={"review_cost": 0.01})["is_fraud"]
        assert [row["is_fraud"] for row in lower] == flagged.tolist()
        refused = server.post({**payload, "params": {"review_cost": -1.0}})
        assert refused.status_code == 400
        assert "review_cost is invalid: expected more than 0" in refused.json()["message"]
        described = server.get("/openapi.json").json()
        assert "review_cost" in json.dumps(described)
