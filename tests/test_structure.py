"""MLproject and the modules of the entry points agree, and an import does nothing."""

from __future__ import annotations

import importlib
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests.support.environment import REPOSITORY, own_environment

PROJECT = yaml.safe_load((REPOSITORY / "MLproject").read_text())
ENTRY_POINTS: dict[str, dict[str, object]] = PROJECT["entry_points"]
# `serve` is a module of the package, because an image runs it without the entry points.
WITH_A_MODULE = sorted(set(ENTRY_POINTS) - {"test", "serve"})


def parameters(name: str) -> dict[str, dict[str, object]]:
    declared = ENTRY_POINTS[name].get("parameters", {})
    assert isinstance(declared, dict)
    return declared


@pytest.mark.parametrize("name", WITH_A_MODULE)
def test_an_entry_point_is_a_module_with_help_and_an_example(name: str) -> None:
    module = importlib.import_module(f"entrypoints.{name}")
    assert f"python -m entrypoints.{name}" in str(ENTRY_POINTS[name]["command"])
    assert module.__doc__
    assert "example:\n  mlflow run ." in module.__doc__


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


@pytest.mark.slow
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
    assert set(re.findall(r"^  --([\w-]+)", shown, re.MULTILINE)) - {"help"} == options


def test_the_modules_of_entry_points_are_declared() -> None:
    modules = {path.stem for path in (REPOSITORY / "entrypoints").glob("*.py")}
    assert modules - {"__init__", "arguments", "reporting"} == set(WITH_A_MODULE)


def test_no_module_but_the_simulation_knows_the_features_of_one_data_set() -> None:
    modules = [*REPOSITORY.glob("fraud_model/**/*.py"), *REPOSITORY.glob("entrypoints/*.py")]
    naming = [m.name for m in modules if re.search(r"\bV\d+\b", m.read_text())]
    assert set(naming) <= {"simulation.py"}


@pytest.mark.slow
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
