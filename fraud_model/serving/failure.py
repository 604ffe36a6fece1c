"""Keeps card data out of the log: what exceptions, MLflow and pandas say may quote the payload."""

from __future__ import annotations

import logging
import traceback
import warnings
from pathlib import Path


def silence_libraries() -> None:
    """Turns off the warnings of libraries, from here on and in all of the process.

    MLflow logs the names of columns and params that it does not know, and pandas warns of columns.
    Both are the client's words.
    """
    logging.getLogger("mlflow").setLevel(logging.CRITICAL)
    warnings.simplefilter("ignore")


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
