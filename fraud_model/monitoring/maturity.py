"""Which transactions have a label that is known, and which windows of them have matured."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import pandas as pd

from fraud_model.arrays import Floats
from fraud_model.data.labels import LabelRule

# A window has matured when this share of its transactions has a label: frauds are often reported
# before the others are cleared, and metrics of those alone would mislead.
MATURED_SHARE = 0.95

Numbers = npt.NDArray[np.int64]


class Labelled:
    """The scored transactions that may have a label, as they come, by window."""

    def __init__(self, rule: LabelRule) -> None:
        self._rule = rule
        self._parts: list[pd.DataFrame] = []

    def add(
        self, labels: Floats, seconds: Floats, windows: Numbers, columns: Mapping[str, Floats]
    ) -> None:
        """Keeps rows: their labels (NaN without one), times, windows and more, shape (rows,)."""
        kept = np.ones(len(labels), dtype=bool)
        if self._rule.unlabelled == "ignore":
            kept = ~np.isnan(labels)
        part = {"label": labels, "seconds": seconds, "window": windows, **columns}
        self._parts.append(pd.DataFrame({name: values[kept] for name, values in part.items()}))

    def known(self, now: float) -> pd.DataFrame:
        """The rows whose label is known at the end of the traffic, `now` in seconds.

        The columns are label (int64), seconds, window, and what was added.
        """
        if not self._parts:
            return pd.DataFrame({"label": [], "seconds": [], "window": []}, dtype=np.int64)
        table = pd.concat(self._parts, ignore_index=True)
        labels, known, _ = self._rule.settle(
            table["label"].to_numpy(), table["seconds"].to_numpy(), "the traffic", now
        )
        return table.assign(label=labels)[known].astype({"label": np.int64})


def has_matured(known: int, rows: int) -> bool:
    """Whether a window with so many known labels and so many transactions has matured."""
    return rows > 0 and known >= MATURED_SHARE * rows
