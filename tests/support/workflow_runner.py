"""Runs the `run:` steps of a workflow's job as GitHub's runner does, as far as ours need it."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from tests.support.environment import REPOSITORY, own_environment

WORKFLOWS = REPOSITORY / ".github" / "workflows"
EXPRESSION = re.compile(r"\$\{\{ (.*?) \}\}")
COMPARISON = re.compile(r"(\S+) (==|!=) '([^']*)'")


def load(name: str) -> dict[str, Any]:
    """A workflow; `on` reads as True in YAML 1.1."""
    workflow: dict[object, Any] = yaml.safe_load((WORKFLOWS / name).read_text())
    return {str(key).replace("True", "on"): content for key, content in workflow.items()}


@dataclass
class Job:
    """A job that was run: did it fail, its outputs and its summary."""

    failed: bool = False
    outputs: dict[str, str] = field(default_factory=dict)
    summary: str = ""
    log: str = ""


def run_job(
    job: dict[str, Any],
    clone: Path,
    artifacts: Path,
    values: dict[str, str],
    **environment: str,
) -> Job:
    """Runs one job in a clone, in the environment of the tests.

    `values` are what expressions stand for; another one has no value. Artifacts that one job keeps
    another one finds again in `artifacts`.
    """
    done = Job()
    outputs: dict[str, str] = {}
    outcomes: dict[str, str] = {}
    temporary = artifacts / "runner"
    temporary.mkdir(parents=True, exist_ok=True)

    def value(expression: str) -> str:
        if COMPARISON.fullmatch(expression):
            return str(holds(expression, False, value)).lower()
        if expression.startswith("steps."):
            _, step, *_, name = expression.split(".")
            return outcomes.get(step, "") if name == "outcome" else outputs.get(name, "")
        return values.get(expression, "")

    def fill(text: str) -> str:
        return EXPRESSION.sub(lambda found: value(found[1]), str(text))

    job_variables = {key: fill(text) for key, text in job.get("env", {}).items()}
    for step in job["steps"]:
        variables = job_variables | {key: fill(text) for key, text in step.get("env", {}).items()}
        of_environment = {f"env.{key}": text for key, text in variables.items()}

        def known(name: str, own: dict[str, str] = of_environment) -> str:
            return own.get(name, "") if name.startswith("env.") else value(name)

        if not holds(step.get("if", ""), done.failed, known):
            continue
        action = step.get("uses", "").partition("@")[0]
        options = step.get("with", {})
        if action == "actions/upload-artifact":
            shutil.copytree(clone / options["path"], artifacts / options["name"])
        elif action == "actions/download-artifact":
            shutil.copytree(artifacts / options["name"], clone / options["path"])
        if "run" not in step:
            continue
        output, summary, later = (temporary / name for name in ("output", "summary", "env"))
        output.write_text("")
        summary.write_text("")
        later.write_text("")
        variables |= {
            "GITHUB_OUTPUT": str(output),
            "GITHUB_STEP_SUMMARY": str(summary),
            "GITHUB_ENV": str(later),
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        }
        process = subprocess.run(
            ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", step["run"]],
            cwd=clone,
            env={**own_environment(), **environment, **variables},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        done.log += f"$ {step['run']}\n{process.stdout}"
        done.summary += summary.read_text()
        for line in output.read_text().splitlines():
            name, _, text = line.partition("=")
            outputs[name] = text
        for line in later.read_text().splitlines():
            name, _, text = line.partition("=")
            job_variables[name] = text
        done.failed = done.failed or process.returncode != 0
        outcomes[step.get("id", "")] = "failure" if process.returncode else "success"
    done.outputs = {name: fill(text) for name, text in job.get("outputs", {}).items()}
    return done


def holds(condition: str, failed: bool, value: Callable[[str], str]) -> bool:
    """Whether something starts, after a failure or not, whose condition has && between its terms.

    Without `always()` or `failure()` it starts after successes alone. `value` says what a name
    stands for.
    """
    terms = condition.split(" && ") if condition else []
    if failed and not {"always()", "failure()"} & set(terms):
        return False
    return all(_is_true(term, failed, value) for term in terms)


def _is_true(term: str, failed: bool, value: Callable[[str], str]) -> bool:
    if term in ("always()", "failure()"):
        return failed or term == "always()"
    compared = COMPARISON.fullmatch(term)
    assert compared, term
    left, operator, right = compared.groups()
    return (value(left) == right) == (operator == "==")
