"""How the values of rows travel in a frame: as numbers in memory, or else in its JSON header."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from fraud_model.arrays import Floats

Values = npt.NDArray[Any]


def pack_values(values: Values) -> tuple[list[list[Any]] | None, bytes]:
    """What a header and what the bytes behind it hold of values, shape (rows, features)."""
    if values.dtype == np.float64:
        return None, np.ascontiguousarray(values).tobytes()
    return values.tolist(), b""


def cells_of(header: list[list[Any]] | None, rows: int, width: int) -> int:
    """How many of the numbers behind a header are values."""
    return rows * width if header is None else 0


def unpack_values(
    header: list[list[Any]] | None, numbers: Floats, rows: int, width: int
) -> tuple[Values, Floats]:
    """The values, shape (rows, width), and the numbers that stand behind them."""
    cells = cells_of(header, rows, width)
    values: Values = numbers[:cells] if header is None else np.array(header, dtype=object)
    return values.reshape(rows, width), numbers[cells:]
