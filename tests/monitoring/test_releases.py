"""`monitor` on what release 0.1.0 left behind, and on versions without a reference profile."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import mlflow
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression

from entrypoints import monitor
from entrypoints.reporting import run_entry_point
from fraud_model.registry.export import export
from fraud_model.registry.moves import move
from tests.support.other_models import RELEASE, RELEASE_MODEL, log_other, register
from tests.support.store import Store


class Monitor:
    """The entry point in a folder of its own."""

    def __init__(
        self, folder: Path, patch: pytest.MonkeyPatch, capture: pytest.CaptureFixture[str]
    ) -> None:
        self.folder = folder
        self._patch = patch
        self._capture = capture

    def run(self, *arguments: str) -> tuple[int, str]:
        """The exit status, and what was printed."""
        self._patch.chdir(self.folder)
        self._patch.setattr(sys, "argv", ["monitor", *arguments])
        with pytest.raises(SystemExit) as end:
            run_entry_point(monitor.main)
        said = self._capture.readouterr().out
        code = end.value.code
        return (1, said + code) if isinstance(code, str) else (code or 0, said)

    def report(self) -> dict[str, Any]:
        """What was written for programs."""
        content: dict[str, Any] = json.loads(
            (self.folder / "monitoring" / "report.json").read_text()
        )
        return content


@pytest.fixture
def monitoring(
    store: Store,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Monitor:
    return Monitor(tmp_path, monkeypatch, capsys)


def audited() -> pd.DataFrame:
    """The transactions in the log of release 0.1.0, its rotated file included."""
    lines = pd.concat(
        pd.read_json(RELEASE / name, lines=True) for name in ("audit.jsonl.1.gz", "audit.jsonl")
    )
    return pd.DataFrame(lines["features"].dropna().tolist())


def test_log_and_labels_of_release_0_1_0_are_judged(monitoring: Monitor) -> None:
    status, said = monitoring.run(
        *("--model-dir", str(RELEASE_MODEL), "--log", str(RELEASE / "audit.jsonl")),
        *("--labels", str(RELEASE / "labels.csv"), "--window", "1100"),
    )
    assert (status, "Traceback" in said) == (0, False), said
    assert "2,201 lines in 2 files, 2,200 scored transactions, 1 refused requests" in said
    # The metrics of the holdout come from the profile that the release wrote.
    assert "was 0.8484 [0.7957, 0.8955] on the holdout" in said
    report = monitoring.report()
    assert [window["transactions"] for window in report["windows"]] == [1_100, 1_100]
    assert report["performance"]["frauds"] == 44
    assert report["performance"]["metrics"]["average_precision"][0] > 0.7


def test_a_table_is_scored_by_release_0_1_0(monitoring: Monitor) -> None:
    table = audited()
    # Far from everything that the release was trained on.
    table["V14"] += 5
    table.to_csv(monitoring.folder / "traffic.csv", index=False)
    status, said = monitoring.run(
        *("--model-dir", str(RELEASE_MODEL), "--log", "traffic.csv", "--window", "1100")
    )
    assert status == 3, said
    assert "because: V14 has moved" in said
    page = (monitoring.folder / "monitoring" / "report.html").read_text()
    # Red is what alarms: one PSI in each window's table, and no other cell.
    alarmed = page.count("<th scope='row'>V14</th><td class='alarm'>")
    assert page.count("<td class='alarm'>") == alarmed > 0


@pytest.mark.slow
@pytest.mark.parametrize("exported", [False, True])
def test_a_version_without_a_profile_is_refused_in_a_line(
    monitoring: Monitor, table: pd.DataFrame, exported: bool
) -> None:
    features = table.drop(columns="Class")
    classifier = LogisticRegression(solver="newton-cholesky").fit(features, table["Class"])
    name = register(log_other(mlflow.sklearn, classifier, features))
    move(name, "1", "Production")
    where = ("--model-name", name)
    if exported:
        export(name, "Production", monitoring.folder / "model")
        where = ("--model-dir", "model")
    status, said = monitoring.run(*where, "--log", str(RELEASE / "audit.jsonl"))
    assert status == 1
    assert f"error: {name} version 1 has no reference profile" in said
    assert len(said.strip().splitlines()) == 1
