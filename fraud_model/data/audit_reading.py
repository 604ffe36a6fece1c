"""How the lines of an audit log are read: a block of them at a time, in whatever process."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import orjson

from fraud_model.data.audit_batch import Piece
from fraud_model.data.traffic import Batch, Tally
from fraud_model.model.feature import Feature


@dataclass(frozen=True)
class Reading:
    """Which lines of a log are wanted, and what of them.

    They are those of the version of the model `name`, but for requests of the sources `left_out`.
    `time` reads the transactions' own time, where the version takes one.
    """

    name: str
    version: str
    features: tuple[Feature, ...]
    time: Feature | None
    left_out: frozenset[str]
    with_keys: bool = False

    @classmethod
    def from_dict(cls, content: dict[str, Any]) -> Reading:
        """The reading that `as_dict` wrote."""
        features = tuple(map(Feature.from_dict, content["features"]))
        time = content["time"] and Feature.from_dict(content["time"])
        return cls(**{**content, "features": features, "time": time})

    def as_dict(self) -> dict[str, Any]:
        """The reading for another process: a feature itself may hold functions."""
        return asdict(self)

    def read(self, lines: Sequence[bytes]) -> tuple[Batch, Tally]:
        """The lines as a batch, and what could not be used of them; the tally counts no lines."""
        piece = Piece(self.features, self.with_keys, self.time)
        tally = Tally()
        for line in lines:
            try:
                self._add(orjson.loads(line), piece, tally)
            except (orjson.JSONDecodeError, KeyError, TypeError, ValueError):
                count_unreadable(line, tally)
        return piece.take(), tally

    def _add(self, entry: dict[str, Any], piece: Piece, tally: Tally) -> None:
        if "shadow_of" in entry:
            served = (self.name, entry["shadow_of"])
        else:
            served = (entry["model_name"], entry["model_version"])
        if served != (self.name, self.version):
            tally.other_versions[f"{served[0] or 'unnamed'} {served[1] or 'unregistered'}"] += 1
        elif entry.get("source") in self.left_out:
            tally.marked[entry["source"]] += 1
        else:
            piece.add(entry)


def count_unreadable(line: bytes, tally: Tally) -> None:
    """Counts a line that is no audit line: one without a line end is torn."""
    if line.endswith(b"\n"):
        tally.unreadable += 1
    else:
        tally.torn += 1
