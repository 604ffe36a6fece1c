"""What a worker and its scoring process send each other.

A frame is the length of its header, the header in JSON, and the bytes that the header counts. In a
question these are the body of a request. In an answer they are the body of the reply and, if rows
were scored with probabilities, these and the flags as they lie in memory. Where the worker looks at
the rows' values, they come first; values that are not all numbers are in the header.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Any, BinaryIO, NamedTuple

import numpy as np
import orjson

from fraud_model.serving import any_json
from fraud_model.serving.frame_values import cells_of, pack_values, unpack_values
from fraud_model.serving.model import FLAG, PREDICTION, PROBABILITY, ScoredRows
from fraud_model.serving.reply import Reply

LENGTH = struct.Struct("<I")


class Question(NamedTuple):
    """A request as the scoring process needs it."""

    body: bytes
    content_type: str
    request_id: str
    source: str = ""


def pack_question(question: Question) -> bytes:
    """The frame of a question, without its body: that follows as it is."""
    header = {
        "content_type": question.content_type,
        "request_id": question.request_id,
        "source": question.source,
        "bytes": len(question.body),
    }
    return _with_length(orjson.dumps(header))


def read_question(stream: BinaryIO) -> Question | None:
    """The next question; None where the stream ends, or breaks off."""
    prefix = stream.read(LENGTH.size)
    if len(prefix) < LENGTH.size:
        return None
    (length,) = LENGTH.unpack(prefix)
    text = stream.read(length)
    if len(text) < length:
        return None
    header = orjson.loads(text)
    body = stream.read(header["bytes"])
    if len(body) < header["bytes"]:
        return None
    return Question(body, header["content_type"], header["request_id"], header["source"])


def pack_answer(reply: Reply, *, with_values: bool) -> bytes:
    """The frame of an answer, with the values of its rows or without."""
    rows = reply.rows
    numbers: list[bytes] = []
    values, own = None, b""
    if rows is not None and rows.has_probabilities:
        if with_values:
            values, own = pack_values(rows.values)
        numbers = [
            own,
            np.asarray(rows.columns[PROBABILITY], np.float64).tobytes(),
            np.asarray(rows.columns[FLAG], np.bool_).tobytes(),
        ]
    header = {
        "status": reply.status,
        "error": reply.error,
        "media_type": reply.media_type,
        "unlogged": reply.unlogged,
        "bytes": len(reply.body),
        "rows": None if rows is None else len(rows),
        "numbers": sum(map(len, numbers)),
        "with_values": with_values,
        "values": values,
    }
    return b"".join([_with_length(any_json.dumps(header)), reply.body, *numbers])


def unpack_answer(header: dict[str, Any], content: bytes, features: Sequence[str]) -> Reply:
    """The reply in an answer's header and the bytes behind it."""
    body, numbers = content[: header["bytes"]], content[header["bytes"] :]
    return Reply(
        header["status"],
        body,
        header["error"],
        header["media_type"],
        None if header["rows"] is None else _rows(header, numbers, features),
        header["unlogged"],
    )


def _rows(header: dict[str, Any], numbers: bytes, features: Sequence[str]) -> ScoredRows:
    rows = header["rows"]
    if not header["with_values"]:
        features = ()
    if not numbers:
        # Nobody needs what a version answers that answers no probabilities; only how often.
        nothing = np.full(rows, None, dtype=object)
        return ScoredRows((), np.empty((rows, 0)), {PREDICTION: nothing})
    sent, width = header["values"], len(features)
    floats = np.frombuffer(numbers, np.float64, cells_of(sent, rows, width) + rows)
    values, probability = unpack_values(sent, floats, rows, width)
    return ScoredRows(
        features,
        values,
        {
            PROBABILITY: probability,
            FLAG: np.frombuffer(numbers, np.bool_, rows, offset=floats.nbytes),
        },
    )


def _with_length(header: bytes) -> bytes:
    return LENGTH.pack(len(header)) + header
