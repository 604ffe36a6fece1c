"""Reads the lines of a file from its end, in memory that does not grow with it."""

from __future__ import annotations

import os
from collections.abc import Iterator

BLOCK = 65_536


def lines_from_end(file: int) -> Iterator[bytes]:
    """The lines of an open file without their ends, the last one first.

    What follows the last line feed comes before all others: nothing, where the file is complete.
    """
    end = os.fstat(file).st_size
    rest = b""
    while end:
        start = max(0, end - BLOCK)
        rest, *lines = (os.pread(file, end - start, start) + rest).split(b"\n")
        yield from reversed(lines)
        end = start
    yield rest
