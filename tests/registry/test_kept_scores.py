"""Trained without keeping holdout rows, a version still meets the gate and the champion."""

from __future__ import annotations

import uuid
from pathlib import Path

import mlflow
import pandas as pd
import pytest

from fraud_model.registry import moves, versions
from fraud_model.registry.candidate import Candidate
from fraud_model.registry.gate import GateResult, Opponents, run_gate
from fraud_model.registry.gate_thresholds import GateThresholds
from fraud_model.registry.verdict import DIFFERENCE
from fraud_model.tracking import open_run
from fraud_model.training.config import Hyperparameters, TrainingConfig
from fraud_model.training.pipeline import train
from tests.support.store import Store

LOOSE = GateThresholds(min_accuracy=0.5, min_average_precision=0.1, tolerance=0.5, min_new_days=0)


@pytest.fixture(scope="module")
def name(store: Store, table_csv: Path) -> str:
    """A model whose version 1 kept its rows and is the champion, and whose version 2 did not."""
    name = f"model-{uuid.uuid4().hex[:8]}"
    store.new_version(name)
    moves.move(name, "1", "Production")
    config = TrainingConfig(
        data=str(table_csv),
        model_name=name,
        keep_holdout=False,
        hyperparameters=Hyperparameters(rounds=40),
    )
    with open_run("train"):
        train(config)
    return name


def gate(name: str, champion: str | None) -> GateResult:
    standing = champion and Candidate.registered(versions.find_version(name, champion))
    return run_gate(versions.find_version(name, "2"), Opponents(standing or None), LOOSE)


@pytest.mark.slow
def test_the_run_keeps_no_feature(name: str, store: Store, tmp_path: Path) -> None:
    run_id = versions.find_version(name, "2").run_id
    folder = mlflow.artifacts.download_artifacts(run_id=run_id, dst_path=str(tmp_path))
    (table,) = (Path(folder) / "holdout").rglob("*.parquet")
    kept = pd.read_parquet(table)
    answers = {f"models:/{name}/1 evaluation {n}" for n in ("probability", "flagged", "unseen")}
    assert set(kept) == {"label", "amount", "seconds", "own", "own flagged", *answers}
    assert kept["seconds"].min() == 0
    assert len(kept) == len(store.trained.result.parts.holdout)


@pytest.mark.slow
def test_it_is_compared_as_rows_would_have_been(name: str, store: Store) -> None:
    result = gate(name, "1")
    assert result.failed == []
    assert result.pair
    assert result.challenger
    # Both versions come from one table, so the champion's own holdout is the same.
    champion = store.trained.result.metrics["holdout"]
    assert result.pair.champion.metrics.by_name() == pytest.approx(champion.by_name())
    version = versions.find_version(name, "2")
    reached = result.challenger.metrics.average_precision
    assert f"{reached:.6f}" == version.tags["holdout_average_precision"]


@pytest.mark.slow
def test_without_a_champion_it_passes(name: str) -> None:
    assert gate(name, None).failed == []


@pytest.mark.slow
def test_a_champion_that_came_later_cannot_be_compared(name: str, store: Store) -> None:
    later = store.new_version(name)
    result = gate(name, later)
    assert result.failed == [DIFFERENCE]
    assert f"version {later}" in result.checks[-1].value
    assert "keep_holdout=true" in result.checks[-1].value
