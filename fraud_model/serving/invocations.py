"""The path `/invocations`: limits and records around the scoring of a request.

A short plain request is scored at once, any other short one in a thread, and a large one in the
process for large requests, where it holds up nobody else.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor

from starlette.requests import ClientDisconnect
from starlette.types import Receive, Scope, Send

from fraud_model.data.traffic import NO_TRAFFIC
from fraud_model.serving.failure import describe
from fraud_model.serving.live import Live, Version
from fraud_model.serving.model import ScoredRows
from fraud_model.serving.prometheus import Metrics
from fraud_model.serving.reply import FAILED, Reply, busy, refuse, send_reply, too_slow
from fraud_model.serving.screening import may_have_more_rows, mime_type_of
from fraud_model.serving.settings import Settings

log = logging.getLogger("fraud_model.serving")

# About 25 rows. So many bytes can also name thousands of rows without values, so rows are counted
# too: with every reason, a hundred take a tenth of a second.
SHORT_BYTES = 20_000
SHORT_ROWS = 100
THREADS = 8
# Counting that many rows takes the event loop about a hundred microseconds. A small request takes
# several turns of the loop, and shares one of them at most with rows that are counted.
ROWS_COUNTED_AT_ONCE = 50
COUNT_SECONDS = 0.002

CLIENT_GONE = "client_gone"
# Requests with these statuses were refused for their content, and leave a line in the audit log.
CONTENT_REFUSED = frozenset((400, 413, 415))


class Invocations:
    """ASGI application for one path; counts its own requests in flight."""

    def __init__(self, live: Live, settings: Settings, metrics: Metrics) -> None:
        self._live = live
        self._settings = settings
        self._metrics = metrics
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="scoring")
        self._in_flight = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers one request."""
        start = time.perf_counter()
        self._in_flight += 1
        self._metrics.begin()
        version = self._live.current
        version.begin()
        reply = FAILED
        try:
            reply = await self._reply(version, scope, receive)
        except ClientDisconnect:
            reply = refuse(400, CLIENT_GONE, "The client closed the connection.")
        except Exception as error:
            log.error("request %s failed: %s", scope["request_id"], describe(error))
        finally:
            self._in_flight -= 1
            # Counting waits until the answer is sent.
            seconds = time.perf_counter() - start
            asyncio.get_running_loop().call_soon(self._end, version, reply, seconds, scope)
        await send_reply(reply, send)

    def _end(self, version: Version, reply: Reply, seconds: float, scope: Scope) -> None:
        try:
            self._count(version, reply, seconds, scope)
        finally:
            version.end()

    def _count(self, version: Version, reply: Reply, seconds: float, scope: Scope) -> None:
        if reply.error:
            self._metrics.error(reply.error)
        if reply.unlogged:
            self._metrics.audit_failed()
        if reply.rows:
            self._count_rows(reply.rows)
        self._metrics.end(reply.status, seconds)
        audit, shadow = version.audit, version.shadow
        if audit and reply.status in CONTENT_REFUSED and reply.error != CLIENT_GONE:
            if not audit.write_refusal(scope["request_id"], reply.error, scope["source"]):
                self._metrics.audit_failed()
        elif shadow and reply.rows and scope["source"] not in NO_TRAFFIC:
            shadow.offer(scope["request_id"], reply.rows)

    def _count_rows(self, rows: ScoredRows, first: int = 0) -> None:
        end = first + ROWS_COUNTED_AT_ONCE
        self._metrics.scored(rows.part(first, end))
        if end < len(rows):
            loop = asyncio.get_running_loop()
            loop.call_later(COUNT_SECONDS, self._count_rows, rows, end)

    async def _reply(self, version: Version, scope: Scope, receive: Receive) -> Reply:
        settings = self._settings
        if scope["method"] != "POST":
            return refuse(405, "method_not_allowed", "/invocations accepts POST only.")
        if self._in_flight > settings.max_in_flight:
            return busy()
        try:
            body = await _read(receive, scope["headers_by_name"], settings)
        except TimeoutError:
            return refuse(
                408,
                "slow_request",
                f"The body was not complete after {settings.request_timeout:g} s.",
            )
        if body is None:
            return refuse(
                413, "too_large", f"The body is too large: at most {settings.max_bytes:,} bytes."
            )
        content_type = scope["headers_by_name"].get(b"content-type", b"").decode("latin-1")
        request_id, source = scope["request_id"], scope["source"]
        if len(body) <= SHORT_BYTES:
            reply = version.scoring.score_plain(body, content_type, request_id, source)
            if reply is not None:
                return reply
            if not may_have_more_rows(body, mime_type_of(content_type), SHORT_ROWS):
                return await self._score_in_thread(version, body, content_type, request_id, source)
        return await version.large.score(body, content_type, request_id, source)

    async def _score_in_thread(
        self, version: Version, body: bytes, content_type: str, request_id: str, source: str
    ) -> Reply:
        # No thread can be ended. What so few rows cost is over soon after the answer is too late.
        loop = asyncio.get_running_loop()
        score = version.scoring.score
        scoring = loop.run_in_executor(self._threads, score, body, content_type, request_id, source)
        try:
            return await asyncio.wait_for(scoring, self._settings.request_timeout)
        except TimeoutError:
            return too_slow(self._settings.request_timeout)


async def _read(
    receive: Receive, headers: Mapping[bytes, bytes], settings: Settings
) -> bytes | None:
    """The complete body, or None if it is longer than allowed."""
    announced = headers.get(b"content-length", b"")
    if announced.isdigit() and int(announced) > settings.max_bytes:
        return None
    parts: list[bytes] = []
    length = 0
    async with asyncio.timeout(settings.request_timeout):
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise ClientDisconnect
            part = message.get("body", b"")
            length += len(part)
            if length > settings.max_bytes:
                return None
            parts.append(part)
            if not message.get("more_body", False):
                return parts[0] if len(parts) == 1 else b"".join(parts)
