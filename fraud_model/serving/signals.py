"""The supervisor of several workers: what SIGHUP means to it, and that it notices an end at once.

SIGHUP asks the registry; or, where a closed terminal sends it, ends the server.
"""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Callable

import uvicorn
from uvicorn.supervisors import Multiprocess

from fraud_model.serving.refresh.follower import Follower

TERMINAL = "/dev/tty"


class HangUp:
    """Tells the two kinds of SIGHUP apart."""

    def __init__(self, ask: Callable[[], None], end: Callable[[], None]) -> None:
        self._ask = ask
        self._end = end
        # `nohup` ignores the signal for what it starts.
        outlives = signal.getsignal(signal.SIGHUP) == signal.SIG_IGN
        self._had_terminal = _has_terminal() and not outlives

    def __call__(self) -> None:
        """Reacts to the signal."""
        if self._had_terminal and not _has_terminal():
            self._end()
        else:
            self._ask()


class Supervisor(Multiprocess):
    """Uvicorn's, which would replace its workers at SIGHUP, and their connections with them."""

    def __init__(
        self, config: uvicorn.Config, sockets: list[socket.socket], follower: Follower
    ) -> None:
        self._hang_up = HangUp(follower.ask, self.handle_term)
        super().__init__(config, sockets)

    def handle_hup(self) -> None:
        """Asks the registry, for all workers."""
        self._hang_up()

    def keep_subprocess_alive(self) -> None:
        """Starts a worker in the place of one that has ended."""
        for worker in self.processes:
            # A worker that ends while it is asked how it is would be waited for as long as a silent
            # one, and signals with it: while its side of the pipe is open here as well, the pipe
            # does not end with the worker.
            worker.child_conn.close()
        super().keep_subprocess_alive()


def _has_terminal() -> bool:
    try:
        os.close(os.open(TERMINAL, os.O_RDONLY | os.O_NOCTTY))
    except OSError:
        return False
    return True
