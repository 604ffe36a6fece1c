"""Scored rows of an audit log as they were sent, in Arrow tables."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import orjson
import pyarrow

from fraud_model.data.audit_log import check_exists, read_lines
from fraud_model.data.audit_reading import count_unreadable
from fraud_model.data.traffic import NO_TRAFFIC, Tally

# The columns beside features and label: the first two find a label, the others say when the row was
# scored, and by which version.
REQUEST, ROW, TIME, VERSION = "request_id", "row", "served_at", "model_version"
OWN: dict[str, pyarrow.DataType] = {
    REQUEST: pyarrow.string(),
    ROW: pyarrow.int64(),
    TIME: pyarrow.timestamp("us"),
    VERSION: pyarrow.string(),
}
# A table holds about as many values: 50,000 rows of 30 features.
VALUES_PER_TABLE = 1_500_000


@dataclass
class Seen:
    """What was read, filled in while the log is read.

    `tally` counts lines; `other_versions` there are those of other models. `shadow` lines and
    `refused` requests are left out. `versions` holds the rows of each version, and `features` the
    names that its rows have.
    """

    tally: Tally = field(default_factory=Tally)
    shadow: int = 0
    refused: int = 0
    versions: Counter[str] = field(default_factory=Counter)
    features: dict[str, set[str]] = field(default_factory=dict)


class SentRows:
    """The rows that all versions of a model have scored, in the order of the log.

    Requests that their source marks as no traffic are left out, unless `with_marked`.

    Raises:
        DataError: there is no such log.
    """

    def __init__(self, path: Path, model_name: str, *, with_marked: bool = False) -> None:
        check_exists(path)
        self.seen = Seen()
        self._path = path
        self._name = model_name
        self._left_out = frozenset() if with_marked else NO_TRAFFIC

    def tables(self) -> Iterator[pyarrow.Table]:
        """Tables of the columns `OWN` and the features that their rows have."""
        rows: list[tuple[Any, ...]] = []
        values = 0
        for line in read_lines(self._path, self.seen.tally):
            try:
                row = self._read(line)
            except (orjson.JSONDecodeError, KeyError, TypeError, ValueError, AttributeError):
                count_unreadable(line, self.seen.tally)
                continue
            if row is None:
                continue
            rows.append(row)
            values += len(OWN) + len(row[-1])
            if values >= VALUES_PER_TABLE:
                yield _table(rows)
                rows, values = [], 0
        if rows:
            yield _table(rows)

    def describe(self) -> str:
        """What the log holds instead of rows of the model, in a sentence without its end."""
        tally = self.seen.tally
        others = ", ".join(f"{n:,} of {name}" for name, n in tally.other_versions.most_common(5))
        return (
            f"{self._path}: none of its {tally.lines:,} lines is a scored row of {self._name}"
            + (f" (but {others})" if others else "")
        )

    def _read(self, line: bytes) -> tuple[Any, ...] | None:
        """Request id, row, time, version and features; None for a line that is left out."""
        seen = self.seen
        entry = orjson.loads(line)
        name, version = entry["model_name"], str(entry["model_version"] or "")
        if name != self._name:
            seen.tally.other_versions[f"{name or 'unnamed'} {version or 'unregistered'}"] += 1
        elif entry.get("source") in self._left_out:
            seen.tally.marked[entry["source"]] += 1
        elif "shadow_of" in entry:
            seen.shadow += 1
        elif "refused" in entry:
            seen.refused += 1
        else:
            time = datetime.fromisoformat(entry["time"])
            features = entry["features"]
            row = (str(entry["request_id"]), int(entry["row"]), _in_utc(time), version, features)
            seen.features.setdefault(version, set()).update(features.keys())
            seen.versions[version] += 1
            return row
        return None


def _in_utc(time: datetime) -> int:
    """Microseconds since 1970."""
    return round(time.timestamp() * 1e6)


def _table(rows: Sequence[tuple[Any, ...]]) -> pyarrow.Table:
    *own, sent = zip(*rows, strict=True)
    columns = {
        name: pyarrow.array(values, pyarrow.int64()).cast(kind)
        if name == TIME
        else pyarrow.array(values, kind)
        for (name, kind), values in zip(OWN.items(), own, strict=True)
    }
    for name in dict.fromkeys(name for features in sent for name in features):
        columns[name] = _array([features.get(name) for features in sent])
    return pyarrow.table(columns)


def _array(values: Sequence[Any]) -> pyarrow.Array:
    """The values with the type that they have in JSON; as text where they have several."""
    try:
        found = pyarrow.array(values)
    except (pyarrow.ArrowInvalid, pyarrow.ArrowTypeError, OverflowError):
        found = None
    if found is None or pyarrow.types.is_nested(found.type):
        return pyarrow.array([None if value is None else _text(value) for value in values])
    return found


def _text(value: Any) -> str:
    """A value of JSON as text; a text is itself, and a whole number has no decimals."""
    if isinstance(value, str):
        return value
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return orjson.dumps(value).decode()
