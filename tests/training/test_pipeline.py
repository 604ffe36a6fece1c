"""What a training run leaves behind, and what it leaves alone when it fails."""

from __future__ import annotations

import re
import stat
from dataclasses import fields
from pathlib import Path

import mlflow
import pandas as pd
import pytest
from mlflow.utils.file_utils import local_file_uri_to_path

from fraud_model.errors import DataError, ParameterError
from fraud_model.registry import versions
from fraud_model.tracking import open_run
from fraud_model.training.config import Hyperparameters, TrainingConfig
from fraud_model.training.pipeline import train
from tests.support.store import Store


@pytest.fixture(scope="module")
def logged(store: Store) -> mlflow.entities.Run:
    version = mlflow.MlflowClient().get_model_version(store.trained.name, store.trained.version)
    return mlflow.get_run(version.run_id)


def test_parameters_and_metrics_of_both_parts_are_logged(logged: mlflow.entities.Run) -> None:
    names = {field.name for part in (TrainingConfig, Hyperparameters) for field in fields(part)}
    assert set(logged.data.params) == names - {"hyperparameters"}
    for part in ("validation", "holdout"):
        for name in ("average_precision", "average_precision_low", "roc_auc", "brier", "accuracy",
                     "precision", "recall", "f1", "recall_at_budget", "precision_at_budget",
                     "fraud_value_caught", "fraud_value_missed", "true_positives"):  # fmt: skip
            assert f"{part}/{name}" in logged.data.metrics


def test_the_learning_curve_is_logged_by_round(logged: mlflow.entities.Run) -> None:
    history = mlflow.MlflowClient().get_metric_history(
        logged.info.run_id, "learning_curve/average_precision"
    )
    assert [point.step for point in history] == list(range(3, 61, 3))


def test_the_dataset_is_logged_with_digest_size_and_fraud_rate(
    logged: mlflow.entities.Run, store: Store
) -> None:
    inputs = logged.inputs.dataset_inputs
    assert len(inputs) == 3
    tags = {tag.key: tag.value for tag in inputs[0].tags}
    assert tags["digest_sha256"] == store.trained.result.dataset.digest
    assert int(tags["rows"]) > 0
    assert 0 < float(tags["fraud_rate"]) < 1


def test_plots_card_and_holdout_are_artifacts(logged: mlflow.entities.Run) -> None:
    client = mlflow.MlflowClient()
    run_id = logged.info.run_id
    plots = {Path(item.path).stem for item in client.list_artifacts(run_id, "plots")}
    assert plots == {
        "precision_recall",
        "roc",
        "reliability",
        "score_distribution",
        "threshold",
        "confusion_matrix",
        "learning_curve",
        "feature_importance",
    }
    card = mlflow.artifacts.load_text(f"runs:/{run_id}/model_card.md")
    assert f"{logged.data.metrics['holdout/average_precision']:.3f}" in card
    assert {item.path for item in client.list_artifacts(run_id, "holdout")} == {
        "holdout/columns.json",
        "holdout/transactions.parquet",
    }


def test_the_holdout_is_for_its_owner_only(logged: mlflow.entities.Run) -> None:
    folder = Path(local_file_uri_to_path(logged.info.artifact_uri)) / "holdout"
    modes = {stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()}
    assert (modes, stat.S_IMODE(folder.stat().st_mode)) == ({0o600}, 0o700)


def test_the_card_fits_what_mlflow_shows(logged: mlflow.entities.Run, store: Store) -> None:
    assert logged.info.run_name == f"{store.trained.label}: trained"
    card = logged.data.tags["mlflow.note.content"]
    assert card.startswith(f"# {store.trained.label}\n")
    assert f"| owner | {logged.data.tags['mlflow.user']} |" in card
    assert "| owner |" not in mlflow.artifacts.load_text(
        f"runs:/{logged.info.run_id}/model_card.md"
    )
    tables = re.findall(r"(?:^\|.*\n)+", card, re.MULTILINE)
    assert len(tables) >= 6
    assert max(table.count("\n") - 2 for table in tables) <= 10
    shares = r"0\.\d{3} \[0\.\d{3}, [01]\.\d{3}\]"
    for name in ("precision at the threshold", "recall at the threshold", "average precision"):
        assert re.search(rf"\| {name} \| {shares} \| {shares} \|", card), name
    for what in ("| trained | 20", "| training period | 2 days", "| currency |", "Not meant to"):
        assert what in card
    assert "| hour | transactions |" in card
    assert str(Path(store.trained.result.dataset.source).parent) not in card


def test_the_slices_of_a_column_add_up_to_the_holdout(logged: mlflow.entities.Run) -> None:
    found = mlflow.artifacts.load_dict(f"runs:/{logged.info.run_id}/slices.json")["holdout"]
    metrics = logged.data.metrics
    for by in ("Amount", "hour"):
        own = [one for one in found if one["by"] == by]
        assert sum(one["frauds"] for one in own) == metrics["holdout/frauds"]
        caught = metrics["holdout/true_positives"] + metrics["holdout/false_positives"]
        assert sum(one["flagged"] for one in own) == caught


def test_slices_by_what_is_no_feature_are_refused(store: Store, table_csv: Path) -> None:
    with pytest.raises(ParameterError, match="slices='V1,gender' names 'gender'"), open_run("t"):
        train(TrainingConfig(data=str(table_csv), slices="V1, gender", model_name="never"))


