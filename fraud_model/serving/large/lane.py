"""Hands large requests to a process of its own, one after the other, and ends it when it is late.

What costs much is scored where it holds up nobody: the worker's event loop only passes bytes on. A
request that is not answered in time, counted from its turn, ends the process; the next one waits
until another is loaded. One that waits too long for its turn is refused and ends nothing, or those
that queue would end one process after the other. Where no large request comes for a while, the
process ends as well, and its memory is the machine's again.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import sys
from asyncio.subprocess import PIPE, Process
from dataclasses import asdict

import orjson

from fraud_model.serving.large import frames
from fraud_model.serving.large import process as scoring_process
from fraud_model.serving.large.frames import LENGTH, Question
from fraud_model.serving.model import ServedModel
from fraud_model.serving.reply import FAILED, Reply, busy, too_much_to_unpack, too_slow
from fraud_model.serving.settings import Settings

log = logging.getLogger("fraud_model.serving")

# Requests that may wait for the one in hand; each holds its body.
MOST_WAITING = 8
END_SECONDS = 5.0
# The process takes two seconds or three to start, and as much memory as the worker.
IDLE_SECONDS = 60.0
# The pipe's buffer; an answer is read in pieces of this size.
CHUNK_BYTES = 1 << 20


class Ended(Exception):
    """The process ended before it answered."""


class TooDear(Ended):
    """It was ended because the body took too much of the processor before anything was scored."""


class LargeLane:
    """The worker's side. Everything happens on its event loop."""

    def __init__(self, served: ServedModel, settings: Settings) -> None:
        self._order = {"origin": asdict(served.origin), "settings": asdict(settings)}
        self._features = served.features
        self._timeout = settings.request_timeout
        self._waiting = 0
        self._turn = asyncio.Lock()
        self._starting: asyncio.Task[Process] | None = None
        self._rest: asyncio.TimerHandle | None = None
        self._ending: asyncio.Task[None] | None = None

    @property
    def state(self) -> str:
        """`idle` where no process runs, `starting` while one loads, `ok` once it has."""
        if self._starting is None:
            return "idle"
        return "ok" if self._starting.done() else "starting"

    def _start(self) -> asyncio.Task[Process]:
        self._starting = asyncio.get_running_loop().create_task(self._load())
        self._rest_later()
        return self._starting

    def _rest_later(self) -> None:
        if self._rest:
            self._rest.cancel()
        self._rest = asyncio.get_running_loop().call_later(IDLE_SECONDS, self._end_unused)

    def _end_unused(self) -> None:
        # At once, so that a request that comes meanwhile starts another one.
        starting = self._starting
        if starting is not None and not self._waiting:
            self._starting = None
            self._ending = asyncio.get_running_loop().create_task(_stop(starting))

    async def warm(self) -> None:
        """Loads a process before the first large request; one that fails is tried again by it."""
        starting = self._starting or self._start()
        try:
            await asyncio.shield(starting)
        except (Ended, OSError) as error:
            log.error("large requests: %s", error)
            self._starting = None

    async def stop(self) -> None:
        """Ends the process."""
        if self._rest:
            self._rest.cancel()
        starting, self._starting = self._starting, None
        if starting is not None:
            await _stop(starting)
        if self._ending is not None:
            await self._ending

    async def score(
        self, body: bytes, content_type: str, request_id: str, source: str = ""
    ) -> Reply:
        """Answers a request in its turn.

        429 where too many wait, or it waits too long, and 504 where the answer takes too long.
        """
        if self._waiting > MOST_WAITING:
            return busy()
        self._waiting += 1
        has_begun = False
        try:
            async with asyncio.timeout(self._timeout) as limit, self._turn:
                process = await self._ready()
                if process is None:
                    return FAILED
                has_begun = True
                limit.reschedule(asyncio.get_running_loop().time() + self._timeout)
                return await self._ask(process, Question(body, content_type, request_id, source))
        except TimeoutError:
            return too_slow(self._timeout) if has_begun else busy()
        finally:
            self._waiting -= 1
            self._rest_later()

    async def _ready(self) -> Process | None:
        """The process, once it is loaded; None where it cannot be."""
        # The first large request starts the process: most servers never see one.
        starting = self._starting or self._start()
        try:
            # Whoever gives up waiting does not stop the start that others wait for.
            return await asyncio.shield(starting)
        except (Ended, OSError) as error:
            log.error("large requests: %s", error)
            self._starting = None
            return None

    async def _ask(self, process: Process, question: Question) -> Reply:
        try:
            return await self._exchange(process, question)
        except TooDear as error:
            log.error("request %s: %s", question.request_id, error)
            await self._begin_anew(process)
            return too_much_to_unpack()
        except (Ended, OSError) as error:
            log.error("request %s failed: %s", question.request_id, error)
            await self._begin_anew(process)
            return FAILED
        except asyncio.CancelledError:
            log.error("request %s took too long; its process was ended", question.request_id)
            await self._begin_anew(process)
            raise

    async def _exchange(self, process: Process, question: Question) -> Reply:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(frames.pack_question(question))
        process.stdin.write(question.body)
        try:
            await process.stdin.drain()
            prefix = await process.stdout.readexactly(LENGTH.size)
            header = orjson.loads(await process.stdout.readexactly(*LENGTH.unpack(prefix)))
            length = header["bytes"] + header["numbers"]
            content = await process.stdout.readexactly(length)
        except (asyncio.IncompleteReadError, ConnectionError) as error:
            status = await process.wait()
            if status == -signal.SIGPROF:
                raise TooDear("its body took too long to unpack; its process was ended") from error
            raise Ended(f"the process for large requests ended with status {status}") from error
        return frames.unpack_answer(header, content, self._features)

    async def _begin_anew(self, process: Process) -> None:
        # It may have ended by itself.
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()
        self._start()

    async def _load(self) -> Process:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            scoring_process.__name__,
            stdin=PIPE,
            stdout=PIPE,
            limit=CHUNK_BYTES,
            # OpenMP's threads would spin while they wait, on cores that small requests need.
            env={**os.environ, "OMP_WAIT_POLICY": "passive"},
        )
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            process.stdin.write(orjson.dumps(self._order) + b"\n")
            ready = await process.stdout.readline()
        except BaseException:
            process.kill()
            await process.wait()
            raise
        if not ready:
            status = await process.wait()
            raise Ended(f"the process for large requests ended with status {status}; see the log")
        return process


async def _stop(starting: asyncio.Task[Process]) -> None:
    starting.cancel()
    await asyncio.wait([starting], timeout=END_SECONDS)
    if not starting.cancelled() and starting.exception() is None:
        await _end(starting.result())


async def _end(process: Process) -> None:
    assert process.stdin is not None
    process.stdin.close()
    try:
        await asyncio.wait_for(process.wait(), END_SECONDS)
    except TimeoutError:
        process.kill()
        await process.wait()
