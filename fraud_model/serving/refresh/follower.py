"""Asks the registry what now stands where the served version stood, and fetches it.

One thread in the process that started the server does it for all workers: every `MODEL_REFRESH`
seconds, and whenever the process gets SIGHUP. Whether the version may be served, the workers find.
"""

from __future__ import annotations

import logging
import os
import shutil
import threading
import time
from queue import Empty, SimpleQueue

from fraud_model.errors import FraudModelError, ParameterError
from fraud_model.serving.failure import describe
from fraud_model.serving.origin import REGISTERED, Origin, look_up, resolve
from fraud_model.serving.refresh.board import Board, Wanted
from fraud_model.serving.settings import Settings

log = logging.getLogger("fraud_model.serving")

# How soon the files of a version that no longer answers are looked for, to delete them.
CLEAR_SECONDS = 5.0


def check_refresh(settings: Settings) -> None:
    """Refuses to follow what never changes.

    Raises:
        ParameterError: `MODEL_REFRESH` is set, and the model's address is a directory's, or names
            one version.
    """
    if settings.model_refresh and not can_change(settings.uri):
        raise ParameterError(
            f"MODEL_REFRESH={settings.model_refresh:g} is set, but the model {settings.uri} never "
            "changes: expected a stage, an alias or `latest`, as in "
            "models:/fraud-detector/Production. Serve one of these, or leave MODEL_REFRESH empty."
        )


def can_change(uri: str) -> bool:
    """Whether the registry may name another version by this address one day."""
    registered = REGISTERED.fullmatch(uri)
    return registered is not None and not (registered["which"] or "").isdecimal()


class Follower:
    """The thread that asks and fetches."""

    def __init__(self, settings: Settings, origin: Origin, board: Board) -> None:
        self._uri = settings.uri
        self._period = settings.model_refresh
        self._board = board
        self._meant = origin
        self._number = 0
        self._failure = ""
        # What a signal's handler puts here wakes the thread; such a queue may be put to anywhere.
        self._asked: SimpleQueue[None] = SimpleQueue()

    def start(self) -> None:
        """Starts the thread; it ends with the process."""
        # MLflow would draw a bar for every file that it fetches.
        os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
        if self._period:
            self._board.tell("")
        threading.Thread(target=self._follow, name="follower", daemon=True).start()

    def ask(self) -> None:
        """Makes the thread ask the registry now."""
        self._asked.put(None)

    def _follow(self) -> None:
        due = time.monotonic() + self._period if self._period else None
        while True:
            waits = [CLEAR_SECONDS] if self._board.clear() else []
            if due is not None:
                waits.append(max(0.0, due - time.monotonic()))
            asked = True
            try:
                self._asked.get(timeout=min(waits, default=None))
            except Empty:
                asked = False
            if due is not None and time.monotonic() >= due:
                due = time.monotonic() + self._period
            elif not asked:
                continue
            try:
                self._look(asked)
            except OSError as error:
                log.error("what the registry says cannot be passed on: %s", error)

    def _look(self, asked: bool) -> None:
        if not can_change(self._uri):
            log.warning("%s never changes, so there is nothing to pick up", self._uri)
            return
        try:
            self._fetch(asked)
            failure = ""
        except FraudModelError as error:
            failure = str(error)
        except Exception as error:
            failure = f"{self._uri} cannot be fetched: {describe(error)}"
        if failure and (asked or failure != self._failure):
            log.error("%s The server goes on with the version that answers.", failure)
        elif self._failure and not failure:
            log.info("the registry answers again")
        self._failure = failure
        self._board.tell(failure)

    def _fetch(self, asked: bool) -> None:
        """Fetches the version if it is another one, or if one is asked for that was refused."""
        found = look_up(self._uri)
        refused = any(r.failure for r in self._board.reports() if r.number == self._number)
        if found == _names(self._meant) and not (asked and refused):
            if asked:
                log.info("%s is still version %s", self._uri, found[1])
            return
        folder = self._board.versions / str(self._number + 1)
        # What an attempt before this one has left.
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        origin = resolve(self._uri, folder)
        self._board.want(Wanted(self._number + 1, origin))
        self._number, self._meant = self._number + 1, origin
        log.info("%s is version %s now; the workers load it", self._uri, origin.model_version)


def _names(origin: Origin) -> tuple[str, str, str, str] | None:
    """What tells one version from another; None for a directory that stands in for the registry."""
    if origin.is_stand_in:
        return None
    return origin.model_name, origin.model_version, origin.model_stage, origin.run_id
