"""`collect` says what it made, how to train on it, and what is wrong."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import mlflow
import pandas as pd
import pytest

from fraud_model.data.sources import read_source
from tests.monitoring.test_monitor import Monitored
from tests.support.object_store import object_store, use_store, without_uploads
from tests.support.postgresql import PASSWORD
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
        "--base",
        "t.parquet",
    )
    rule = ("--label-delay", "6h", "--unlabelled", "genuine")
    said = served.run(*arguments, *rule, entry_point="collect")
    table = pd.read_parquet(served.folder / "t.parquet")
    assert "t.parquet: nothing is there yet, so this is the first collection" in said
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
        (
            ("--log", "audit.jsonl", "--labels", "labels.csv", "--base", "gone"),
            "error: base=gone cannot be read",
        ),
    ],
)
def test_what_is_wrong_is_one_line(
    served: Monitored, arguments: tuple[str, ...], message: str
) -> None:
    served.log(days=1, rows=20)
    assert message in served.run(*arguments, status=1, entry_point="collect")


@pytest.mark.slow
def test_the_table_grows_in_an_object_store(
    served: Monitored, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = "traffic/t.parquet"
    address, secret = f"s3://bank/{key}", f"s3://key:{PASSWORD}@bank/{key}"

    def collected(base: str, output: str, status: int = 0) -> str:
        where = ("--log", "audit.jsonl", "--labels", "labels.csv", "--base", base)
        said = served.run(*where, "--output", output, status=status, entry_point="collect")
        assert PASSWORD not in said
        return said

    with object_store("bank") as store:
        use_store(store.endpoint, monkeypatch)
        served.log(days=1, rows=20)
        said = collected("s3://bank/gone.parquet", address, status=1)
        assert "error: s3://bank/gone.parquet: no such file or folder" in said
        said = collected(address, address)
        assert f"{address}: nothing is there yet, so this is the first collection" in said
        assert f"{address}: 20 rows, 20 of them new" in said
        (command,) = re.findall(r"^next: (.*)$", said, re.MULTILINE)
        data = dict(word.split("=", 1) for word in shlex.split(command) if "=" in word)["data"]
        assert len(read_source(data).frame) == 20

        # The log has been replaced since, and the address has the credentials.
        lines = served.log(days=2, rows=20).read_text().splitlines(keepends=True)
        (served.folder / "audit.jsonl").write_text("".join(lines[len(lines) // 2 :]))
        use_store(store.endpoint, monkeypatch, credentials=False)
        said = collected(secret, secret)
        assert f"{address}: 40 rows, 20 of them new" in said
        assert "output= holds secrets, which are not shown" in said
        runs = mlflow.search_runs(search_all_experiments=True, output_format="list", max_results=1)
        assert runs[0].data.params["base"] == runs[0].data.params["output"] == address
        said = collected(secret, "local.parquet")
        assert "local.parquet: 40 rows, 0 of them new" in said
        before = store.get(key)

        use_store(store.endpoint, monkeypatch)
        said = collected(address, "s3://absent/t.parquet", status=1)
        assert "error: s3://absent/t.parquet cannot be written: no such bucket or file" in said
        with without_uploads(store) as endpoint:
            use_store(endpoint, monkeypatch)
            said = collected(address, address, status=1)
        assert f"error: {address} cannot be written: access is refused" in said
        assert "what they may write" in said
        assert store.get(key) == before
