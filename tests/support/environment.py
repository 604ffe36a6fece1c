"""Where the tests run: the checkout, the environment of child processes, and what is installed."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

REPOSITORY = Path(__file__).parents[2]
SAMPLE_VARIABLE = "FRAUD_SAMPLE_DATA"


def own_environment(**more: str) -> dict[str, str]:
    """Environment variables for a process that shares no run or experiment with this one.

    `mlflow.set_experiment` puts the experiment into the environment, and so into child processes.
    """
    return {k: v for k, v in os.environ.items() if not k.startswith("MLFLOW_")} | more


def copy_checkout(folder: Path) -> None:
    """Copies the files that a clone of this work tree would have."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=True,
    )
    for name in listed.stdout.splitlines():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(REPOSITORY / name, folder / name)


def has_docker() -> bool:
    """Whether there is an engine to build and run images with; its command alone is not enough."""
    if shutil.which("docker") is None:
        return False
    return subprocess.run(["docker", "info"], capture_output=True, check=False).returncode == 0
