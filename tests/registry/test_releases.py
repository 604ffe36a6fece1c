"""The gate with versions that this release did not train, as champion and as challenger."""

from __future__ import annotations

import json
import tempfile
from dataclasses import asdict
from pathlib import Path

import lightgbm
import mlflow
import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import average_precision_score, recall_score

from fraud_model.errors import ModelFailed, PromotionRefused, RegistryError
from fraud_model.evaluation.holdout import read_holdout
from fraud_model.registry import versions
from fraud_model.registry.candidate import Candidate, HoldoutResult
from fraud_model.registry.export import export
from fraud_model.registry.gate import GateResult, Opponents, run_gate
from fraud_model.registry.gate_thresholds import GateThresholds
from fraud_model.registry.moves import move
from fraud_model.registry.promotion import promote, rollback
from fraud_model.registry.verdict import DIFFERENCE
from fraud_model.registry.versions import State
from fraud_model.review.comparison import compare, markdown
from fraud_model.review.pull_request import prepare
from fraud_model.tracking import open_run
from tests.support.other_models import RELEASE_MODEL, log_other, register
from tests.support.store import Store

LOOSE = GateThresholds(min_average_precision=0, min_accuracy=0, tolerance=1, min_new_days=0)


class Holdout:
    """The shared model's holdout, on which candidates are scored."""

    def __init__(self, store: Store) -> None:
        version = versions.find_version(store.trained.name, store.trained.version)
        self.kept = read_holdout(version.run_id, "the shared version")
        self.features = self.kept.rows[list(self.kept.columns.features)]
        self.labels = self.kept.rows[self.kept.columns.target].to_numpy()

    def score(self, name: str) -> HoldoutResult:
        """What version 1 of a model comes to."""
        candidate = Candidate.registered(versions.find_version(name, "1"))
        return candidate.score(self.kept, alert_budget=100)


@pytest.fixture(scope="module")
def holdout(store: Store) -> Holdout:
    return Holdout(store)


@pytest.fixture(scope="module")
def features(table: pd.DataFrame) -> pd.DataFrame:
    return table.drop(columns="Class")


@pytest.fixture(scope="module")
def classifier(table: pd.DataFrame, features: pd.DataFrame) -> LogisticRegression:
    return LogisticRegression(solver="newton-cholesky").fit(features, table["Class"])


@pytest.fixture(scope="module")
def classifier_uri(store: Store, classifier: LogisticRegression, features: pd.DataFrame) -> str:
    return log_other(mlflow.sklearn, classifier, features)


def challenge(store: Store, champion: str) -> GateResult:
    """The gate's result for the shared model against version 1 of a model."""
    standing = Candidate.registered(versions.find_version(champion, "1"))
    challenger = versions.find_version(store.new_model(), "1")
    return run_gate(challenger, Opponents(standing), GateThresholds(min_new_days=0))


def release_with_its_holdout(holdout: Holdout) -> str:
    """The model of release 0.1.0 with the holdout as that release kept it; the model's name."""
    with open_run("train 0.1.0") as run:
        mlflow.log_dict(asdict(holdout.kept.columns), "holdout/columns.json")
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "transactions.parquet"
            holdout.kept.rows.to_parquet(path, index=False)
            mlflow.log_artifact(str(path), "holdout")
    return register(RELEASE_MODEL, run_id=run.info.run_id, data_kind="real", split="time")


@pytest.mark.slow
def test_release_0_1_0_is_a_champion(store: Store, holdout: Holdout) -> None:
    result = challenge(store, release_with_its_holdout(holdout))
    model = mlflow.pyfunc.load_model(str(RELEASE_MODEL))
    answer = model.predict(holdout.features[model.metadata.get_input_schema().input_names()])
    assert result.pair
    champion = result.pair.champion.metrics
    assert champion.true_positives == (answer["is_fraud"] & holdout.labels).sum()
    assert champion.average_precision == pytest.approx(
        average_precision_score(holdout.labels, answer["fraud_probability"])
    )
    assert not result.failed


def test_what_release_0_1_0_learned_cannot_be_told_without_its_holdout(store: Store) -> None:
    result = challenge(store, register(RELEASE_MODEL))
    assert DIFFERENCE in result.failed
    assert result.verdict
    assert result.verdict.standing == "cannot be told"
    (value,) = (check.value for check in result.checks if check.name == DIFFERENCE)
    assert "0 frauds in 0 rows" in value
    assert "-P champion=none" in value


@pytest.mark.slow
def test_release_0_1_0_is_a_challenger_and_comes_back(store: Store) -> None:
    name = register(RELEASE_MODEL, store, data_kind="real")
    with open_run("promote"):
        moved = promote(name, "1", "Production", LOOSE)
    assert (moved.checks[0].value, moved.checks[0].passed) == ("as recorded", True)
    with open_run("promote"):
        promote(name, store.new_version(name), "Production", LOOSE)
    with open_run("rollback"):
        assert rollback(name, "Production").version == "1"


@pytest.mark.slow
def test_a_classifier_that_answers_labels_is_scored_by_them(
    store: Store, holdout: Holdout, classifier: LogisticRegression, classifier_uri: str
) -> None:
    labels = classifier.predict(holdout.features)
    name = register(classifier_uri, store)
    result = run_gate(versions.find_version(name, "1"), Opponents(), LOOSE)
    scored = result.challenger
    assert scored
    assert scored.decision == "probability >= 0.5"
    assert scored.metrics.recall == recall_score(holdout.labels, labels)
    assert scored.metrics.average_precision == pytest.approx(
        average_precision_score(holdout.labels, labels)
    )
    assert (result.checks[0].value, result.failed) == ("loads; it has no known rows", [])


