"""Waits that end when a condition holds, or fail at a deadline that no slow machine reaches."""

from __future__ import annotations

import time
from collections.abc import Callable

import requests

STEP_SECONDS = 0.05


def wait_until(condition: Callable[[], bool], *, seconds: float = 120.0, what: str) -> None:
    """Returns once `condition()` is true.

    Raises:
        AssertionError: it is still false after `seconds`; the message says `what` did not happen.
    """
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {seconds:g} s: {what}")
        time.sleep(STEP_SECONDS)


def is_up(url: str) -> bool:
    """Whether somebody answers at this address with a good status."""
    try:
        return requests.get(url, timeout=30).ok
    except requests.ConnectionError:
        return False
