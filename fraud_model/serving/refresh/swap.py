"""A worker's side: loads and checks a wanted version beside the one that answers, and swaps.

Everything happens on the event loop but the loading, which has a thread.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import sys
from functools import partial

from fraud_model.errors import FraudModelError
from fraud_model.serving.failure import describe
from fraud_model.serving.limits import give_back_memory
from fraud_model.serving.live import Live, Version
from fraud_model.serving.loading import load_beside
from fraud_model.serving.origin import Origin
from fraud_model.serving.prometheus import Metrics
from fraud_model.serving.refresh.board import Board, Report, Wanted
from fraud_model.serving.settings import Settings

log = logging.getLogger("fraud_model.serving")

LOOK_SECONDS = 0.1
# After the last answer of a version, whoever sent it has forgotten it too.
FREE_SECONDS = 1.0


class Swap:
    """Follows the board for one worker; `number` is that of the version which it starts with."""

    def __init__(
        self, live: Live, settings: Settings, metrics: Metrics, board: Board, number: int
    ) -> None:
        self._live = live
        self._settings = settings
        self._metrics = metrics
        self._board = board
        self._number = number
        self._failure = ""
        self._retiring: dict[asyncio.Task[None], str] = {}
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Starts to follow the board."""
        self._report()
        self._task = asyncio.get_running_loop().create_task(self._follow())

    async def stop(self) -> None:
        """Stops, and lets the versions before the current one end."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task, *self._retiring])

    async def _follow(self) -> None:
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            wanted = self._board.wanted()
            if wanted is None or wanted.number <= self._number:
                continue
            try:
                self._serve(wanted, await self._load(wanted.origin))
            except Exception as error:
                latest = self._board.wanted()
                # The files of a version are deleted as soon as another is wanted.
                if latest == wanted:
                    own = isinstance(error, FraudModelError)
                    self._refuse(wanted, str(error) if own else describe(error))

    async def _load(self, origin: Origin) -> Version:
        served = await asyncio.to_thread(load_beside, origin)
        version = Version(served, self._settings, self._metrics)
        try:
            await version.start_like(self._live.current)
        except BaseException:
            await version.close()
            raise
        return version

    def _serve(self, wanted: Wanted, version: Version) -> None:
        before = self._live.swap(version)
        self._number, self._failure = wanted.number, ""
        log.info("worker %d answers with version %s", os.getpid(), wanted.origin.model_version)
        ending = asyncio.get_running_loop().create_task(before.stop())
        self._retiring[ending] = before.served.origin.path
        code = type(before.served.python_model).__module__
        ending.add_done_callback(partial(self._retired, code))
        self._report()

    def _refuse(self, wanted: Wanted, failure: str) -> None:
        self._number, self._failure = wanted.number, failure
        log.error(
            "worker %d refuses version %s and goes on with version %s: %s",
            os.getpid(),
            wanted.origin.model_version,
            self._live.current.served.origin.model_version or "loaded",
            failure,
        )
        self._report()

    def _retired(self, code: str, ending: asyncio.Task[None]) -> None:
        del self._retiring[ending]
        self._report()
        # MLflow imports the code of every version that it loads as a module of its own, for ever.
        if code.startswith("code_model_"):
            sys.modules.pop(code, None)
        # The task holds the version until this callback has returned.
        asyncio.get_running_loop().call_later(FREE_SECONDS, _free_memory)

    def _report(self) -> None:
        origin = self._live.current.served.origin
        folders = (origin.path, *self._retiring.values())
        try:
            self._board.report(Report(origin, self._number, self._failure, folders))
        except OSError as error:
            # A full disk. The version answers all the same.
            log.error("what worker %d serves cannot be noted: %s", os.getpid(), error)


def _free_memory() -> None:
    gc.collect()
    give_back_memory()
