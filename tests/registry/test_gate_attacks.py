"""Challengers that win on their own table and must not replace a good champion."""

from __future__ import annotations

import uuid
from pathlib import Path

import mlflow
import numpy as np
import pandas as pd
import pytest

from fraud_model.data.simulation import simulate
from fraud_model.durations import SECONDS_PER_DAY
from fraud_model.errors import PromotionRefused
from fraud_model.registry import versions
from fraud_model.registry.candidate import Candidate
from fraud_model.registry.decision_checks import DECISION
from fraud_model.registry.gate import GateResult, Opponents, run_gate
from fraud_model.registry.gate_thresholds import GateThresholds
from fraud_model.registry.knowledge import Knowledge
from fraud_model.registry.other_direction import TRUSTED
from fraud_model.registry.promotion import promote
from fraud_model.registry.verdict import DIFFERENCE, EARLIER
from fraud_model.tracking import open_run
from fraud_model.training.config import Hyperparameters, TrainingConfig
from fraud_model.training.pipeline import train
from tests.support.store import Store


def later(seed: int = 11) -> pd.DataFrame:
    """Transactions of the next three days."""
    table = simulate(rows=8_000, frauds=400, seed=seed)
    return table.assign(Time=table["Time"] + 3 * SECONDS_PER_DAY)


def by_the_largest_v1(table: pd.DataFrame) -> pd.DataFrame:
    return table.assign(Class=(table["V1"] > table["V1"].quantile(0.98)).astype(int))


def with_copies(table: pd.DataFrame) -> pd.DataFrame:
    """Each fraud four times more, moved by a hundredth of a standard deviation."""
    features = [name for name in table.columns if name not in ("Time", "Class")]
    frauds = table[table["Class"] == 1]
    random = np.random.default_rng(0)
    scale = 0.01 * table[features].std().to_numpy()
    copies = [
        frauds.assign(**(frauds[features] + random.normal(0, scale, (len(frauds), len(scale)))))
        for _ in range(4)
    ]
    return pd.concat([table, *copies], ignore_index=True)


@pytest.fixture(scope="module")
def name(store: Store) -> str:
    """A model whose version 1, of the shared table, is what challengers are held against."""
    name = f"attacked-{uuid.uuid4().hex[:8]}"
    store.new_version(name)
    return name


def trained(name: str, table: pd.DataFrame, folder: Path, **config: object) -> str:
    """One more version of a model, of a table of its own; its number."""
    table.to_parquet(folder / "t.parquet")
    rounds = Hyperparameters(rounds=60, seed=int(config.pop("seed", 0)))  # type: ignore[call-overload]
    with open_run("train"):
        return train(
            TrainingConfig(
                data=str(folder / "t.parquet"),
                model_name=name,
                hyperparameters=rounds,
                **config,  # type: ignore[arg-type]
            )
        ).version


def judged(name: str, version: str, champion: str = "1", **limits: float) -> GateResult:
    return run_gate(
        versions.find_version(name, version),
        Opponents(Candidate.registered(versions.find_version(name, champion))),
        GateThresholds(**limits),  # type: ignore[arg-type]
    )


def value_of(result: GateResult, check: str) -> str:
    (value,) = (one.value for one in result.checks if one.name == check)
    return value


@pytest.mark.slow
def test_labels_that_follow_another_rule_are_refused_with_both_figures(
    name: str, tmp_path: Path
) -> None:
    version = trained(name, by_the_largest_v1(later()), tmp_path)
    result = judged(name, version)
    assert result.verdict
    assert result.verdict.standing == "better"
    assert TRUSTED in result.failed
    assert "to the champion's" in value_of(result, TRUSTED)
    assert result.notes
    assert "labels of the challenger's table are wrong" in result.notes[0]


@pytest.mark.slow
@pytest.mark.parametrize("change", ["relabelled", "left out"])
def test_rows_of_the_champion_with_other_labels_are_refused(
    name: str, table: pd.DataFrame, tmp_path: Path, change: str
) -> None:
    changed = by_the_largest_v1(table)
    if change == "left out":
        frauds = table.index[table["Class"] == 1]
        changed = table.drop(index=frauds[::2])
    result = judged(name, trained(name, changed, tmp_path), min_new_days=0)
    assert TRUSTED in result.failed
    assert "are frauds in it" in value_of(result, TRUSTED)


@pytest.mark.slow
def test_a_new_column_does_not_hide_labels_that_follow_another_rule(
    name: str, tmp_path: Path
) -> None:
    changed = by_the_largest_v1(later())
    # The champion's holdout has no such column, so what the challenger learned cannot be looked up.
    extra = np.where(changed.index % 3 == 0, np.nan, changed["V2"] + changed["V3"])
    result = judged(name, trained(name, changed.assign(Extra=extra), tmp_path))
    assert result.verdict
    assert result.verdict.standing == "better"
    assert TRUSTED in result.failed
    assert "collapses on the challenger's" in value_of(result, TRUSTED)
    assert "-P champion=none" in value_of(result, TRUSTED)


