"""Runs the `run:` steps of a workflow's job as GitHub's runner does, as far as ours need it."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from tests.support.environment import REPOSITORY, own_environment

WORKFLOWS = REPOSITORY / ".github" / "workflows"
ALWAYS = "always() && "
EXPRESSION = re.compile(r"\$\{\{ (.*?) \}\}")


def load(name: str) -> dict[str, Any]:
    """A workflow; `on` reads as True in YAML 1.1."""
    workflow: dict[object, Any] = yaml.safe_load((WORKFLOWS / name).read_text())
    return {str(key).replace("True", "on"): content for key, content in workflow.items()}


@dataclass
class Job:
    """A job that was run: did it fail, its steps' outputs and its summary."""

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
    temporary = artifacts / "runner"
    temporary.mkdir(parents=True, exist_ok=True)

    def value(expression: str) -> str:
        if expression.startswith("steps."):
            return done.outputs.get(expression.rpartition(".")[2], "")
        return values.get(expression, "")

    def fill(text: str) -> str:
        return EXPRESSION.sub(lambda found: value(found[1]), str(text))

    job_variables = {key: fill(text) for key, text in job.get("env", {}).items()}
    for step in job["steps"]:
        variables = job_variables | {key: fill(text) for key, text in step.get("env", {}).items()}
        condition = step.get("if", "")
        if done.failed and not condition.startswith(ALWAYS):
            continue
        if condition and not _holds(condition.removeprefix(ALWAYS), variables, value):
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
            done.outputs[name] = text
        for line in later.read_text().splitlines():
            name, _, text = line.partition("=")
            job_variables[name] = text
        done.failed = done.failed or process.returncode != 0
    return done


def _holds(condition: str, variables: dict[str, str], value: Any) -> bool:
    left, operator, right = re.fullmatch(r"(\S+) (==|!=) '(.*)'", condition).groups()  # type: ignore[union-attr]
    found = variables.get(left.removeprefix("env."), "") if left.startswith("env.") else value(left)
    return (found == right) == (operator == "==")
