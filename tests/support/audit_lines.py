"""Audit logs of made-up traffic, as the server writes them."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson
import pandas as pd

from fraud_model.model.detector import FraudDetector
from fraud_model.model.directory import KnownRows

START = datetime(2026, 11, 1, tzinfo=UTC).timestamp()
DAY = 86_400


def scored_lines(
    detector: FraudDetector,
    table: pd.DataFrame,
    *,
    day: int = 0,
    name: str = "fraud-detector",
    version: str = "1",
) -> list[dict[str, Any]]:
    """The lines of a table's rows, one a request, spread over a day."""
    rows = table[list(detector.features)]
    scored = detector.predict(None, rows)
    sent = KnownRows(rows, scored["fraud_probability"].to_numpy()).records
    return [
        {
            "time": datetime.fromtimestamp(START + (day + i / len(rows)) * DAY, UTC),
            "request_id": f"{day}-{i}",
            "row": 0,
            "model_name": name,
            "model_version": version,
            "features": row,
            "fraud_probability": probability,
            "is_fraud": flagged,
        }
        for i, (row, probability, flagged) in enumerate(
            zip(
                sent,
                scored["fraud_probability"].tolist(),
                scored["is_fraud"].tolist(),
                strict=True,
            )
        )
    ]


def refused_line(day: int = 0, version: str = "1", name: str = "fraud-detector") -> dict[str, Any]:
    """The line of a refused request."""
    return {
        "time": datetime.fromtimestamp(START + (day + 0.5) * DAY, UTC),
        "request_id": "refused",
        "model_name": name,
        "model_version": version,
        "refused": "bad_request",
    }


def shadow_line(scored: dict[str, Any], version: str, probability: float) -> dict[str, Any]:
    """The line of a shadow that scored the same row."""
    kept = {key: scored[key] for key in ("time", "request_id", "row", "model_name")}
    return {
        **kept,
        "model_version": version,
        "shadow_of": scored["model_version"],
        "fraud_probability": probability,
        "is_fraud": probability >= 0.5,
        "champion_probability": scored["fraud_probability"],
        "champion_is_fraud": scored["is_fraud"],
    }


def write_lines(path: Path, lines: list[dict[str, Any]]) -> Path:
    """Writes lines as an audit log."""
    path.write_bytes(
        b"".join(orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE) for line in lines)
    )
    return path
