"""The exported model as the peers use it: the same booster, scaling and calibration.

Imports LightGBM and NumPy alone, so that it works in every peer's environment.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

import lightgbm
import numpy as np
import numpy.typing as npt

MODEL = "BENCHMARK_MODEL"


class Detector:
    """Reads a model directory: by default the one that `BENCHMARK_MODEL` names."""

    def __init__(self, model: Path | None = None) -> None:
        artifacts = (model or Path(os.environ[MODEL])) / "artifacts"
        scaler = json.loads((artifacts / "scaler.json").read_text())
        encoder = json.loads((artifacts / "encoder.json").read_text())
        decision = json.loads((artifacts / "decision.json").read_text())
        self.booster = lightgbm.Booster(model_file=artifacts / "booster.lgb")
        self.features: list[str] = [feature["name"] for feature in encoder["features"]]
        self.center = np.array(scaler["center"])
        self.scale = np.array(scaler["scale"])
        self._slope: float = decision["slope"]
        self._intercept: float = decision["intercept"]

    def probability(self, values: npt.ArrayLike) -> npt.NDArray[np.float64]:
        """Calibrated probabilities, shape (rows,), of raw values of shape (rows, features)."""
        return self.of_scaled((np.asarray(values) - self.center) / self.scale)

    def of_scaled(self, scaled: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """The same for values that are scaled already."""
        log_odds = np.asarray(self.booster.predict(scaled, raw_score=True, num_threads=1))
        return 1.0 / (1.0 + np.exp(-(self._slope * log_odds + self._intercept)))
