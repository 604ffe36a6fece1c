"""What the processes that a worker starts have in common.

Such a process reads orders from its standard input, the first of them a line of JSON, and answers
on its standard output. It lives as long as its input: a worker that ends, or is killed, closes it.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import sys
import threading
import time
from collections.abc import Callable
from typing import BinaryIO

# By then the worker is gone, or has killed this process.
LONGEST_END_SECONDS = 10

# Told of: input, output, and an event to set once the process reads its input all the time.
Work = Callable[[BinaryIO, BinaryIO, threading.Event], None]


def run(work: Work, niceness: int) -> None:
    """Does the work until the input ends, at a lower priority than the worker."""
    # Terminals and some supervisors signal the whole group. Only the end of the input counts here.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    os.nice(niceness)
    # Whatever libraries print must not get among the answers.
    output = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    reading = threading.Event()
    threading.Thread(target=_end_with_the_worker, args=[reading], daemon=True).start()
    with contextlib.suppress(BrokenPipeError):
        work(sys.stdin.buffer, output, reading)


def _end_with_the_worker(reading: threading.Event) -> None:
    # A process that is loading, or stuck in scoring, does not notice that its input has ended.
    poll = select.poll()
    poll.register(0, 0)
    poll.poll()
    if reading.is_set():
        time.sleep(LONGEST_END_SECONDS)
    os._exit(1)
