"""Moving versions leaves exactly one in its stage, whoever else moves and whenever it is killed."""

from __future__ import annotations

import multiprocessing
import warnings

import mlflow
import pytest
from mlflow.exceptions import MlflowException

from fraud_model.errors import ParameterError, RegistryError
from fraud_model.registry import versions
from fraud_model.registry.moves import move
from fraud_model.registry.versions import RECENT, State
from tests.support.store import Store, stages_of


def standing(name: str) -> list[str]:
    return [v for v, stage in stages_of(name).items() if stage == "Production"]


def test_a_move_archives_the_version_before_and_takes_the_alias_along(store: Store) -> None:
    name = store.new_model(versions=2)
    move(name, "1", "Production")
    move(name, "2", "Production")
    assert stages_of(name) == {
        "1": "Archived",
        "2": "Production",
    }
    assert State.of(name).alias["Production"] == "2"


def test_a_version_that_leaves_staging_loses_that_alias(store: Store) -> None:
    name = store.new_model()
    move(name, "1", "Staging")
    assert State.of(name).alias["Staging"] == "1"
    move(name, "1", "Production")
    assert State.of(name).alias["Staging"] is None
    assert versions.current_version(name, "Staging") is None


def test_a_version_is_found_by_number_and_by_latest(store: Store) -> None:
    name = store.new_model(versions=2)
    assert str(versions.find_version(name, "latest").version) == "2"
    assert str(versions.find_version(name, "1").version) == "1"
    with pytest.raises(RegistryError, match=r"has no version 9\. There are: 2, 1"):
        versions.find_version(name, "9")
    with pytest.raises(RegistryError, match=r"has no version 99999999999999999999"):
        versions.find_version(name, "99999999999999999999")
    with pytest.raises(ParameterError, match=r"version='newest' .* a number, or latest"):
        versions.find_version(name, "newest")


def test_what_stands_in_a_stage_is_found_below_many_newer_versions(store: Store) -> None:
    name = store.new_model(versions=RECENT + 5)
    client = mlflow.MlflowClient()
    for version in ("1", "2"):
        client.transition_model_version_stage(name, version, "Staging")
    for newer in range(3, RECENT + 4):
        client.update_model_version(name, str(newer), "changed since")
    client.set_registered_model_alias(name, "staging", "2")
    client.transition_model_version_stage(name, "3", "Production")
    assert State.of(name).standing == {"Staging": {"2"}, "Production": {"3"}}
    # Two of them there is what moves at the same time leave behind.
    client.transition_model_version_stage(name, "4", "Production")
    assert State.of(name).standing["Production"] == {"3", "4"}
    move(name, "4", "Staging")
    assert stages_of(name)["1"] == stages_of(name)["2"] == "Archived"
    assert str(versions.find_version(name, "latest").version) == str(RECENT + 5)


def test_an_unknown_model_is_named_with_its_mend(store: Store) -> None:
    with pytest.raises(RegistryError, match=r"mlflow run \. -e train"):
        versions.find_version("nobody", "latest")


def test_no_stage_warning_reaches_the_user(store: Store) -> None:
    name = store.new_model()
    with warnings.catch_warnings():
        warnings.simplefilter("error", FutureWarning)
        move(name, "1", "Production")


def test_stages_are_two(store: Store) -> None:
    assert versions.parse_stage("production") == "Production"
    with pytest.raises(ParameterError, match="Staging or Production"):
        versions.parse_stage("Archived")


def test_two_versions_left_in_a_stage_are_settled_by_the_alias(store: Store) -> None:
    name = store.new_model(versions=2)
    client = mlflow.MlflowClient()
    for version in ("1", "2"):
        client.transition_model_version_stage(name, version, "Production")
    client.set_registered_model_alias(name, "production", "1")
    held = versions.current_version(name, "Production")
    assert held is not None
    assert str(held.version) == "1"
    move(name, "1", "Production")
    assert standing(name) == ["1"]


@pytest.mark.parametrize("writes_before_the_kill", [0, 1, 2])
def test_a_killed_move_leaves_a_version_in_its_stage_and_can_be_finished(
    store: Store, monkeypatch: pytest.MonkeyPatch, writes_before_the_kill: int
) -> None:
    name = store.new_model(versions=2)
    move(name, "1", "Production")
    left = iter(range(writes_before_the_kill))

    class Killed(BaseException):
        pass

    def dying(method: str) -> None:
        original = getattr(mlflow.MlflowClient, method)

        def call(self: object, *args: object, **kwargs: object) -> object:
            if next(left, None) is None:
                raise Killed
            return original(self, *args, **kwargs)

        monkeypatch.setattr(mlflow.MlflowClient, method, call)

    with monkeypatch.context():
        dying("set_registered_model_alias")
        dying("transition_model_version_stage")
        try:
            move(name, "2", "Production")
        except Killed:
            assert writes_before_the_kill < 2
    monkeypatch.undo()
    assert len(standing(name)) == 1
    move(name, "2", "Production")
    assert standing(name) == ["2"]


def test_a_move_leaves_alone_a_promotion_that_has_just_begun(store: Store) -> None:
    name = store.new_model(versions=3)
    move(name, "1", "Production")
    mlflow.MlflowClient().set_registered_model_alias(name, "staging", "2")
    move(name, "3", "Production")
    assert State.of(name).alias["Staging"] == "2"


def keep_moving(uri: str, name: str, version: str, times: int) -> None:
    mlflow.set_tracking_uri(uri)
    for _ in range(times):
        move(name, version, "Production")


def test_an_alias_that_another_promotion_sets_first_is_set_again(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = store.new_model(versions=2)
    original = mlflow.MlflowClient.set_registered_model_alias
    calls = 0

    def lost_race(client: mlflow.MlflowClient, *arguments: str) -> None:
        nonlocal calls
        calls += 1
        if calls == 1:
            original(client, name, "production", "1")
            raise MlflowException("UNIQUE constraint failed: registered_model_aliases")
        original(client, *arguments)

    monkeypatch.setattr(mlflow.MlflowClient, "set_registered_model_alias", lost_race)
    move(name, "2", "Production")
    assert standing(name) == ["2"]
    assert State.of(name).alias["Production"] == "2"


@pytest.mark.slow
def test_promotions_at_once_end_in_exactly_one_version(store: Store) -> None:
    name = store.new_model(versions=3)
    spawn = multiprocessing.get_context("spawn")
    movers = [
        spawn.Process(target=keep_moving, args=(store.uri, name, version, 5))
        for version in ("1", "2", "3")
    ]
    for mover in movers:
        mover.start()
    for mover in movers:
        mover.join(120)
    assert [mover.exitcode for mover in movers] == [0, 0, 0]
    assert standing(name) == [State.of(name).alias["Production"]]
