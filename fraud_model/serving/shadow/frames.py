"""What a worker sends to its shadow process: scored requests, many in one frame.

A frame is the length of its header, the header in JSON, and then the requests' numbers as they lie
in memory: the rows' values, the champion's probabilities and its flags.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import BinaryIO

import numpy as np
import numpy.typing as npt
import orjson

from fraud_model.arrays import Floats
from fraud_model.serving.model import Scored

# A request's id, its rows, and the columns of the champion's answer.
Answered = tuple[str, Floats, Scored]

LENGTH = struct.Struct("<I")


@dataclass(frozen=True)
class Frame:
    """Requests in a row.

    Attributes:
        time: when they were sent, in ISO 8601.
        requests: each one's id and its number of rows.
        values: of shape (rows, features), the rows of all requests.
        probability: the champion's, of shape (rows,).
        flagged: the champion's decisions, of shape (rows,).
    """

    time: str
    requests: list[tuple[str, int]]
    values: Floats
    probability: Floats
    flagged: npt.NDArray[np.bool_]


def pack(answered: Sequence[Answered]) -> bytes:
    """The bytes of a frame."""
    header = orjson.dumps(
        {
            "time": datetime.now(UTC),
            "requests": [(request_id, len(values)) for request_id, values, _ in answered],
        }
    )
    numbers = [np.asarray(values, np.float64).tobytes() for _, values, _ in answered]
    for name, kind in (("fraud_probability", np.float64), ("is_fraud", np.bool_)):
        numbers += [np.asarray(columns[name], kind).tobytes() for _, _, columns in answered]
    return b"".join([LENGTH.pack(len(header)), header, *numbers])


def read(stream: BinaryIO, width: int) -> Frame | None:
    """The next frame, its rows having `width` features; None where the stream ends, or breaks off.

    The stream has to wait for as many bytes as it is asked for, as buffered ones do.
    """
    prefix = stream.read(LENGTH.size)
    if len(prefix) < LENGTH.size:
        return None
    (length,) = LENGTH.unpack(prefix)
    text = stream.read(length)
    if len(text) < length:
        return None
    header = orjson.loads(text)
    rows = sum(count for _, count in header["requests"])
    floats = rows * (width + 1) * 8
    body = stream.read(floats + rows)
    if len(body) < floats + rows:
        return None
    numbers = np.frombuffer(body, np.float64, rows * (width + 1))
    return Frame(
        header["time"],
        header["requests"],
        numbers[: rows * width].reshape(rows, width),
        numbers[rows * width :],
        np.frombuffer(body, np.bool_, rows, offset=floats),
    )
