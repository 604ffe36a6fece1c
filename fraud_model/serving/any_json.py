"""JSON of values that a client chose: what orjson has no way to write is written as something near.

MLflow's parser takes whole numbers of any size and half a surrogate pair, which is no Unicode. A
version may score them, and its answer is to be sent and logged.
"""

from __future__ import annotations

from typing import Any

import orjson

DEEPEST = 20


def dumps(content: Any, option: int | None = None) -> bytes:
    """The content as orjson writes it.

    Whole numbers beyond 64 bits become floats, and texts beyond the largest; half a surrogate pair
    becomes U+FFFD, and what is nested too deeply null.
    """
    try:
        return orjson.dumps(content, default=str, option=option)
    except orjson.JSONEncodeError:
        return orjson.dumps(_near(content, DEEPEST), default=str, option=option)


def has_an_equal(content: Any) -> bool:
    """Whether JSON holds the content as it is."""
    try:
        orjson.dumps(content)
    except orjson.JSONEncodeError:
        return False
    return True


def _near(content: Any, depth: int) -> Any:
    match content:
        case str():
            return content.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
        case int() if not -(2**63) <= content < 2**64:
            try:
                return float(content)
            except OverflowError:
                return str(content)
        case list() | tuple():
            return [_near(each, depth - 1) for each in content] if depth else None
        case dict():
            if not depth:
                return None
            return {_near(key, 0): _near(value, depth - 1) for key, value in content.items()}
        case _:
            return content
