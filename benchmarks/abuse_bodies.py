"""Small bodies that are expensive for a careless server, each with its content type."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np
import orjson
import pandas as pd
import pyarrow
import pyarrow.parquet

JSON = "application/json"
CSV = "text/csv"
PARQUET = "application/vnd.apache.parquet"


# Reading it ends the process that does.
UNUSED = "Parquet, a long text in each of many dictionaries"


class Body(NamedTuple):
    """A body: its name, its content type, and how often it is sent at once."""

    name: str
    content_type: str
    content: bytes
    at_once: int = 1


def bodies(row: Mapping[str, float], scale: float = 1.0) -> Iterator[Body]:
    """The hostile bodies, one after the other; `row` is a transaction of the served model.

    `scale` shrinks their rows and columns, for a quick run.
    """

    def times(number: int) -> int:
        return max(1, round(number * scale))

    others = [{**row, f"other{i}": 1} for i in range(times(400))]
    yield Body("records, each with all features and a key of its own", JSON, _records(others))
    yield Body(
        "records, each row with other keys",
        JSON,
        _records([{f"k{i}": 1} for i in range(times(10_000))]),
    )
    narrow = {name: times(10_000) * [[1]] for name in ("index", "columns")}
    for name, lists in narrow.items():
        body = orjson.dumps({"dataframe_split": {name: lists, "data": [[1]]}})
        yield Body(f"split, a level of its {name} in every list", JSON, body)
    wide_row = orjson.dumps({"dataframe_split": {"data": [[1] * times(1_000_000)]}})
    yield Body("split, one wide row and no columns", JSON, wide_row)
    other_data = [{f"k{i}": 1} for i in range(times(9_000))]
    keyed = orjson.dumps({"dataframe_split": {"data": other_data}})
    yield Body("split, each row with other keys", JSON, keyed)
    equal = ",".join(["a"] * times(20_000))
    yield Body("CSV, one header of equal names", CSV, f"{equal}\n1\n".encode())
    wide = times(300_000)
    header = ",".join(f"c{i}" for i in range(wide))
    yield Body("CSV, a column for every value", CSV, f"{header}\n{'1,' * (wide - 1)}1\n".encode())
    yield Body("CSV, equal names below a blank line", CSV, f"\n{equal}\n1\n".encode())
    longest = "x" * 131_073
    yield Body("CSV, equal names behind a long one", CSV, f"{longest},{equal}\n1\n".encode())
    values = ",".join(["1"] * times(20_000))
    yield Body("CSV, one name over many values", CSV, f"a\n{values}\n".encode())
    yield Body("CSV, five million rows", CSV, b"a\n" + b"1\n" * times(4_900_000))
    yield Body("Parquet, 5 M x 30 compressible", PARQUET, _parquet(row, times(5_000_000)))
    yield Body("Parquet, 15 M x 30 compressible", PARQUET, _parquet(row, times(15_000_000)))
    yield Body("Parquet, one long text for every row", PARQUET, _equal_texts(row, times(10_000)))
    yield Body("Parquet, a list of a million numbers", PARQUET, _one_list(row, times(1_000_000)))
    untold = _untold(row, times(300_000_000))
    yield Body("Parquet, 300 MB of text told as 64 bytes", PARQUET, untold)
    unused = _unused(row, times(1_000), 50_000_000)
    yield Body(UNUSED, PARQUET, unused)
    many = [dict(row)] * times(10_000)
    explained = orjson.dumps(
        {"dataframe_records": many, "params": {"explain": len(row)}},
    )
    yield Body("10,000 rows with every reason, eight at once", JSON, explained, 8)
    extra = {**row, **{f"other{i}": 1 for i in range(times(500_000))}}
    yield Body("a good row and 500,000 other keys", JSON, _records([extra]))
    yield Body("3.3 million empty lists", JSON, b'{"inputs":[' + b"[]," * times(3_300_000) + b"1]}")
    yield Body("five million numbers", JSON, b'{"inputs":[' + b"1," * times(4_900_000) + b"1]}")
    yield Body("nested ten million deep", JSON, b"[" * times(9_900_000))
    half = json.dumps({"dataframe_records": [{**row, next(iter(row)): "\ud800"}]})
    yield Body("half a surrogate pair", JSON, half.encode())
    # The dearest that are let in.
    some = {"dataframe_records": many[: times(1_000)], "params": {"explain": len(row)}}
    yield Body("1,000 rows with every reason", JSON, orjson.dumps(some))
    named = orjson.dumps(
        {
            "dataframe_split": {"index": [0] * times(1_000), "columns": [*row], "data": 1},
            "params": {"explain": len(row)},
        }
    )
    yield Body("1,000 rows without values, with every reason", JSON, named)
    by_mlflow = orjson.dumps({"dataframe_records": many, "params": {"threshold": 0.5}})
    yield Body("10,000 rows through MLflow's route", JSON, by_mlflow)
    columns = [*row, *(f"other{i}" for i in range(3 * len(row) + 64))]
    lines = [",".join(columns), *[",".join(["0"] * len(columns))] * times(10_000)]
    yield Body("CSV, 10,000 rows of as many columns as go", CSV, "\n".join(lines).encode())
    yield Body("the largest honest body", JSON, _records(many))


def _records(rows: list[dict[str, float]]) -> bytes:
    return orjson.dumps({"dataframe_records": rows})


def _parquet(row: Mapping[str, float], rows: int) -> bytes:
    # Dictionary and run-length encoding make nearly nothing of a column of equal values.
    return _written(dict.fromkeys(row, pyarrow.array(np.zeros(rows))), row_group_size=1 << 24)


def _equal_texts(row: Mapping[str, float], rows: int) -> bytes:
    # The text stands in the file once.
    places = pyarrow.array(np.zeros(rows, np.int32))
    texts = pyarrow.DictionaryArray.from_arrays(places, pyarrow.array(["a" * 100_000]))
    return _written({next(iter(row)): texts}, dictionary_pagesize_limit=1 << 30)


def _one_list(row: Mapping[str, float], values: int) -> bytes:
    ends = pyarrow.array([0, values], pyarrow.int32())
    lists = pyarrow.ListArray.from_arrays(ends, pyarrow.array(np.zeros(values)))
    return _written({next(iter(row)): lists})


def _untold(row: Mapping[str, float], length: int) -> bytes:
    """A row of one long text, and a footer that says its page is short."""
    texts = {next(iter(row)): pyarrow.array(["a" * length])}
    return _told_as_short(_written(texts, write_statistics=False, use_dictionary=False))


def _unused(row: Mapping[str, float], rows: int, length: int) -> bytes:
    """Rows in groups of their own, each with a long text in its dictionary that no row has."""
    places = pyarrow.array(np.zeros(rows, np.int32))
    texts = pyarrow.DictionaryArray.from_arrays(places, pyarrow.array(["a", "b" * length]))
    # Without the schema of Arrow it is read as plain texts.
    written = _written(
        {next(iter(row)): texts},
        row_group_size=1,
        store_schema=False,
        write_statistics=False,
        dictionary_pagesize_limit=1 << 30,
    )
    return _told_as_short(written)


def _told_as_short(written: bytes) -> bytes:
    """The file, with a footer that says its row groups hold 64 bytes each."""
    told = pyarrow.parquet.read_metadata(io.BytesIO(written)).row_group(0).total_byte_size
    # Eight bytes behind the footer tell its length.
    footer = len(written) - 8 - int.from_bytes(written[-8:-4], "little")
    true = _as_varint(told, 1)
    return written[:footer] + written[footer:].replace(true, _as_varint(64, len(true)))


def _as_varint(number: int, length: int) -> bytes:
    """A number of a Parquet footer, filled up with zeros to a number of bytes."""
    number <<= 1
    groups: list[int] = []
    while number or len(groups) < length:
        groups.append(number & 0x7F | 0x80)
        number >>= 7
    groups[-1] &= 0x7F
    return bytes(groups)


def _written(columns: Mapping[str, pyarrow.Array], **options: Any) -> bytes:
    output = io.BytesIO()
    pyarrow.parquet.write_table(pyarrow.table(columns), output, compression="zstd", **options)
    return output.getvalue()


def example(known_rows: pd.DataFrame) -> dict[str, float]:
    """The first of a version's known rows, by feature."""
    return {str(name): float(value) for name, value in known_rows.iloc[0].items()}
