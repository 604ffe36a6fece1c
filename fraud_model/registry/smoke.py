"""Loads a model version in a process of its own and scores its known rows.

    python -m fraud_model.registry.smoke path/to/model result.json

A process of its own, because what serves the version will be one: nothing that the promotion has
imported or loaded can help a version that is broken. Loading a version runs its code, so that
process gets no variable of the environment but those that Python needs: no token, no password, no
key of the artifact store, and no address of the tracking store.
"""

from __future__ import annotations

import fnmatch
import json
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import mlflow.pyfunc
import numpy as np
from mlflow.exceptions import MlflowException

from fraud_model.errors import RegistryError
from fraud_model.model.directory import ModelDirectory
from fraud_model.registry.files import download

TIMEOUT_SECONDS = 300

# A probability may differ by rounding between processors, not by more.
TOLERANCE = 1e-9

# The variables that the process gets, where they are set.
PASSED_ON = (
    "PATH",
    "HOME",
    "LANG",
    "LC_*",
    "TZ",
    "TMPDIR",
    "LD_LIBRARY_PATH",
    "DYLD_*LIBRARY_PATH",
    "PYTHON*",
    "OMP_*",
    "*_NUM_THREADS",
)


@dataclass(frozen=True)
class SmokeResult:
    """Whether a version loads and scores as it did; `text` says so, or what is wrong, in a line."""

    passed: bool
    text: str


def smoke_test(model_uri: str) -> SmokeResult:
    """Fetches the version that `model_uri` names, and runs this module on its files."""
    with tempfile.TemporaryDirectory() as folder:
        try:
            path = download(model_uri, model_uri, Path(folder) / "model")
        except (RegistryError, MlflowException, OSError) as error:
            return SmokeResult(False, f"its files cannot be read: {str(error).splitlines()[0]}")
        return _run(path, Path(folder) / "result.json")


def _run(path: Path, result: Path) -> SmokeResult:
    command = [sys.executable, "-m", "fraud_model.registry.smoke", str(path), str(result)]
    try:
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            timeout=TIMEOUT_SECONDS,
            check=False,
            cwd=Path(__file__).parents[2],
            env=_without_secrets(),
        )
    except subprocess.TimeoutExpired:
        return SmokeResult(False, f"no answer within {TIMEOUT_SECONDS} s")
    if done.returncode or not result.exists():
        lines = (done.stderr.strip() or "no message").splitlines()
        return SmokeResult(False, f"{lines[-1]} (exit status {done.returncode})")
    known_rows = json.loads(result.read_text())["known_rows"]
    return SmokeResult(True, "as recorded" if known_rows else "loads; it has no known rows")


def score_known_rows(path: Path) -> int:
    """Loads a model directory through pyfunc and scores its known rows; returns how many it has.

    A version that this project did not train has none: it is loaded only.

    Raises:
        ValueError: an answer differs from what the version answered when it was trained.
    """
    model = mlflow.pyfunc.load_model(str(path))
    known = ModelDirectory(path).known_rows
    if known is None:
        return 0
    answered = model.predict(known.rows)
    off = np.abs(answered["fraud_probability"].to_numpy() - known.probability)
    if not (off <= TOLERANCE).all():
        raise ValueError(f"known row {int(off.argmax())} scores {off.max():.3g} off its record")
    return len(known.rows)


def _without_secrets() -> dict[str, str]:
    return {
        name: value
        for name, value in os.environ.items()
        if any(fnmatch.fnmatchcase(name, pattern) for pattern in PASSED_ON)
    }


if __name__ == "__main__":
    scored = score_known_rows(Path(sys.argv[1]))
    Path(sys.argv[2]).write_text(json.dumps({"known_rows": scored}))
