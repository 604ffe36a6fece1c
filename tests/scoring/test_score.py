"""`score` answers as the server does, row by row, whatever a table is written in."""

from __future__ import annotations

import fcntl
import json
import os
import sys
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pandas as pd
import pyarrow
import pyarrow.parquet
import pytest

from entrypoints import monitor, score
from entrypoints.reporting import run_entry_point
from fraud_model.data import row_readers
from fraud_model.model.json_values import as_json
from fraud_model.registry.moves import move
from fraud_model.scoring import output as outputs
from fraud_model.serving.loading import load_served
from fraud_model.serving.origin import resolve
from fraud_model.serving.scoring import Scoring
from fraud_model.serving.settings import Settings
from tests.support.store import Store
from tests.support.typed_table import TARGET, typed_table

ANSWER = ["fraud_probability", "is_fraud", "risk_level"]
ROWS = 300


class Scorings:
    """Runs of `score` in a folder, with one model."""

    def __init__(self, model: Path, patch: pytest.MonkeyPatch, capture: Any) -> None:
        self.model = model
        self._patch = patch
        self._capture = capture

    def run(self, *arguments: str, status: int = 0, module: Any = score) -> str:
        """Runs an entry point in this process; what it printed."""
        argv = [module.__name__, "--model-dir", str(self.model), *arguments]
        self._patch.setattr(sys, "argv", argv)
        said, left = "", 0
        try:
            run_entry_point(module.main)
        except SystemExit as end:
            said, left = (end.code, 1) if isinstance(end.code, str) else ("", end.code or 0)
        shown = self._capture.readouterr()
        assert left == status, shown.out + shown.err + said
        return str(shown.out + said)


