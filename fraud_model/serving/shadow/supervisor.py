"""A worker's side of the shadow.

A worker collects what it has answered and sends it to a process of its own several times a second.
The lines that come back go to the audit log. Whatever is wrong with that process costs nothing but
its scores: rows that it cannot take are dropped and counted.
"""

from __future__ import annotations

import asyncio
import logging
import os
import random
import signal
import sys
import time
from asyncio.subprocess import PIPE, Process

import orjson

from fraud_model.serving.audit import AuditLog
from fraud_model.serving.failure import describe
from fraud_model.serving.model import FLAG, PROBABILITY, ScoredRows, ServedModel
from fraud_model.serving.prometheus import Metrics
from fraud_model.serving.settings import Settings
from fraud_model.serving.shadow import frames
from fraud_model.serving.shadow import process as scoring

log = logging.getLogger("fraud_model.serving")

FLUSH_SECONDS = 0.05
# This much may wait for the process. Above it, rows are dropped.
MOST_BYTES = 16_000_000
# The audit log is written on the event loop, so each write has to be short.
CHUNK_BYTES = 65_536
RESTART_SECONDS = 30.0
# The shadow counts as failed when rows wait longer than this for their scores.
LATE_SECONDS = 10.0
END_SECONDS = 5.0

NOT_COMPARABLE = (
    f"the served model's signature does not answer rows with {PROBABILITY} and {FLAG}, so there "
    "is nothing to compare"
)


class Shadow:
    """Offers answered rows to the shadow. Everything happens on the event loop.

    Attributes:
        version: the version that is loaded as the shadow; empty while there is none.
    """

    def __init__(
        self, served: ServedModel, settings: Settings, metrics: Metrics, audit: AuditLog
    ) -> None:
        self.version = ""
        self._order = {
            "model_uri": settings.shadow_model_uri,
            "features": list(served.features),
            "shadow_of": served.origin.model_version,
        }
        self._share = settings.shadow_share
        self._metrics = metrics
        self._audit = audit
        self._is_comparable = served.is_comparable
        self._failure = "" if self._is_comparable else NOT_COMPARABLE
        self._task: asyncio.Task[None] | None = None
        self._ending = False
        # The process's input, while it takes rows.
        self._input: asyncio.StreamWriter | None = None
        self._gathered: list[frames.Answered] = []
        self._gathered_bytes = 0
        # The rows sent whose scores have not come back, and when scores last came back.
        self._unanswered = 0
        self._last_answer = 0.0
        self._last_overflow = -LATE_SECONDS

    @property
    def state(self) -> str:
        """`starting`, `ok`, or `failed: ` and the reason."""
        now = time.monotonic()
        if self._failure:
            return f"failed: {self._failure}"
        if self._input is None:
            return "starting"
        if self._unanswered and now > self._last_answer + LATE_SECONDS:
            return f"failed: no score for {now - self._last_answer:.0f} s"
        if now < self._last_overflow + LATE_SECONDS:
            return "failed: requests come faster than it scores, and rows are dropped"
        return "ok"

    def start(self) -> None:
        """Starts the process and keeps one running, unless there is nothing to compare."""
        if not self._is_comparable:
            log.error("shadow: %s", self._failure)
            return
        self._task = asyncio.get_running_loop().create_task(self._keep_running())

    async def stop(self) -> None:
        """Gives the process some seconds to score what was offered, and ends it."""
        if self._task is None:
            return
        self._ending = True
        self._flush()
        if self._input is not None:
            self._input.close()
            self._input = None
            await asyncio.wait([self._task], timeout=END_SECONDS)
        self._task.cancel()
        await asyncio.wait([self._task])

    def offer(self, request_id: str, rows: ScoredRows) -> None:
        """Takes or drops the rows of an answered request, if it is in the share."""
        if self._share < 1 and random.random() >= self._share:
            return
        if self._input is None or not rows.has_probabilities:
            self._drop(len(rows))
            return
        waiting = self._gathered_bytes + self._input.transport.get_write_buffer_size()
        if waiting > MOST_BYTES:
            self._last_overflow = time.monotonic()
            self._drop(len(rows))
            return
        if not self._gathered:
            asyncio.get_running_loop().call_later(FLUSH_SECONDS, self._flush)
        self._gathered.append((request_id, rows))
        self._gathered_bytes += rows.values.nbytes

    def _flush(self) -> None:
        gathered, self._gathered, self._gathered_bytes = self._gathered, [], 0
        if not gathered:
            return
        rows = sum(len(scored) for _, scored in gathered)
        if self._input is None or self._input.is_closing():
            self._drop(rows)
            return
        if not self._unanswered:
            self._last_answer = time.monotonic()
        self._unanswered += rows
        self._input.write(frames.pack(gathered))

    def _drop(self, rows: int) -> None:
        if rows:
            self._metrics.shadow_rows("dropped", rows)

    async def _keep_running(self) -> None:
        while True:
            try:
                reason = await self._run()
            except Exception as error:
                reason = describe(error)
            if self._ending:
                return
            if self._failure != reason:
                log.error("shadow: %s; trying again every %g s", reason, RESTART_SECONDS)
            self._failure = reason
            await asyncio.sleep(RESTART_SECONDS)

    async def _run(self) -> str:
        """Runs a process until it ends; returns the reason."""
        try:
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                scoring.__name__,
                stdin=PIPE,
                stdout=PIPE,
                limit=CHUNK_BYTES,
                env={**os.environ, "OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "passive"},
            )
        except OSError as error:
            return f"its process cannot be started: {error.strerror or error}"
        try:
            return await self._follow(process)
        finally:
            self.version = ""
            self._input = None
            self._drop(self._unanswered)
            self._unanswered = 0
            if process.returncode is None:
                process.kill()
            await process.wait()

    async def _follow(self, process: Process) -> str:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(orjson.dumps(self._order) + b"\n")
        greeting = await process.stdout.readline()
        if not greeting:
            return await _end_of(process)
        answer: dict[str, str] = orjson.loads(greeting)
        if "refused" in answer:
            return answer["refused"]
        self.version, self._failure = answer["model_version"], ""
        self._input = process.stdin
        log.info("shadow: version %s is ready", self.version or "unregistered")
        rest = b""
        while chunk := await process.stdout.read(CHUNK_BYTES):
            whole, end, rest = (rest + chunk).rpartition(b"\n")
            self._write(whole + end)
        return await _end_of(process)

    def _write(self, lines: bytes) -> None:
        rows = lines.count(b"\n")
        self._unanswered -= rows
        self._last_answer = time.monotonic()
        if frames.DROPPED in lines:
            refused = lines.count(frames.DROPPED)
            self._drop(refused)
            lines, rows = lines.replace(frames.DROPPED, b""), rows - refused
        if not rows:
            return
        if self._audit.write_lines(lines):
            self._metrics.shadow_rows("scored", rows)
        else:
            self._drop(rows)


async def _end_of(process: Process) -> str:
    status = await process.wait()
    if status < 0:
        return f"its process was ended by {signal.Signals(-status).name}"
    return f"its process ended with status {status}; see the log"
