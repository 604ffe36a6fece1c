"""The routes `/flagged` and `/labels`: the last flagged transactions, and what people say of them.

The list is read from the end of the audit log. That is the one place where the answers of all
workers are, it outlives a restart, and reading it costs requests nothing; a list in each worker
would show whatever the worker that happens to answer has flagged.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from fraud_model.data.audit_log import rotated_files
from fraud_model.data.label_table import DATE
from fraud_model.data.traffic import NO_TRAFFIC
from fraud_model.serving.labels_file import BY, Case, LabelsFile
from fraud_model.serving.model import FLAG, PROBABILITY
from fraud_model.serving.reply import refuse
from fraud_model.serving.settings import Settings
from fraud_model.serving.tail import lines_from_end

log = logging.getLogger("fraud_model.serving")

FLAGGED, LABELS = "/flagged", "/labels"
WORDS = {"fraud": True, "genuine": False}

MOST_CASES = 50
# How far back in the log they are looked for.
REACH_BYTES = 64_000_000
# As the audit log writes it; far quicker to look for than to parse each line.
MARK = f'"{FLAG}":true'.encode()
SHOWN = ("time", "request_id", "row", "model_version", "features", PROBABILITY)
MAX_BYTES = 10_000

_KEY = {"request_id": {"type": "string"}, "row": {"type": "integer", "minimum": 0}}
_DONE = {"200": {"description": "OK"}}
# Both routes in the server's OpenAPI document.
CASES: dict[str, Any] = {
    FLAGGED: {
        "get": {"summary": "The last flagged transactions, with their labels.", "responses": _DONE}
    },
    LABELS: {
        "post": {
            "summary": "Say of a flagged transaction whether it is a fraud.",
            "requestBody": {
                "required": True,
                "content": {
                    "application/json": {
                        "schema": {
                            "type": "object",
                            "required": [*_KEY, "label"],
                            "properties": {**_KEY, "label": {"enum": list(WORDS)}},
                        }
                    }
                },
            },
            "responses": _DONE,
        }
    },
}


class Cases:
    """Answers both routes, in threads, so that no transaction waits for a disk."""

    def __init__(self, settings: Settings, target: Callable[[], str]) -> None:
        # The column of labels of the version that answers now.
        self._target = target
        self._log = Path(settings.audit_log)
        self._labels = LabelsFile(Path(settings.labels_file))

    def routes(self) -> list[Route]:
        """The two routes."""
        return [
            Route(FLAGGED, self._show),
            Route(LABELS, self._decide, methods=["POST"]),
        ]

    async def _show(self, request: Request) -> Response:
        return _json(await asyncio.to_thread(self._flagged))

    def _flagged(self) -> dict[str, Any]:
        target = self._target()
        found = {(line["request_id"], line["row"]): line for line in last_flagged(self._log)}
        decisions = self._labels.latest(found)
        cases = []
        for case, line in found.items():
            decision = decisions.get(case, {})
            cases.append(
                {name: line.get(name) for name in SHOWN}
                | {"label": _word(decision.get(target))}
                | {name: decision.get(name) for name in (DATE, BY)}
            )
        return {"cases": cases}

    async def _decide(self, request: Request) -> Response:
        # A form of another website could send any other type without asking first.
        if not request.headers.get("content-type", "").startswith("application/json"):
            return _refused(415, "The content type is not application/json.")
        body = b""
        async for part in request.stream():
            body += part
            if len(body) > MAX_BYTES:
                return _refused(413, f"The body is too large: at most {MAX_BYTES:,} bytes.")
        asked = _decision(body)
        if isinstance(asked, str):
            return _refused(400, asked)
        case, fraud = asked
        target = self._target()
        if not target:
            return _refused(409, "The version has no reference profile, which names the label.")
        by = request.scope["caller"]
        try:
            line = await asyncio.to_thread(self._labels.add, case, target, fraud, by)
        except OSError as error:
            log.error("labels file: %s", error.strerror or error)
            return _refused(503, "The labels file cannot be written. See the server's log.")
        return _json({**line, "label": _word(line[target])})


def last_flagged(path: Path) -> Iterator[dict[str, Any]]:
    """The last lines of an audit log whose transaction was flagged, the latest first.

    They come from the current file and rotated ones that are not compressed, at most `MOST_CASES`,
    from the last `REACH_BYTES`. A line whose source marks it as no traffic is left out.
    """
    rotated = sorted(rotated_files(path), reverse=True)
    seen: set[Case] = set()
    left = REACH_BYTES
    for file in [path, *(each for _, each in rotated if each.suffix != ".gz")]:
        try:
            descriptor = os.open(file, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            continue
        try:
            for line in lines_from_end(descriptor):
                left -= len(line) + 1
                if left < 0 or len(seen) == MOST_CASES:
                    return
                found = _flagged_in(line)
                # The file may have been rotated in between, and is read again then.
                if found and (case := (found["request_id"], found["row"])) not in seen:
                    seen.add(case)
                    yield found
        finally:
            os.close(descriptor)


def _flagged_in(line: bytes) -> dict[str, Any] | None:
    if MARK not in line:
        return None
    try:
        found: dict[str, Any] = orjson.loads(line)
    except orjson.JSONDecodeError:
        # Somebody writes it right now.
        return None
    # A shadow's line has no features.
    if found.get(FLAG) is not True or "features" not in found:
        return None
    return None if found.get("source") in NO_TRAFFIC else found


def _decision(body: bytes) -> tuple[Case, bool] | str:
    """The transaction and whether it is a fraud, or what is wrong with the body."""
    try:
        found = orjson.loads(body)
    except orjson.JSONDecodeError:
        return "The body is not JSON."
    if not isinstance(found, dict):
        return "The body is not an object."
    number, row, word = (found.get(name) for name in ("request_id", "row", "label"))
    if not isinstance(number, str) or not number:
        return "request_id is not a text: expected that of a line of the audit log."
    if isinstance(row, bool) or not isinstance(row, int) or row < 0:
        return "row is not a whole number from 0: expected that of a line of the audit log."
    if not isinstance(word, str) or word not in WORDS:
        return f"label is neither {' nor '.join(WORDS)}."
    return (number, row), WORDS[word]


def _word(label: Any) -> str | None:
    return next((word for word, fraud in WORDS.items() if label == int(fraud)), None)


def _json(content: object) -> Response:
    return Response(orjson.dumps(content), media_type="application/json")


def _refused(status: int, message: str) -> Response:
    kinds = {409: "no_profile", 413: "too_large", 415: "unsupported_media_type", 503: "labels"}
    reply = refuse(status, kinds.get(status, "bad_request"), message)
    return Response(reply.body, reply.status, media_type=reply.media_type)
