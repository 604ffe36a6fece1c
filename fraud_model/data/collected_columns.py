"""The columns of a collected table, whose rows were sent to versions with other features."""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow

from fraud_model.data.label_table import DATE
from fraud_model.data.sent_rows import OWN, TIME, Seen
from fraud_model.errors import DataError


def common_schema(
    schemas: Sequence[pyarrow.Schema], target: str
) -> tuple[pyarrow.Schema, tuple[str, ...]]:
    """The columns of all tables, the label and its date last; which of them have to be text."""
    kinds: dict[str, dict[pyarrow.DataType, None]] = {}
    for schema in schemas:
        for column in schema:
            kinds.setdefault(column.name, {})[column.type] = None
    fields, as_text = [], []
    for name in (*OWN, *(name for name in kinds if name not in {*OWN, DATE, target})):
        given = [kind for kind in kinds[name] if not pyarrow.types.is_null(kind)]
        try:
            kind = _joined(given)
        except pyarrow.ArrowTypeError:
            kind = pyarrow.string()
            as_text.append(name)
        fields.append((name, OWN.get(name, kind)))
    fields += [(DATE, OWN[TIME]), (target, pyarrow.int64())]
    return pyarrow.schema(fields), tuple(as_text)


def _joined(kinds: list[pyarrow.DataType]) -> pyarrow.DataType:
    if not kinds:
        # Nobody sent a value: a number is what most columns are.
        return pyarrow.float64()
    alone = [pyarrow.schema([("", kind)]) for kind in kinds]
    return pyarrow.unify_schemas(alone, promote_options="permissive").field(0).type


def column_of(table: pyarrow.Table, field: pyarrow.Field) -> pyarrow.ChunkedArray:
    """A column of the collected table as some rows have it; empty where they have none."""
    if field.name not in table.column_names:
        return pyarrow.nulls(len(table), field.type)
    # Whole numbers that float64 rounds are rounded, as the version that took them rounded them.
    return table[field.name].cast(field.type, safe=False)


def check_names(seen: Seen, target: str) -> None:
    """Raises DataError if a feature is called as a column of the collected table itself."""
    for version, names in seen.features.items():
        taken = sorted(names & {*OWN, DATE, target})
        if taken:
            raise DataError(
                f"version {version or 'unregistered'} has features called "
                f"{', '.join(map(repr, taken))}, which the collected table needs for itself: "
                "request id, row, time, version, label and its date. Give the label another name "
                "with -P target=, or train the version with other names of its columns."
            )


def partly_sent(seen: Seen) -> tuple[str, ...]:
    """The features that the rows of some versions have, and those of others do not."""
    sets = list(seen.features.values())
    return tuple(sorted(set[str]().union(*sets) - sets[0].intersection(*sets))) if sets else ()
