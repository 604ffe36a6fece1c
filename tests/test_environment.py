"""The locks, pyproject.toml, the environment managers' files and the linters agree."""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from collections.abc import Iterable, Iterator
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
NEEDED_BY_TUNING, NEEDED_BY_CLUSTERS = (
    [Requirement(text) for text in PYPROJECT["project"]["optional-dependencies"][extra]]
    for extra in ("tune", "dask")
)
NEEDED_BY_TESTS = [Requirement(text) for text in PYPROJECT["dependency-groups"]["dev"]]
# Packages by what one imports; xgboost as well where it is not installed.
DISTRIBUTIONS = {**packages_distributions(), "xgboost": ["xgboost-cpu"]}


def requirements(name: str) -> list[Requirement]:
    """The lines of a requirements file, without comments and options."""
    lines = (REPOSITORY / name).read_text().splitlines()
    return [Requirement(line) for line in lines if re.match(r"\w", line)]


def names(listed: Iterable[Requirement | str]) -> set[str]:
    """Names of distributions as the index compares them."""
    return {canonicalize_name(one if isinstance(one, str) else one.name) for one in listed}


def yaml_file(name: str) -> dict[str, Any]:
    content: dict[str, Any] = yaml.safe_load((REPOSITORY / name).read_text())
    return content


def imported(path: Path) -> Iterator[str]:
    """Every package from elsewhere that a module imports."""
    own = {"fraud_model", "entrypoints", "tests", "benchmarks"}
    for node in ast.walk(ast.parse(path.read_text())):
        modules: list[str] = []
        if isinstance(node, ast.Import):
            modules = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            modules = [node.module]
        yield from {module.partition(".")[0] for module in modules} - sys.stdlib_module_names - own


def undeclared(modules: Iterable[Path], declared: list[Requirement]) -> set[str]:
    """What modules import that no distribution of these requirements holds."""
    found = set()
    for path in modules:
        for package in imported(path):
            if not names(DISTRIBUTIONS.get(package, [package])) & names(declared):
                found.add(f"{path.relative_to(REPOSITORY)} imports {package}")
    return found


@pytest.mark.parametrize("folder", ["fraud_model", "entrypoints"])
def test_what_the_entry_points_import_is_declared(folder: str) -> None:
    modules = set((REPOSITORY / folder).rglob("*.py"))
    tuning = set((REPOSITORY / "fraud_model" / "tuning").rglob("*.py"))
    clusters = set((REPOSITORY / "fraud_model" / "training" / "cluster").rglob("*.py"))
    assert undeclared(modules - tuning - clusters, NEEDED) == set()
    assert undeclared(tuning & modules, NEEDED + NEEDED_BY_TUNING) == set()
    assert undeclared(clusters & modules, NEEDED + NEEDED_BY_CLUSTERS) == set()


def test_what_the_tests_import_is_declared() -> None:
    assert undeclared((REPOSITORY / "tests").rglob("*.py"), NEEDED + NEEDED_BY_TESTS) == set()


def test_what_the_benchmarks_import_is_declared() -> None:
    modules = set((REPOSITORY / "benchmarks").rglob("*.py"))
    # A peer is served in an environment of its own.
    peers = set((REPOSITORY / "benchmarks" / "serving_peers").glob("*_peer.py"))
    declared = NEEDED + requirements("benchmarks/requirements.txt")
    assert undeclared(modules - peers, declared) == set()
    for peer in peers:
        lock = f"benchmarks/serving_peers/{peer.stem.removesuffix('_peer')}.txt"
        assert undeclared([peer], requirements(lock)) == set()


@pytest.mark.parametrize(
    ("lock", "needed"),
    [
        ("requirements.txt", NEEDED),
        ("requirements-tune.txt", NEEDED_BY_TUNING),
        ("requirements-dask.txt", NEEDED_BY_CLUSTERS),
        ("requirements-dev.txt", NEEDED_BY_TESTS + NEEDED_BY_TUNING + NEEDED_BY_CLUSTERS),
    ],
    ids=["entry points", "tuning", "clusters", "tests"],
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


@pytest.mark.parametrize(
    "lock", ["requirements-tune.txt", "requirements-dask.txt", "requirements-dev.txt"]
)
def test_a_lock_adds_to_that_of_the_entry_points(lock: str) -> None:
    assert (REPOSITORY / lock).read_text().startswith("-r requirements.txt\n")
    assert not names(requirements("requirements.txt")) & names(requirements(lock))


@pytest.mark.parametrize("extra", ["tune", "dask"])
def test_the_tests_run_with_what_an_extra_is_locked_to(extra: str) -> None:
    own, tests = (
        {str(pin) for pin in requirements(f"requirements-{name}.txt")} for name in (extra, "dev")
    )
    assert own <= tests


@pytest.mark.parametrize(
    "lock",
    [
        "requirements.txt",
        "requirements-tune.txt",
        "requirements-dask.txt",
        "requirements-dev.txt",
    ],
)
def test_a_lock_pins_every_package_and_names_no_index(lock: str) -> None:
    text = (REPOSITORY / lock).read_text()
    assert "://" not in text
    assert "--" not in text
    assert all(
        [specifier.operator for specifier in pin.specifier] == ["=="] for pin in requirements(lock)
    )


@pytest.mark.parametrize(
    "tool", ["pytest", "ruff", "mypy", "playwright", "psycopg2-binary", "uv", "optuna", "dask"]
)
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
    installed = names(re.findall(r"[\w-]+", command))
    missing = {
        package
        for package in packages - {"fraud_model"}
        if not names(DISTRIBUTIONS[package]) & installed
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
    locks = ["-r requirements-tune.txt", "-r requirements-dask.txt"]
    assert virtualenv["dependencies"] == locks
    assert {"pip": locks} in conda["dependencies"]


def test_commits_are_checked_by_the_linters_of_the_test_command() -> None:
    command = yaml_file("MLproject")["entry_points"]["test"]["command"]
    *linters, tests = command.split(" && ")
    assert tests.startswith("python -m pytest ")
    (local,) = yaml_file(".pre-commit-config.yaml")["repos"]
    assert [hook["entry"] for hook in local["hooks"]] == linters
    # Only these take the versions of the lock.
    assert {hook["language"] for hook in local["hooks"]} == {"system"}
