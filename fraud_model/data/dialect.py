"""How a CSV file is written: its separator, its decimal sign, its line ends, its header."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice

from fraud_model.data.content import Content
from fraud_model.model.feature import MISSING_WORDS

SEPARATORS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "bars"}
SAMPLE_ROWS = 1_000

NUMBER = r"\s*[+-]?\d+"
DECIMAL_COMMA = re.compile(NUMBER + r",\d+([eE][+-]?\d+)?\s*")
DECIMAL_POINT = re.compile(NUMBER + r"\.\d+([eE][+-]?\d+)?\s*")
WHOLE = re.compile(NUMBER + r"\s*")
# A comma before three digits may separate thousands.
THOUSANDS = re.compile(r"\s*[+-]?[1-9]\d{0,2},\d{3}\s*")
CODE = re.compile(r"0\d+")
# More digits than float64 holds.
LONG = re.compile(r"-?\d{16,}")


@dataclass(frozen=True)
class Dialect:
    """How a CSV file is written, and what its first rows show of its columns.

    `codes` are the columns, by number from 0, with whole numbers that begin with a zero; `long`
    those with whole numbers of more digits than float64 holds; `decimals` those with whole numbers
    that are written with decimals, as pandas writes a column of them with gaps.
    """

    header: list[str]
    separator: str
    decimal: str
    codes: frozenset[int]
    long: frozenset[int]
    decimals: frozenset[int]
    notes: tuple[str, ...]


def recognise(content: Content, encoding: str) -> Dialect | None:
    """The dialect of a CSV file by its first 1,000 rows; None where there is no header.

    Raises:
        UnicodeDecodeError: the rows are not text in this encoding.
    """
    with io.TextIOWrapper(content.open(), encoding=encoding, newline="") as stream:
        lines = list(islice(stream, SAMPLE_ROWS + 1))
    parsed = {separator: _rows(lines, separator) for separator in SEPARATORS}
    separator = max(parsed, key=lambda each: _fit(parsed[each]))
    if not parsed[separator]:
        return None
    header, *rows = parsed[separator]
    columns = [[row[i] for row in rows if i < len(row)] for i in range(len(header))]
    decimal = "," if separator != "," and _has_decimal_commas(columns, separator) else "."
    notes = []
    if separator != ",":
        notes.append(f"values are separated by {SEPARATORS[separator]}")
    if decimal == ",":
        notes.append("decimal commas")
    first = lines[0] if lines else ""
    if first.endswith("\r\n"):
        notes.append("lines end as on Windows")
    elif first.endswith("\r"):
        notes.append("lines end as on the first Macs")
    return Dialect(
        header=header,
        separator=separator,
        decimal=decimal,
        codes=frozenset(i for i, cells in enumerate(columns) if any(map(CODE.fullmatch, cells))),
        long=frozenset(i for i, cells in enumerate(columns) if any(map(LONG.fullmatch, cells))),
        decimals=frozenset(i for i, cells in enumerate(columns) if _have_decimals(cells, decimal)),
        notes=tuple(notes),
    )


def _rows(lines: Sequence[str], separator: str) -> list[list[str]]:
    try:
        rows = [row for row in csv.reader(lines, delimiter=separator) if row]
    except csv.Error:
        return []
    # The sample may end within a quoted cell.
    return rows[:-1] if len(lines) > SAMPLE_ROWS else rows


def _fit(rows: Sequence[Sequence[str]]) -> float:
    """How many columns of the header the rows have; 1 for a separator that is in no header."""
    if not rows or len(rows[0]) == 1:
        return float(bool(rows))
    width = len(rows[0])
    return width * (sum(len(row) == width for row in rows[1:]) + 1) / len(rows)


def _have_decimals(cells: Sequence[str], decimal: str) -> bool:
    present = [cell for cell in cells if cell not in MISSING_WORDS]
    whole = re.compile(rf"-?(0|[1-9]\d*){re.escape(decimal)}0+")
    return bool(present) and all(map(whole.fullmatch, present))


def _has_decimal_commas(columns: Sequence[Sequence[str]], separator: str) -> bool:
    found = False
    for column in columns:
        cells = [cell for cell in column if cell.strip()]
        commas = [cell for cell in cells if DECIMAL_COMMA.fullmatch(cell)]
        if any(map(DECIMAL_POINT.fullmatch, cells)):
            if all(DECIMAL_POINT.fullmatch(c) or WHOLE.fullmatch(c) for c in cells):
                return False
        elif commas and all(DECIMAL_COMMA.fullmatch(c) or WHOLE.fullmatch(c) for c in cells):
            # Semicolons are what spreadsheets write where the comma is the decimal sign.
            found |= separator == ";" or not all(map(THOUSANDS.fullmatch, commas))
    return found
