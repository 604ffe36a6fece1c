"""What a request is answered with."""

from __future__ import annotations

from typing import NamedTuple

import orjson
from starlette.types import Send

from fraud_model.serving.model import ScoredRows


class Reply(NamedTuple):
    """An answer; `error` is its kind where it is one, `rows` what was scored where anything was.

    `unlogged` says that the audit log could not be written.
    """

    status: int
    body: bytes
    error: str = ""
    media_type: str = "application/json"
    rows: ScoredRows | None = None
    unlogged: bool = False


def refuse(status: int, kind: str, message: str) -> Reply:
    """A refusal in the form of MLflow's errors, with no stack trace and none of the payload."""
    return Reply(status, orjson.dumps({"error_code": kind.upper(), "message": message}), kind)


FAILED = refuse(500, "internal_error", "The server failed. See its log for this request's id.")


def busy() -> Reply:
    """The refusal of a request that would have to wait too long."""
    return refuse(429, "too_many_requests", "The server is busy. Try again in a second.")


def too_slow(seconds: float) -> Reply:
    """The refusal of a request whose answer is not there in time."""
    return refuse(504, "timeout", f"Scoring took longer than {seconds:g} s.")


def too_much_to_unpack() -> Reply:
    """The refusal of a body that takes too much of the processor before anything is scored."""
    return refuse(413, "too_many_rows", "The Parquet file takes too long to unpack.")


async def send_reply(reply: Reply, send: Send, *more: tuple[bytes, bytes]) -> None:
    """Sends a reply with these additional headers."""
    headers = [
        (b"content-type", reply.media_type.encode()),
        (b"content-length", str(len(reply.body)).encode()),
        *more,
    ]
    if reply.status == 429:
        headers.append((b"retry-after", b"1"))
    if reply.status in (408, 413):
        # The rest of the body is not read.
        headers.append((b"connection", b"close"))
    await send({"type": "http.response.start", "status": reply.status, "headers": headers})
    await send({"type": "http.response.body", "body": reply.body})
