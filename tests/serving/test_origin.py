"""What is served: the version in a stage, a named one, or an exported directory."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path

import mlflow
import pytest

from fraud_model.errors import ParameterError, RegistryError, TrackingError
from fraud_model.registry.export import export
from fraud_model.registry.moves import move
from fraud_model.serving.origin import find_model
from fraud_model.serving.settings import Settings
from fraud_model.stores import without_credentials
from tests.support.environment import REPOSITORY, own_environment
from tests.support.file_server import serve_api
from tests.support.server import Server, free_port, serving
from tests.support.store import Store, store_at


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


def exported_name(exported: Path) -> str:
    return str(json.loads((exported / "origin.json").read_text())["model_name"])


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "1")


@contextmanager
def silent_server() -> Iterator[str]:
    """Takes connections and answers none."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"


@contextmanager
def answering(status: int, content: object) -> Iterator[str]:
    def answer(method: str, path: str, token: str, body: bytes) -> tuple[int, object]:
        return status, content

    with serve_api(answer) as url:
        yield url


def nobody() -> AbstractContextManager[str]:
    return nullcontext(f"http://user:secret@127.0.0.1:{free_port()}")


Registry = Callable[[], AbstractContextManager[str]]
OUT_OF_REACH: dict[str, Registry] = {
    "refused": nobody,
    "silent": silent_server,
    "500": lambda: answering(500, {"error_code": "INTERNAL_ERROR", "message": "broken"}),
    "502": lambda: answering(502, b"<html>Bad Gateway</html>"),
    "521": lambda: answering(521, b"<html>Web server is down</html>"),
}
SAYS_NO: dict[str, Registry] = {
    "no such model": lambda: answering(
        404, {"error_code": "RESOURCE_DOES_NOT_EXIST", "message": "not found"}
    ),
    "no version": lambda: answering(200, {"model_versions": []}),
    "no rights": lambda: answering(403, {"error_code": "PERMISSION_DENIED", "message": "no"}),
    "no MLflow": lambda: answering(404, {"detail": "Not Found"}),
    "a page": lambda: answering(401, b"<html>Log in</html>"),
}


@pytest.mark.parametrize(
    ("how", "address"),
    [*((how, "/Production") for how in OUT_OF_REACH), ("refused", "/production"),
     ("refused", "@production")],
)  # fmt: skip
@pytest.mark.usefixtures("store", "impatient")
def test_the_exported_stage_stands_in_for_a_registry_out_of_reach(
    exported: Path, how: str, address: str
) -> None:
    name = exported_name(exported)
    uri = f"models:/{name}{address}"
    with OUT_OF_REACH[how]() as url, store_at(url):
        origin = find_model(Settings(model_uri=uri, model_dir=str(exported)))
    assert (origin.source, origin.model_name, origin.model_version) == ("local", name, "1")
    assert origin.is_stand_in
    assert uri in origin.note
    assert "secret" not in origin.note


@pytest.mark.parametrize(
    "address",
    ["{name}/Staging", "{name}/1", "{name}/latest", "{name}@champion", "nobody/Production"],
)
@pytest.mark.usefixtures("store", "impatient")
def test_nothing_stands_in_for_another_stage_version_or_model(exported: Path, address: str) -> None:
    name = exported_name(exported)
    uri = f"models:/{address.format(name=name)}"
    with (
        nobody() as url,
        store_at(url),
        pytest.raises(
            TrackingError, match=f"{uri}: .*exported from {name} in Production"
        ) as caught,
    ):
        find_model(Settings(model_uri=uri, model_dir=str(exported)))
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("how", "address"),
    [*((how, "/Production") for how in SAYS_NO), *((how, "/99") for how in SAYS_NO),
     ("no such model", "@production")],
)  # fmt: skip
@pytest.mark.usefixtures("store", "impatient")
def test_a_registry_that_says_no_ends_the_start(exported: Path, how: str, address: str) -> None:
    uri = f"models:/{exported_name(exported)}{address}"
    with SAYS_NO[how]() as url, store_at(url), pytest.raises(RegistryError) as caught:
        find_model(Settings(model_uri=uri, model_dir=str(exported)))
    assert exported_name(exported) in str(caught.value)
    assert f"-P model_uri={exported}" in str(caught.value)


@pytest.mark.parametrize("which", ["/99", "/Staging", "@nobody"])
def test_what_is_not_in_the_registry_is_not_served_from_a_directory(
    store: Store, exported: Path, which: str
) -> None:
    uri = f"models:/{exported_name(exported)}{which}"
    with pytest.raises(RegistryError):
        find_model(Settings(model_uri=uri, model_dir=str(exported)))
    with pytest.raises(RegistryError, match="nobody"):
        find_model(Settings(model_uri="models:/nobody/Production", model_dir=str(exported)))


@pytest.mark.usefixtures("store", "impatient")
def test_without_both_the_refusal_names_both(tmp_path: Path) -> None:
    with (
        nobody() as url,
        store_at(url),
        pytest.raises(TrackingError, match=r"out of reach.*MODEL_DIR=.*no exported model"),
    ):
        find_model(Settings(model_uri="models:/nobody/Production", model_dir=str(tmp_path)))


@pytest.mark.slow
def test_a_start_that_the_registry_refuses_is_one_line_and_status_1(
    store: Store, name: str, exported: Path, tmp_path: Path
) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "fraud_model.serving", "--model-uri", f"models:/{name}/99"],
        cwd=tmp_path,
        env=own_environment(
            PYTHONPATH=str(REPOSITORY), MLFLOW_TRACKING_URI=store.uri, MODEL_DIR=str(exported)
        ),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith(f"error: model {name!r} has no version 99.")
    assert "Traceback" not in done.stderr


def test_credentials_are_removed() -> None:
    shown = without_credentials("https://user:secret@tracking.example:5000/path")
    assert shown == "https://tracking.example:5000/path"
    assert without_credentials("sqlite:///mlflow.db") == "sqlite:///mlflow.db"


@pytest.mark.slow
def test_a_server_without_its_registry_is_degraded_and_says_so(
    exported: Path, tmp_path: Path
) -> None:
    uri = f"models:/{exported_name(exported)}/Production"
    address = f"http://user:secret@127.0.0.1:{free_port()}"
    environment = {"MLFLOW_TRACKING_URI": address, "MODEL_DIR": str(exported)}
    # Two workers: each has to know, and the metric is still 1.
    with serving(tmp_path, "--model-uri", uri, "--workers", "2", **environment) as server:
        answer = server.get("/health")
        health = answer.json()
        assert (answer.status_code, health["status"]) == (200, "degraded")
        assert (health["source"], health["model_version"]) == ("local", "1")
        assert uri in health["note"]
        assert "fraud_model_degraded 1.0" in server.get("/metrics").text
        log = server.log.read_text()
        assert f"The files in {exported} are served instead" in log
        assert "secret" not in log + answer.text


def test_a_directory_that_was_asked_for_is_healthy(server: Server) -> None:
    health = server.get("/health").json()
    assert (health["status"], health["source"], health["note"]) == ("healthy", "local", "")
    assert "fraud_model_degraded 0.0" in server.get("/metrics").text


@pytest.mark.slow
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
        assert server.post(content["examples"]["high"]["value"]).ok


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


@pytest.mark.slow
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
