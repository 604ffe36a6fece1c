"""Moving a version into a stage, beside other moves and after interrupted ones.

MLflow offers no transaction over an alias and a stage, and no lock. So the alias is the arbiter: it
holds one version at a time, the last writer's. A move sets it first; then the stages are brought in
line with what the aliases say, one write at a time, each followed by another look. Whoever writes
last also looks last, so moves at the same time end in one version, and after a kill any later move
finishes the job. Where both aliases are on one version, Production has it.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Collection
from functools import partial
from typing import get_args

import mlflow
from mlflow.exceptions import MlflowException

from fraud_model.errors import RegistryError
from fraud_model.registry.versions import Stage, State

# Bounds the repair loop; two moves settle within a few turns.
MOST_REPAIRS = 30
ATTEMPTS = 4
# What is to leave Staging for Production leaves before Staging is looked at.
PRODUCTION_FIRST: tuple[Stage, ...] = ("Production", "Staging")
LASTING = ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE", "PERMISSION_DENIED")


def move(name: str, version: str, stage: Stage) -> State:
    """Puts `version` alone into `stage`, archives the one before it, and moves the alias.

    Returns what it finds once nothing is left to do: another version, where another move came
    later. A kill leaves the earlier version in its stage, and any later move finishes the job.
    """
    scope = _scope(State.of(name), version, stage)
    _set_alias(name, version, stage)
    return _settle(name, scope, version, stage)


def finish(name: str, version: str, stage: Stage) -> State:
    """Finishes a move after it had set the alias of `stage` to `version`; see `move`."""
    return _settle(name, _scope(State.of(name), version, stage))


def _scope(state: State, version: str, stage: Stage) -> Collection[Stage]:
    # Another stage that disagrees with its alias was changed by hand, and is left alone, unless
    # this very version is what they disagree about.
    others = (other for other in get_args(Stage) if other != stage)
    return {stage, *(o for o in others if state.settled(o) or state.alias[o] == version)}


def _settle(
    name: str, scope: Collection[Stage], version: str | None = None, stage: Stage | None = None
) -> State:
    """Brings the stages in `scope` in line with their aliases.

    Where an alias is gone, it goes back to `version`, which is being moved into `stage`.
    """
    for _ in range(MOST_REPAIRS):
        state = State.of(name)
        repair = _repair(name, state, scope, version, stage)
        if repair is None:
            return state
        repair()
    raise RegistryError(
        f"{name}: the stages did not settle, because others keep moving versions. "
        "Run this again when they are done."
    )


def _repair(
    name: str, state: State, scope: Collection[Stage], version: str | None, stage: Stage | None
) -> Callable[[], None] | None:
    production, staging = state.alias["Production"], state.alias["Staging"]
    if production is not None and production == staging and "Staging" in scope:
        return partial(_delete_alias, name, "Staging")
    for place in PRODUCTION_FIRST:
        meant = state.alias[place]
        if place not in scope:
            continue
        if meant is not None and state.standing[place] != {meant}:
            return partial(_transition, name, meant, place)
        if meant is None and place == stage and version is not None and production != version:
            # Another move has just dropped it, which meant the version before.
            return partial(_set_alias, name, version, place)
        if meant is None and state.standing[place]:
            newest = max(state.standing[place], key=int)
            return partial(_set_alias, name, newest, place)
    return None


def _set_alias(name: str, version: str, stage: Stage) -> None:
    # MLflow looks whether the alias exists and then inserts it. Of two moves that set it for the
    # first time at once, one fails on the other's row; its next attempt updates that row.
    _write(lambda: mlflow.MlflowClient().set_registered_model_alias(name, stage.lower(), version))


def _delete_alias(name: str, stage: Stage) -> None:
    _write(lambda: mlflow.MlflowClient().delete_registered_model_alias(name, stage.lower()))


def _transition(name: str, version: str, stage: Stage) -> None:
    with warnings.catch_warnings():
        # Stages are deprecated since MLflow 2.9; users address them, and the alias stands beside.
        warnings.simplefilter("ignore", FutureWarning)
        _write(
            lambda: mlflow.MlflowClient().transition_model_version_stage(
                name, version, stage, archive_existing_versions=True
            )
        )


def _write(write: Callable[[], object]) -> None:
    for left in reversed(range(ATTEMPTS)):
        try:
            write()
        except MlflowException as error:
            # A database that is locked, or a row that another move has just inserted.
            if not left or error.error_code in LASTING:
                raise
        else:
            return