@pytest.mark.slow
def test_a_booster_is_scored_by_its_probabilities_at_the_threshold_of_its_tag(
    store: Store, holdout: Holdout, table: pd.DataFrame, features: pd.DataFrame
) -> None:
    parameters = {"objective": "binary", "min_sum_hessian_in_leaf": 1, "verbose": -1}
    booster = lightgbm.train(parameters, lightgbm.Dataset(features, table["Class"]), 30)
    scored = holdout.score(register(log_other(mlflow.lightgbm, booster, features), threshold="0.2"))
    probability = np.asarray(booster.predict(holdout.features))
    assert scored.metrics.average_precision == pytest.approx(
        average_precision_score(holdout.labels, probability)
    )
    assert scored.decision == "probability >= 0.2"
    assert scored.metrics.recall == recall_score(holdout.labels, probability >= 0.2)


@pytest.mark.slow
def test_a_signature_of_whole_numbers_is_no_obstacle(
    store: Store, holdout: Holdout, classifier: LogisticRegression, features: pd.DataFrame
) -> None:
    whole = features.assign(Time=features["Time"].astype(np.int64))
    uri = log_other(mlflow.sklearn, classifier, whole)
    assert mlflow.pyfunc.load_model(uri).metadata.get_input_schema().input_types()[0].name == "long"
    assert holdout.score(register(uri)).metrics.rows == len(holdout.labels)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("labels", "more", "answered"),
    [
        ((0, 1), {"pyfunc_predict_fn": "predict_proba"}, r"shape \(1600, 2\)"),
        (("genuine", "fraud"), {}, "such as 'genuine'"),
        ((-7, 3), {}, "values from -7 to 3"),
    ],
)
def test_an_answer_without_probabilities_is_refused_by_name(
    store: Store,
    holdout: Holdout,
    table: pd.DataFrame,
    features: pd.DataFrame,
    labels: tuple[object, object],
    more: dict[str, str],
    answered: str,
) -> None:
    other = LogisticRegression(solver="newton-cholesky").fit(
        features, np.array(labels)[table["Class"]]
    )
    name = register(log_other(mlflow.sklearn, other, features, **more))
    with pytest.raises(RegistryError, match=f"^models:/{name}/1 answers [^\n]*{answered}[^\n]*$"):
        holdout.score(name)


@pytest.mark.slow
def test_a_champion_that_answers_no_probabilities_stays(
    store: Store, table: pd.DataFrame, features: pd.DataFrame
) -> None:
    other = LogisticRegression(solver="newton-cholesky").fit(features, 5 * table["Class"])
    name = register(log_other(mlflow.sklearn, other, features), data_kind="real")
    move(name, "1", "Production")
    newer = store.new_version(name)
    said = f"models:/{name}/1 answers [^\n]*values from 0 to 5[^\n]*-P champion=none"
    with pytest.raises(PromotionRefused, match=said), open_run("promote"):
        promote(name, newer, "Production", GateThresholds())
    assert State.of(name).alias["Production"] == "1"


@pytest.mark.slow
def test_a_model_that_fails_is_refused_and_as_a_champion_names_the_ways_out(
    store: Store, holdout: Holdout, classifier: LogisticRegression, features: pd.DataFrame
) -> None:
    # Its signature wants text.
    wrong = features.head().assign(V3="text")
    signature = mlflow.models.infer_signature(wrong, classifier.predict(features.head()))
    with open_run("another model"):
        uri = mlflow.sklearn.log_model(classifier, name="model", signature=signature).model_uri
    name = register(uri)
    with pytest.raises(ModelFailed, match=f"^models:/{name}/1 fails on the holdout: [^\n]+$"):
        holdout.score(name)
    result = challenge(store, name)
    assert (result.failed, result.pair) == ([DIFFERENCE], None)
    assert "fails on the holdout" in result.checks[-1].value
    assert "-e rollback" in result.checks[-1].value
    assert "-P champion=none" in result.checks[-1].value


@pytest.mark.slow
def test_a_challenger_without_a_holdout_is_told_so(store: Store, classifier_uri: str) -> None:
    name = register(classifier_uri)
    with pytest.raises(RegistryError, match=f"version 1 of {name}: the holdout of its run"):
        run_gate(versions.find_version(name, "1"), Opponents(), GateThresholds())


@pytest.mark.slow
def test_a_threshold_tag_that_is_none_is_refused(store: Store, classifier_uri: str) -> None:
    name = register(classifier_uri, threshold="high")
    with pytest.raises(RegistryError, match=f"{name}: its tag threshold='high'"):
        Candidate.registered(versions.find_version(name, "1"))


@pytest.mark.slow
def test_an_exported_classifier_is_compared_and_proposed(
    store: Store, classifier_uri: str, tmp_path: Path
) -> None:
    name = register(classifier_uri, store)
    move(name, "1", "Production")
    export(name, "Production", tmp_path / "model")
    champion = Candidate.exported(tmp_path / "model")
    compared = compare(
        versions.find_version(store.new_model(), "1"), Opponents(champion), GateThresholds()
    )
    assert compared.better, [c for c in compared.gate.checks if not c.passed]
    assert set(compared.sides) == {"challenger", "champion"}
    assert "| flagged where | probability >= " in markdown(compared)

    prepare(versions.find_version(name, "1"), compared, tmp_path / "proposal")
    text = json.loads((tmp_path / "proposal" / "pull_request.json").read_text())
    assert "Model card" not in text["body"]
