"""Which table of transactions a benchmark of quality is run on."""

from __future__ import annotations

import argparse
from pathlib import Path

from fraud_model.data.schema import DEFAULT_AMOUNT, DEFAULT_TARGET, DEFAULT_TIME


def parser_of_table(description: str | None) -> argparse.ArgumentParser:
    """A parser that takes the table, its columns, and the share of frauds in the real traffic."""
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("table", type=Path)
    parser.add_argument("--target", default=DEFAULT_TARGET)
    parser.add_argument("--time", default=DEFAULT_TIME)
    parser.add_argument("--amount", default=DEFAULT_AMOUNT)
    parser.add_argument("--fraud-rate", type=float, default=0.0, help="in the real traffic")
    parser.add_argument("--time-unit", default="auto", help="of a time that is a number")
    parser.add_argument("--exclude", default="", help="columns to leave out")
    return parser
