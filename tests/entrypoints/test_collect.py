"""`collect` says what it made, how to train on it, and what is wrong."""

from __future__ import annotations

from pathlib import Path

import mlflow
import pandas as pd
import pytest

from tests.monitoring.test_monitor import Monitored
from tests.support.store import Store


@pytest.fixture
def served(store: Store, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Monitored:
    return Monitored(store, tmp_path, capsys)


def test_what_was_collected_is_told_and_recorded(served: Monitored) -> None:
    arguments = (
        "--log",
        str(served.log(days=1)),
        "--labels",
        "labels.csv",
        "--output",
        "t.parquet",
    )
    rule = ("--label-delay", "6h", "--unlabelled", "genuine")
    said = served.run(*arguments, *rule, entry_point="collect")
    table = pd.read_parquet(served.folder / "t.parquet")
    assert f"t.parquet: 1,500 rows, 1,500 of them new; {int(table['Class'].sum())} frauds" in said
    assert "left out: 1 refused requests" in said
    assert "-P data=t.parquet -P target=Class -P label_delay=6h -P unlabelled=genuine" in said
    assert f"-P model_name={served.name}" in said
    (run,) = mlflow.search_runs(
        search_all_experiments=True,
        filter_string=(
            "attributes.run_name LIKE '%: 1,500 rows collected' and params.output = 't.parquet'"
        ),
        output_format="list",
    )
    assert run.info.status == "FINISHED"
    assert run.data.metrics["rows"] == 1_500
    # The last six hours of the day.
    assert run.data.metrics["younger_than_label_delay"] == pytest.approx(375, abs=1)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--labels", "labels.csv"), "error: log is empty"),
        (("--log", "audit.jsonl"), "error: labels is empty"),
        (("--log", "nowhere.jsonl", "--labels", "labels.csv"), "no such audit log"),
        (
            ("--log", "audit.jsonl", "--labels", "labels.csv", "--output", "no/t"),
            "cannot be written",
        ),
        (("--log", "audit.jsonl", "--labels", "labels.csv", "--target", "fraud"), "column 'fraud'"),
    ],
)
def test_what_is_wrong_is_one_line(
    served: Monitored, arguments: tuple[str, ...], message: str
) -> None:
    served.log(days=1, rows=20)
    assert message in served.run(*arguments, status=1, entry_point="collect")
