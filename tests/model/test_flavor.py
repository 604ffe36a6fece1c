"""A logged model holds no pickle, carries both flavors, and loads from its own files alone."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import mlflow
import mlflow.lightgbm
import pytest
import yaml

from fraud_model.model.directory import ModelDirectory
from tests.support.store import Store


@pytest.fixture(scope="module")
def directory(store: Store) -> Path:
    uri = f"models:/{store.trained.name}/{store.trained.version}"
    return Path(mlflow.artifacts.download_artifacts(uri))


def test_every_file_is_text(directory: Path) -> None:
    # Python's own cache is none of the model's files.
    files = [p for p in directory.rglob("*") if p.is_file() and p.parent.name != "__pycache__"]
    assert {"booster.lgb", "scaler.json", "evaluation_booster.lgb", "decision.json"} <= {
        path.name for path in files
    }
    for path in files:
        path.read_text(encoding="utf-8")


def test_the_lightgbm_flavor_loads_the_same_booster(store: Store, directory: Path) -> None:
    booster = mlflow.lightgbm.load_model(str(directory))
    assert booster.num_trees() == store.trained.result.fitted.rounds[0]


def test_signature_and_example_name_every_feature(store: Store, directory: Path) -> None:
    info = mlflow.models.get_model_info(str(directory))
    features = list(store.trained.result.dataset.columns.features)
    assert info.signature.inputs.input_names() == features
    assert {str(t) for t in info.signature.inputs.input_types()} == {"DataType.double"}
    assert [p.name for p in info.signature.params.params] == ["threshold", "explain"]
    example = json.loads((directory / "serving_input_example.json").read_text())
    assert example["dataframe_split"]["columns"] == features


def test_requirements_are_pinned(directory: Path) -> None:
    lines = (directory / "requirements.txt").read_text().split()
    assert {line.split("==")[0] for line in lines} >= {"mlflow", "lightgbm", "numpy", "pandas"}
    assert all("==" in line for line in lines)
    assert yaml.safe_load((directory / "python_env.yaml").read_text())["python"].startswith("3.11")


LOAD_WITHOUT_THE_PROJECT = """
import json, sys
import pandas as pd
import mlflow.pyfunc
known = json.load(open(sys.argv[1] + "/artifacts/known_rows.json"))
model = mlflow.pyfunc.load_model(sys.argv[1])
assert "fraud_model" not in sys.modules
answer = model.predict(pd.DataFrame(**known["dataframe_split"]))
assert answer["fraud_probability"].tolist() == known["fraud_probability"]
"""


def load_and_score(python: str, directory: Path, folder: Path) -> None:
    subprocess.run([python, "-c", LOAD_WITHOUT_THE_PROJECT, str(directory)], cwd=folder, check=True)


@pytest.mark.slow
def test_it_loads_without_the_project_on_the_path(directory: Path, tmp_path: Path) -> None:
    load_and_score(sys.executable, directory, tmp_path)


@pytest.mark.slow
@pytest.mark.long
def test_it_loads_in_an_environment_made_from_its_own_files(
    directory: Path, tmp_path: Path
) -> None:
    environment = tmp_path / "environment"
    python = str(environment / "bin" / "python")
    subprocess.run([sys.executable, "-m", "venv", environment], check=True)
    requirements = directory / "requirements.txt"
    subprocess.run([python, "-m", "pip", "install", "-q", "-r", requirements], check=True)
    load_and_score(python, directory, tmp_path)


def test_known_rows_score_from_low_to_high(store: Store, directory: Path) -> None:
    known = ModelDirectory(directory).required_known_rows()
    rows, probabilities = known.rows, known.probability
    assert len(rows) == len(probabilities) == 10
    assert min(probabilities) < 0.3 < max(probabilities)


@pytest.mark.slow
def test_models_predict_takes_whole_numbers_as_json(directory: Path, tmp_path: Path) -> None:
    rows = ModelDirectory(directory).required_known_rows().rows
    whole = rows.assign(V1=range(len(rows)))
    (tmp_path / "rows.json").write_text(
        json.dumps({"dataframe_split": json.loads(whole.to_json(orient="split", index=False))})
    )
    command = [sys.executable, "-m", "mlflow", "models", "predict", "-m", str(directory)]
    subprocess.run(
        [*command, "-i", "rows.json", "-o", "scored.json", "--env-manager", "local"],
        cwd=tmp_path,
        check=True,
    )
    scored = json.loads((tmp_path / "scored.json").read_text())["predictions"]
    expected = mlflow.pyfunc.load_model(str(directory)).predict(whole.astype(float))
    assert [row["fraud_probability"] for row in scored] == expected["fraud_probability"].tolist()
