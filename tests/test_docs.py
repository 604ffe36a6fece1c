"""MLproject, the entry points and the README agree; the README's commands run as they stand."""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest
import requests
import yaml

from fraud_model.serving.settings import Settings
from tests.support.environment import REPOSITORY, copy_checkout, has_docker, own_environment

README = (REPOSITORY / "README.md").read_text()
SECTIONS = re.split(r"^## ", "\n" + README, flags=re.MULTILINE)
PROJECT = yaml.safe_load((REPOSITORY / "MLproject").read_text())
ENTRY_POINTS: dict[str, dict[str, object]] = PROJECT["entry_points"]
# `serve` is a module of the package, because an image runs it without the entry points.
WITH_A_MODULE = sorted(set(ENTRY_POINTS) - {"test", "serve"})


# The sections of the README whose commands the tests below run; the first has no heading.
WALKED = (
    "",
    "Serve and query",
    "Serve with health, metrics, audit and a page",
    "Watch it",
    "Deploy",
    "Train on your own data",
    "Figures",
)


def commands(heading: str) -> list[str]:
    """Every line of every `sh` block of a section of the README, in order."""
    heading, _, text = next(
        section.partition("\n") for section in SECTIONS if section.startswith(f"{heading}\n")
    )
    blocks = re.findall(r"^```sh\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    return [line for block in blocks for line in block.splitlines()]


def parameters(name: str) -> dict[str, dict[str, object]]:
    declared = ENTRY_POINTS[name].get("parameters", {})
    assert isinstance(declared, dict)
    return declared


def readme_row(name: str) -> str:
    (row,) = re.findall(rf"^\| `{name}` \|.*$", README, re.MULTILINE)
    return str(row)


@pytest.mark.parametrize("name", WITH_A_MODULE)
def test_an_entry_point_is_a_module_with_help_and_an_example(name: str) -> None:
    module = importlib.import_module(f"entrypoints.{name}")
    assert f"python -m entrypoints.{name}" in str(ENTRY_POINTS[name]["command"])
    assert module.__doc__
    assert "example:\n  mlflow run ." in module.__doc__


@pytest.mark.parametrize("name", sorted(ENTRY_POINTS))
def test_an_entry_point_and_its_parameters_are_in_the_readme(name: str) -> None:
    row = readme_row(name)
    if name == "main":
        assert set(parameters("main")) < set(parameters("train"))
    else:
        assert re.findall(r"`(\w+)`", row.split("|")[3].split("(")[0]) or not parameters(name)
        missing = [parameter for parameter in parameters(name) if f"`{parameter}`" not in row]
        assert missing == []


@pytest.mark.parametrize("name", WITH_A_MODULE)
def test_mlproject_passes_every_parameter_with_the_modules_own_default(
    name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    command = str(ENTRY_POINTS[name]["command"])
    monkeypatch.setattr(sys, "argv", [name, "--help"])
    monkeypatch.setenv("COLUMNS", "200")
    with pytest.raises(SystemExit, match="0"):
        importlib.import_module(f"entrypoints.{name}").main()
    shown = capsys.readouterr().out
    for parameter, declared in parameters(name).items():
        option = f"--{parameter.replace('_', '-')}"
        assert f"{option} {{{parameter}}}" in command
        default = re.search(rf"{option} .*?\[default: ([^\]]*)\]", shown, re.DOTALL)
        assert default, f"{option} shows no default in --help"
        given = default.group(1)
        assert given == str(declared["default"]) or float(given) == float(str(declared["default"]))


def test_the_serving_options_of_mlproject_are_the_modules_own() -> None:
    command = str(ENTRY_POINTS["serve"]["command"])
    shown = subprocess.run(
        [sys.executable, "-m", "fraud_model.serving", "--help"],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    options = {name.replace("_", "-") for name in parameters("serve")}
    assert set(re.findall(r"--([\w-]+) ", command)) == options
    assert set(re.findall(r"--([\w-]+)", shown)) - {"help"} == options


def test_every_setting_of_the_server_is_in_the_readme() -> None:
    table = dict(re.findall(r"^\| `([A-Z_]+)` \|([^|]*)\|", README, re.MULTILINE))
    for name, setting in Settings.__dataclass_fields__.items():
        default = str(setting.default).lower() if setting.type == "bool" else str(setting.default)
        assert table[name.upper()].strip(" `") == default.removesuffix(".0")


def test_the_modules_of_entry_points_are_declared() -> None:
    modules = {path.stem for path in (REPOSITORY / "entrypoints").glob("*.py")}
    assert modules - {"__init__", "arguments", "reporting"} == set(WITH_A_MODULE)


def test_no_module_but_the_simulation_knows_the_features_of_one_data_set() -> None:
    modules = [*REPOSITORY.glob("fraud_model/**/*.py"), *REPOSITORY.glob("entrypoints/*.py")]
    naming = [m.name for m in modules if re.search(r"\bV\d+\b", m.read_text())]
    assert set(naming) <= {"simulation.py"}


def test_importing_does_nothing(tmp_path: Path) -> None:
    modules = [
        ".".join(path.relative_to(REPOSITORY).with_suffix("").parts)
        for folder in ("fraud_model", "entrypoints")
        for path in sorted((REPOSITORY / folder).rglob("*.py"))
    ]
    code = "import " + ", ".join(modules)
    environment = own_environment(PYTHONPATH=str(REPOSITORY))
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == ""
    assert list(tmp_path.iterdir()) == []


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory, sample_csv: Path) -> Path:
    """The files that a clone of this work tree would have, and real transactions beside them."""
    folder = tmp_path_factory.mktemp("clone") / "fraud-detector"
    copy_checkout(folder)
    shutil.copy(sample_csv, folder / "creditcard.csv")
    row = pd.read_csv(sample_csv).drop(columns="Class").iloc[0].to_dict()
    (folder / "transaction.json").write_text(json.dumps({"dataframe_records": [row]}))
    return folder


def shell(command: str, folder: Path) -> str:
    environment = own_environment()
    done = subprocess.run(
        ["bash", "-ec", command],
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"{command}\n{done.stdout}"
    return done.stdout


@contextlib.contextmanager
def in_background(command: str, folder: Path) -> Iterator[None]:
    environment = own_environment()
    process = subprocess.Popen(
        ["bash", "-ec", command], cwd=folder, env=environment, start_new_session=True
    )
    try:
        for _ in range(1200):
            with contextlib.suppress(requests.ConnectionError):
                if requests.get("http://127.0.0.1:5001/ping", timeout=5).ok:
                    break
            assert process.poll() is None
            time.sleep(0.5)
        yield
    finally:
        os.killpg(process.pid, 15)
        process.wait(30)
        # The server itself may take longer than the shell around it.
        with contextlib.suppress(requests.ConnectionError):
            for _ in range(60):
                requests.get("http://127.0.0.1:5001/ping", timeout=5)
                time.sleep(0.5)
            raise AssertionError("the server goes on after SIGTERM")


def test_no_command_of_the_readme_is_left_out() -> None:
    with_commands = {section.partition("\n")[0] for section in SECTIONS if "```sh" in section}
    assert with_commands == set(WALKED)


@pytest.mark.slow
def test_the_commands_of_the_readme_run_in_a_fresh_clone(clone: Path) -> None:
    first, tests = commands("")
    assert first.endswith("mlflow run . --env-manager local")
    # .ci/run calls the test command; running it here would never end.
    assert tests == first.replace("mlflow run .", "mlflow run . -e test")
    said = shell(first, clone)
    assert "fraud-detector version 1 stands in Production" in said
    assert "trained on simulated data" in said

    activated = ". .venv/bin/activate && "
    plain, query = commands("Serve and query")
    shim, export = commands("Serve with health, metrics, audit and a page")
    answers = []
    for serve in (plain, shim):
        with in_background(f"{activated}{serve} --env-manager local", clone):
            answers.append(json.loads(shell(query, clone).splitlines()[-1]))
    assert set(answers[0]["predictions"][0]) == {"fraud_probability", "is_fraud", "risk_level"}
    assert answers[0] == answers[1]
    shell(f"{activated}{export} --env-manager local", clone)
    assert (clone / "model" / "MLmodel").is_file()

    serve, monitor = commands("Watch it")
    served = pd.read_csv(clone / "creditcard.csv").tail(2_000)
    with in_background(f"{activated}{serve} --env-manager local", clone):
        answer = requests.post(
            "http://127.0.0.1:5001/invocations",
            json={"dataframe_records": served.drop(columns="Class").to_dict("records")},
            timeout=60,
        )
    assert answer.ok
    labels = pd.DataFrame({"row": range(2_000), "Class": served["Class"]})
    labels.assign(request_id=answer.headers["X-Request-ID"]).to_csv(
        clone / "labels.csv", index=False
    )
    said = shell(f"{activated}{monitor} --env-manager local || true", clone)
    assert "2,000 scored transactions" in said
    assert "average precision is" in said
    assert (clone / "monitoring" / "report.html").is_file()

    # tests/test_image.py runs the commands that make images, tests/test_deploy.py the one for a
    # Space, and tests/test_compose.py what Compose would start.
    plain_image, image, run_image, deploy, compose = commands("Deploy")
    assert plain_image.startswith("mlflow models build-docker -m models:/fraud-detector/Production")
    assert image == "mlflow run . -e image"
    assert run_image == "docker run -p 7860:7860 fraud-detector:latest"
    assert compose.startswith("docker compose up")
    said = shell(f"{activated}{deploy} -P dry_run=true --env-manager local", clone)
    assert "fraud-detector version 1 would go to user/fraud-detector" in said

    # The real file is out of reach of a test; tests/test_download.py fetches from a local server.
    download, *journey = commands("Train on your own data")
    assert download == "mlflow run . -e download"
    for command in journey:
        said = shell(f"{activated}{command} --env-manager local", clone)
    assert "fraud-detector version 1 stands in Production" in said


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="the soak test reads memory from /proc")
def test_the_benchmarks_of_the_readme_run(clone: Path) -> None:
    environment, recipes, overhead, peers, serving, soak, monitoring, images = commands("Figures")
    shell(environment, clone)
    activated = ". .bench/bin/activate && "
    said = shell(f"{activated}{recipes} --repeats 1", clone)
    assert "| plain LightGBM |" in said
    assert "| XGBoost |" in said
    said = shell(f"{activated}{overhead} --repeats 1", clone)
    assert "| training |" in said
    assert "| scoring |" in said
    shell(peers, clone)
    said = shell(f"{activated}{serving} --rounds 1 --seconds 0.2", clone)
    assert "| latency / MLServer, one tensor |" in said
    said = shell(f"{activated}{soak} --minutes 0.3", clone)
    assert "whose rows or refusal are not all in the audit log: 0" in said
    said = shell(f"{activated}{monitoring} --windows 3 --repeats 1 --lines 20000", clone)
    assert "| 20,000 |" in said
    if has_docker():
        said = shell(f"{activated}{images} --repeats 1", clone)
        assert "| fraud-benchmark:ours |" in said
