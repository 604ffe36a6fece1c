"""Waits with a deadline that fails."""

from __future__ import annotations

import time
from collections.abc import Callable


def wait_until(condition: Callable[[], object], *, seconds: float = 60.0, what: str) -> None:
    """Returns once `condition` holds, and fails where it does not within `seconds`.

    Raises:
        AssertionError: the deadline has passed; it names `what` was waited for.
    """
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"waited {seconds:g} s in vain for {what}"
        time.sleep(0.05)
