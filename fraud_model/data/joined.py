"""One table of parts that come one after the other, whose types only all of them tell."""

from __future__ import annotations

import mmap
from collections.abc import Callable, Iterable

import numpy as np
import pandas as pd
import pyarrow

from fraud_model.data.column_files import column_file, stored, table_of

MISSING, TEXT = pyarrow.null(), pyarrow.large_string()
FLOAT, INTEGER, BOOLEAN = pyarrow.float64(), pyarrow.int64(), pyarrow.bool_()
NUMBERS = {FLOAT, INTEGER}


def joined(
    parts: Iterable[pd.DataFrame], again: Callable[[list[str]], pd.DataFrame]
) -> pd.DataFrame:
    """The rows of all parts, their columns in files; never more than a part and a column in memory.

    A column is what it would be if it were read at once: whole numbers where no part has others or
    gaps, text where all of them have. A column that a part lacks is missing there. Where the parts
    of a column do not agree, `again` has to read it at once; it is given the names of such columns.

    Raises:
        DataError: there is no space for it.
    """
    names: dict[str, None] = {}
    unclear: set[str] = set()
    starts: list[int] = []
    rows: list[int] = []
    with column_file() as file:
        for part in parts:
            columns = {name: _column(part[name]) for name in part.columns}
            names |= dict.fromkeys(columns)
            unclear |= {name for name, column in columns.items() if column is None}
            table = pyarrow.table({n: c for n, c in columns.items() if c is not None})
            starts.append(file.tell())
            rows.append(len(part))
            with pyarrow.ipc.new_stream(file, table.schema) as stream:
                stream.write_table(table)
        if not starts:
            return pd.DataFrame()
        file.flush()
        content = pyarrow.py_buffer(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
    tables = [pyarrow.ipc.open_stream(content[start:]).read_all() for start in starts]
    found: dict[str, pd.Series] = {}
    for name in names:
        whole = None
        if name not in unclear:
            whole = _whole(
                [
                    table[name] if name in table.column_names else _gaps(count)
                    for table, count in zip(tables, rows, strict=True)
                ]
            )
        if whole is None:
            unclear.add(name)
        else:
            found[name] = stored(whole.rename(name))
    if unclear:
        at_once = again([name for name in names if name in unclear])
        found |= {name: stored(at_once[name]) for name in unclear}
    return table_of(found[name] for name in names)


def _column(values: pd.Series) -> pyarrow.Array | None:
    """The values of a part, of one of the types above; None for values of several."""
    if values.dtype == bool:
        return pyarrow.array(values.to_numpy())
    if values.isna().all():
        return pyarrow.nulls(len(values))
    if isinstance(values.dtype, pd.StringDtype):
        return pyarrow.array(values, TEXT)
    if values.dtype in (np.float64, np.int64):
        # NaN stays a value, so that the column can be looked at where it lies.
        return pyarrow.array(values.to_numpy(), from_pandas=False)
    return None


def _whole(chunks: list[pyarrow.ChunkedArray]) -> pd.Series | None:
    """The values of all parts, or None where their types do not agree."""
    types = {chunk.type for chunk in chunks}
    kinds = types - {MISSING}
    if kinds <= NUMBERS:
        dtype = np.int64 if types == {INTEGER} else np.float64
        return pd.Series(np.concatenate([_numbers(chunk) for chunk in chunks]).astype(dtype))
    if types == {BOOLEAN}:
        return pd.Series(np.concatenate([chunk.to_numpy() for chunk in chunks]))
    if kinds == {TEXT}:
        texts = [piece for chunk in chunks for piece in chunk.cast(TEXT).chunks]
        whole: pd.Series = pyarrow.chunked_array(texts, TEXT).to_pandas()
        return whole
    return None


def _gaps(rows: int) -> pyarrow.ChunkedArray:
    return pyarrow.chunked_array([pyarrow.nulls(rows)])


def _numbers(chunk: pyarrow.ChunkedArray) -> np.ndarray:
    return np.full(len(chunk), np.nan) if chunk.type == MISSING else chunk.to_numpy()
