"""Columns filled in after the fact are named; honest ones are not."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from fraud_model.arrays import Floats, Labels
from fraud_model.data.simulation import simulate
from fraud_model.training.leaks import Leak, find_leaks, weigh_leaks

ROWS = 8_000
Part = tuple[Floats, Labels]


def cut(column: Floats, labels: Labels) -> tuple[Part, Part]:
    train = np.random.default_rng(9).random(len(labels)) < 0.75
    values = column.reshape(len(labels), -1)
    return (values[train], labels[train]), (values[~train], labels[~train])


@pytest.fixture
def labels() -> Labels:
    return (np.random.default_rng(1).random(ROWS) < 0.02).astype(np.int64)


def after_the_fact(kind: str, labels: Labels) -> Floats:
    rng = np.random.default_rng(2)
    fraud = labels == 1
    if kind == "scenario":
        return np.where(fraud, rng.integers(1, 4, ROWS), 0).astype(np.float64)
    if kind == "missing unless fraud":
        return np.where(fraud, rng.random(ROWS), np.nan)
    if kind == "missing if fraud":
        return np.where(fraud, np.nan, rng.random(ROWS))
    if kind == "low if fraud":
        return np.where(fraud, -rng.random(ROWS), rng.random(ROWS))
    # Numbered from the frauds on.
    numbers = np.empty(ROWS)
    numbers[np.argsort(-labels, kind="stable")] = np.arange(ROWS)
    return numbers


@pytest.mark.parametrize(
    "kind", ["scenario", "missing unless fraud", "missing if fraud", "low if fraud", "sorted"]
)
def test_a_column_filled_in_after_the_fact_is_named(kind: str, labels: Labels) -> None:
    noise = np.random.default_rng(3).normal(size=ROWS)
    table = np.column_stack([noise, after_the_fact(kind, labels)])
    (leak,) = find_leaks(*cut(table, labels), ["amount", "late"])
    assert leak.column == "late"
    assert leak.average_precision >= 0.99


def test_categories_of_frauds_only_are_named_however_they_are_numbered(labels: Labels) -> None:
    pairs = np.random.default_rng(4).integers(0, 100, ROWS)
    codes = (pairs * 2 + labels).astype(np.float64)
    parts = cut(codes, labels)
    assert [leak.column for leak in find_leaks(*parts, ["reason"], categorical=[0])] == ["reason"]
    assert not find_leaks(*parts, ["amount"])


def test_a_missing_category_that_means_fraud_is_named(labels: Labels) -> None:
    codes = np.where(labels == 1, np.nan, np.random.default_rng(4).integers(0, 9, ROWS))
    assert find_leaks(*cut(codes, labels), ["reviewer"], categorical=[0])


@pytest.mark.parametrize("shift", [2.0, 4.0])
def test_an_honest_strong_feature_is_not_named(shift: float, labels: Labels) -> None:
    values = np.random.default_rng(5).normal(size=ROWS) + shift * labels
    assert not find_leaks(*cut(values, labels), ["V14"])


def test_a_name_for_every_row_is_not_named(labels: Labels) -> None:
    names = np.random.default_rng(6).permutation(ROWS).astype(np.float64)
    assert not find_leaks(*cut(names, labels), ["customer"], categorical=[0])


def test_no_feature_of_simulated_cards_is_named() -> None:
    table = simulate(rows=20_000, frauds=200, seed=3)
    features = [str(name) for name in table if name != "Class"]
    assert not find_leaks(*cut(table[features].to_numpy(), table["Class"].to_numpy()), features)


def test_no_feature_of_real_cards_is_named(sample_csv: Path) -> None:
    sample = pd.read_csv(sample_csv)
    features = [str(name) for name in sample if name != "Class"]
    assert not find_leaks(*cut(sample[features].to_numpy(), sample["Class"].to_numpy()), features)


def test_inputs_of_one_column_are_named_once(labels: Labels) -> None:
    table = np.column_stack([labels, 1 - labels, labels]).astype(np.float64)
    leaks = find_leaks(*cut(table, labels), ["closed", "closed", "status"])
    assert sorted(leak.column for leak in leaks) == ["closed", "status"]


def test_genuine_rows_that_stand_for_many_count_as_many(labels: Labels) -> None:
    parts = cut(labels.astype(np.float64), labels)
    values, train_labels = parts[0]
    values[np.flatnonzero(train_labels == 0)[0]] = 1.0
    assert find_leaks(*parts, ["flag"])
    assert not find_leaks(*parts, ["flag"], genuine_weight=100.0)


def test_the_report_says_what_is_left_without_the_leaks() -> None:
    asked: list[list[int]] = []

    def average_precision_of(positions: list[int]) -> float:
        asked.append(positions)
        return 0.71

    leaks = (Leak("scenario", 1.0), Leak("closed", 0.995))
    sources = ["amount", "scenario", "hour", "closed"]
    report = weigh_leaks(leaks, sources, 0.999, average_precision_of)
    assert report is not None
    assert asked == [[0, 2]]
    first, second = report.message().splitlines()
    assert "'scenario' (1.0000), 'closed' (0.9950)" in first
    assert "0.9990 with them, 0.7100 without them" in second
    assert second.endswith("-P exclude=scenario,closed")


def test_nothing_is_fitted_without_a_leak_or_without_another_column() -> None:
    def never(positions: list[int]) -> float:
        raise AssertionError(positions)

    assert weigh_leaks((), ["amount"], 0.7, never) is None
    report = weigh_leaks((Leak("a", 1.0),), ["a"], 1.0, never)
    assert report is not None
    assert report.without_them is None
    assert "no column is left without it" in report.message()
