"""Calls an ASGI application in this process."""

from __future__ import annotations

from typing import Any

from starlette.types import ASGIApp, Message


async def call(
    app: ASGIApp,
    body: bytes = b"",
    *,
    path: str = "/invocations",
    content_type: str = "application/json",
) -> tuple[int, bytes]:
    """Status and body of the answer to a POST of `body`, or to a GET where there is none."""
    sent: list[Message] = []
    scope: dict[str, Any] = {
        "type": "http",
        "method": "POST" if body else "GET",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "root_path": "",
        "scheme": "http",
        "server": ("test", 80),
        "headers": [(b"content-type", content_type.encode()), (b"host", b"test")],
    }

    async def receive() -> Message:
        return {"type": "http.request", "body": body}

    async def send(message: Message) -> None:
        sent.append(message)

    await app(scope, receive, send)
    return sent[0]["status"], b"".join(message.get("body", b"") for message in sent[1:])
