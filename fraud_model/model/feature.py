"""A column of a transaction: what it holds, and how its values are read as numbers.

Part of the code that travels with a version: see `detector`.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

Floats = npt.NDArray[np.float64]

Kind = Literal["number", "boolean", "category", "time"]
Payload = Literal["double", "string", "boolean", "datetime"]

# What pandas reads as a missing value in a CSV file is one in every other payload too.
MISSING_WORDS = frozenset(
    ("NA", "N/A", "n/a", "<NA>", "#N/A", "#NA", "NaN", "nan", "-NaN", "-nan", "NULL", "null", "")
) | {"None"}
BOOLEAN_WORDS = dict.fromkeys(("true", "t", "yes", "y", "1"), 1.0) | dict.fromkeys(
    ("false", "f", "no", "n", "0"), 0.0
)
# The code of a category that is not in the vocabulary.
UNKNOWN = 0

HOUR, WEEKDAY, AGE, RATE = "hour", "weekday", "days before", "share of frauds"
SECONDS_PER_DAY = 86_400

ISO = "ISO8601"
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

# What values of each payload are in JSON.
JSON_TYPES: dict[Payload, frozenset[type]] = {
    "double": frozenset((int, float)),
    "string": frozenset((str,)),
    "boolean": frozenset((bool,)),
    "datetime": frozenset((str,)),
}
# Texts that every parser reads as the same time, within the years that nanoseconds reach.
PLAIN_TIME = re.compile(r"(1[7-9]|2[01])\d\d-\d\d-\d\d([T ]\d\d:\d\d:\d\d(\.\d{1,6})?)?")
# Where the fraction of a second begins in them.
SECONDS_END = 19
# White space, currencies, and what some write between thousands.
NUMBER_MARKS = re.compile(r"[\s'$€£¥₹]|(?<![A-Za-z])[A-Z]{3}(?![A-Za-z])")


@dataclass(frozen=True)
class Feature:
    """What a column of a transaction holds, and what the model makes of it.

    Attributes:
        kind: a number or a boolean is one input of the booster; a category is the place of its text
            in `vocabulary`, and its share of frauds; a time is its `parts`.
        payload: what a request holds, one of MLflow's types.
        missing: whether a value may be missing.
        vocabulary: the categories with a code of their own, from 1 in this order. Every other one
            has the code 0.
        rates: the share of frauds among the rows of each code, from 0 on; empty for a category of
            few values.
        parts: of a time: `hour` (0 to 24), `weekday` (Monday is 0), and `days before` the
            transaction. The model does not look at a time without any.
        seconds: the unit of a time that is a number.
        format: how a text is written: `ISO8601` or the directives of `strptime` for a time, the
            decimal mark for a number, and the words for true and false, with a slash between.
    """

    name: str
    kind: Kind = "number"
    payload: Payload = "double"
    missing: bool = False
    vocabulary: tuple[str, ...] = ()
    rates: tuple[float, ...] = ()
    parts: tuple[str, ...] = ()
    seconds: float = 1.0
    format: str = ""

    @classmethod
    def from_dict(cls, content: dict[str, Any]) -> Feature:
        """The feature that `dataclasses.asdict` wrote, also where that went through JSON."""
        tuples = {name: tuple(content[name]) for name in ("vocabulary", "rates", "parts")}
        return cls(**{**content, **tuples})

    @property
    def is_number(self) -> bool:
        """Whether it is a number, and a number in every payload."""
        return self.kind == "number" and self.payload == "double"

    @property
    def is_dated(self) -> bool:
        """Whether it is a time that counts from a known day."""
        return bool(self.parts)

    @property
    def inputs(self) -> tuple[str, ...]:
        """The names of the booster's inputs that come of it."""
        if self.rates:
            return (self.name, f"{self.name} ({RATE})")
        return tuple(f"{self.name} ({part})" for part in self.parts) or (self.name,)

    @cached_property
    def read_value(self) -> Callable[[Any], float]:
        """Reads a value that is there; NaN for a word that says it is missing.

        Raises:
            ValueError: the value is not of this kind.
        """
        if self.kind == "category":
            codes = {word: place for place, word in enumerate(self.vocabulary, start=1)}
            codes |= dict.fromkeys(MISSING_WORDS, math.nan)  # type: ignore[arg-type]

            def read(value: Any) -> float:
                # Most texts are written as the vocabulary has them.
                code = codes.get(value) if isinstance(value, str) else None
                return codes.get(category_of(value), UNKNOWN) if code is None else code

            return read
        return {"boolean": _boolean, "time": self._time, "number": self._number}[self.kind]

    def read(self, values: pd.Series) -> Floats:
        """A column as float64, shape (rows,): numbers, 0 or 1, codes, or seconds; NaN is missing.

        Raises:
            ValueError: a value is not of this kind.
        """
        dtype = values.dtype
        if pd.api.types.is_datetime64_any_dtype(dtype):
            return _seconds_of(values)
        if pd.api.types.is_numeric_dtype(dtype) and self.kind != "category":
            numbers = values.to_numpy(dtype=np.float64, na_value=np.nan)
            return numbers * self.seconds if self.kind == "time" else numbers
        if self.kind == "time" and self.format == ISO:
            texts = values.astype(object).where(~values.isin(MISSING_WORDS), None)
            return _seconds_of(pd.to_datetime(texts, format=ISO, utc=True).dt.tz_localize(None))
        places, found = pd.factorize(values.astype(object), use_na_sentinel=True)
        # A missing value has the place -1.
        return np.array([*map(self.read_value, found), np.nan])[places]

    def is_plain(self, values: Sequence[Any]) -> bool:
        """Whether MLflow hands these values of a JSON request over as they are."""
        types = self._plain_types
        for value in values:
            if type(value) not in types:
                return False
        if not self._is_plain_time:
            return True
        texts = [value for value in values if value is not None]
        # MLflow reads dates by the form of the first one.
        forms = {(text[10:11], len(text) > SECONDS_END) for text in texts}
        return len(forms) <= 1 and all(map(PLAIN_TIME.fullmatch, texts))

    @cached_property
    def _plain_types(self) -> frozenset[type]:
        types = JSON_TYPES[self.payload]
        if self.kind == "boolean":
            types |= JSON_TYPES["boolean"]
        return types | {type(None)} if self.missing else types

    @cached_property
    def _is_plain_time(self) -> bool:
        return self.kind == "time" and self.payload != "double" and self.format in ("", ISO)

    def _number(self, value: Any) -> float:
        return number_of(value, self.format or ".") if isinstance(value, str) else float(value)

    def _time(self, value: Any) -> float:
        if isinstance(value, datetime):
            return _seconds_since_1970(value)
        if not isinstance(value, str):
            return float(value) * self.seconds
        text = value.strip()
        if text in MISSING_WORDS:
            return math.nan
        if self.format in ("", ISO):
            return _seconds_since_1970(datetime.fromisoformat(text))
        return _seconds_since_1970(datetime.strptime(text, self.format))


