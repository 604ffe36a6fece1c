"""`monitor` on a version of texts, dates, truth values and gaps."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import mlflow.pyfunc
import numpy as np
import pandas as pd
import pytest

from entrypoints import monitor
from entrypoints.reporting import run_entry_point
from fraud_model.data.audit_log import AuditTraffic
from fraud_model.data.table_traffic import TableTraffic
from fraud_model.model.directory import ModelDirectory
from fraud_model.monitoring.windows import Span, Windows
from tests.support.audit_lines import scored_lines, write_lines
from tests.support.typed_table import TARGET, typed_table

pytestmark = pytest.mark.slow

ROWS, DAYS = 1_500, 4
Change = Callable[[pd.DataFrame, np.random.Generator], object]


class Traffic:
    """Transactions of the typed version, a window of them a day, and their check."""

    def __init__(self, model: Path, folder: Path, patch: pytest.MonkeyPatch, capture: Any) -> None:
        self.folder = folder
        self._model = model
        self._patch = patch
        self._capture = capture

    def log(self, change: Change | None = None, days: int = DAYS) -> Path:
        """An audit log whose transactions change on the second day."""
        detector = mlflow.pyfunc.load_model(str(self._model)).unwrap_python_model()
        name = ModelDirectory(self._model).required_origin()["model_name"]
        lines = []
        for day in range(days):
            table = typed_table(ROWS, seed=100 + day)
            if change is not None and day:
                change(table, np.random.default_rng(day))
            lines += scored_lines(detector, table, day=day, name=name)
        return write_lines(self.folder / "audit.jsonl", lines)

    def check(self, log: Path, *arguments: str) -> tuple[int, str]:
        """The exit status of `monitor`, and what it printed."""
        self._patch.chdir(self.folder)
        argv = ["monitor", "--model-dir", str(self._model), "--log", str(log), *arguments]
        self._patch.setattr(sys, "argv", argv)
        with pytest.raises(SystemExit) as end:
            run_entry_point(monitor.main)
        assert not isinstance(end.value.code, str), end.value.code
        return end.value.code or 0, self._capture.readouterr().out


@pytest.fixture
def traffic(
    typed_exported: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Traffic:
    return Traffic(typed_exported, tmp_path, monkeypatch, capsys)


@pytest.mark.slow
def test_ten_days_like_the_reference_are_quiet(traffic: Traffic) -> None:
    status, said = traffic.check(traffic.log(days=10))
    assert (status, "alarm" in said) == (0, False), said
    assert "15,000 scored transactions, 0 refused requests, 0 incomplete" in said


def burst(table: pd.DataFrame, random: np.random.Generator) -> None:
    table.loc[random.random(len(table)) < 0.3, "merchant"] = "merchant 40"


def unseen(table: pd.DataFrame, random: np.random.Generator) -> None:
    table.loc[random.random(len(table)) < 0.12, "merchant"] = "opened yesterday"


def blank(table: pd.DataFrame, random: np.random.Generator) -> None:
    table["device_age"] = np.nan


def always(table: pd.DataFrame, random: np.random.Generator) -> None:
    table["verified"] = "yes"


def one_country(table: pd.DataFrame, random: np.random.Generator) -> None:
    table["country"] = "US"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (burst, "because: merchant has moved: PSI"),
        (unseen, "because: merchant holds values that the version does not know: 1"),
        (blank, "because: device_age is missing: 100.0% of the transactions in 2026-11-02"),
        (always, "because: verified has moved: PSI"),
        (one_country, "because: country has moved: PSI"),
    ],
)
def test_what_changes_alarms_by_its_name(traffic: Traffic, change: Change, message: str) -> None:
    status, said = traffic.check(traffic.log(change))
    assert status == 3
    assert message in said
    is_stuck = change in (always, one_country)
    assert (
        f"a feed that broke: one value alone is left of {message.split()[1]}" in said
    ) == is_stuck
    alarms = [line for line in said.splitlines() if "because: " in line]
    named = message.split()[1]
    assert all(line.split()[1] in (named, "scores") for line in alarms), said


def test_the_report_has_the_shares_before_and_now(traffic: Traffic) -> None:
    traffic.check(traffic.log(blank), "--report", "out")
    report = json.loads((traffic.folder / "out" / "report.json").read_text())
    (found,) = (f for f in report["findings"] if f.get("feature") == "device_age")
    assert found["now"] == 1.0
    assert found["before"] == pytest.approx(0.15, abs=0.02)
    assert found["since"] == "2026-11-02"
    shares = [window["missing_share"]["device_age"] for window in report["windows"]]
    assert shares == [pytest.approx(0.15, abs=0.03), 1.0, 1.0, 1.0]
    assert set(report["overall"]["unknown_share"]) >= {"merchant", "country"}
    page = (traffic.folder / "out" / "report.html").read_text()
    assert "<h2>Missing and unknown values</h2>" in page
    assert page.count("<td class='alarm'>") == 3, "one in each of the three windows"


def test_a_column_that_was_complete_alarms_although_no_row_is_scored(traffic: Traffic) -> None:
    table = typed_table(ROWS, seed=100).drop(columns=TARGET)
    table["amount"] = np.nan
    table.to_csv(traffic.folder / "traffic.csv", index=False)
    status, said = traffic.check(traffic.folder / "traffic.csv", "--window", str(ROWS))
    assert status == 3
    assert "0 scored transactions, 0 refused requests, 1,500 incomplete transactions" in said
    assert "because: amount is missing: 100.0%" in said


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_a_table_counts_as_the_log_of_its_rows(
    traffic: Traffic, typed_exported: Path, suffix: str
) -> None:
    table = typed_table(ROWS, seed=100)
    path = traffic.folder / f"traffic.{suffix}"
    if suffix == "csv":
        table.to_csv(path, index=False)
    else:
        # The types that a warehouse has.
        table["paid_at"] = pd.to_datetime(table["paid_at"])
        table["born"] = pd.to_datetime(table["born"], format="%d/%m/%Y")
        table.to_parquet(path)
    profile = ModelDirectory(typed_exported, "version 1").required_profile()
    features = [reference.feature for reference in profile.features.values()]
    name = ModelDirectory(typed_exported).required_origin()["model_name"]
    log = traffic.log(days=1)
    counted = []
    for source in (
        AuditTraffic(log, name, "1", features),
        TableTraffic(path, typed_exported, list(profile.features), profile.time),
    ):
        windows = Windows(profile, Span.parse(str(ROWS)), source.has_time)
        for batch in source.batches(()):
            windows.add(batch)
        counted.append(windows.by_number[0])
    logged, tabled = counted
    assert (logged.rows, tabled.rows) == (ROWS, ROWS)
    for name in ("features", "missing", "scores"):
        np.testing.assert_array_equal(getattr(logged, name), getattr(tabled, name))


def test_rows_that_the_server_would_refuse_are_incomplete(
    traffic: Traffic, typed_exported: Path
) -> None:
    table = typed_table(60, seed=100).astype({"amount": object, "device_age": object})
    for row, (column, value) in enumerate(
        [
            ("amount", "abc"),
            ("amount", None),
            ("device_age", "old"),
            ("verified", "perhaps"),
            ("born", "31/31/2020"),
            ("limit", "inf"),
            ("device_age", None),
            ("merchant", "never seen"),
        ]
    ):
        table.loc[row, column] = value
    path = traffic.folder / "traffic.csv"
    table.to_csv(path, index=False)
    profile = ModelDirectory(typed_exported, "version 1").required_profile()
    source = TableTraffic(path, typed_exported, list(profile.features), profile.time)
    assert source.in_calendar
    (batch,) = source.batches(())
    assert np.isnan(batch.scored.probability).nonzero()[0].tolist() == [0, 1, 2, 3, 4, 5]
