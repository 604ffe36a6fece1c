"""The floor: a FastAPI route that validates the row with pydantic and calls the booster."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI
from pydantic import BaseModel, create_model

from benchmarks.serving_peers.detector import Detector

detector = Detector()
fields: dict[str, Any] = dict.fromkeys(detector.features, (float, ...))
Row: type[BaseModel] = create_model("Row", **fields)
app = FastAPI()


@app.post("/score")
async def score(row: Row) -> dict[str, float]:  # type: ignore[valid-type]
    """The fraud probability of one row."""
    return {"fraud_probability": float(detector.probability([[*vars(row).values()]])[0])}
