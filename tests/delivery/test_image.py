"""Real images, built and asked: the project's own, and the one that MLflow makes."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import requests

from fraud_model.delivery.bundle import Bundle, assemble
from fraud_model.delivery.image import check_answers
from fraud_model.errors import ImageError
from fraud_model.model.directory import ModelDirectory
from tests.support.environment import REPOSITORY, has_docker, own_environment
from tests.support.machine import traces
from tests.support.other_models import RELEASE_MODEL
from tests.support.server import Server, free_port
from tests.support.store import Store
from tests.support.waiting import is_up, wait_until

needs_docker = pytest.mark.skipif(not has_docker(), reason="needs docker")


@pytest.fixture(scope="module")
def bundle(exported: Path, tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return assemble(tmp_path_factory.mktemp("bundle"), "", "Production", str(exported))


def test_a_server_of_the_same_model_passes(
    server: Server, bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: list[str | None] = []
    send = requests.Session.send

    def watched(
        self: requests.Session, request: requests.PreparedRequest, **how: Any
    ) -> requests.Response:
        if request.method == "POST":
            sent.append(request.headers.get("X-Request-Source"))
        return send(self, request, **how)

    monkeypatch.setattr(requests.Session, "send", watched)
    check_answers(server.url, bundle)
    assert sent == ["test"], "known rows are nobody's transactions"


def test_the_files_of_an_image_do_not_tell_the_machine(bundle: Bundle, tmp_path: Path) -> None:
    assert traces(bundle.folder / "model") == []
    # What an earlier release exported loses its paths here.
    older = assemble(tmp_path, "", "Production", str(RELEASE_MODEL))
    assert "/home/" not in (older.folder / "model" / "MLmodel").read_text()


def test_a_server_that_scores_differently_is_refused(server: Server, bundle: Bundle) -> None:
    shifted = bundle.probability + np.eye(len(bundle.rows))[1] * 1e-6
    with pytest.raises(ImageError, match="scores known row 1 with"):
        check_answers(server.url, replace(bundle, probability=shifted))


def test_a_server_of_another_version_is_refused(server: Server, bundle: Bundle) -> None:
    with pytest.raises(ImageError, match=r"serves model-.* version 1, not model-.* version 2"):
        check_answers(server.url, replace(bundle, version="2"))


def test_nobody_there_is_refused(bundle: Bundle) -> None:
    with pytest.raises(ImageError, match="does not answer"):
        check_answers(f"http://127.0.0.1:{free_port()}", bundle)


def image(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "entrypoints.image", *arguments],
        cwd=REPOSITORY,
        env=own_environment(**environment),
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.slow
def test_without_docker_it_says_what_to_install(exported: Path, tmp_path: Path) -> None:
    done = image("--model-dir", str(exported), PATH=str(tmp_path))
    assert done.returncode == 1
    assert "error: docker is not on PATH" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.slow
def test_a_directory_without_a_model_is_refused(tmp_path: Path) -> None:
    done = image("--model-dir", str(tmp_path))
    assert done.returncode == 1
    assert f"error: '{tmp_path}' holds no exported model" in done.stderr


def docker(*arguments: str) -> str:
    return subprocess.run(
        ["docker", *arguments], capture_output=True, text=True, check=True
    ).stdout.strip()


@contextlib.contextmanager
def container(name: str, *options: str, **environment: str) -> Iterator[tuple[str, str]]:
    """A running container: its id, and the address where it answers `/ping`."""
    port = environment.get("PORT", "7860")
    variables = [part for pair in environment.items() for part in ("--env", "=".join(pair))]
    publish = ["--publish", f"127.0.0.1:{port}:{port}"]
    started = docker("run", "--detach", *publish, *variables, *options, name)
    url = f"http://127.0.0.1:{port}"
    try:
        wait_until(lambda: is_up(f"{url}/ping"), what="the container answers")
        yield started, url
    finally:
        subprocess.run(["docker", "rm", "--force", started], capture_output=True, check=False)


@needs_docker
@pytest.mark.slow
def test_the_image_serves_the_version_anywhere(
    store: Store, exported: Path, tmp_path: Path
) -> None:
    name = json.loads((exported / "origin.json").read_text())["model_name"]
    registry = {"MLFLOW_TRACKING_URI": store.uri}
    done = image("--model-name", name, "--image", "fraud-test", **registry)
    assert done.returncode == 0, done.stderr
    known = ModelDirectory(exported).required_known_rows()
    rows, recorded = known.rows, known.probability
    assert f"fraud-test:1 gives {len(rows)} known rows the same scores" in done.stdout
    assert docker("image", "inspect", "--format", "{{.Id}}", "fraud-test:1") == docker(
        "image", "inspect", "--format", "{{.Id}}", "fraud-test:latest"
    )
    config = json.loads(docker("image", "inspect", "fraud-test:1"))[0]
    assert config["Config"]["User"] == "1000"
    assert "/health" in str(config["Healthcheck"] if "Healthcheck" in config else config["Config"])

    with container("fraud-test:1", "--read-only", PORT=str(free_port())) as (started, url):
        payload = {"dataframe_split": rows.to_dict("split", index=False)}
        answer = requests.post(f"{url}/invocations", json=payload, timeout=30).json()
        scored = [row["fraud_probability"] for row in answer["predictions"]]
        assert scored == pytest.approx(recorded, abs=1e-9)
        parquet = rows.to_parquet()
        kind = {"Content-Type": "application/vnd.apache.parquet"}
        assert requests.post(f"{url}/invocations", parquet, headers=kind, timeout=30).ok
        health = requests.get(f"{url}/health", timeout=30).json()
        assert (health["status"], health["model_version"]) == ("healthy", "1")
        docker("exec", started, *config_healthcheck(config))
        start = time.monotonic()
        docker("stop", "--time", "30", started)
        assert time.monotonic() - start < 20
        assert docker("inspect", "--format", "{{.State.ExitCode}}", started) == "0"

    another = tmp_path / "model"
    shutil.copytree(exported, another)
    origin = another / "origin.json"
    origin.write_text(origin.read_text().replace('"model_version": "1"', '"model_version": "2"'))
    assert image("--model-dir", str(another), "--image", "fraud-test").returncode == 0
    layers = [
        json.loads(docker("image", "inspect", f"fraud-test:{version}"))[0]["RootFS"]["Layers"]
        for version in ("1", "2")
    ]
    assert layers[0][:-1] == layers[1][:-1]
    assert layers[0][-1] != layers[1][-1]


def config_healthcheck(config: dict[str, dict[str, object]]) -> list[str]:
    """The command of an image's health check."""
    check = config.get("Healthcheck") or config["Config"]["Healthcheck"]
    kind, *command = check["Test"]  # type: ignore[index]
    assert kind == "CMD"
    return [str(part) for part in command]


