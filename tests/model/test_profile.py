"""A version carries what its traffic is compared with, and no transaction."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from fraud_model.errors import RegistryError
from fraud_model.model.directory import ModelDirectory
from fraud_model.model.profile import Distribution, Scores


def test_a_version_knows_features_scores_and_metrics(exported: Path) -> None:
    profile = ModelDirectory(exported, "version 1").required_profile()
    assert profile.rows == 8_000
    assert profile.fraud_rate == pytest.approx(0.05)
    assert "Time" not in profile.features
    assert {"V1", "Amount"} <= set(profile.features)
    # Validation and holdout: what the trees did not learn from.
    assert np.sum(profile.scores.counts) == 3_200
    assert 0 < profile.metrics.average_precision_low < profile.metrics.average_precision


def test_its_shares_are_those_of_the_training_data(exported: Path) -> None:
    from fraud_model.data.simulation import simulate

    table = simulate(rows=8_000, frauds=400, seed=2)
    profile = ModelDirectory(exported, "version 1").required_profile()
    for name in ("V4", "Amount"):
        known = profile.features[name].distribution
        assert isinstance(known, Distribution)
        counts = known.count(table[name].to_numpy())
        assert counts / len(table) == pytest.approx(np.array(known.shares), abs=1e-3)


def test_a_version_without_a_profile_says_to_train_again(tmp_path: Path) -> None:
    with pytest.raises(RegistryError, match=r"version 7 has no reference profile.* -e train"):
        ModelDirectory(tmp_path, "version 7").required_profile()


def test_no_row_of_the_training_data_is_in_it(exported: Path) -> None:
    content = json.loads((exported / "artifacts" / "profile.json").read_text())
    known = content["features"]["V1"]["distribution"]
    assert set(known) == {"edges", "shares"}
    assert len(known["edges"]) < 120


@pytest.mark.parametrize("values", [np.zeros(50), np.repeat([0.0, 1.0], 25), np.arange(7.0)])
def test_few_distinct_values_and_unseen_ones_have_bins(values: np.ndarray[tuple[int]]) -> None:
    known = Distribution.of(values)
    assert sum(known.shares) == pytest.approx(1)
    outside = known.count(np.array([values.min() - 1, values.max() + 1]))
    assert (outside[0], outside[-1]) == (1, 1)


def test_what_lies_from_the_threshold_on_is_what_is_flagged() -> None:
    probability = np.concatenate([np.linspace(0, 0.4, 900), np.linspace(0.5, 1, 100)])
    scores = Scores.of(probability, 0.5, None)
    edge = int(np.searchsorted(scores.edges, 0.5)) - 1
    assert np.sum(scores.counts, axis=0)[edge + 1 :].sum() == 100
