"""The path `/invocations`: limits and records around MLflow's own scoring function.

A plain request is read and scored here, and MLflow encodes the answer. MLflow parses, scores and
encodes every other one, and every request to a version that is served by `predict`.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import orjson
from mlflow.pyfunc.scoring_server import CONTENT_TYPE_JSON, invocations
from starlette.requests import ClientDisconnect
from starlette.types import Receive, Scope, Send

from fraud_model.serving.adapters import Observed, Plain
from fraud_model.serving.audit import AuditLog
from fraud_model.serving.failure import describe
from fraud_model.serving.fast_path import Recogniser
from fraud_model.serving.metrics import Metrics
from fraud_model.serving.model import ScoredRows, ServedModel
from fraud_model.serving.refusal import explain_refusal
from fraud_model.serving.settings import Settings
from fraud_model.serving.shadow.supervisor import Shadow

log = logging.getLogger("fraud_model.serving")

# About 25 rows. Longer requests, and those that MLflow parses, are scored in a thread.
INLINE_BYTES = 20_000
THREADS = 8

CLIENT_GONE = "client_gone"
# Requests with these statuses were refused for their content, and leave a line in the audit log.
CONTENT_REFUSED = frozenset((400, 413, 415))


class Reply(NamedTuple):
    """An answer; `error` is its kind where it is one, `rows` what was scored where anything was."""

    status: int
    body: bytes
    error: str = ""
    media_type: str = "application/json"
    rows: ScoredRows | None = None


def refuse(status: int, kind: str, message: str) -> Reply:
    """A refusal in the form of MLflow's errors, with no stack trace and none of the payload."""
    return Reply(status, orjson.dumps({"error_code": kind.upper(), "message": message}), kind)


FAILED = refuse(500, "internal_error", "The server failed. See its log for this request's id.")


class Invocations:
    """ASGI application for one path; counts its own requests in flight."""

    def __init__(
        self,
        served: ServedModel,
        settings: Settings,
        metrics: Metrics,
        audit: AuditLog | None,
        shadow: Shadow | None,
    ) -> None:
        self._served = served
        self._settings = settings
        self._metrics = metrics
        self._audit = audit
        self._shadow = shadow
        self._scorer = served.scorer
        self._recogniser = Recogniser(served.features)
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="scoring")
        self._in_flight = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers one request."""
        start = time.perf_counter()
        self._in_flight += 1
        self._metrics.begin()
        reply = FAILED
        try:
            reply = await self._reply(scope, receive)
        except ClientDisconnect:
            reply = refuse(400, CLIENT_GONE, "The client closed the connection.")
        except Exception as error:
            log.error("request %s failed: %s", scope["request_id"], describe(error))
        finally:
            self._in_flight -= 1
            # Counting waits until the answer is sent.
            seconds = time.perf_counter() - start
            asyncio.get_running_loop().call_soon(self._count, reply, seconds, scope["request_id"])
        await send_reply(reply, send)

    def _count(self, reply: Reply, seconds: float, request_id: str) -> None:
        if reply.error:
            self._metrics.error(reply.error)
        if reply.rows:
            self._metrics.scored(reply.rows)
        self._metrics.end(reply.status, seconds)
        if self._audit and reply.status in CONTENT_REFUSED and reply.error != CLIENT_GONE:
            if not self._audit.write_refusal(request_id, reply.error):
                self._metrics.audit_failed()
        elif self._shadow and reply.rows:
            self._shadow.offer(request_id, reply.rows)

    async def _reply(self, scope: Scope, receive: Receive) -> Reply:
        settings = self._settings
        if scope["method"] != "POST":
            return refuse(405, "method_not_allowed", "/invocations accepts POST only.")
        if self._in_flight > settings.max_in_flight:
            return refuse(429, "too_many_requests", "The server is busy. Try again in a second.")
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
        request_id = scope["request_id"]
        if len(body) <= INLINE_BYTES:
            reply = self._score_plain(body, content_type, request_id)
            if reply is not None:
                return reply
        loop = asyncio.get_running_loop()
        scoring = loop.run_in_executor(self._threads, self._score, body, content_type, request_id)
        try:
            return await asyncio.wait_for(scoring, settings.request_timeout)
        except TimeoutError:
            return refuse(
                504, "timeout", f"Scoring took longer than {settings.request_timeout:g} s."
            )

    def _score(self, body: bytes, content_type: str, request_id: str) -> Reply:
        reply = self._score_plain(body, content_type, request_id)
        return reply or self._score_by_mlflow(body, content_type, request_id)

    def _score_plain(self, body: bytes, content_type: str, request_id: str) -> Reply | None:
        if self._scorer is None or not content_type.startswith(CONTENT_TYPE_JSON):
            return None
        values = self._recogniser.recognise(body)
        if values is None:
            return None
        if len(values) > self._settings.max_rows:
            return self._too_many_rows()
        plain = Plain(self._scorer, values)
        try:
            answer = invocations({"inputs": None}, content_type, plain, None)
        except Exception as error:
            log.error("request %s left the fast route: %s", request_id, describe(error))
            return None
        if answer.status != 200:
            return None
        return self._record(plain, answer.response, request_id)

    def _score_by_mlflow(self, body: bytes, content_type: str, request_id: str) -> Reply:
        observed = Observed(self._served, self._settings.max_rows)
        try:
            answer = invocations(body, content_type, observed, self._served.inputs)
        except Exception as error:
            if observed.too_many_rows:
                return self._too_many_rows()
            # MLflow fails on odd payloads in many ways, some of which the plain server answers with
            # 500. The message may hold card data and is not logged.
            log.info("request %s refused: %s", request_id, describe(error))
            mime_type = content_type.partition(";")[0].strip()
            numbers = self._served.required_numbers
            message = explain_refusal(body, mime_type, numbers, observed.refusal)
            return refuse(400, "bad_request", message)
        if answer.status != 200:
            return refuse(
                answer.status,
                "unsupported_media_type",
                "The content type is not supported: expected application/json, text/csv or "
                "application/vnd.apache.parquet, in UTF-8 and with no other parameters.",
            )
        return self._record(observed, answer.response, request_id)

    def _record(self, model: Plain | Observed, answer: str, request_id: str) -> Reply:
        rows = model.scored_rows(answer)
        if self._audit and not self._audit.write(request_id, rows):
            self._metrics.audit_failed()
            if self._settings.audit_required:
                return refuse(
                    503, "audit", "The audit log cannot be written, so nothing is scored."
                )
        return Reply(200, answer.encode(), rows=rows)

    def _too_many_rows(self) -> Reply:
        return refuse(
            413,
            "too_many_rows",
            f"The request has too many rows: at most {self._settings.max_rows:,} rows.",
        )


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
