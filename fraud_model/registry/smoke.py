"""Loads a model version in a process of its own and scores its known rows.

    python -m fraud_model.registry.smoke models:/fraud-detector/3

A process of its own, because what serves the version will be one: nothing that the promotion has
imported or loaded can help a version that is broken.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import mlflow
import mlflow.artifacts
import numpy as np

from fraud_model.model.flavor import read_known_rows

TIMEOUT_SECONDS = 300

# A probability may differ by rounding between processors, not by more.
TOLERANCE = 1e-9


def smoke_test(model_uri: str) -> str | None:
    """Runs this module on `model_uri`; None where all is well, else what went wrong, in a line."""
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
        return f"no answer within {TIMEOUT_SECONDS} s"
    if done.returncode == 0:
        return None
    lines = (done.stderr.strip() or "no message").splitlines()
    return f"{lines[-1]} (exit status {done.returncode})"


def score_known_rows(model_uri: str) -> int:
    """Scores the known rows of a version through pyfunc; returns how many there were.

    Raises:
        ValueError: an answer differs from what the version answered when it was trained.
    """
    path = Path(mlflow.artifacts.download_artifacts(model_uri))
    rows, expected = read_known_rows(path)
    answered = mlflow.pyfunc.load_model(str(path)).predict(rows)
    off = np.abs(answered["fraud_probability"].to_numpy() - np.asarray(expected))
    if not (off <= TOLERANCE).all():
        raise ValueError(f"known row {int(off.argmax())} scores {off.max():.3g} off its record")
    return len(rows)


if __name__ == "__main__":
    mlflow.set_tracking_uri(sys.argv[2])
    print(json.dumps({"known_rows": score_known_rows(sys.argv[1])}))
