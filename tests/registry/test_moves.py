"""Commands killed at a write, or meeting another there, leave one version in Production."""

from __future__ import annotations

import logging
import subprocess
import sys
import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, get_args

import mlflow
import pytest

from fraud_model.errors import FraudModelError, Overtaken, PromotionRefused
from fraud_model.monitoring.target import resolve as resolve_monitored
from fraud_model.registry import ledger, versions
from fraud_model.registry.export import export
from fraud_model.registry.gate import GateResult
from fraud_model.registry.gate_thresholds import Check, GateThresholds
from fraud_model.registry.moves import move
from fraud_model.registry.promotion import Moved, promote, rollback
from fraud_model.registry.versions import Stage, State
from fraud_model.serving.origin import resolve as resolve_served
from fraud_model.tracking import open_run
from tests.support.environment import REPOSITORY, own_environment
from tests.support.store import Store

# A registry write, a ledger entry, or the end of a run.
WRITES = (
    "log_batch",
    "set_terminated",
    "set_registered_model_alias",
    "delete_registered_model_alias",
    "transition_model_version_stage",
)
MOST_WRITES = 15


class Killed(BaseException):
    """Ends a command as SIGKILL would."""


@pytest.fixture(autouse=True)
def passing_gate(monkeypatch: pytest.MonkeyPatch) -> None:
    passed = Check("none", "", "", True)
    monkeypatch.setattr("fraud_model.registry.gate.run_gate", lambda *_: GateResult([passed]))
    monkeypatch.setattr("fraud_model.registry.gate.smoke_check", lambda *_: passed)
    monkeypatch.setattr("fraud_model.registry.promotion._record", lambda *_: None)


def promoted(name: str, version: str, stage: Stage = "Production") -> Moved:
    with open_run("promote"):
        return promote(name, version, stage, GateThresholds())


def rolled_back(name: str) -> Moved:
    with open_run("rollback"):
        return rollback(name, "Production")


def killed_at(number: int, command: Callable[[], object]) -> bool:
    """Runs a command and kills it at a write; returns whether it had that many.

    Nothing is written after the kill, not even that the run failed.
    """
    dead = False
    with pytest.MonkeyPatch.context() as patch:

        def watched(method: str) -> None:
            original = getattr(mlflow.MlflowClient, method)

            def call(*args: Any, **kwargs: Any) -> Any:
                nonlocal dead, number
                number -= 1
                if number == 0:
                    dead = True
                    raise Killed
                return None if dead else original(*args, **kwargs)

            patch.setattr(mlflow.MlflowClient, method, call)

        for method in WRITES:
            watched(method)
        try:
            command()
        except Killed:
            mlflow.end_run()
    return dead


def meets_at(number: int, command: Callable[[], object], other: Callable[[], object]) -> list[str]:
    """Runs `other` before a write of `command`; returns what the two said, or nothing if it has
    fewer writes."""
    said: dict[str, str] = {}

    def run(key: str, what: Callable[[], object]) -> None:
        try:
            what()
            said[key] = "done"
        except FraudModelError as error:
            said[key] = str(error)

    with pytest.MonkeyPatch.context() as patch:

        def watched(method: str) -> None:
            original = getattr(mlflow.MlflowClient, method)

            def call(*args: Any, **kwargs: Any) -> Any:
                nonlocal number
                number -= 1
                if number == 0:
                    run("other", other)
                return original(*args, **kwargs)

            patch.setattr(mlflow.MlflowClient, method, call)

        for method in WRITES:
            watched(method)
        run("command", command)
    return [said["command"], said["other"]] if "other" in said else []


