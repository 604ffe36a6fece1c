"""What somebody says about columns: a file, names to leave out, names to keep."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import yaml

from fraud_model.data.schema import describe_missing
from fraud_model.data.time_span import SECONDS
from fraud_model.errors import DataError, ParameterError

KINDS = ("number", "boolean", "category", "time", "identifier", "constant", "excluded")
MISSING = ("refuse", "accept")
KEYS = ("kind", "missing", "format")


@dataclass(frozen=True)
class ColumnRules:
    """How the columns of a table are to be read, where nobody wants them inferred.

    Attributes:
        file: a YAML file with the entry `columns`: for each name what is to be said of it, among
            `kind`, `missing` (`refuse` or `accept`) and `format` of a date.
        exclude: names of columns to leave out, with commas between.
        include: names of the only features, with commas between.
        fraud: the value of the target that means fraud.
        missing: `refuse` a missing value where training saw none, or `accept` it.
        time_unit: the unit of a time that is a number, or `auto`.
    """

    file: str = ""
    exclude: str = ""
    include: str = ""
    fraud: str = ""
    missing: str = "refuse"
    time_unit: str = "auto"

    def __post_init__(self) -> None:
        if self.missing not in MISSING:
            raise ParameterError(f"missing={self.missing!r} is invalid: expected refuse or accept.")
        if self.time_unit not in ("auto", *SECONDS):
            raise ParameterError(
                f"time_unit={self.time_unit!r} is invalid: expected auto, {', '.join(SECONDS)}."
            )
        if self.exclude and self.include:
            raise ParameterError("exclude= and include= say the same twice: give one of them.")


@dataclass(frozen=True)
class Override:
    """What is said of one column; empty where nothing is."""

    kind: str = ""
    missing: str = ""
    format: str = ""


def overrides_for(
    rules: ColumnRules, names: Iterable[str], needed: Iterable[str]
) -> dict[str, Override]:
    """What `rules` say of the columns `names` of a table, for each of them.

    `needed` are target, time and amount, which `include` need not name.

    Raises:
        DataError: a column that is named is not there.
        ParameterError: the file cannot be used.
    """
    found, needed = list(names), set(needed)
    said = _read(Path(rules.file).expanduser()) if rules.file else {}
    excluded, included = _split(rules.exclude), _split(rules.include)
    missing = [name for name in (*said, *excluded, *included) if name not in found]
    if missing:
        raise DataError(f"columns=, exclude= or include=: {describe_missing(missing, found)}")
    for name in needed & set(excluded):
        raise ParameterError(f"exclude={name}: the table needs it as target, time or amount.")
    if included:
        excluded = [name for name in found if name not in included and name not in needed]
    of_all = {name: said.get(name, Override()) for name in found}
    of_all |= {name: replace(of_all[name], kind="excluded") for name in excluded}
    return {
        name: replace(override, missing=override.missing or rules.missing)
        for name, override in of_all.items()
    }


def _split(names: str) -> list[str]:
    return [name.strip() for name in names.split(",") if name.strip()]


def _read(path: Path) -> dict[str, Override]:
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ParameterError(f"columns={str(path)!r} cannot be read: {error.strerror}.") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        reason = " ".join(str(error).split())
        raise ParameterError(f"columns={str(path)!r} is not YAML: {reason}.") from error
    columns = content.get("columns") if isinstance(content, dict) else None
    if not isinstance(columns, dict):
        raise ParameterError(
            f"columns={str(path)!r} has no entry `columns` with names below it. The run of a "
            "training keeps such a file, columns.yaml, to start from."
        )
    return {str(name): _override(str(name), said, path) for name, said in columns.items()}


def _override(name: str, said: Any, path: Path) -> Override:
    place = f"columns={str(path)!r}: {name}"
    if not isinstance(said, dict) or not said:
        raise ParameterError(f"{place}: expected one or more of {', '.join(KEYS)}.")
    for key, value in said.items():
        allowed = {"kind": KINDS, "missing": MISSING}.get(key)
        if key not in KEYS:
            raise ParameterError(f"{place}: {key!r} is unknown: expected {', '.join(KEYS)}.")
        if allowed and value not in allowed:
            raise ParameterError(
                f"{place}: {key}={value!r} is invalid: expected {', '.join(allowed)}."
            )
    return Override(**{key: str(value) for key, value in said.items()})
