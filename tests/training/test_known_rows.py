"""A version carries invented transactions, and none that it was made from."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import cast

import mlflow
import numpy as np
import pandas as pd
import pytest

from fraud_model.arrays import Floats
from fraud_model.model.detector import FraudDetector
from fraud_model.model.directory import ModelDirectory
from fraud_model.model.encoding import Encoder
from fraud_model.model.feature import Feature
from fraud_model.model.profile import Reference
from fraud_model.serving.loading import load_served
from fraud_model.serving.origin import Origin
from fraud_model.training.known_rows import make_known_rows
from tests.support.store import Store

NUMBER = re.compile(r"(?<![\w.])-?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?(?![\w.])")


@pytest.fixture(scope="module")
def rows(store: Store) -> pd.DataFrame:
    result = store.trained.result
    return make_known_rows(result.detector, result.profile(), result.dataset.table)


def numbers(file: Path) -> set[float]:
    return {float(number) for number in NUMBER.findall(file.read_text(encoding="utf-8"))}


def test_the_scores_spread_from_low_to_high(store: Store, rows: pd.DataFrame) -> None:
    detector: FraudDetector = store.trained.result.detector
    probability = detector.probability(rows)
    assert len(rows) == 10
    assert probability[0] < 0.1
    assert probability[-1] > 0.7
    assert detector.score(detector.encoder.encode(rows))["is_fraud"][-1]
    assert (np.diff(probability) > 0).all()
    assert (np.diff(probability) < 0.3).all()


def test_the_same_version_gets_the_same_rows(store: Store, rows: pd.DataFrame) -> None:
    result = store.trained.result
    again = make_known_rows(result.detector, result.profile(), result.dataset.table)
    pd.testing.assert_frame_equal(again, rows)


def test_values_lie_where_the_tables_lie(store: Store, rows: pd.DataFrame) -> None:
    table = store.trained.result.dataset.table
    for name in rows.columns:
        slack = 1e-9 * (1 + abs(table[name]).max())
        assert rows[name].between(table[name].min() - slack, table[name].max() + slack).all(), name
    assert (rows["Amount"] == rows["Amount"].round(2)).all()


def test_no_known_row_resembles_a_row_of_the_table(store: Store, rows: pd.DataFrame) -> None:
    table = store.trained.result.dataset.table[list(rows.columns)].to_numpy()
    shared = max(int((table == row).sum(axis=1).max()) for row in rows.to_numpy())
    assert shared <= len(rows.columns) // 3


def test_no_file_of_a_version_holds_a_row_of_the_table(store: Store, exported: Path) -> None:
    table = store.trained.result.dataset.table[list(store.trained.result.detector.features)]
    files = [path for path in exported.rglob("*") if path.is_file()]
    assert {"MLmodel", "input_example.json", "known_rows.json", "profile.json"} <= {
        path.name for path in files
    }
    known = ModelDirectory(exported).required_known_rows().rows
    # The search finds what is there.
    in_file = np.array(sorted(numbers(exported / "artifacts" / "known_rows.json")))
    assert np.isin(known.to_numpy(), in_file).all()
    for path in files:
        found = np.isin(table.to_numpy(), np.array(sorted(numbers(path)))).all(axis=1)
        assert not found.any(), f"{path} holds row {found.argmax()} of the table"


def test_the_input_example_scores_low_and_high(exported: Path) -> None:
    payload = json.loads((exported / "serving_input_example.json").read_text())
    answer = mlflow.pyfunc.load_model(str(exported)).predict(
        pd.DataFrame(**payload["dataframe_split"])
    )
    assert answer["is_fraud"].tolist() == [False, True]


def test_the_fast_route_passes_its_check_on_them(exported: Path) -> None:
    assert load_served(Origin(str(exported), "local", "m", "1")).route_note == ""


def of(name: str, values: list[float]) -> Reference:
    return Reference.of(Feature(name), pd.Series(values))


def test_a_table_that_holds_all_there_can_be_gets_known_rows_all_the_same(store: Store) -> None:
    pairs = [(True, True), (True, False), (False, True), (False, False)]
    table = pd.DataFrame(pairs, columns=["card_present", "known_device"])
    described = [Feature(name, "boolean", "boolean") for name in table.columns]
    references = {f.name: Reference.of(f, table[f.name]) for f in described}
    profile = replace(store.trained.result.profile(), features=references)

    class Detector:
        """Answers the more likely, the less is known."""

        features = tuple(table.columns)
        encoder = Encoder(tuple(described))

        def probability(self, rows: pd.DataFrame) -> Floats:
            return 0.9 - rows.sum(axis=1).to_numpy() / 3

    rows = make_known_rows(cast(FraudDetector, Detector()), profile, table)
    assert sorted(rows.itertuples(index=False, name=None)) == sorted(pairs)


def test_a_table_that_holds_every_combination_gets_values_between(store: Store) -> None:
    result = store.trained.result
    features = list(result.detector.features)
    profile = result.profile()
    # Two values a feature: all that can be drawn of whole numbers lies in the table.
    first, second = features[1:3]
    flags = {name: of(name, [0.0, 1.0]) for name in (first, second)}
    still = {name: of(name, [0.0, 0.0]) for name in features[3:]}
    table = pd.DataFrame(0.0, index=range(4), columns=features)
    table[first], table[second] = [0.0, 0.0, 1.0, 1.0], [0.0, 1.0, 0.0, 1.0]
    profile.features.update(flags | still)
    rows = make_known_rows(result.detector, profile, table)
    assert len(rows) == 10
    assert not rows.merge(table).shape[0]