@pytest.fixture
def typed(
    typed_exported: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Scorings:
    monkeypatch.chdir(tmp_path)
    return Scorings(typed_exported, monkeypatch, capsys)


@pytest.fixture
def plain(
    exported: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Scorings:
    monkeypatch.chdir(tmp_path)
    return Scorings(exported, monkeypatch, capsys)


@pytest.fixture(scope="module")
def payments() -> pd.DataFrame:
    """Rows with gaps and with categories that training never saw."""
    table = typed_table(rows=ROWS, seed=9).drop(columns=TARGET)
    table.loc[::7, "merchant"] = "never seen"
    table["code"] = [f"{number:05}" for number in range(ROWS)]
    return table


@pytest.fixture(scope="module")
def answered(typed_exported: Path, payments: pd.DataFrame) -> pd.DataFrame:
    """What the server answers about them, with two reasons each."""
    scoring = Scoring(load_served(resolve(str(typed_exported))), Settings(), None)
    texts = payments.assign(mcc=payments["mcc"].map(str))
    columns = {str(name): as_json(texts[name]).tolist() for name in texts}
    records = [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
    body = {"dataframe_records": records, "params": {"explain": 2}}
    reply = scoring.score(json.dumps(body).encode(), "application/json", "1")
    assert reply.status == 200, reply.body
    return pd.DataFrame(json.loads(reply.body)["predictions"])


def write(table: pd.DataFrame, kind: str) -> str:
    """Writes the table in the current folder; what `data` is then."""
    name = f"table.{kind}"
    if kind == "semicolons.csv.gz":
        table.to_csv(name, index=False, sep=";", decimal=",")
    elif kind == "jsonl":
        table.to_json(name, orient="records", lines=True, date_format="iso", double_precision=15)
    elif kind == "feather":
        table.to_feather(name)
    elif kind == "folder":
        for day, rows in table.groupby(table["paid_at"].dt.date):
            folder = Path(name) / f"day={day}"
            folder.mkdir(parents=True)
            rows.to_parquet(folder / "rows.parquet", index=False)
    else:
        for number, rows in enumerate((table[:100], table[100:])):
            rows.to_parquet(f"table.part-{number}.parquet", index=False)
    return name


def read(folder: str = "scores") -> pd.DataFrame:
    return pd.read_parquet(folder, partitioning=None)


@pytest.mark.parametrize(
    "kind",
    ["part-*.parquet", "folder", "feather", "semicolons.csv.gz", "jsonl"],
)
def test_a_row_is_answered_as_by_the_server_in_every_format(
    typed: Scorings,
    payments: pd.DataFrame,
    answered: pd.DataFrame,
    kind: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(row_readers, "ROWS_PER_PIECE", 64)
    data = write(payments, kind)
    said = typed.run("--data", data, "--keys", "payment_id, code", "--reasons", "2")
    assert "scores: 300 rows in 1 part" in said
    found = read()
    assert list(found) == ["payment_id", "code", *ANSWER, "model_version", "reasons"]
    assert found["payment_id"].tolist() == payments["payment_id"].tolist()
    # Digits behind zeros are no number.
    assert found["code"].tolist() == payments["code"].tolist()
    assert set(found["model_version"]) == {"1"}
    pd.testing.assert_frame_equal(
        found[ANSWER], answered[ANSWER], check_exact=True, check_dtype=False
    )
    assert [list(row) for row in found["reasons"]] == answered["reasons"].tolist()
    assert found["is_fraud"].any()


def test_whole_numbers_with_gaps_are_the_categories_that_training_read(
    typed: Scorings, payments: pd.DataFrame
) -> None:
    # pandas writes 5411.0 as soon as one value is missing.
    rows = payments.assign(mcc=payments["mcc"].astype(float))
    rows.to_csv("table.csv", index=False)
    assert ",5411.0," in Path("table.csv").read_text()
    typed.run("--data", "table.csv")
    payments.to_parquet("table.parquet")
    typed.run("--data", "table.parquet", "--output", "expected")
    pd.testing.assert_frame_equal(read(), read("expected"), check_exact=True)


def test_keys_keep_their_types_and_csv_is_written_as_well(
    plain: Scorings, table: pd.DataFrame
) -> None:
    rows = table.drop(columns="Class").head(500)
    rows = rows.assign(
        id=np.arange(500) + 2**60,
        moment=pd.Timestamp("2026-01-01 10:00:00.000001"),
        shop=pd.Categorical(["a", "b"] * 250),
    )
    rows.to_parquet("table.parquet")
    asked = ("--data", "table.parquet", "--keys", "id,moment,shop,Amount")
    plain.run(*asked)
    schema = pyarrow.parquet.read_schema("scores/part-00000.parquet")
    types = ["int64", "timestamp[us]", "string", "double"]
    assert [str(kind) for kind in schema.types[:4]] == types
    found = read()
    assert found["id"].tolist() == rows["id"].tolist()
    assert found["Amount"].tolist() == rows["Amount"].tolist()
    plain.run(*asked, "--output", "scores.csv", "--reasons", "1")
    again = pd.read_csv("scores.csv/part-00000.csv")
    assert again["id"].tolist() == found["id"].tolist()
    assert again["fraud_probability"].tolist() == found["fraud_probability"].tolist()
    assert json.loads(again["reasons"][0])[0].keys() == {"feature", "contribution"}


def test_the_run_tells_counts_and_the_version(
    store: Store, plain: Scorings, table_csv: Path, table: pd.DataFrame
) -> None:
    name = store.new_model(2)
    move(name, "1", "Production")
    asked = ("--model-dir", "", "--model-name", name, "--data", str(table_csv))
    plain.run(*asked)
    found = read()
    assert set(found["model_version"]) == {"1"}
    (run,) = mlflow.search_runs(
        experiment_names=["scoring"],
        filter_string=f"attributes.run_name = '{name} version 1: {len(table):,} rows scored'",
        output_format="list",
    )
    assert run.info.status == "FINISHED"
    metrics = run.data.metrics
    assert metrics["rows"] == len(table) == len(found)
    assert metrics["flagged"] == found["is_fraud"].sum() > 0
    assert metrics["flagged_rate"] == pytest.approx(found["is_fraud"].mean())
    assert metrics["mean_probability"] == pytest.approx(found["fraud_probability"].mean())
    assert metrics["rows_per_second"] > 0
    client = mlflow.MlflowClient()
    assert [file.path for file in client.list_artifacts(run.info.run_id, "plots")] == [
        "plots/score_distribution.png"
    ]
    plain.run(*asked, "--version", "2", "--output", "other")
    assert set(read("other")["model_version"]) == {"2"}


@pytest.mark.parametrize(
    ("column", "value", "message"),
    [
        ("merchant", None, "row 201, column 'merchant' is missing, and it never was"),
        ("amount", np.inf, "row 201, column 'amount' holds 'inf', which is not a finite number"),
        ("limit", "a lot", "row 201, column 'limit' holds 'a lot', which is not a finite number"),
        ("born", "1990-02-01", "holds '1990-02-01', which is not a date or time written as %d/%m"),
        ("verified", "maybe", "holds 'maybe', which is not true or false"),
    ],
)
def test_a_row_that_cannot_be_scored_is_named_and_whole_parts_stay(
    typed: Scorings,
    payments: pd.DataFrame,
    column: str,
    value: Any,
    message: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(row_readers, "ROWS_PER_PIECE", 20)
    monkeypatch.setattr(outputs, "ROWS_PER_PART", 40)
    bad = payments.copy()
    bad.loc[200, column] = value
    bad.to_parquet("table.parquet")
    said = typed.run("--data", "table.parquet", status=1)
    assert "error: table.parquet: row 201, column" in said
    assert message in said
    assert len(said.strip().splitlines()) == 2
    parts = {f"part-0000{number}.parquet" for number in range(5)}
    assert {path.name for path in Path("scores").iterdir()} == {"_manifest.json", *parts}
    assert len(read()) == 200
    assert last_status() == "FAILED"


def last_status() -> str:
    (run,) = mlflow.search_runs(experiment_names=["scoring"], max_results=1, output_format="list")
    return str(run.info.status)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "error: data is empty: name the table to score"),
        (("--data", "nowhere.csv"), "nowhere.csv: no such file"),
        (("--data", "less.csv"), "less.csv: missing columns 'V3', features of the model"),
        (("--data", "table.csv", "--keys", "id"), "keys: table.csv has no column 'id'"),
        (("--data", "table.csv", "--keys", "is_fraud"), "'is_fraud' is a column of the answer too"),
        (("--data", "table.csv", "--reasons", "31"), "reasons=31 is invalid: expected 0 to 30"),
        (("--data", "table.csv", "--output", "less.csv"), "output='less.csv' is a file"),
        (("--data", "table.csv", "--output", "full"), "holds files but no _manifest.json"),
        (("--data", "table.csv", "--output", "s3://b/scores"), "is an address"),
        (("--data", "table.csv", "--version", "new"), "version='new' is invalid"),
        (("--data", "sqlite:///bank.db"), "is a database, whose rows have no order"),
        (("--data", "empty.csv"), "empty.csv has no rows"),
    ],
)
def test_what_cannot_be_used_is_one_line(
    plain: Scorings, table: pd.DataFrame, arguments: tuple[str, ...], message: str
) -> None:
    table.head(9).assign(is_fraud=True).to_csv("table.csv", index=False)
    table.head(9).drop(columns="V3").to_csv("less.csv", index=False)
    table.head(0).to_csv("empty.csv", index=False)
    Path("full").mkdir()
    Path("full/notes.txt").write_text("mine")
    if "--version" in arguments:
        arguments = ("--model-dir", "", *arguments)
    said = plain.run(*arguments, status=1)
    assert message in said
    assert list(Path("full").iterdir()) == [Path("full/notes.txt")]


def test_a_run_killed_at_any_moment_leaves_a_directory_that_the_next_one_goes_on_in(
    plain: Scorings, table: pd.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    table.head(90).to_parquet("table.parquet")
    monkeypatch.setattr(row_readers, "ROWS_PER_PIECE", 20)
    monkeypatch.setattr(outputs, "ROWS_PER_PART", 40)

    def killed(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    # While the first part is written, and when it is there and not yet in the manifest.
    for place in (f"{outputs.__name__}.{name}" for name in ("pyarrow.parquet.write_table", "Part")):
        with monkeypatch.context() as patch:
            patch.setattr(place, killed)
            plain.run("--data", "table.parquet", status=130)
        # A kill leaves this too.
        Path("scores/.part-00000.parquet.partial").write_bytes(b"torn")
    plain.run("--data", "table.parquet", "--keys", "Time")
    assert read()["Time"].tolist() == table["Time"].head(90).tolist()


@pytest.mark.slow
def test_a_finished_output_is_left_alone_and_another_table_or_version_is_refused(
    plain: Scorings, table: pd.DataFrame, store: Store
) -> None:
    table.to_parquet("table.parquet")
    plain.run("--data", "table.parquet", "--keys", "Time")
    (part,) = Path("scores").glob("part-*")
    before = part.stat().st_mtime_ns
    said = plain.run("--data", "table.parquet", "--keys", "Time")
    assert "all 8,000 rows have scores" in said
    assert part.stat().st_mtime_ns == before
    refused = plain.run("--data", "table.parquet", "--keys", "Amount", status=1)
    assert "holds 8,000 rows of another scoring: its keys was Time, and now is Amount" in refused
    name = store.new_model()
    move(name, "1", "Production")
    other = ("--model-dir", "", "--model-name", name, "--data", "table.parquet", "--keys", "Time")
    refused = plain.run(*other, status=1)
    assert f"and now is {name} 1" in refused
    table.to_parquet("table.parquet")
    refused = plain.run("--data", "table.parquet", "--keys", "Time", status=1)
    assert "table.parquet has changed since" in refused
    assert part.stat().st_mtime_ns == before


@pytest.mark.slow
def test_two_processes_do_not_write_to_one_output(plain: Scorings, table_csv: Path) -> None:
    Path("scores").mkdir()
    handle = os.open("scores", os.O_RDONLY)
    fcntl.flock(handle, fcntl.LOCK_EX)
    said = plain.run("--data", str(table_csv), status=1)
    assert "output='scores' is being written to by another process" in said
    os.close(handle)
    plain.run("--data", str(table_csv))


def report(folder: str) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((Path(folder) / "report.json").read_text())
    # Each check has a run and a command of its own.
    del content["run"]
    for event in content["events"]:
        del event["command"]
    return content


@pytest.mark.slow
def test_drift_is_checked_in_the_same_pass_as_monitor_does(
    plain: Scorings, table: pd.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(row_readers, "ROWS_PER_PIECE", 900)
    monkeypatch.setattr(outputs, "ROWS_PER_PART", 2_000)
    # Not in order of time.
    table.drop(columns="Class").sample(frac=1, random_state=0).to_parquet("table.parquet")
    asked = ("--data", "table.parquet", "--window", "6h")
    said = plain.run(*asked, "--monitor", "true", "--report", "ours")
    assert "status: " in said
    alone = plain.run("--log", "table.parquet", "--window", "6h", "--report", "theirs",
                      module=monitor)  # fmt: skip
    assert said.split("status: ")[1].split(";")[0] == alone.split("status: ")[1].split(";")[0]
    ours, theirs = report("ours"), report("theirs")
    assert_alike(ours, theirs)
    assert len(ours["windows"]) == 8
    (run,) = mlflow.search_runs(
        search_all_experiments=True, max_results=1, output_format="list",
        filter_string="attributes.run_name LIKE '%rows scored'",
    )  # fmt: skip
    (child,) = mlflow.search_runs(
        search_all_experiments=True, output_format="list",
        filter_string=f"tags.mlflow.parentRunId = '{run.info.run_id}'",
    )  # fmt: skip
    assert child.data.tags["monitoring.status"] == ours["status"]
    assert child.info.experiment_id == run.info.experiment_id
    # Once more with what is written: the same report, and nothing is scored.
    said = plain.run(*asked, "--monitor", "true", "--report", "again")
    assert "there is nothing to score" in said
    assert_alike(report("again"), theirs)


def assert_alike(ours: Any, theirs: Any) -> None:
    """Equal but for the last digits of sums."""
    if isinstance(theirs, dict):
        assert ours.keys() == theirs.keys()
        for key, value in theirs.items():
            assert_alike(ours[key], value)
    elif isinstance(theirs, list):
        assert len(ours) == len(theirs)
        for mine, other in zip(ours, theirs, strict=True):
            assert_alike(mine, other)
    elif isinstance(theirs, float):
        assert ours == pytest.approx(theirs, rel=1e-9)
    else:
        assert ours == theirs
