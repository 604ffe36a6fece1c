"""The gate turns away what it should, and a refusal changes nothing."""

from __future__ import annotations

import contextlib
import multiprocessing
from pathlib import Path
from typing import Any

import mlflow
import pandas as pd
import pytest

from entrypoints.promote import report
from fraud_model.errors import PromotionRefused, RegistryError
from fraud_model.registry import ledger, versions
from fraud_model.registry.gate import run_gate
from fraud_model.registry.gate_thresholds import GateThresholds
from fraud_model.registry.moves import move
from fraud_model.registry.promotion import promote, rollback
from fraud_model.registry.smoke import smoke_test
from fraud_model.registry.versions import State
from fraud_model.tracking import open_run
from fraud_model.training.config import Hyperparameters, TrainingConfig
from fraud_model.training.pipeline import Trained, train
from tests.support.store import Store, stages_of

# For promotions that are only a means: what is promoted is the same model again.
MEANS = GateThresholds(min_new_days=0)


def state(name: str) -> dict[str, object]:
    model = mlflow.MlflowClient().get_registered_model(name)
    aliases = {alias: str(version) for alias, version in model.aliases.items()}
    return {"aliases": aliases, "stages": stages_of(name)}


def move_in(name: str, version: str) -> None:
    with open_run("promote"):
        promote(name, version, "Production", MEANS)


@pytest.fixture(scope="session")
def weak(store: Store, table: pd.DataFrame, tmp_path_factory: pytest.TempPathFactory) -> Trained:
    """A model on the same columns that learnt from noise mixed into its strongest features."""
    folder = tmp_path_factory.mktemp("weak")
    noisy = table.copy()
    strongest = (
        table.groupby("Class").mean().diff().iloc[-1].abs() / table.drop(columns="Class").std()
    ).nlargest(12)
    for name in strongest.index:
        noisy[name] = table[name].sample(frac=1, random_state=5).to_numpy()
    noisy.to_csv(folder / "noisy.csv", index=False)
    with open_run("train"):
        return train(
            TrainingConfig(
                data=str(folder / "noisy.csv"), hyperparameters=Hyperparameters(rounds=60)
            )
        )


@pytest.mark.slow
def test_the_first_version_is_promoted_and_written_into_the_ledger(store: Store, run: str) -> None:
    name = store.new_model()
    moved = promote(name, "latest", "Production", GateThresholds())
    assert (moved.version, moved.before) == ("1", None)
    assert all(check.passed for check in moved.checks)
    (entry,) = ledger.entries(name, "Production")
    assert (entry.run_id, entry.outcome, entry.target) == (run, "done", "1")
    checks = mlflow.artifacts.load_dict(f"runs:/{run}/gate.json")["checks"]
    assert [check["name"] for check in checks] == [check.name for check in moved.checks]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("thresholds", "check"),
    [
        (GateThresholds(min_accuracy=1.0), "accuracy"),
        pytest.param(
            GateThresholds(min_average_precision=1.0), "average precision", marks=pytest.mark.slow
        ),
        pytest.param(
            GateThresholds(min_recall_at_budget=1.0, alert_budget=1),
            "recall at 1 alerts a day",
            marks=pytest.mark.slow,
        ),
    ],
)
def test_a_floor_that_is_not_reached_refuses_and_changes_nothing(
    store: Store, run: str, thresholds: GateThresholds, check: str
) -> None:
    name = store.new_model(versions=2)
    move_in(name, "1")
    before = state(name)
    with pytest.raises(PromotionRefused, match=check) as refusal:
        promote(name, "2", "Production", thresholds)
    assert "FAILED" in str(refusal.value)
    assert state(name) == before
    refused = [e for e in ledger.entries(name, "Production") if e.outcome == "refused"]
    assert [(e.target, e.origin) for e in refused] == [("2", "1")]


@pytest.mark.slow
def test_a_worse_challenger_is_refused_on_the_same_holdout(
    store: Store, weak: Trained, run: str
) -> None:
    name = store.new_model()
    move_in(name, "1")
    version = store.new_version(name, weak)
    before = state(name)
    thresholds = GateThresholds(min_average_precision=0, min_recall_at_budget=0, min_accuracy=0)
    with pytest.raises(PromotionRefused, match=r"average precision, challenger - champion"):
        promote(name, version, "Production", thresholds)
    assert state(name) == before


@pytest.mark.slow
def test_whoever_promotes_reads_the_notes(
    store: Store, weak: Trained, run: str, capsys: pytest.CaptureFixture[str]
) -> None:
    name = store.new_model(versions=0)
    move(name, store.new_version(name, weak, holdout_average_precision="0.99"), "Production")
    version = store.new_version(name)
    said = "or the labels of the challenger's table are wrong"
    with pytest.raises(PromotionRefused, match=said):
        promote(name, version, "Production", GateThresholds(min_accuracy=1))
    report(promote(name, version, "Production", GateThresholds(alert_budget=300)))
    assert said in capsys.readouterr().out


@pytest.mark.slow
def test_simulated_never_replaces_real_but_real_replaces_simulated(store: Store, run: str) -> None:
    name = store.new_model(data_kind="simulated")
    move_in(name, "1")
    real = store.new_version(name, data_kind="real")
    move_in(name, real)
    simulated = store.new_version(name, data_kind="simulated")
    before = state(name)
    with pytest.raises(PromotionRefused, match="trained on real data if the champion was"):
        promote(name, simulated, "Production", GateThresholds())
    assert state(name) == before


