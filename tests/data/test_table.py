"""Each column gets the kind that its values have, unless somebody says otherwise."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml

from fraud_model.data import kinds
from fraud_model.data.overrides import ColumnRules
from fraud_model.data.table import as_yaml, columns_of, show, typed
from fraud_model.errors import DataError, ParameterError
from fraud_model.model.feature import Feature

ROWS = 400
RANDOM = np.random.default_rng(0)
NUMBERS = RANDOM.normal(size=ROWS)
LABELS = (np.arange(ROWS) % 7 == 0).astype(int)


def described(rules: ColumnRules | None = None, /, **columns: object) -> dict[str, Feature]:
    """What becomes of columns beside a number and a target; those left out are not there."""
    table = pd.DataFrame({"V1": NUMBERS, **columns, "Class": LABELS})
    found, _ = columns_of(table, "t.csv", "Class", "Time", "Amount", rules or ColumnRules())
    return found.described


def kind_of(values: object, **rules: str) -> str:
    found = described(ColumnRules(**rules), x=values)
    return found["x"].kind if "x" in found else "left out"


def every(*values: object) -> list[object]:
    """The values over and over, as many as there are rows."""
    return [values[i % len(values)] for i in range(ROWS)]


def texts(form: str, step: str = "37min") -> list[str]:
    return list(pd.date_range("2026-01-01 00:10", periods=ROWS, freq=step).strftime(form))


@pytest.mark.parametrize(
    ("values", "kind", "payload"),
    [
        (NUMBERS, "number", "double"),
        (every(1, 2, 3), "number", "double"),
        ([f"{value:.3f}" for value in NUMBERS], "number", "double"),
        ([f"${1_000 + i:,}.50" for i in range(ROWS)], "number", "string"),
        ([f"{i},25" for i in range(ROWS)], "number", "string"),
        (every(True, False), "boolean", "boolean"),
        (every(True, None), "boolean", "string"),
        (every("Yes", "no"), "boolean", "string"),
        (every("web", "shop", "phone"), "category", "string"),
        (every("00123", "00456", "07890"), "category", "string"),
        (texts("%Y-%m-%d %H:%M:%S"), "time", "string"),
        (texts("%Y-%m-%d", "1D"), "time", "string"),
        (texts("%Y-%m-%dT%H:%M:%SZ"), "time", "string"),
        (texts("%d.%m.%Y %H:%M"), "time", "string"),
        (pd.date_range("2026-01-01", periods=ROWS, freq="h"), "time", "datetime"),
        (1_767_225_600 + 60 * np.arange(ROWS), "time", "double"),
    ],
)
def test_values_tell_the_kind(values: object, kind: str, payload: str) -> None:
    feature = described(x=values)["x"]
    assert (feature.kind, feature.payload) == (kind, payload)


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        ([f"tx{i:05}" for i in range(ROWS)], "identifier"),
        (np.arange(ROWS) + 70_000, "identifier"),
        (4_000_000_000_000_000 + RANDOM.integers(0, 50, ROWS) * 10**9, "identifier"),
        (every("same"), "constant"),
        (every(np.nan), "constant"),
    ],
)
def test_what_names_a_row_or_says_nothing_is_left_out(values: object, kind: str) -> None:
    table = pd.DataFrame({"V1": NUMBERS, "x": values, "Class": LABELS})
    columns, found = columns_of(table, "t.csv", "Class", "Time", "Amount", ColumnRules())
    assert columns.ignored == ("x",)
    assert [column.kind for column in found] == ["number", kind, "target"]
    # Whole numbers that differ in every row are no identifier by that alone.
    cents = RANDOM.permutation(10**6)[:ROWS]
    assert kind_of(cents) == "number"


def test_gaps_are_allowed_where_the_table_has_them() -> None:
    gaps = np.where(np.arange(ROWS) % 5 == 0, np.nan, NUMBERS)
    words = every("web", None, "NA", "shop")
    found = described(x=gaps, y=words, z=every("web", "shop"))
    assert {name: feature.missing for name, feature in found.items()} == {
        "V1": False,
        "x": True,
        "y": True,
        "z": False,
    }
    accepted = described(ColumnRules(missing="accept"), z=every("web", "shop"))
    assert all(feature.missing for feature in accepted.values())


def test_two_ways_to_read_a_date_are_a_question() -> None:
    ambiguous = [f"0{1 + i % 9}/0{1 + i % 7}/2026" for i in range(ROWS)]
    with pytest.raises(DataError, match=r"column 'x' holds '01/01/2026', which may be .*%d/%m"):
        described(x=ambiguous)
    clear = [f"{1 + i % 28:02}/0{1 + i % 7}/2026" for i in range(ROWS)]
    assert described(x=clear)["x"].format == "%d/%m/%Y"


def test_a_file_settles_what_columns_are(tmp_path: Path) -> None:
    file = tmp_path / "columns.yaml"
    ambiguous = [f"0{1 + i % 9}/0{1 + i % 7}/2026" for i in range(ROWS)]
    file.write_text(
        "columns:\n"
        "  day: {kind: time, format: '%m/%d/%Y'}\n"
        "  mcc: {kind: category}\n"
        "  id: {kind: number}\n"
        "  note: {kind: excluded}\n"
        "  V1: {missing: accept}\n"
    )
    columns = {
        "day": ambiguous,
        "mcc": every(5411, 5812),
        "id": np.arange(ROWS),
        "note": every("a", "b"),
    }
    found = described(ColumnRules(file=str(file)), **columns)
    assert {name: feature.kind for name, feature in found.items()} == {
        "V1": "number",
        "day": "time",
        "mcc": "category",
        "id": "number",
    }
    assert found["V1"].missing
    assert found["day"].format == "%m/%d/%Y"


def test_what_was_inferred_is_a_file_to_edit(tmp_path: Path) -> None:
    columns = {
        "Time": 60.0 * np.arange(ROWS),
        "Amount": np.abs(NUMBERS),
        "when": texts("%d.%m.%Y %H:%M"),
        "shop": every("a", "b", None),
        "id": [f"tx{i}" for i in range(ROWS)],
    }
    table = pd.DataFrame({"V1": NUMBERS, **columns, "Class": LABELS})
    names = ("t.csv", "Class", "Time", "Amount")
    first, inferred = columns_of(table, *names, ColumnRules())
    file = tmp_path / "columns.yaml"
    file.write_text(as_yaml(inferred))
    assert yaml.safe_load(file.read_text())["columns"]["shop"] == {
        "kind": "category",
        "missing": "accept",
    }
    assert columns_of(table, *names, ColumnRules(file=str(file)))[0] == first


def test_columns_are_left_out_or_kept_by_name() -> None:
    extra = {"a": every("x", "y"), "b": every(1.5, 2.5), "c": NUMBERS**2}
    assert set(described(ColumnRules(exclude="a, c"), **extra)) == {"V1", "b"}
    assert set(described(ColumnRules(include="b"), **extra)) == {"b"}
    with pytest.raises(DataError, match=r"missing columns: - 'A' \(did you mean 'a'\?\)"):
        described(ColumnRules(exclude="A"), **extra)
    with pytest.raises(ParameterError, match="exclude=Class: the table needs it"):
        described(ColumnRules(exclude="Class"), **extra)
    with pytest.raises(ParameterError, match="give one of them"):
        ColumnRules(exclude="a", include="b")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("columns:\n  V1: {kind: numeric}\n", "kind='numeric' is invalid: expected number"),
        ("columns:\n  V1: {type: number}\n", "'type' is unknown: expected kind"),
        ("columns:\n  V1: number\n", "V1: expected one or more of kind"),
        ("V1: {kind: number}\n", "has no entry `columns`"),
        ("columns: [\n", "is not YAML"),
    ],
)
def test_a_file_that_says_nothing_clear_is_refused(
    tmp_path: Path, content: str, message: str
) -> None:
    (tmp_path / "columns.yaml").write_text(content)
    with pytest.raises(ParameterError, match=message):
        described(ColumnRules(file=str(tmp_path / "columns.yaml")))


def test_all_columns_in_the_way_are_named_at_once() -> None:
    dirty = [str(value) for value in NUMBERS]
    dirty[41] = "n/a!"
    with pytest.raises(DataError) as caught:
        described(x=dirty, y=np.where(np.arange(ROWS) == 3, np.inf, NUMBERS), z=every("x", "y"))
    said = str(caught.value)
    assert "2 columns cannot be read" in said
    assert "row 42, column 'x' holds 'n/a!' where a number belongs (1 such cell)" in said
    assert "row 4, column 'y' holds infinity (1 such cell)" in said
    assert "-P exclude=" in said
    assert len(said.splitlines()) == 1


def test_the_time_says_how_its_unit_was_read() -> None:
    hours: dict[str, object] = {"Time": np.repeat(np.arange(ROWS // 4), 4)}
    assert described(ColumnRules(time_unit="h"), **hours)["Time"].seconds == 3_600
    assert described(**hours)["Time"].parts == ()
    since_1970: dict[str, object] = {"Time": 1_767_225_600_000 + 60_000 * np.arange(ROWS)}
    assert described(**since_1970)["Time"].seconds == pytest.approx(1e-3)
    assert described(**since_1970)["Time"].parts == ("hour", "weekday")


def test_a_missing_time_is_in_the_way() -> None:
    with pytest.raises(DataError, match="column 'Time' is missing in 1 rows"):
        described(Time=[np.nan, *range(ROWS - 1)])


def test_another_date_counts_back_from_the_transaction() -> None:
    born = pd.date_range("1970-01-01", periods=ROWS, freq="11D")
    when = pd.date_range("2026-01-01", periods=ROWS, freq="h")
    assert described(Time=when, born=born)["born"].parts == ("weekday", "days before")
    assert described(born=born)["born"].parts == ("weekday",)


def test_of_many_numbers_the_first_ones_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kinds, "ROWS_LOOKED_AT", 100)
    monkeypatch.setattr(kinds, "MANY", 10)
    table = pd.DataFrame(
        {
            "V1": NUMBERS,
            "late": [1.0] * (ROWS - 1) + [2.0],
            "txn_id": range(ROWS),
            "shop": [*range(50), *range(ROWS - 50)],
            "Class": LABELS,
        }
    )
    _, found = columns_of(table, "t", "Class", "Time", "Amount", ColumnRules())
    told = {column.name: (column.kind, column.distinct, column.has_more) for column in found}
    assert told["V1"] == ("number", table["V1"].iloc[:100].nunique(), True)
    assert told["late"] == ("number", 2, False)
    assert told["txn_id"] == ("identifier", ROWS, False)
    assert told["shop"] == ("number", 50, True)
    assert f"{told['V1'][1]}+" in show(found)


def test_dates_of_parquet_cover_the_days_that_they_do() -> None:
    table = pd.DataFrame(
        {
            "Time": pd.date_range("2026-01-01", periods=ROWS, freq="36min"),
            "V1": NUMBERS,
            "Class": LABELS,
        }
    )
    columns, _ = columns_of(table, "t", "Class", "Time", "Amount", ColumnRules())
    assert columns.days_covered(typed(table, columns)) == pytest.approx(399 * 36 / 1_440)


def test_typed_columns_are_what_a_request_holds() -> None:
    table = pd.DataFrame(
        {
            "V1": NUMBERS,
            "n": [str(value) for value in NUMBERS],
            "b": every(True, False),
            "c": every("web ", "shop"),
            "t": texts("%Y-%m-%d %H:%M:%S"),
            "zone": pd.date_range("2026-01-01", periods=ROWS, freq="h", tz="Europe/Paris"),
            "Class": LABELS,
        }
    )
    columns, _ = columns_of(table, "t", "Class", "Time", "Amount", ColumnRules())
    found = typed(table, columns)
    assert {name: str(dtype) for name, dtype in found.dtypes.items()} == {
        "V1": "float64",
        "n": "float64",
        "b": "bool",
        "c": "str",
        "t": "str",
        "zone": "datetime64[us]",
    }
    assert set(found["c"]) == {"web", "shop"}
    assert found["zone"].iloc[0] == pd.Timestamp("2025-12-31 23:00")


def test_a_target_alone_leaves_nothing_to_learn() -> None:
    table = pd.DataFrame({"Class": LABELS, "id": [f"t{i}" for i in range(ROWS)]})
    with pytest.raises(DataError, match=r"no column besides the target 'Class' .* 'id' \(ident"):
        columns_of(table, "t", "Class", "Time", "Amount", ColumnRules())


def test_a_missing_target_is_shown_as_a_diff_with_a_suggestion() -> None:
    table = pd.DataFrame({"V1": NUMBERS, "class": LABELS})
    with pytest.raises(DataError, match=r"- 'Class' \(did you mean 'class'\?\)"):
        columns_of(table, "t", "Class", "Time", "Amount", ColumnRules())
    with pytest.raises(DataError, match=r"missing columns: - 'seconds'"):
        columns_of(table, "t", "class", "seconds", "Amount", ColumnRules())


def test_a_header_without_rows_is_refused() -> None:
    table = pd.DataFrame({"V1": NUMBERS, "Class": LABELS}).iloc[:0]
    with pytest.raises(DataError, match="a header but no rows"):
        columns_of(table, "t", "Class", "Time", "Amount", ColumnRules())


def test_the_columns_are_shown_as_a_table() -> None:
    table = pd.DataFrame(
        {"V1": NUMBERS, "shop": every("web", None), "id": np.arange(ROWS), "Class": LABELS}
    )
    _, columns = columns_of(table, "t", "Class", "Time", "Amount", ColumnRules())
    lines = show(columns).splitlines()
    assert lines[0].split() == [
        *("column", "kind", "missing", "distinct", "example", "what", "becomes", "of", "it"),
    ]
    assert lines[2].split() == ["shop", "category", "200", "1", "web", "a", "category"]
    assert lines[3].split()[:2] == ["id", "identifier"]
    many = pd.DataFrame({f"V{i}": NUMBERS for i in range(300)} | {"Class": LABELS})
    _, columns = columns_of(many, "t", "Class", "Time", "Amount", ColumnRules())
    assert "and 300 numbers without gaps" in show(columns)
