"""Tables and settings that are made to win, and bad luck, do not replace a good champion."""

from __future__ import annotations

import uuid
from pathlib import Path

import mlflow
import numpy as np
import pandas as pd
import pytest

from fraud_model.data.schema import SECONDS_PER_DAY
from fraud_model.data.simulation import simulate
from fraud_model.errors import PromotionRefused
from fraud_model.registry import versions
from fraud_model.registry.gate_thresholds import Check, GateThresholds
from fraud_model.registry.promotion import promote
from fraud_model.registry.verdict import DIFFERENCE
from fraud_model.tracking import open_run
from fraud_model.training.config import Hyperparameters, TrainingConfig
from fraud_model.training.pipeline import train
from tests.support.store import Store

pytestmark = pytest.mark.slow

OLD_DATA_TOO = GateThresholds(min_new_days=0)


@pytest.fixture
def name(store: Store) -> str:
    """A model with a good champion, trained on the shared table."""
    name = f"model-{uuid.uuid4().hex[:8]}"
    store.new_version(name)
    let_in(name, "1")
    return name


@pytest.fixture(scope="module")
def newer() -> pd.DataFrame:
    """Two days of transactions that follow those of the shared table."""
    table = simulate(rows=8_000, frauds=400, seed=3)
    return table.assign(Time=table["Time"] + 2 * SECONDS_PER_DAY)


def challenger(name: str, table: pd.DataFrame, folder: Path, seed: int = 0, **fields: str) -> str:
    path = folder / f"{uuid.uuid4().hex}.csv"
    table.to_csv(path, index=False)
    config = TrainingConfig(
        data=str(path),
        model_name=name,
        hyperparameters=Hyperparameters(rounds=60, seed=seed),
        **fields,  # type: ignore[arg-type]
    )
    with open_run("train"):
        return train(config).version


def let_in(name: str, version: str, thresholds: GateThresholds | None = None) -> list[Check]:
    with open_run("promote"):
        return promote(name, version, "Production", thresholds or GateThresholds()).checks


def refusal(name: str, version: str, thresholds: GateThresholds | None = None) -> str:
    with pytest.raises(PromotionRefused) as refused:
        let_in(name, version, thresholds)
    champion = versions.current_version(name, "Production")
    assert champion is not None
    assert str(champion.version) == "1"
    return str(refused.value)


def verdict(checks: list[Check]) -> str:
    (check,) = [check for check in checks if check.name == DIFFERENCE]
    return check.value


def by_another_rule(table: pd.DataFrame) -> pd.DataFrame:
    return table.assign(Class=(table["V1"] > table["V1"].quantile(0.98)).astype(np.int64))


def test_labels_by_another_rule_lose_on_the_champions_holdout(
    name: str, newer: pd.DataFrame, tmp_path: Path
) -> None:
    version = challenger(name, by_another_rule(newer), tmp_path)
    text = refusal(name, version)
    assert "on the champion's holdout" in text.splitlines()[0]
    assert "to the champion's" in text


def test_a_table_that_changes_the_champions_labels_is_told_from_it(
    name: str, table: pd.DataFrame, newer: pd.DataFrame, tmp_path: Path
) -> None:
    version = challenger(name, by_another_rule(pd.concat([table, newer])), tmp_path)
    text = refusal(name, version)
    assert "on the champion's holdout" in text.splitlines()[0]
    assert "are frauds in it" in text


def test_jittered_copies_across_a_stratified_split_are_not_better(
    name: str, newer: pd.DataFrame, tmp_path: Path
) -> None:
    frauds = pd.concat([newer[newer["Class"] == 1]] * 4, ignore_index=True)
    moved = [column for column in frauds if str(column).startswith("V")]
    noise = np.random.default_rng(0).standard_normal((len(frauds), len(moved)))
    frauds[moved] += 0.01 * newer[moved].std().to_numpy() * noise
    copied = pd.concat([newer, frauds], ignore_index=True)
    text = refusal(name, challenger(name, copied, tmp_path, split="stratified"), OLD_DATA_TOO)
    assert "cannot be told" in text


def test_a_decision_that_flags_nothing_is_refused(
    name: str, newer: pd.DataFrame, tmp_path: Path
) -> None:
    text = refusal(name, challenger(name, newer, tmp_path, threshold="1"))
    assert "recall of the decision" in text.splitlines()[0]


def test_another_seed_is_no_better_and_newer_data_is(
    name: str, table: pd.DataFrame, newer: pd.DataFrame, tmp_path: Path
) -> None:
    reseeded = challenger(name, table, tmp_path, seed=1)
    assert "-P min_new_days=0" in refusal(name, reseeded)
    rolled = challenger(name, pd.concat([table, newer]), tmp_path)
    assert "newer data" in verdict(let_in(name, rolled))


def test_a_stratified_split_of_another_seed_is_judged_on_rows_that_neither_learned(
    store: Store, table: pd.DataFrame, tmp_path: Path
) -> None:
    name = f"model-{uuid.uuid4().hex[:8]}"
    # Enough frauds that some lie in both holdouts.
    whole = pd.concat([table, simulate(rows=8_000, frauds=400, seed=4)])
    let_in(name, challenger(name, whole, tmp_path, split="stratified"))
    second = challenger(name, whole, tmp_path, seed=1, split="stratified")
    value = verdict(let_in(name, second, OLD_DATA_TOO))
    assert "evaluation models" in value
    rows = int(value.split("evaluation models, ")[1].split(" rows")[0].replace(",", ""))
    # A fifth of a fifth.
    assert rows == pytest.approx(len(whole) / 25, rel=0.2)


def test_a_champion_that_does_not_load_holds_its_place_until_it_is_said_aloud(
    name: str, newer: pd.DataFrame, tmp_path: Path
) -> None:
    version = challenger(name, newer, tmp_path)
    own = challenger(name, newer, tmp_path, seed=2)
    let_in(name, version)
    source = Path(mlflow.artifacts.download_artifacts(f"models:/{name}/{version}"))
    files, away = source / "artifacts", source / "away"
    files.rename(away)
    try:
        with pytest.raises(PromotionRefused) as refused:
            let_in(name, own, OLD_DATA_TOO)
        assert "champion=none" in str(refused.value)
        assert "rollback" in str(refused.value)
        with open_run("promote"):
            moved = promote(name, own, "Production", OLD_DATA_TOO, compared=False)
        assert "champion=none" in verdict(moved.checks)
    finally:
        away.rename(files)
