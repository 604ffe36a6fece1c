"""What a served model answers, and what it refuses."""

from __future__ import annotations

from pathlib import Path

import mlflow
import numpy as np
import pandas as pd
import pytest
from mlflow.exceptions import MlflowException

from tests.support.store import Store


@pytest.fixture(scope="module")
def model(store: Store) -> mlflow.pyfunc.PyFuncModel:
    return mlflow.pyfunc.load_model(f"models:/{store.trained.name}/{store.trained.version}")


@pytest.fixture(scope="module")
def rows(table: pd.DataFrame) -> pd.DataFrame:
    chosen = pd.concat([table[table["Class"] == 0].head(20), table[table["Class"] == 1].head(20)])
    return chosen.drop(columns="Class").reset_index(drop=True)


def test_it_answers_probability_flag_and_risk_level(
    model: mlflow.pyfunc.PyFuncModel, rows: pd.DataFrame, store: Store
) -> None:
    answer = model.predict(rows)
    assert list(answer.columns) == ["fraud_probability", "is_fraud", "risk_level"]
    probability = answer["fraud_probability"]
    assert probability.between(0, 1).all()
    assert (answer["is_fraud"] == (probability >= store.trained.result.decision.threshold)).all()
    threshold = store.trained.result.decision.threshold
    assert threshold is not None
    edges = [-1, threshold, max(0.7, threshold), 2]
    bounds = pd.cut(probability, edges, right=False, labels=["Low", "Medium", "High"])
    assert (answer["risk_level"] == bounds.astype(str)).all()
    assert {"Low", "High"} <= set(answer["risk_level"])


def test_what_is_flagged_is_never_low(model: mlflow.pyfunc.PyFuncModel, rows: pd.DataFrame) -> None:
    answer = model.predict(rows, params={"threshold": 0.0})
    assert answer["is_fraud"].all()
    assert "Low" not in set(answer["risk_level"])
    assert "Medium" in set(answer["risk_level"])


def test_a_row_scores_the_same_alone_in_a_batch_and_in_any_column_order(
    model: mlflow.pyfunc.PyFuncModel, rows: pd.DataFrame
) -> None:
    many = pd.concat([rows] * 30, ignore_index=True)
    batch = model.predict(many)["fraud_probability"]
    alone = [model.predict(rows.iloc[[i]])["fraud_probability"].iloc[0] for i in range(5)]
    assert batch.head(5).tolist() == alone
    assert model.predict(rows[rows.columns[::-1]]).equals(model.predict(rows))


def test_a_csv_file_with_whole_numbers_is_read_as_floats(
    model: mlflow.pyfunc.PyFuncModel, rows: pd.DataFrame, tmp_path: Path
) -> None:
    whole = rows.assign(V1=rows.index)
    whole.to_csv(tmp_path / "rows.csv", index=False)
    read = pd.read_csv(tmp_path / "rows.csv")
    # MLflow's own check of the signature, which no version can loosen.
    with pytest.raises(MlflowException, match=r"V1.*int64 to float64"):
        model.predict(read)
    expected = model.predict(rows.assign(V1=rows.index.astype(float)))
    assert model.predict(read.astype(float)).equals(expected)
    assert model.predict(pd.read_csv(tmp_path / "rows.csv", dtype=float)).equals(expected)


def test_threshold_is_a_parameter(model: mlflow.pyfunc.PyFuncModel, rows: pd.DataFrame) -> None:
    assert model.predict(rows, params={"threshold": 0.0})["is_fraud"].all()
    assert not model.predict(rows, params={"threshold": 1.0})["is_fraud"].any()


def test_reasons_are_the_largest_contributions_and_add_up(
    model: mlflow.pyfunc.PyFuncModel, rows: pd.DataFrame
) -> None:
    answer = model.predict(rows, params={"explain": rows.shape[1]})
    odds = np.log(answer["fraud_probability"] / (1 - answer["fraud_probability"]))
    sums = [sum(reason["contribution"] for reason in reasons) for reasons in answer["reasons"]]
    assert np.ptp(odds - sums) == pytest.approx(0, abs=1e-6)
    for reasons in answer["reasons"]:
        sizes = [abs(reason["contribution"]) for reason in reasons]
        assert sizes == sorted(sizes, reverse=True)
    top = model.predict(rows, params={"explain": 2})["reasons"]
    assert [reasons[:2] for reasons in answer["reasons"]] == top.tolist()


@pytest.mark.parametrize(("value", "word"), [(np.nan, "missing"), (np.inf, "infinite")])
def test_what_is_not_finite_is_refused_by_row_and_column(
    model: mlflow.pyfunc.PyFuncModel, rows: pd.DataFrame, value: float, word: str
) -> None:
    bad = rows.copy()
    bad.loc[2, "V4"] = value
    with pytest.raises(MlflowException, match=f"row 3, column 'V4' is {word}") as refusal:
        model.predict(bad)
    assert refusal.value.get_http_status_code() == 400


@pytest.mark.parametrize(
    "params", [{"threshold": 1.5}, {"threshold": -0.1}, {"explain": 31}, {"explain": -1}]
)
def test_parameters_out_of_range_are_refused(
    model: mlflow.pyfunc.PyFuncModel, rows: pd.DataFrame, params: dict[str, float]
) -> None:
    with pytest.raises(MlflowException, match="expected 0 to"):
        model.predict(rows, params=params)


def test_an_empty_table_gets_an_empty_answer(
    model: mlflow.pyfunc.PyFuncModel, rows: pd.DataFrame
) -> None:
    assert len(model.predict(rows.head(0))) == 0
    assert len(model.predict(rows.head(0), params={"explain": 3})) == 0
