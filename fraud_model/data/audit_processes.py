"""Reads blocks of an audit log in a process for each core.

    python -m fraud_model.data.audit_processes

is such a process: it takes what is to be read and then blocks of lines, pickled, on stdin, and
answers each block with its batch and tally on stdout. It imports what reading needs and nothing
else, where the workers of `multiprocessing` would import all that the entry point does.
"""

from __future__ import annotations

import contextlib
import pickle
import signal
import subprocess
import sys
import threading
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import IO, Any, cast

from fraud_model.data.audit_reading import Reading
from fraud_model.data.traffic import Batch, Tally
from fraud_model.errors import DataError
from fraud_model.parallel import cores, in_order

Read = tuple[Batch, Tally]


def on_every_core(reading: Reading, blocks: Iterable[Sequence[bytes]]) -> Iterator[Read]:
    """What `reading` makes of each block, in order.

    Raises:
        DataError: a process ended before its time.
    """
    with contextlib.ExitStack() as processes:
        mine = threading.local()

        def start() -> None:
            mine.process = processes.enter_context(_Process(reading))

        tasks = (partial(lambda lines: mine.process.read(lines), block) for block in blocks)
        yield from in_order(tasks, cores(), start)


class _Process:
    """A process that reads blocks, from its start to the end of the context."""

    def __init__(self, reading: Reading) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", __name__],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=Path(__file__).parents[2],
        )
        self._send(reading.as_dict())

    def __enter__(self) -> _Process:
        return self

    def __exit__(self, *error: object) -> None:
        # It ends with its stdin.
        self._process.communicate()

    def read(self, lines: Sequence[bytes]) -> Read:
        """What the reading makes of the lines."""
        try:
            self._send(lines)
            return cast(Read, pickle.load(cast(IO[bytes], self._process.stdout)))
        except (EOFError, OSError, pickle.UnpicklingError) as error:
            raise DataError(
                f"a process that reads the log ended with status {self._process.wait()}: was the "
                "memory full? Check less traffic at a time."
            ) from error

    def _send(self, what: Any) -> None:
        stdin = cast(IO[bytes], self._process.stdin)
        pickle.dump(what, stdin, pickle.HIGHEST_PROTOCOL)
        stdin.flush()


def main() -> None:
    """Answers blocks until stdin ends."""
    # An interrupt is for the process that asks, whose end this one follows.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    asked, answered = sys.stdin.buffer, sys.stdout.buffer
    with contextlib.suppress(EOFError, BrokenPipeError):
        reading = Reading.from_dict(pickle.load(asked))
        while True:
            pickle.dump(reading.read(pickle.load(asked)), answered, pickle.HIGHEST_PROTOCOL)
            answered.flush()


if __name__ == "__main__":
    main()
