"""How large a table pandas would make of a JSON payload."""

from __future__ import annotations

from typing import Any


class Extent:
    """The rows and columns that pandas would make of the parts of a JSON payload.

    Attributes:
        rows: the longest of what may be a column.
    """

    def __init__(self) -> None:
        self.rows = 0
        self._width = 0
        self._names: set[Any] = set()

    @classmethod
    def of(cls, payload: Any) -> Extent:
        """That of a whole payload."""
        table = cls()
        if not isinstance(payload, dict):
            return table
        for name in ("dataframe_records", "instances", "inputs"):
            table.add(payload.get(name))
        split = payload.get("dataframe_split")
        if isinstance(split, dict):
            table.add(split.get("data"))
            table.add_names(split.get("columns"))
            table.add_index(split.get("index"))
        return table

    @property
    def columns(self) -> int:
        """The names over all rows, or the length of the longest row."""
        return max(self._width, len(self._names))

    def add(self, content: Any) -> None:
        """Counts a list of rows, or columns by name."""
        if isinstance(content, list):
            self.rows = max(self.rows, len(content))
            for row in content:
                if isinstance(row, dict):
                    self._names.update(row)
                elif isinstance(row, list):
                    self._width = max(self._width, len(row))
        elif isinstance(content, dict):
            self._names.update(content)
            longest = max(map(_length, content.values()), default=0)
            self.rows = max(self.rows, longest)

    def add_names(self, names: Any) -> None:
        """Counts the names of columns; lists among them are levels of a header."""
        longest = max(map(_length, names), default=0) if isinstance(names, list) else 0
        self._width = max(self._width, _length(names), longest)

    def add_index(self, index: Any) -> None:
        """Counts the names of rows; lists among them are levels, which cost what columns cost."""
        self.rows = max(self.rows, _length(index))
        if isinstance(index, list) and any(map(_length, index)):
            self.add_names(index)


def _length(content: Any) -> int:
    return len(content) if isinstance(content, list | dict) else 0
