"""What leaves the tracking store with a run, and what stays there."""

from __future__ import annotations

import json
from pathlib import Path

import mlflow

from fraud_model.registry import versions
from fraud_model.review.run_export import write_run
from tests.support.machine import traces
from tests.support.store import Store


def test_a_run_leaves_without_its_transactions_and_this_machine(
    store: Store, tmp_path: Path, table_csv: Path
) -> None:
    version = versions.find_version(store.trained.name, store.trained.version)
    write_run(str(version.run_id), tmp_path)
    assert traces(tmp_path) == []
    assert {"run.json", "model_card.md", "columns.yaml", "slices.json", "plots"} == {
        path.name for path in tmp_path.iterdir()
    }
    written = json.loads((tmp_path / "run.json").read_text())
    assert written["params"]["data"] == written["tags"]["data_source"] == table_csv.name
    assert written["metrics"]["holdout/average_precision"] > 0


def test_a_run_leaves_without_the_secrets_of_an_address(run: str, tmp_path: Path) -> None:
    mlflow.log_params(
        {
            "data": "s3://key:s3cret@bank/traffic.parquet?region=eu",
            "base": "abfss://bank@account.dfs.core.windows.net/t.parquet?sig=s3cret",
        }
    )
    write_run(run, tmp_path)
    text = (tmp_path / "run.json").read_text()
    assert json.loads(text)["params"]["data"] == "s3://bank/traffic.parquet"
    assert "s3cret" not in text