@needs_docker
@pytest.mark.slow
def test_an_image_that_answers_otherwise_gets_no_name(exported: Path, tmp_path: Path) -> None:
    # The directory is the registry's model with another booster in the copy that is baked in.
    lying = tmp_path / "lying.py"
    lying.write_text(
        "import sys\n"
        "from pathlib import Path\n"
        "from fraud_model.delivery import bundle\n"
        "from fraud_model.model import detector\n"
        "assemble = bundle.assemble\n"
        "def other(folder, *arguments):\n"
        "    made = assemble(folder, *arguments)\n"
        "    decision = Path(folder) / 'model' / 'artifacts' / detector.DECISION_FILE\n"
        "    decision.write_text(decision.read_text().replace('\"intercept\": ', "
        "'\"intercept\": 1'))\n"
        "    return made\n"
        "bundle.assemble = other\n"
        "from entrypoints import image, reporting\n"
        "reporting.run_entry_point(image.main)\n"
    )
    done = subprocess.run(
        [sys.executable, str(lying), "--model-dir", str(exported), "--image", "fraud-lying"],
        cwd=REPOSITORY,
        env=own_environment(PYTHONPATH=str(REPOSITORY)),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    # It refuses to start, and says why.
    assert "known row" in done.stderr
    assert "fraud-lying" not in docker("images", "--format", "{{.Repository}}:{{.Tag}}")


@needs_docker
@pytest.mark.slow
@pytest.mark.long
def test_mlflows_own_image_answers(store: Store, exported: Path) -> None:
    name = json.loads((exported / "origin.json").read_text())["model_name"]
    mlflow = Path(sys.executable).with_name("mlflow")
    path = f"{mlflow.parent}{os.pathsep}{os.environ['PATH']}"
    command = [str(mlflow), "models", "build-docker", "-m", f"models:/{name}/Production"]
    subprocess.run(
        [*command, "--env-manager", "local", "-n", "fraud-plain-test"],
        env=own_environment(PATH=path, MLFLOW_TRACKING_URI=store.uri),
        check=True,
    )
    known = ModelDirectory(exported).required_known_rows()
    rows, recorded = known.rows, known.probability
    with container("fraud-plain-test", PORT="8080") as (_, url):
        payload = {"dataframe_split": rows.to_dict("split", index=False)}
        answer = requests.post(f"{url}/invocations", json=payload, timeout=60).json()
    scored = [row["fraud_probability"] for row in answer["predictions"]]
    assert scored == pytest.approx(recorded, abs=1e-9)
