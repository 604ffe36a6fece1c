"""Loads a model version in a process of its own and scores its known rows.

    python -m fraud_model.registry.smoke models:/fraud-detector/3 sqlite:///mlflow.db

A process of its own, because what serves the version will be one: nothing that the promotion has
imported or loaded can help a version that is broken.
"""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import mlflow
import mlflow.artifacts
import numpy as np

from fraud_model.model.directory import ModelDirectory

TIMEOUT_SECONDS = 300

# A probability may differ by rounding between processors, not by more.
TOLERANCE = 1e-9


@dataclass(frozen=True)
class SmokeResult:
    """Whether a version loads and scores as it did; `text` says so, or what is wrong, in a line."""

    passed: bool
    text: str


def smoke_test(model_uri: str) -> SmokeResult:
    """Runs this module on `model_uri`."""
    command = [
        sys.executable,
        "-m",
        "fraud_model.registry.smoke",
        model_uri,
        mlflow.get_tracking_uri(),
    ]
    try:
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            timeout=TIMEOUT_SECONDS,
            check=False,
            cwd=Path(__file__).parents[2],
        )
    except subprocess.TimeoutExpired:
        return SmokeResult(False, f"no answer within {TIMEOUT_SECONDS} s")
    if done.returncode:
        lines = (done.stderr.strip() or "no message").splitlines()
        return SmokeResult(False, f"{lines[-1]} (exit status {done.returncode})")
    # A model's own code may print, too.
    known_rows = json.loads(done.stdout.splitlines()[-1])["known_rows"]
    return SmokeResult(True, "as recorded" if known_rows else "loads; it has no known rows")


def score_known_rows(model_uri: str) -> int:
    """Loads a version through pyfunc and scores its known rows; returns how many there were.

    A version that this project did not train has none: it is loaded only.

    Raises:
        ValueError: an answer differs from what the version answered when it was trained.
    """
    path = Path(mlflow.artifacts.download_artifacts(model_uri))
    model = mlflow.pyfunc.load_model(str(path))
    known = ModelDirectory(path).known_rows
    if known is None:
        return 0
    answered = model.predict(known.rows)
    off = np.abs(answered["fraud_probability"].to_numpy() - known.probability)
    if not (off <= TOLERANCE).all():
        raise ValueError(f"known row {int(off.argmax())} scores {off.max():.3g} off its record")
    return len(known.rows)


if __name__ == "__main__":
    mlflow.set_tracking_uri(sys.argv[2])
    print(json.dumps({"known_rows": score_known_rows(sys.argv[1])}))
