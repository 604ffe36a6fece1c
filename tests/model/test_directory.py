"""What lies in a version's directory: of this release, of release 0.1.0, and of other origins."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from fraud_model.errors import ParameterError, RegistryError
from fraud_model.model.directory import ModelDirectory
from tests.support.other_models import RELEASE_MODEL


@pytest.fixture(params=["exported", "release"])
def directory(request: pytest.FixtureRequest) -> ModelDirectory:
    if request.param == "release":
        return ModelDirectory(RELEASE_MODEL)
    exported: Path = request.getfixturevalue("exported")
    return ModelDirectory(exported)


@pytest.fixture
def foreign(tmp_path: Path) -> ModelDirectory:
    """A model with nothing but MLflow's own description."""
    (tmp_path / "MLmodel").write_text("flavors: {}\nmodel_uuid: m-1\nutc_time_created: '2026'\n")
    return ModelDirectory(tmp_path, "other version 7")


def test_everything_is_found(directory: ModelDirectory) -> None:
    assert directory.is_model
    origin = directory.required_origin()
    assert (origin["model_stage"], origin["run_id"]) == ("Production", directory.run_id)
    known, profile = directory.required_known_rows(), directory.required_profile()
    assert len(known.rows) == len(known.probability) == 10
    assert set(profile.features) < set(known.rows.columns)
    assert (
        profile.metrics.true_positives + profile.metrics.false_negatives == profile.metrics.frauds
    )
    assert directory.card is not None
    assert f"{profile.metrics.average_precision:.3f}" in directory.card
    assert directory.signature is not None
    assert directory.signature.inputs.input_names() == list(known.rows.columns)


def test_known_rows_come_back_as_they_were_written(
    directory: ModelDirectory, tmp_path: Path
) -> None:
    known = directory.required_known_rows()
    other = ModelDirectory(tmp_path)
    (tmp_path / "artifacts").mkdir()
    known.write(tmp_path / "artifacts" / "known_rows.json")
    again = other.required_known_rows()
    assert again.rows.equals(known.rows)
    assert np.array_equal(again.probability, known.probability)


def test_another_origin_has_none_of_it_and_refusals_name_the_version(
    foreign: ModelDirectory,
) -> None:
    assert foreign.is_model
    assert (foreign.known_rows, foreign.card, foreign.origin) == (None, None, None)
    assert (foreign.signature, foreign.run_id) == (None, "")
    with pytest.raises(RegistryError, match="other version 7 has no known rows"):
        foreign.required_known_rows()
    with pytest.raises(RegistryError, match="other version 7 has no reference profile"):
        foreign.required_profile()
    with pytest.raises(ParameterError, match=r"holds no exported model.*origin\.json"):
        foreign.required_origin()


def test_what_is_no_model_is_told(tmp_path: Path) -> None:
    directory = ModelDirectory(tmp_path)
    assert not directory.is_model
    with pytest.raises(RegistryError, match="MLmodel cannot be read"):
        _ = directory.metadata
    (tmp_path / "MLmodel").write_text("no: [description")
    with pytest.raises(RegistryError, match="MLmodel cannot be read"):
        _ = ModelDirectory(tmp_path).metadata


@pytest.mark.parametrize("content", ["{", "{}", '{"metrics": 1}', "[]"])
def test_a_broken_profile_is_told(tmp_path: Path, content: str) -> None:
    (tmp_path / "artifacts").mkdir()
    (tmp_path / "artifacts" / "profile.json").write_text(content)
    with pytest.raises(RegistryError, match=r"m version 1: profile\.json cannot be read"):
        ModelDirectory(tmp_path, "m version 1").required_profile()


def test_a_profile_of_a_later_release_is_read(directory: ModelDirectory, tmp_path: Path) -> None:
    shutil.copytree(directory.path, tmp_path / "model")
    path = tmp_path / "model" / "artifacts" / "profile.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"label_delay": 30}))
    assert ModelDirectory(tmp_path / "model").required_profile() == directory.required_profile()
