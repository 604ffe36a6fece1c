"""Finishes what killed promotions and rollbacks left undone, before the next one begins."""

from __future__ import annotations

import logging
from datetime import UTC, datetime
from typing import get_args

from mlflow.exceptions import MlflowException

from fraud_model.registry import ledger, moves
from fraud_model.registry.versions import Stage, State, check_model_name

log = logging.getLogger("fraud_model.registry")


def finish_interrupted(name: str) -> None:
    """Finishes what killed promotions and rollbacks of a model left undone, and says so.

    One that was killed before it moved anything is closed in the ledger as interrupted.
    """
    for entry in ledger.unfinished(name):
        _finish(name, entry)
    _fill_emptied(name)


def tell_unfinished(name: str) -> None:
    """Says which promotions and rollbacks of a model have not ended, for a command that only reads.

    Raises:
        ParameterError: no model can have this name.
    """
    check_model_name(name)
    try:
        found = ledger.unfinished(name)
    except MlflowException as error:
        # What stands in a stage can be read without the ledger. MLflow's message quotes the
        # request, with user and password where the address holds them.
        log.warning("%s: its ledger cannot be read (%s)", name, error.error_code)
        return
    for entry in found:
        log.warning(
            "%s: the %s, begun at %s, has not ended: it is at work, or was killed. The next "
            "promotion or rollback finishes one that was killed",
            name,
            _described(entry),
            entry.when,
        )


def _described(entry: ledger.Entry) -> str:
    if entry.action == "promote":
        return f"promotion of version {entry.target} to {entry.stage}"
    return f"rollback of {entry.stage} to version {entry.target}"


def _finish(name: str, entry: ledger.Entry) -> None:
    if entry.target in State.of(name).alias.values():
        moves.finish(name, entry.target, entry.stage)
    # From before the look, as the command's own time is.
    seen = datetime.now(UTC)
    state = State.of(name)
    moved = state.alias[entry.stage] == entry.target
    ledger.close(entry, "done" if moved else "interrupted", seen)
    log.warning(
        "%s: the %s, begun at %s, had not ended; %s",
        name,
        _described(entry),
        entry.when,
        "it is finished now" if moved else f"it moved nothing: {state.text(entry.stage)} now",
    )


def _fill_emptied(name: str) -> None:
    """Puts back a version that a late write took out of its stage.

    MLflow cannot make a write depend on what stands there. So a promotion to another stage that
    was taken for dead, and closed, may still write once before it is killed: the version stands in
    that other stage then. One that was archived by hand does not, and stays out.
    """
    state = State.of(name)
    for stage in get_args(Stage):
        meant = state.alias[stage]
        if meant is None or state.standing[stage]:
            continue
        others = (other for other in get_args(Stage) if meant in state.standing[other])
        if not any(ledger.interrupted(name, meant, other) for other in others):
            continue
        moves.finish(name, meant, stage)
        log.warning(
            "%s: an interrupted promotion had taken version %s out of %s; it is back there",
            name,
            meant,
            stage,
        )