@pytest.mark.slow
def test_a_broken_version_is_refused_by_a_process_of_its_own(store: Store, run: str) -> None:
    name = store.new_model(versions=1)
    source = Path(mlflow.artifacts.download_artifacts(f"models:/{name}/1"))
    decision = source / "artifacts" / "decision.json"
    whole = decision.read_text()
    try:
        decision.write_text(whole.replace('"intercept": ', '"intercept": 1'))
        assert "off its record" in smoke_test(f"models:/{name}/1").text
        with pytest.raises(PromotionRefused, match="loads and scores known rows"):
            promote(name, "1", "Production", GateThresholds())
    finally:
        decision.write_text(whole)
    assert smoke_test(f"models:/{name}/1").passed
    assert state(name)["aliases"] == {}


@pytest.mark.slow
def test_a_challenger_on_other_columns_is_told_what_is_missing(
    store: Store, table: pd.DataFrame, tmp_path: Path
) -> None:
    name = store.new_model()
    move_in(name, "1")
    table.drop(columns=["V14"]).to_parquet(tmp_path / "t.parquet")
    with open_run("train"):
        trained = train(
            TrainingConfig(
                data=str(tmp_path / "t.parquet"),
                model_name=name,
                hyperparameters=Hyperparameters(rounds=40),
            )
        )
    with pytest.raises(PromotionRefused, match="1 needs 'V14'"):
        move_in(name, trained.version)


def promote_in_a_process(uri: str, name: str, version: str) -> None:
    mlflow.set_tracking_uri(uri)
    with contextlib.suppress(PromotionRefused):
        move_in(name, version)


@pytest.mark.slow
def test_promotions_at_once_end_in_one_version_that_the_ledger_names(store: Store) -> None:
    name = store.new_model(versions=3)
    move_in(name, "1")
    spawn = multiprocessing.get_context("spawn")
    promotions = [
        spawn.Process(target=promote_in_a_process, args=(store.uri, name, version))
        for version in ("2", "3")
    ]
    for promotion in promotions:
        promotion.start()
    for promotion in promotions:
        promotion.join(300)
    (winner,) = (v for v, stage in stages_of(name).items() if stage == "Production")
    assert winner in {"2", "3"}
    assert State.of(name).alias["Production"] == winner
    outcomes = {e.target: e.outcome for e in ledger.entries(name, "Production")}
    assert outcomes[winner] == "done"
    # The other one was refused, or overtaken, and said so; or it was done first.
    exited = dict(zip(("2", "3"), (promotion.exitcode for promotion in promotions), strict=True))
    assert exited.pop(winner) == 0
    assert set(exited.values()) <= {0, 1}


@pytest.mark.slow
def test_staging_and_production_are_held_apart(store: Store) -> None:
    name = store.new_model(versions=2)
    move_in(name, "1")
    with open_run("promote"):
        promote(name, "2", "Staging", MEANS)
    assert state(name)["aliases"] == {"production": "1", "staging": "2"}
    move_in(name, "2")
    assert state(name) == {
        "aliases": {"production": "2"},
        "stages": {"1": "Archived", "2": "Production"},
    }


@pytest.mark.slow
def test_promoting_what_stands_there_finishes_an_interrupted_promotion(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = store.new_model(versions=2)
    move_in(name, "1")

    class Killed(BaseException):
        pass

    def killed_after(name: str, version: str, stage: versions.Stage) -> None:
        move(name, version, stage)
        raise Killed

    monkeypatch.setattr("fraud_model.registry.moves.move", killed_after)
    with pytest.raises(Killed), open_run("promote"):
        promote(name, "2", "Production", MEANS)
    monkeypatch.undo()
    assert [e.outcome for e in ledger.entries(name, "Production")] == ["done", "moving"]
    move_in(name, "2")
    assert [e.outcome for e in ledger.entries(name, "Production")] == ["done", "done"]
    with open_run("rollback"):
        assert rollback(name, "Production").version == "1"


@pytest.mark.slow
def test_rollback_goes_back_step_by_step_and_then_says_that_it_cannot(store: Store) -> None:
    name = store.new_model(versions=3)
    for version in ("1", "2", "3"):
        move_in(name, version)
    for expected in ("2", "1"):
        with open_run("rollback"):
            assert rollback(name, "Production").version == expected
        held = versions.current_version(name, "Production")
        assert held is not None
        assert str(held.version) == expected
    with pytest.raises(RegistryError, match="names no version before 1"), open_run("rollback"):
        rollback(name, "Production")


def test_rollback_of_nothing_is_refused(store: Store, run: str) -> None:
    with pytest.raises(RegistryError, match="nothing to roll back"):
        rollback(store.new_model(), "Production")


@pytest.mark.slow
def test_a_promotion_overtaken_by_another_is_refused(
    store: Store, run: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = store.new_model(versions=3)
    move_in(name, "1")

    def slow_gate(*arguments: Any) -> object:
        move(name, "3", "Production")
        return run_gate(*arguments)

    monkeypatch.setattr("fraud_model.registry.gate.run_gate", slow_gate)
    with pytest.raises(
        PromotionRefused, match="version 3 stands in Production now; run this one again"
    ):
        promote(name, "2", "Production", MEANS)
    assert State.of(name).alias["Production"] == "3"