def written(name: str, version: str, stage: str, *, archive: bool = False) -> None:
    """Writes a stage into the registry, as a hand or a late move does."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        mlflow.MlflowClient().transition_model_version_stage(
            name, version, stage, archive_existing_versions=archive
        )


def assert_settled(name: str) -> None:
    state = State.of(name)
    assert len(state.standing["Production"]) == 1
    for stage in get_args(Stage):
        assert state.settled(stage), state
        history = ledger.entries(name, stage)
        assert "moving" not in [entry.outcome for entry in history]
        moves = [entry.target for entry in history if entry.outcome == "done"]
        if state.standing[stage]:
            assert moves[-1] == state.alias[stage]


@pytest.mark.slow
@pytest.mark.parametrize("command", ["promotion", "promotion out of Staging", "rollback"])
def test_a_command_killed_at_any_write_and_run_again_does_what_it_would_have_done(
    store: Store, command: str
) -> None:
    for write in range(1, MOST_WRITES):
        name = store.new_model(versions=3)
        promoted(name, "1")
        if command == "rollback":
            promoted(name, "2")
            promoted(name, "3")
        if command == "promotion out of Staging":
            promoted(name, "2", "Staging")

        run = partial(rolled_back, name) if command == "rollback" else partial(promoted, name, "2")

        dead = killed_at(write, run)
        if not dead:
            break
        assert len(State.of(name).standing["Production"]) == 1
        assert run().version == "2"
        assert State.of(name).holds("Production", "2")
        assert_settled(name)
        if command == "rollback":
            assert rolled_back(name).version == "1"
    assert 4 < write < MOST_WRITES - 1


@pytest.mark.slow
@pytest.mark.parametrize(
    ("first", "second"), [("Staging", "Production"), ("Production", "Staging")]
)
def test_one_version_promoted_to_both_stages_at_once_ends_in_production(
    store: Store, first: Stage, second: Stage
) -> None:
    for write in range(1, MOST_WRITES):
        name = store.new_model(versions=2)
        promoted(name, "1")
        said = meets_at(
            write,
            partial(promoted, name, "2", first),
            partial(promoted, name, "2", second),
        )
        if not said:
            break
        assert said[first == "Staging"] == "done"
        assert State.of(name).holds("Production", "2")
        assert_settled(name)
    assert 4 < write < MOST_WRITES - 1


@pytest.mark.slow
def test_a_promotion_that_meets_a_rollback_says_done_only_if_its_version_stands(
    store: Store,
) -> None:
    for write in range(1, MOST_WRITES):
        name = store.new_model(versions=3)
        promoted(name, "1")
        promoted(name, "2")
        said = meets_at(
            write,
            partial(promoted, name, "3"),
            partial(rolled_back, name),
        )
        if not said:
            break
        stands = State.of(name).alias["Production"]
        assert_settled(name)
        if said[0] == "done" and stands != "3":
            # The rollback came after the promotion's last look.
            (back,) = (e for e in ledger.entries(name, "Production") if e.action == "rollback")
            assert (back.origin, back.target) == ("3", stands)
        elif said[0] != "done":
            assert f"version {stands} stands in Production now" in said[0]
    assert 4 < write < MOST_WRITES - 1


def test_a_version_in_production_is_not_taken_out_of_it_for_staging(store: Store) -> None:
    name = store.new_model()
    promoted(name, "1")
    with pytest.raises(PromotionRefused, match=r"version 1 .* stays out of Staging"):
        promoted(name, "1", "Staging")
    assert State.of(name).holds("Production", "1")


def test_a_promotion_that_another_one_overtakes_says_what_stands_there(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = store.new_model(versions=3)
    promoted(name, "1")

    def overtaken(*arguments: Any) -> State:
        move(*arguments)
        return move(name, "3", "Production")

    monkeypatch.setattr("fraud_model.registry.moves.move", overtaken)
    with pytest.raises(Overtaken, match="version 3 stands in Production now"):
        promoted(name, "2")
    assert [e.outcome for e in ledger.entries(name, "Production")] == ["done", "overtaken"]


def test_a_late_write_of_an_overtaken_move_does_not_end_the_one_that_overtook_it(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = store.new_model(versions=3)
    promoted(name, "1")

    def met(*arguments: Any) -> State:
        state = move(*arguments)
        # Decided upon when the alias was on version 3, and set right by its command in the end.
        written(name, "3", "Production", archive=True)
        return state

    monkeypatch.setattr("fraud_model.registry.moves.move", met)
    assert promoted(name, "2").version == "2"
    assert_settled(name)


def test_the_ledger_names_versions_in_the_order_in_which_they_stood(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = store.new_model(versions=3)
    promoted(name, "1")
    original = ledger.write

    def late(*arguments: Any) -> None:
        if arguments[4:6] == ("2", "done"):
            move(name, "3", "Production")
            with open_run("promote"):
                original("promote", name, "Production", "1", "3", "done")
        original(*arguments)

    monkeypatch.setattr(ledger, "write", late)
    with pytest.raises(Overtaken, match="version 3 stands in Production now"):
        promoted(name, "2")
    history = ledger.entries(name, "Production")
    assert [entry.target for entry in history if entry.outcome == "done"] == ["1", "2", "3"]


def test_an_alias_moved_by_hand_is_told_and_moves_nothing(
    store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    name = store.new_model(versions=3)
    promoted(name, "1")
    mlflow.MlflowClient().set_registered_model_alias(name, "production", "2")
    with caplog.at_level(logging.WARNING):
        held = versions.require_current(name, "Production", "serve")
    assert str(held.version) == "1"
    assert "version 1 stands in Production, but the alias production is on version 2" in caplog.text
    promoted(name, "3", "Staging")
    assert State.of(name).standing == {"Production": {"1"}, "Staging": {"3"}}
    promoted(name, "1")
    assert State.of(name).holds("Production", "1")


@pytest.mark.parametrize("reader", ["export", "serve", "monitor"])
def test_a_killed_promotion_is_told_to_who_only_reads(
    store: Store, tmp_path: Path, caplog: pytest.LogCaptureFixture, reader: str
) -> None:
    name = store.new_model(versions=3)
    promoted(name, "1")
    with open_run("promote"):
        ledger.write("promote", name, "Production", "1", "2", "moving")

    def read() -> str:
        caplog.clear()
        with caplog.at_level(logging.WARNING):
            if reader == "export":
                export(name, "Production", tmp_path / "model")
            elif reader == "serve":
                resolve_served(f"models:/{name}/Production")
            else:
                with resolve_monitored(name, "Production", ""):
                    pass
        return caplog.text

    assert f"{name}: the promotion of version 2 to Production, begun at" in read()
    promoted(name, "3")
    assert read() == ""


def test_production_that_a_late_promotion_to_staging_emptied_is_told_and_filled(
    store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    name = store.new_model(versions=3)
    promoted(name, "1")
    # A promotion of version 2 to Staging stops before its last write, …
    with open_run("promote"):
        ledger.write("promote", name, "Staging", None, "2", "moving")
    # … Production gets that version meanwhile, and then the write comes, and a kill.
    promoted(name, "2")
    written(name, "2", "Staging")
    assert State.of(name).standing["Production"] == set()

    with caplog.at_level(logging.WARNING):
        held = versions.require_current(name, "Production", "serve")
    assert str(held.version) == "2"
    assert "nothing stands in Production, but the alias production is on version 2" in caplog.text

    promoted(name, "3", "Staging")
    assert State.of(name).standing == {"Production": {"2"}, "Staging": {"3"}}
    assert_settled(name)
    assert rolled_back(name).version == "1"


def test_a_version_archived_by_hand_is_not_put_back_by_a_move_that_once_was_interrupted(
    store: Store,
) -> None:
    name = store.new_model(versions=3)
    with open_run("promote"):
        ledger.write("promote", name, "Staging", None, "2", "moving")
    promoted(name, "2")
    written(name, "2", "Archived")
    promoted(name, "3", "Staging")
    assert State.of(name).standing == {"Production": set(), "Staging": {"3"}}


def test_an_alias_without_a_stage_lets_no_version_past_the_gate(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = store.new_model()
    mlflow.MlflowClient().set_registered_model_alias(name, "production", "1")
    failed = GateResult([Check("none", "", "", False)])
    monkeypatch.setattr("fraud_model.registry.gate.run_gate", lambda *_: failed)
    with pytest.raises(PromotionRefused):
        promoted(name, "1")
    assert State.of(name).standing["Production"] == set()


def test_a_deleted_version_is_named_by_the_rollback_that_needs_it(store: Store) -> None:
    name = store.new_model(versions=2)
    promoted(name, "1")
    promoted(name, "2")
    mlflow.MlflowClient().delete_model_version(name, "1")
    with pytest.raises(FraudModelError, match=r"has no version 1\. There are: 2\. .* the ledger"):
        rolled_back(name)
    assert State.of(name).holds("Production", "2")


@pytest.mark.slow
def test_a_database_that_cannot_be_written_is_one_line_and_production_stays(store: Store) -> None:
    name = store.new_model(versions=2)
    promoted(name, "1")
    file = store.uri.removeprefix("sqlite:///")
    done = subprocess.run(
        [sys.executable, "-m", "entrypoints.promote", "--model-name", name, "--version", "2"],
        cwd=REPOSITORY,
        env=own_environment(MLFLOW_TRACKING_URI=f"sqlite:///file:{file}?mode=ro&uri=true"),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    last = done.stderr.splitlines()[-1]
    assert last.startswith("error: the database of the tracking store, sqlite:///")
    assert "readonly database" in last
    assert "Traceback" not in done.stderr
    assert State.of(name).holds("Production", "1")
