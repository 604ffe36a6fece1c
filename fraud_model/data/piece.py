"""A piece of a table: some of its rows, as they were read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd
import pyarrow
from pyarrow import types

from fraud_model.data.arrow_files import frame_of
from fraud_model.model.feature import category_of


@dataclass(frozen=True)
class Piece:
    """Consecutive rows of a file.

    `place` is what messages call the file, and `first` the number of the first row there, from 0.
    """

    table: pyarrow.Table | pd.DataFrame
    place: str
    first: int

    def __len__(self) -> int:
        return len(self.table)

    @property
    def names(self) -> list[str]:
        """The names of the columns."""
        if isinstance(self.table, pd.DataFrame):
            return list(map(str, self.table.columns))
        return list(self.table.column_names)

    def split(self, rows: int) -> tuple[Piece, Piece]:
        """The first rows, so many, and the rest."""
        if isinstance(self.table, pd.DataFrame):
            before, after = self.table.iloc[:rows], self.table.iloc[rows:]
        else:
            before, after = self.table.slice(0, rows), self.table.slice(rows)
        return Piece(before, self.place, self.first), Piece(after, self.place, self.first + rows)

    def frame(self, names: Sequence[str]) -> pd.DataFrame:
        """Some of the columns as training reads them; see `arrow_files.frame_of`.

        Raises:
            DataError: a column holds lists, structs, maps or bytes.
        """
        if isinstance(self.table, pd.DataFrame):
            return self.table[list(names)]
        return frame_of(self.table.select(names), self.place)[0]

    def column(self, name: str) -> pyarrow.Array:
        """A column as it came: of an Arrow table with its type; of text formats text.

        A column that was read as numbers is one of doubles.
        """
        if not isinstance(self.table, pd.DataFrame):
            column = self.table[name].combine_chunks()
            return column.dictionary_decode() if types.is_dictionary(column.type) else column
        values = self.table[name]
        if pd.api.types.is_float_dtype(values.dtype) or isinstance(values.dtype, pd.StringDtype):
            return pyarrow.array(values)
        texts = values.astype(object).map(category_of, na_action="ignore")
        return pyarrow.array(texts, pyarrow.string(), from_pandas=True)