def test_the_version_says_what_it_was_trained_on(store: Store) -> None:
    version = mlflow.MlflowClient().get_model_version(store.trained.name, store.trained.version)
    assert version.tags["data_kind"] == "real"
    origin = mlflow.get_run(version.run_id).data.tags
    assert origin["data_digest"] == store.trained.result.dataset.digest
    assert float(version.tags["threshold"]) == store.trained.result.decision.threshold
    assert origin["git_commit"]
    assert len(version.tags) <= 15
    first = sorted(version.tags)[:3]
    assert first == ["alerts a day", "average precision", "caught"]
    assert "average precision" in version.description


@pytest.mark.slow
def test_columns_of_any_name_travel_in_the_signature(
    store: Store, table: pd.DataFrame, tmp_path: Path
) -> None:
    own = table.rename(columns={"Class": "is fraud", "Time": "second", "V1": "risk [1]", "V2": "é"})
    own = own.drop(columns=["Amount"]).assign(country="BE")
    own.to_csv(tmp_path / "own.csv", index=False)
    with open_run("train"):
        trained = train(
            TrainingConfig(
                data=str(tmp_path / "own.csv"),
                target="is fraud",
                time_column="second",
                model_name="own-columns",
                hyperparameters=Hyperparameters(rounds=40),
            )
        )
    model = mlflow.pyfunc.load_model(f"models:/own-columns/{trained.version}")
    names = model.metadata.get_input_schema().input_names()
    assert names == [name for name in own.columns if name not in ("is fraud", "country")]
    assert model.predict(own[names].head(3))["fraud_probability"].between(0, 1).all()
    assert trained.result.metrics["holdout"].fraud_value_caught is None


@pytest.mark.slow
def test_a_table_without_time_and_amount_trains(
    store: Store, table: pd.DataFrame, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table.drop(columns=["Time", "Amount"]).to_csv(tmp_path / "t.csv", index=False)
    with open_run("train"):
        train(
            TrainingConfig(
                str(tmp_path / "t.csv"),
                model_name="bare",
                hyperparameters=Hyperparameters(rounds=40),
            )
        )
    assert "no time column: the split is stratified" in capsys.readouterr().out


def test_a_table_that_cannot_be_trained_on_registers_nothing_and_fails_the_run(
    store: Store, table: pd.DataFrame, tmp_path: Path
) -> None:
    table.assign(V3=table["V3"].astype(str).where(table.index != 41, "n/a!")).to_csv(
        tmp_path / "t.csv", index=False
    )
    with pytest.raises(DataError, match="row 42, column 'V3'"), open_run("train") as run:
        train(TrainingConfig(data=str(tmp_path / "t.csv"), model_name="never"))
    failed = mlflow.get_run(run.info.run_id)
    assert (failed.info.status, failed.info.run_name) == ("FAILED", "train: failed")
    assert "row 42, column 'V3'" in failed.data.tags["failure"]
    assert "row 42, column 'V3'" in failed.data.tags["mlflow.note.content"]
    assert versions.newest_versions("never", 1) == []


def test_a_bad_request_is_refused_before_anything_is_read() -> None:
    with pytest.raises(ParameterError, match="threshold='most'"):
        TrainingConfig(data="nowhere.csv", threshold="most")
    with pytest.raises(ParameterError, match="model_name='a/b'"):
        TrainingConfig(model_name="a/b")
    with pytest.raises(ParameterError, match="alert_budget"):
        TrainingConfig(alert_budget=0)


@pytest.mark.slow
def test_a_thinned_table_makes_probabilities_of_the_whole_traffic(
    store: Store, table_csv: Path
) -> None:
    config = TrainingConfig(
        data=str(table_csv),
        model_name="thinned",
        fraud_rate=0.005,
        hyperparameters=Hyperparameters(rounds=60),
    )
    with open_run("train") as run:
        trained = train(config)
    held = trained.result.metrics["holdout"]
    assert held.expected_frauds == pytest.approx(held.frauds, rel=0.5)
    model = mlflow.pyfunc.load_model(f"models:/thinned/{trained.version}")
    holdout = trained.result.parts.holdout
    answered = model.predict(holdout[list(trained.result.dataset.columns.features)])
    genuine = answered["fraud_probability"][(holdout["Class"] == 0).to_numpy()]
    assert genuine.mean() < 0.005, "as rare as they are in the traffic"
    tags = mlflow.get_run(run.info.run_id).data.tags
    assert (tags["fraud_rate"], tags["table_fraud_rate"]) == ("0.005000", "0.050000")
    card = mlflow.artifacts.load_text(f"runs:/{run.info.run_id}/model_card.md")
    assert "frauds are 5.000% of the table and 0.5000% of the traffic" in card


@pytest.mark.slow
def test_a_card_does_not_speak_of_time_where_the_split_is_stratified(
    store: Store, table_csv: Path
) -> None:
    config = TrainingConfig(
        data=str(table_csv),
        model_name="stratified",
        split="stratified",
        hyperparameters=Hyperparameters(rounds=20),
    )
    with open_run("train") as run:
        assert train(config).result.hand_over
    card = mlflow.artifacts.load_text(f"runs:/{run.info.run_id}/model_card.md")
    assert "earlier in time" not in card
    assert "tried on shares of the train part" in card
