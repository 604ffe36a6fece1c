"""The locks, pyproject.toml, the environment managers' files and the linters agree."""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from collections.abc import Iterator
from importlib.metadata import packages_distributions
from pathlib import Path
from typing import Any

import grimp
import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.support.environment import REPOSITORY

PYPROJECT = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())
NEEDED = [Requirement(text) for text in PYPROJECT["project"]["dependencies"]]
NEEDED_BY_TESTS = [Requirement(text) for text in PYPROJECT["dependency-groups"]["dev"]]
# What the benchmarks import, and packages_distributions cannot know where it is not installed.
DISTRIBUTIONS = {"xgboost": ["xgboost-cpu"]}


def requirements(name: str) -> list[Requirement]:
    """The lines of a requirements file, without comments and options."""
    lines = (REPOSITORY / name).read_text().splitlines()
    return [Requirement(line) for line in lines if re.match(r"\w", line)]


def names(listed: list[Requirement]) -> set[str]:
    return {canonicalize_name(requirement.name) for requirement in listed}


def yaml_file(name: str) -> dict[str, Any]:
    content: dict[str, Any] = yaml.safe_load((REPOSITORY / name).read_text())
    return content


def imported(folder: str) -> Iterator[tuple[str, Path]]:
    """Every package from elsewhere that a module below a folder imports, and the module."""
    own = {"fraud_model", "entrypoints", "tests", "benchmarks"}
    for path in sorted((REPOSITORY / folder).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            modules: list[str] = []
            if isinstance(node, ast.Import):
                modules = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                modules = [node.module]
            for module in modules:
                package = module.partition(".")[0]
                if package not in sys.stdlib_module_names | own:
                    yield package, path


@pytest.mark.parametrize(
    ("folders", "files", "dev"),
    [
        (["fraud_model", "entrypoints"], [], False),
        (["tests"], [], True),
        (
            ["benchmarks"],
            [
                "benchmarks/requirements.txt",
                "benchmarks/serving_peers/bentoml.txt",
                "benchmarks/serving_peers/mlserver.txt",
            ],
            False,
        ),
    ],
    ids=["entry points", "tests", "benchmarks"],
)
def test_every_import_is_declared(folders: list[str], files: list[str], dev: bool) -> None:
    declared = names(NEEDED + (NEEDED_BY_TESTS if dev else []))
    for file in files:
        declared |= names(requirements(file))
    distributions = packages_distributions()
    undeclared = set()
    for folder in folders:
        for package, path in imported(folder):
            known = DISTRIBUTIONS.get(package) or distributions.get(package, [package])
            if not {canonicalize_name(name) for name in known} & declared:
                undeclared.add(f"{path.relative_to(REPOSITORY)} imports {package}")
    assert undeclared == set()


@pytest.mark.parametrize(
    ("lock", "needed"),
    [("requirements.txt", NEEDED), ("requirements-dev.txt", NEEDED_BY_TESTS)],
    ids=["entry points", "tests"],
)
def test_a_lock_pins_what_pyproject_asks_for(lock: str, needed: list[Requirement]) -> None:
    # What an entry point or MLflow needs as well is in the first lock alone.
    pinned = {
        canonicalize_name(pin.name): pin
        for pin in [*requirements("requirements.txt"), *requirements(lock)]
        if pin.marker is None or pin.marker.evaluate({"python_full_version": "3.11.0"})
    }
    for requirement in needed:
        pin = pinned[canonicalize_name(requirement.name)]
        (version,) = pin.specifier
        assert version.operator == "=="
        assert requirement.specifier.contains(version.version), f"{pin} is not {requirement}"


def test_the_lock_of_the_tests_adds_to_the_other_one() -> None:
    assert (REPOSITORY / "requirements-dev.txt").read_text().startswith("-r requirements.txt\n")
    assert not names(requirements("requirements.txt")) & names(requirements("requirements-dev.txt"))


@pytest.mark.parametrize("lock", ["requirements.txt", "requirements-dev.txt"])
def test_a_lock_pins_every_package_and_names_no_index(lock: str) -> None:
    text = (REPOSITORY / lock).read_text()
    assert "://" not in text
    assert "--" not in text
    assert all(
        [specifier.operator for specifier in pin.specifier] == ["=="] for pin in requirements(lock)
    )


@pytest.mark.parametrize("tool", ["pytest", "ruff", "mypy", "playwright", "psycopg2-binary", "uv"])
def test_who_only_trains_installs_no_tool_of_the_tests(tool: str) -> None:
    assert tool not in names(requirements("requirements.txt"))
    assert tool in names(requirements("requirements-dev.txt"))


def test_the_image_installs_what_serving_imports() -> None:
    graph = grimp.build_graph("fraud_model", include_external_packages=True, cache_dir=None)
    imports = set()
    for started in ("fraud_model.serving.__main__", "fraud_model.serving.shadow.process"):
        imports |= graph.find_upstream_modules(started)
    packages = {name for name in imports if "." not in name} - sys.stdlib_module_names
    dockerfile = (REPOSITORY / "Dockerfile").read_text()
    (command,) = re.findall(r"pip install (.*?)&&", dockerfile, re.DOTALL)
    installed = {canonicalize_name(word) for word in re.findall(r"[\w-]+", command)}
    distributions = packages_distributions()
    missing = {
        package
        for package in packages - {"fraud_model"}
        if not {canonicalize_name(name) for name in distributions[package]} & installed
    }
    assert missing == set()


def test_every_manager_makes_the_same_environment() -> None:
    virtualenv = yaml_file("python_env.yaml")
    conda = yaml_file("conda.yaml")
    python = virtualenv["python"]
    assert f"python={python}" in conda["dependencies"]
    # MLflow compares it as text, so that a number would be an error.
    assert isinstance(python, str)
    assert PYPROJECT["project"]["requires-python"].startswith(f">={python},")
    assert virtualenv["dependencies"] == ["-r requirements.txt"]
    assert {"pip": ["-r requirements.txt"]} in conda["dependencies"]


def test_commits_are_checked_by_the_linters_of_the_test_command() -> None:
    command = yaml_file("MLproject")["entry_points"]["test"]["command"]
    *linters, tests = command.split(" && ")
    assert tests.startswith("python -m pytest ")
    (local,) = yaml_file(".pre-commit-config.yaml")["repos"]
    assert [hook["entry"] for hook in local["hooks"]] == linters
    # Only these take the versions of the lock.
    assert {hook["language"] for hook in local["hooks"]} == {"system"}
