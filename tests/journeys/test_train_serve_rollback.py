"""The whole way, with real processes: train, promote, serve, every payload format, roll back."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from pathlib import Path

import mlflow
import numpy as np
import pandas as pd
import pytest
import requests

from tests.support.project import Project, project_in

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    with project_in(tmp_path_factory.mktemp("journey")) as project:
        yield project


def probabilities(answer: requests.Response) -> list[float]:
    assert answer.ok, answer.text
    return [row["fraud_probability"] for row in answer.json()["predictions"]]


def post(url: str, body: object, kind: str = "application/json") -> requests.Response:
    data = json.dumps(body) if kind == "application/json" else body
    return requests.post(url, data=data, headers={"Content-Type": kind}, timeout=60)  # type: ignore[arg-type]


def test_train_promote_serve_and_roll_back(project: Project, transactions_csv: Path) -> None:
    first = project.run("-e", "train", "-P", f"data={transactions_csv}")
    assert "fraud-detector version 1, trained on real data" in first
    assert "split by time" in first
    assert "round 50 of" in first, "no progress while rounds run"
    project.run("-e", "promote", "-P", "stage=Staging")
    assert "version 1 is now in Production" in project.run(
        "-e", "promote", "-P", "stage=Production"
    )

    project.run(
        *("-e", "train", "-P", f"data={transactions_csv}", "-P", "threshold=precision:0.9"),
        *("-P", "seed=1"),
    )
    means = ("-P", "min_new_days=0", "-P", "tolerance=0.1")
    assert "version 1 is archived" in project.run("-e", "promote", *means)

    rows = pd.read_csv(transactions_csv).drop(columns="Class").astype(float).tail(50)
    with project.serve("models:/fraud-detector/Production") as url:
        check_payloads(url, rows)
        check_refusals(url, rows)

    assert "version 1 is now in Production" in project.run("-e", "rollback")
    model = mlflow.pyfunc.load_model("models:/fraud-detector/Production")
    alias = mlflow.pyfunc.load_model("models:/fraud-detector@production")
    assert model.metadata.model_id == alias.metadata.model_id
    first_version = mlflow.MlflowClient().get_model_version("fraud-detector", "1")
    assert model.metadata.run_id == first_version.run_id


def check_payloads(url: str, rows: pd.DataFrame) -> None:
    expected = mlflow.pyfunc.load_model("models:/fraud-detector/Production").predict(rows)
    known = expected["fraud_probability"].tolist()
    split = {"columns": list(rows.columns), "data": rows.to_numpy().tolist()}
    parquet = io.BytesIO()
    rows.to_parquet(parquet)
    answers = {
        "dataframe_records": post(url, {"dataframe_records": rows.to_dict("records")}),
        "dataframe_split": post(url, {"dataframe_split": split}),
        "inputs": post(url, {"inputs": rows.to_dict("list")}),
        "inputs as records": post(url, {"inputs": rows.to_dict("records")}),
        "instances": post(url, {"instances": rows.to_dict("records")}),
        "csv": post(url, rows.to_csv(index=False), "text/csv"),
        "parquet": post(url, parquet.getvalue(), "application/vnd.apache.parquet"),
    }
    for name, answer in answers.items():
        assert probabilities(answer) == known, name
    first = answers["dataframe_records"].json()["predictions"][0]
    assert set(first) == {"fraud_probability", "is_fraud", "risk_level"}

    params = {"threshold": 0.0, "explain": 3}
    explained = post(url, {"dataframe_split": split, "params": params}).json()["predictions"]
    assert all(row["is_fraud"] and len(row["reasons"]) == 3 for row in explained)


def check_refusals(url: str, rows: pd.DataFrame) -> None:
    missing = post(url, {"dataframe_records": rows.drop(columns="V7").to_dict("records")})
    assert missing.status_code == 400
    assert "V7" in missing.text
    row = rows.iloc[0].to_dict()
    nan = post(url, {"dataframe_records": [{**row, "V9": None}]})
    assert nan.status_code == 400
    assert "row 1, column 'V9' is missing" in nan.text
    assert post(url, {"dataframe_records": [{**row, "V9": "much"}]}).status_code == 400
    assert post(url, {"rows": [row]}).status_code == 400


def test_the_main_entry_point_trains_promotes_and_says_how_to_go_on(
    project: Project, table_csv: Path
) -> None:
    said = project.run("-P", f"data={table_csv}", "-P", "model_name=main-model")
    assert "version 1 is now in Production" in said
    assert "mlflow models serve -m models:/main-model/Production -p 5001" in said
    query = next(line for line in said.splitlines() if "curl" in line)
    body = json.loads(query.split("-d '")[1].rstrip("'"))
    answer = mlflow.pyfunc.load_model("models:/main-model/Production").predict(
        pd.DataFrame(body["dataframe_records"])
    )
    assert np.isfinite(answer["fraud_probability"]).all()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("-e", "train", "-P", "data=nowhere.csv"), "error: nowhere.csv: no such file"),
        (("-e", "train", "-P", "threshold=best"), "error: threshold='best' is invalid"),
        (("-e", "promote", "-P", "model_name=nobody"), "error: model 'nobody' has no version"),
        (
            ("-e", "promote", "-P", "stage=Live"),
            "error: stage='Live' is invalid: expected Staging or Production",
        ),
        (("-e", "rollback", "-P", "model_name=nobody"), "error: nobody: nothing stands in"),
    ],
)
def test_a_refusal_is_one_line_and_a_failed_run(
    project: Project, arguments: tuple[str, ...], message: str
) -> None:
    said = project.run(*arguments, fails=True)
    assert message in said
    assert "Traceback" not in said
    runs = mlflow.search_runs(search_all_experiments=True, output_format="list", max_results=1)
    assert runs[0].info.status == "FAILED"


def test_nothing_is_left_running(project: Project) -> None:
    running = mlflow.search_runs(
        search_all_experiments=True, filter_string="status = 'RUNNING'", output_format="list"
    )
    assert running == []
