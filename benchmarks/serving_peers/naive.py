"""The route that one writes by hand: a DataFrame of the row, StandardScaler, predict."""

from __future__ import annotations

from typing import Any

import pandas as pd
from fastapi import FastAPI
from sklearn.preprocessing import StandardScaler

from benchmarks.serving_peers.detector import Detector

detector = Detector()
scaler = StandardScaler()
# What fitting would have set.
scaler.feature_names_in_ = pd.Index(detector.features).to_numpy(dtype=object)
scaler.n_features_in_ = len(detector.features)
scaler.mean_, scaler.scale_ = detector.center, detector.scale
app = FastAPI()


@app.post("/score")
def score(row: dict[str, Any]) -> dict[str, float]:
    """The fraud probability of one row."""
    table = pd.DataFrame([row])[detector.features]
    return {"fraud_probability": float(detector.of_scaled(scaler.transform(table))[0])}
