"""What a worker sends to its shadow process: scored requests, many in one frame.

A frame is the length of its header, the header in JSON, and then the requests' numbers as they are
in memory: the rows' values, the champion's probabilities and its flags. Values that are not all
numbers are in the header instead.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt
import orjson

from fraud_model.arrays import Floats
from fraud_model.serving import any_json
from fraud_model.serving.frame_values import cells_of, pack_values, unpack_values
from fraud_model.serving.model import FLAG, PROBABILITY, ScoredRows

# A request's id and its rows, with the champion's answer.
Answered = tuple[str, ScoredRows]

# In place of the audit line of a row that the shadow refuses.
DROPPED = b'{"dropped":true}\n'

LENGTH = struct.Struct("<I")


@dataclass(frozen=True)
class Frame:
    """Several requests.

    Attributes:
        time: when the frame was packed, in ISO 8601.
        requests: id and number of rows of each request.
        values: the rows of all requests, of shape (rows, features); float64 where they are numbers.
        probability: the champion's fraud probabilities, of shape (rows,).
        flagged: the champion's flags, of shape (rows,).
    """

    time: str
    requests: list[tuple[str, int]]
    values: npt.NDArray[Any]
    probability: Floats
    flagged: npt.NDArray[np.bool_]

    def each(self) -> Iterator[Frame]:
        """A frame for each request."""
        first = 0
        for request_id, count in self.requests:
            part = slice(first, first := first + count)
            yield Frame(
                self.time,
                [(request_id, count)],
                self.values[part],
                self.probability[part],
                self.flagged[part],
            )


def pack(answered: Sequence[Answered]) -> bytes:
    """The bytes of a frame."""
    values, own = pack_values(np.concatenate([rows.values for _, rows in answered]))
    header = any_json.dumps(
        {
            "time": datetime.now(UTC),
            "requests": [(request_id, len(rows)) for request_id, rows in answered],
            "values": values,
        }
    )
    numbers = [own]
    for name, kind in ((PROBABILITY, np.float64), (FLAG, np.bool_)):
        numbers += [np.asarray(rows.columns[name], kind).tobytes() for _, rows in answered]
    return b"".join([LENGTH.pack(len(header)), header, *numbers])


def read(stream: BinaryIO, width: int) -> Frame | None:
    """The next frame, of rows with `width` features; None if the stream ends, even in mid-frame.

    A read from the stream has to wait for as many bytes as it asks for, as buffered streams do.
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
    sent = header["values"]
    floats = (cells_of(sent, rows, width) + rows) * 8
    body = stream.read(floats + rows)
    if len(body) < floats + rows:
        return None
    numbers = np.frombuffer(body, np.float64, floats // 8)
    values, probability = unpack_values(sent, numbers, rows, width)
    return Frame(
        header["time"],
        header["requests"],
        values,
        probability,
        np.frombuffer(body, np.bool_, rows, offset=floats),
    )