def what_it_reads(feature: Feature) -> str:
    """What a value of the feature has to be, for messages."""
    return {
        "number": "a number",
        "boolean": "true or false, or yes or no",
        "time": "a date or time" + (f" written as {feature.format}" if feature.format else ""),
        "category": "a category",
    }[feature.kind]


def category_of(value: Any) -> str:
    """The text of a category; that of a whole number has no decimals."""
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value).strip()


def number_of(text: str, decimal: str) -> float:
    """The number in a text, which may have a currency and marks between thousands.

    NaN for a word that says it is missing.

    Raises:
        ValueError: there is no number.
    """
    if text.strip() in MISSING_WORDS:
        return math.nan
    bare = NUMBER_MARKS.sub("", text).replace("." if decimal == "," else ",", "")
    # Bookkeepers write negative amounts in brackets.
    if bare.startswith("(") and bare.endswith(")"):
        bare = f"-{bare[1:-1]}"
    return float(bare.replace(decimal, "."))


def _boolean(value: Any) -> float:
    if isinstance(value, str):
        word = value.strip()
        if word in MISSING_WORDS:
            return math.nan
        value = BOOLEAN_WORDS.get(word.lower())
    if value not in (0, 1):
        raise ValueError("not a boolean")
    return float(value)


def _seconds_of(times: pd.Series) -> Floats:
    whole = times.to_numpy(dtype="datetime64[us]")
    return np.where(np.isnat(whole), np.nan, whole.astype(np.int64) / 1e6)


def _seconds_since_1970(time: datetime) -> float:
    passed = (time if time.tzinfo else time.replace(tzinfo=UTC)) - EPOCH
    # Whole microseconds first, as a column of times is read.
    seconds = passed.days * SECONDS_PER_DAY + passed.seconds
    return (seconds * 1_000_000 + passed.microseconds) / 1e6
