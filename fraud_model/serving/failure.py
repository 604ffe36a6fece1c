"""Names an exception for the log without its message, which may hold card data."""

from __future__ import annotations

import traceback
from pathlib import Path


def describe(error: BaseException) -> str:
    """The type of the exception, and the line that raised it."""
    # MLflow raises one of its own in place of what a model raised.
    cause = error.__cause__ or error.__context__ or error
    frames = traceback.extract_tb(cause.__traceback__)
    place = f" at {Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else ""
    return f"{type(cause).__name__}{place}"


def first_line(error: BaseException) -> str:
    """The first line of the message, for exceptions that have seen no request."""
    return str(error).strip().partition("\n")[0]
