"""A command that a message names suits the run that printed it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import mlflow
import pytest

from fraud_model import commands
from tests.support.store import Store

Begin = Callable[..., None]


@pytest.fixture
def begin(store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Begin]:
    """Makes this process look as if `mlflow run` had started it in `tmp_path`."""
    monkeypatch.chdir(tmp_path)

    def begin(source: str = "", **tags: str) -> None:
        run = mlflow.MlflowClient().create_run(
            "0",
            tags={
                "mlflow.project.entryPoint": "train",
                "mlflow.source.name": source or f"file://{tmp_path}",
                **{f"mlflow.{key}": value for key, value in tags.items()},
            },
        )
        monkeypatch.setattr(commands, "_GIVEN_RUN", run.info.run_id)
        commands._tags.cache_clear()

    commands._tags.cache_clear()
    yield begin
    commands._tags.cache_clear()


def test_a_module_started_directly_runs_in_the_environment_that_is_there() -> None:
    assert commands.mlflow_run() == "mlflow run . --env-manager local"
    assert (
        commands.mlflow_run("promote", version=3, stage="Production")
        == "mlflow run . -e promote --env-manager local -P version=3 -P stage=Production"
    )


@pytest.mark.parametrize(
    ("manager", "option"),
    [(None, " --env-manager local"), ("uv", " --env-manager uv"), ("virtualenv", "")],
)
def test_the_environment_manager_of_the_run_is_named(
    begin: Begin, manager: str | None, option: str
) -> None:
    begin(**({} if manager is None else {"project.env": manager}))
    assert commands.mlflow_run("train") == f"mlflow run . -e train{option}"
    assert (
        commands.models_serve("models:/m/Production", 5001)
        == f"mlflow models serve -m models:/m/Production -p 5001{option}"
    )


def test_a_project_in_a_subfolder_of_its_repository_is_no_copy(
    begin: Begin, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "fraud").mkdir()
    monkeypatch.chdir(tmp_path / "fraud")
    begin(f"file://{tmp_path}#fraud")
    assert commands.temporary_copy_of() is None


def test_a_fetched_project_is_named_by_address_and_commit(begin: Begin) -> None:
    begin("https://example.invalid/fraud.git", **{"source.git.commit": "abc123"})
    assert commands.temporary_copy_of() == "https://example.invalid/fraud.git"
    assert (
        commands.mlflow_run("train", data="my data.csv")
        == "mlflow run https://example.invalid/fraud.git -v abc123 -e train --env-manager local "
        "-P 'data=my data.csv'"
    )


def test_the_ui_is_told_where_the_store_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for store, command in (
        (f"sqlite:///{tmp_path}/mlflow.db", "mlflow ui"),
        ("sqlite:////elsewhere/m.db", "mlflow ui --backend-store-uri sqlite:////elsewhere/m.db"),
        ("http://127.0.0.1:5000", None),
    ):
        monkeypatch.setattr(mlflow, "get_tracking_uri", lambda store=store: store)
        assert commands.ui() == command
