"""`MLmodel` says nothing of the machine that wrote it, and still loads."""

from __future__ import annotations

import shutil
from pathlib import Path

import mlflow
import pytest
import yaml
from mlflow.models import Model

from fraud_model.model.description import drop_paths_in
from fraud_model.model.directory import ModelDirectory
from tests.support.machine import traces
from tests.support.other_models import RELEASE_MODEL
from tests.support.store import Store


def test_a_version_holds_no_trace_of_the_machine_from_the_start(store: Store) -> None:
    uri = f"models:/{store.trained.name}/{store.trained.version}"
    directory = Path(mlflow.artifacts.download_artifacts(uri))
    assert traces(directory) == []


def test_its_address_in_the_store_leads_to_its_example(store: Store) -> None:
    model = Model.load(f"models:/{store.trained.name}/{store.trained.version}")
    example = model.load_input_example(None)
    assert list(example.columns) == list(store.trained.result.detector.features)


def test_a_version_of_release_0_1_0_loses_its_paths_and_scores_as_before(tmp_path: Path) -> None:
    shutil.copytree(RELEASE_MODEL, tmp_path / "model")
    before = yaml.safe_load((tmp_path / "model" / "MLmodel").read_text())
    drop_paths_in(tmp_path / "model")
    text = (tmp_path / "model" / "MLmodel").read_text()
    assert "/home/" not in text
    assert "/tmp/" not in text
    after = yaml.safe_load(text)
    changed = {key for key in before if before[key] != after[key]}
    assert changed == {"artifact_path", "flavors"}
    known = ModelDirectory(tmp_path / "model").required_known_rows()
    answer = mlflow.pyfunc.load_model(str(tmp_path / "model")).predict(known.rows)
    assert answer["fraud_probability"].to_numpy() == pytest.approx(known.probability, abs=1e-9)


def test_addresses_that_others_can_reach_stay(tmp_path: Path) -> None:
    artifact = {"path": "artifacts/weights", "uri": "hf:/someone/weights"}
    description = {
        "artifact_path": "s3://models/1",
        "flavors": {"python_function": {"artifacts": {"weights": artifact}}},
        "model_id": "m-1",
    }
    (tmp_path / "MLmodel").write_text(yaml.safe_dump(description))
    drop_paths_in(tmp_path)
    assert yaml.safe_load((tmp_path / "MLmodel").read_text()) == description
