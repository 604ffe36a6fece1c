"""A better challenger as a pull request: exported model, model card and comparison."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from mlflow.entities.model_registry import ModelVersion

from fraud_model.commands import mlflow_run
from fraud_model.errors import ParameterError
from fraud_model.model.directory import ModelDirectory
from fraud_model.registry.export import write_version
from fraud_model.review.comparison import (
    CURVES_FILE,
    PICTURE,
    Comparison,
    markdown,
    write_comparison,
)
from fraud_model.review.github import Repository

BRANCH = "retrained-model"
MODEL = "model"
TEXT_FILE = "pull_request.json"


def prepare(version: ModelVersion, comparison: Comparison, folder: Path) -> None:
    """Writes the files of a pull request: the model directory, a title and a body.

    The folder is replaced. It can be moved to a machine that has the right to push.
    """
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    write_version(version, "Production", folder / MODEL)
    write_comparison(comparison, folder / MODEL)
    lines = [
        markdown(comparison),
        *([PICTURE] if comparison.sides else []),
        "Merging deploys this version.",
        "",
    ]
    card = ModelDirectory(folder / MODEL).card
    if card is not None:
        lines += ["<details><summary>Model card</summary>", "", card, "</details>", ""]
    body = "\n".join(lines)
    title = f"Serve {comparison.challenger}"
    (folder / TEXT_FILE).write_text(json.dumps({"title": title, "body": body}, indent=1) + "\n")


def publish(folder: Path, root: Path, repository: Repository) -> tuple[str, str]:
    """Pushes a prepared proposal to `BRANCH` and opens or updates its pull request.

    `root` is the checkout whose directory `model` is replaced. Returns title and page.

    Raises:
        ParameterError: the folder holds no proposal.
        GitHubError: git or GitHub refuses.
    """
    if not (folder / TEXT_FILE).is_file() or not ModelDirectory(folder / MODEL).is_model:
        raise ParameterError(
            f"proposal={str(folder)!r} holds no proposal. "
            f"`{mlflow_run('compare', proposal=folder)}` writes one if the challenger is better."
        )
    text = json.loads((folder / TEXT_FILE).read_text())
    shutil.rmtree(root / MODEL, ignore_errors=True)
    shutil.copytree(folder / MODEL, root / MODEL)
    commit = repository.push(root, [MODEL], BRANCH, text["title"])
    # A pull request has no folder of its own that an address could be relative to.
    picture = repository.raw(commit, f"{MODEL}/{CURVES_FILE}")
    body = text["body"].replace(f"]({CURVES_FILE})", f"]({picture})")
    body = f"{body}\nTrained in {repository.run_url}\n"
    return text["title"], repository.propose(BRANCH, text["title"], body)
