"""Audit logs of any size, as the server writes them, of transactions that come again and again."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy.typing as npt

from fraud_model.arrays import Floats
from fraud_model.serving.audit import AuditLog
from fraud_model.serving.model import ScoredRows
from fraud_model.serving.origin import Origin


def write_lines(
    path: Path,
    name: str,
    features: tuple[str, ...],
    values: Floats,
    answered: Mapping[str, npt.NDArray[Any]],
    lines: int,
    at_once: int,
) -> None:
    """Writes so many lines of version 1 of the model `name`, `at_once` to a request.

    A request's id is the number of its first line. `values` has the shape (transactions, features),
    and what was answered (transactions,).
    """
    audit = AuditLog(path, 10**12, Origin("", "local", name, "1"))
    for first in range(0, lines, at_once):
        piece = slice(first % len(values), first % len(values) + at_once)
        columns = {column: each[piece] for column, each in answered.items()}
        audit.write(str(first), ScoredRows(features, values[piece], columns))
    audit.close()
