"""Which values of scored rows are missing, and which categories training did not see."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Literal

from fraud_model.model.feature import UNKNOWN
from fraud_model.serving.model import ScoredRows, ServedModel

Unusual = Literal["missing", "unseen"]


class Watch:
    """Looks at the features of a version that are categories, or may be missing.

    A table of numbers without gaps has none, and costs nothing.
    """

    def __init__(self, served: ServedModel) -> None:
        optional = {column.name for column in served.columns if not column.required}
        self._features = served.features
        self._watched = [
            (place, name, feature)
            for place, name in enumerate(served.features)
            for feature in [served.known.get(name)]
            if name in optional or (feature is not None and feature.kind == "category")
        ]

    @property
    def names(self) -> list[str]:
        """Names of the features that are looked at."""
        return [name for _, name, _ in self._watched]

    def unusual(self, rows: ScoredRows) -> Iterator[tuple[str, Unusual]]:
        """The feature of each value that is missing or was never seen in training."""
        if not self._watched or rows.features != self._features:
            return
        for place, name, feature in self._watched:
            for value in rows.values[:, place].tolist():
                if value is None or value != value:
                    yield name, "missing"
                elif feature is not None and feature.kind == "category":
                    code = feature.read_value(value)
                    if math.isnan(code):
                        yield name, "missing"
                    elif code == UNKNOWN:
                        yield name, "unseen"
