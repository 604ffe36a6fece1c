"""A BentoML service around the same booster."""

from __future__ import annotations

from typing import Any

import bentoml  # type: ignore[import-not-found]
from pydantic import BaseModel, create_model

from benchmarks.serving_peers.detector import Detector

fields: dict[str, Any] = dict.fromkeys(Detector().features, (float, ...))
Row: type[BaseModel] = create_model("Row", **fields)


@bentoml.service(workers=1)
class Scorer:
    """Takes a row as numbers or with names, in the methods that its documentation shows.

    A coroutine spares BentoML the hop to a thread.
    """

    def __init__(self) -> None:
        self._detector = Detector()

    @bentoml.api  # type: ignore[untyped-decorator]
    def score(self, values: list[float]) -> float:
        """The fraud probability of a row whose features come in the model's order."""
        return float(self._detector.probability([values])[0])

    @bentoml.api  # type: ignore[untyped-decorator]
    def score_named(self, row: Row) -> float:  # type: ignore[valid-type]
        """The fraud probability of a row with named features."""
        return float(self._detector.probability([[*vars(row).values()]])[0])

    @bentoml.api  # type: ignore[untyped-decorator]
    async def score_inline(self, values: list[float]) -> float:
        """As `score`, on the event loop."""
        return float(self._detector.probability([values])[0])
