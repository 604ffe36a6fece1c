"""What is served: the version in a stage, a named one, or an exported directory."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import mlflow
import pytest

from fraud_model.errors import ParameterError, RegistryError
from fraud_model.registry.export import export
from fraud_model.registry.moves import move
from fraud_model.serving.origin import find_model
from fraud_model.serving.settings import Settings
from fraud_model.tracking import without_credentials
from tests.support.environment import REPOSITORY, own_environment
from tests.support.server import free_port, serving
from tests.support.store import Store


@pytest.fixture
def name(store: Store) -> str:
    """A model with version 1 in Production and version 2 in Staging."""
    name = store.new_model(versions=3)
    move(name, "1", "Production")
    move(name, "2", "Staging")
    return name


@pytest.mark.parametrize(
    ("which", "version", "stage"),
    [
        ("/Production", "1", "Production"),
        ("/staging", "2", "Staging"),
        ("/3", "3", ""),
        ("/latest", "3", ""),
        ("@staging", "2", "Staging"),
    ],
)
def test_a_registered_model_is_found_however_it_is_addressed(
    store: Store, name: str, which: str, version: str, stage: str
) -> None:
    origin = find_model(Settings(model_uri=f"models:/{name}{which}"))
    assert (origin.model_name, origin.model_version) == (name, version)
    assert (origin.model_stage, origin.source) == (stage, "registry")
    assert origin.tracking_uri == store.uri
    assert (Path(origin.path) / "MLmodel").is_file()


def test_the_stage_comes_from_the_environment() -> None:
    assert Settings.from_environment({}).uri == "models:/fraud-detector/Production"
    assert Settings.from_environment({"MODEL_STAGE": "staging"}).uri.endswith("/Staging")
    assert Settings.from_environment({"MODEL_URI": "models:/x/1"}).uri == "models:/x/1"


@pytest.mark.parametrize("missing", ["models:/nobody/Production", "models:/nobody/1"])
def test_without_a_version_the_exported_directory_stands_in(
    store: Store, exported: Path, missing: str
) -> None:
    origin = find_model(Settings(model_uri=missing, model_dir=str(exported)))
    assert (origin.source, origin.model_version) == ("local", "1")
    assert missing in origin.note


def test_without_both_the_refusal_names_both(store: Store, tmp_path: Path) -> None:
    with pytest.raises(RegistryError, match=r"nobody.*MODEL_DIR=.*mlflow run \. -e export"):
        find_model(Settings(model_uri="models:/nobody/1", model_dir=str(tmp_path)))


def test_credentials_are_removed() -> None:
    shown = without_credentials("https://user:secret@tracking.example:5000/path")
    assert shown == "https://tracking.example:5000/path"
    assert without_credentials("sqlite:///mlflow.db") == "sqlite:///mlflow.db"


def test_a_registry_out_of_reach_is_not_asked_forever(exported: Path, tmp_path: Path) -> None:
    uri = f"http://user:secret@127.0.0.1:{free_port()}"
    with serving(tmp_path, MLFLOW_TRACKING_URI=uri, MODEL_DIR=str(exported)) as server:
        health = server.get("/health").json()
        assert health["source"] == "local"
        assert health["model_version"] == "1"
        assert "models:/fraud-detector/Production" in health["note"]
        assert "secret" not in json.dumps(health)
        log = server.log.read_text()
        assert f"Serving the files in {exported}" in log
        assert "secret" not in log


def test_a_running_server_needs_no_registry(store: Store, name: str, tmp_path: Path) -> None:
    with serving(
        tmp_path, "--model-uri", f"models:/{name}/Staging", MLFLOW_TRACKING_URI=store.uri
    ) as server:
        health = server.get("/health").json()
        assert (health["model_version"], health["model_stage"]) == ("2", "Staging")
        assert health["source"] == "registry"
        assert health["mlflow_tracking_uri"] == store.uri
        assert health["threshold"] == pytest.approx(
            float(mlflow.MlflowClient().get_model_version(name, "2").tags["threshold"])
        )
        mlflow.MlflowClient().delete_registered_model(name)
        example = server.get("/openapi.json").json()["paths"]["/invocations"]["post"]
        content = example["requestBody"]["content"]["application/json"]
        assert server.post(content["examples"]["fraud"]["value"]).ok


def test_an_export_replaces_an_export_and_nothing_else(
    store: Store, name: str, tmp_path: Path
) -> None:
    output = tmp_path / "model"
    export(name, "Production", output)
    origin = export(name, "Staging", output)
    assert origin["model_version"] == "2"
    assert json.loads((output / "origin.json").read_text()) == origin
    assert mlflow.pyfunc.load_model(str(output))
    assert [path.name for path in tmp_path.iterdir()] == ["model"]
    (tmp_path / "documents").mkdir()
    with pytest.raises(ParameterError, match="left alone"):
        export(name, "Production", tmp_path / "documents")
    with pytest.raises(RegistryError, match="nothing stands in Production"):
        export("nobody", "Production", output)
    assert json.loads((output / "origin.json").read_text()) == origin


def test_the_export_entry_point_says_what_it_wrote(store: Store, name: str, tmp_path: Path) -> None:
    command = ["--stage", "Staging", "--model-name", name, "--output", str(tmp_path / "m")]
    done = subprocess.run(
        [sys.executable, "-m", "entrypoints.export", *command],
        cwd=REPOSITORY,
        env=own_environment(MLFLOW_TRACKING_URI=store.uri),
        capture_output=True,
        text=True,
        check=True,
    )
    assert f"{name} version 2 (Staging) is in {tmp_path / 'm'}" in done.stdout
