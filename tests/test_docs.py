"""README and docs show every entry point, parameter, setting and package; every link resolves."""

from __future__ import annotations

import json
import re

import pytest
import yaml

from fraud_model.serving.settings import Settings
from tests.support.documents import (
    DOCUMENTS,
    PAGES,
    anchors,
    fences,
    is_inside,
    links,
    prose,
    read,
    rows,
    sections,
    target_of,
)
from tests.support.environment import REPOSITORY

PROJECT = yaml.safe_load(read("MLproject"))
ENTRY_POINTS: dict[str, dict[str, object]] = PROJECT["entry_points"]
REFERENCE = sections("docs/reference.md")
LONGEST_README = 120


def parameters(name: str) -> dict[str, dict[str, object]]:
    declared = ENTRY_POINTS[name].get("parameters", {})
    assert isinstance(declared, dict)
    return declared


def without_marks(cell: str) -> str:
    return cell.strip("`")


def test_the_readme_is_one_page() -> None:
    assert len(read("README.md").splitlines()) <= LONGEST_README


def test_the_test_command_differs_from_the_first_in_lock_and_entry_point() -> None:
    # .ci/run finds it by its mark.
    marked = r"<!-- {} command -->\n```sh\n(.*)\n```\n"
    (main,) = re.findall(marked.format("main"), read("README.md"))
    (test,) = re.findall(marked.format("test"), read("README.md"))
    with_lock = main.replace("requirements.txt", "requirements-dev.txt")
    assert test == with_lock.replace("mlflow run .", "mlflow run . -e test")


def test_the_readme_lists_every_entry_point_and_links_every_document() -> None:
    assert set(rows(sections("README.md")["Entry points"])) == set(ENTRY_POINTS)
    linked = {target_of("README.md", link)[0] for link in links("README.md") if is_inside(link)}
    assert linked >= {REPOSITORY / document for document in DOCUMENTS if document != "README.md"}


@pytest.mark.parametrize("name", sorted(ENTRY_POINTS))
def test_the_reference_shows_every_parameter_with_its_default(name: str) -> None:
    documented = rows(REFERENCE[name])
    assert set(documented) == set(parameters(name))
    for parameter, declared in parameters(name).items():
        assert without_marks(documented[parameter][0]) == str(declared["default"]), parameter


def test_the_reference_shows_no_entry_point_that_is_gone() -> None:
    assert set(REFERENCE) - {"Environment variables", "Exit statuses"} == set(ENTRY_POINTS)


def test_every_setting_of_the_server_is_documented_with_its_default() -> None:
    documented = rows(sections("docs/serve.md")["Settings"])
    assert set(documented) == {name.upper() for name in Settings.__dataclass_fields__}
    for name, setting in Settings.__dataclass_fields__.items():
        default = str(setting.default).lower() if setting.type == "bool" else str(setting.default)
        assert without_marks(documented[name.upper()][0]) == default.removesuffix(".0"), name


@pytest.mark.parametrize("table", ["Columns", "Hyperparameters"])
def test_the_tables_about_training_show_the_defaults(table: str) -> None:
    (text,) = re.findall(rf"^###? {table}\n(.*?)(?=^##|\Z)", read("docs/train.md"), re.M | re.S)
    documented = rows(text)
    assert documented
    for parameter, (default, _) in documented.items():
        assert without_marks(default) == str(parameters("train")[parameter]["default"]), parameter


def test_the_map_shows_every_package() -> None:
    (packages,) = re.findall(r"^\| floor .*?\n\n", read("docs/architecture.md"), re.M | re.S)
    shown = set(re.findall(r"`fraud_model/(\w+)/`", packages))
    assert shown == {path.parent.name for path in REPOSITORY.glob("fraud_model/*/__init__.py")}


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_link_leads_somewhere(document: str) -> None:
    inside = filter(is_inside, links(document))
    assert [link for link in inside if not _resolves(document, link)] == []


def _resolves(document: str, link: str) -> bool:
    file, anchor = target_of(document, link)
    if not file.exists():
        return False
    return not anchor or anchor in anchors(str(file.relative_to(REPOSITORY)))


@pytest.mark.parametrize("page", PAGES)
def test_every_path_in_the_text_exists(page: str) -> None:
    folders = "benchmarks|compose|docs|entrypoints|fraud_model|tests"
    named = re.findall(rf"`((?:{folders}|\.ci|\.github)/[\w./-]*)`", prose(page))
    assert [path for path in named if not (REPOSITORY / path).exists()] == []


@pytest.mark.parametrize("page", PAGES)
def test_every_fence_says_what_it_holds(page: str) -> None:
    for fence in fences(page):
        assert fence.language in ("sh", "python", "json", "yaml", "ini", "text"), fence.text
        if fence.language == "json":
            json.loads(fence.text)
        if fence.language == "yaml":
            yaml.safe_load(fence.text)


@pytest.mark.parametrize("page", PAGES)
def test_commands_use_the_environment_of_the_first_one(page: str) -> None:
    shown = [line for fence in fences(page) if fence.language == "sh" for line in fence.commands]
    starting = re.compile(r"\bmlflow (run|models serve)\b")
    assert [c for c in shown if starting.search(c) and "--env-manager local" not in c] == []
