"""Durations as people write them: `30d`, `12h`, `30m`."""

from __future__ import annotations

import re

SECONDS_PER_DAY = 86_400
UNITS = {"m": 60, "h": 3_600, "d": 86_400}
DURATION = re.compile(r"0*([1-9]\d{0,8})([mhd])", re.ASCII)


def seconds_of(text: str) -> int | None:
    """The seconds of a duration in whole minutes, hours or days; None if `text` is none."""
    match = DURATION.fullmatch(text.strip())
    return None if match is None else int(match[1]) * UNITS[match[2]]