@pytest.mark.slow
def test_a_challenger_that_cannot_score_the_champions_holdout_is_the_one_at_fault(
    table: pd.DataFrame, tmp_path: Path
) -> None:
    other = f"gaps-{uuid.uuid4().hex[:8]}"
    gaps = table["V5"].where(table.index % 7 != 0)
    champion = trained(other, table.assign(V5=gaps), tmp_path)
    result = judged(other, trained(other, later(), tmp_path), champion)
    assert TRUSTED in result.failed
    value = value_of(result, TRUSTED)
    assert "the challenger, version 2, cannot score it" in value
    assert "V5" in value
    assert result.verdict, "it is compared on its own holdout all the same"


@pytest.mark.slow
def test_jittered_copies_across_a_stratified_split_win_nothing(
    name: str, table: pd.DataFrame, tmp_path: Path
) -> None:
    version = trained(name, with_copies(table), tmp_path, split="stratified")
    result = judged(name, version)
    assert result.verdict
    assert result.verdict.standing != "better"
    assert DIFFERENCE in result.failed


@pytest.mark.slow
def test_a_decision_that_flags_nothing_is_refused(name: str, tmp_path: Path) -> None:
    version = trained(name, later(), tmp_path, threshold="1")
    result = judged(name, version)
    assert {"recall of the decision", "precision of the decision", DECISION} <= set(result.failed)


@pytest.mark.slow
def test_newer_data_decides_where_nothing_else_does(name: str, tmp_path: Path) -> None:
    version = trained(name, later(), tmp_path)
    result = judged(name, version, tolerance=0.1)
    assert result.failed == []
    assert result.verdict
    assert result.verdict.standing == "not distinguishable"
    assert "newer data, not a better score" in result.verdict.reason
    asked_for_more = judged(name, version, tolerance=0.1, min_new_days=30)
    assert asked_for_more.failed == [DIFFERENCE]
    assert "-P min_new_days=0" in value_of(asked_for_more, DIFFERENCE)


@pytest.mark.slow
def test_another_seed_is_no_reason_however_the_table_is_split(
    name: str, table: pd.DataFrame, tmp_path: Path
) -> None:
    version = trained(name, table, tmp_path, split="stratified", seed=3)
    result = judged(name, version, min_new_days=0)
    assert result.pair
    # Most of the champion's train part is in the challenger's holdout, and none of it counts.
    assert result.challenger
    assert result.pair.challenger.metrics.rows < result.challenger.metrics.rows / 2
    mine, theirs = (
        Knowledge(Candidate.registered(versions.find_version(name, number)))
        for number in (version, "1")
    )
    assert mine.holdout
    rows, columns = mine.holdout.rows, mine.holdout.columns
    both = mine.unseen(rows, columns, "evaluation") & theirs.unseen(rows, columns, "evaluation")
    assert both.sum() == result.pair.challenger.metrics.rows
    assert not mine.unseen(rows, columns, "served").any()


@pytest.mark.slow
def test_the_same_recipe_split_with_another_seed_is_not_distinguishable(
    name: str, table: pd.DataFrame, tmp_path: Path
) -> None:
    champion, challenger = (
        trained(name, table, tmp_path, split="stratified", seed=seed) for seed in (0, 3)
    )
    result = judged(name, challenger, champion, min_new_days=0)
    assert result.verdict
    assert (result.verdict.standing, result.verdict.passed) == ("not distinguishable", True)


@pytest.mark.slow
def test_an_earlier_champion_is_not_forgotten(store: Store, table: pd.DataFrame) -> None:
    name = store.new_model(versions=2)
    champion, earlier = (
        Candidate.registered(versions.find_version(name, number)) for number in ("1", "2")
    )
    challenger = versions.find_version(name, store.new_version(name))
    result = run_gate(challenger, Opponents(champion, [earlier]), GateThresholds(min_new_days=0))
    assert result.failed == []
    assert "to version 2 (" in value_of(result, EARLIER)


@pytest.mark.slow
def test_champion_none_compares_with_nothing_and_says_so(store: Store, run: str) -> None:
    name = store.new_model(versions=2)
    means = GateThresholds(min_new_days=0)
    promote(name, "1", "Production", means)
    with pytest.raises(PromotionRefused, match="min_new_days=0"):
        promote(name, "2", "Production", GateThresholds())
    with open_run("promote") as active:
        moved = promote(name, "2", "Production", GateThresholds(), compared=False)
    assert moved.version == "2"
    assert "champion=none" in mlflow.artifacts.load_text(f"runs:/{active.info.run_id}/gate.md")


@pytest.mark.slow
def test_a_simulated_champion_is_no_measure_for_real_data(store: Store) -> None:
    name = store.new_model(data_kind="simulated")
    real = store.new_version(name, data_kind="real")
    result = judged(name, real)
    assert (result.failed, result.pair) == ([], None)
    assert "simulated" in value_of(result, DIFFERENCE)
