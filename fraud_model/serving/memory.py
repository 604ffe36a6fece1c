"""Gives memory back to the system."""

from __future__ import annotations

import ctypes

import pyarrow


def give_back_memory() -> None:
    """Returns to the system what this process has used and does not need now."""
    pyarrow.default_memory_pool().release_unused()
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
