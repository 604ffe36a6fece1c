"""Finishes what killed promotions and rollbacks left undone, before the next one begins."""

from __future__ import annotations

import logging
from typing import get_args

from fraud_model.registry import ledger, moves
from fraud_model.registry.versions import Stage, State

log = logging.getLogger("fraud_model.registry")


def finish_interrupted(name: str) -> None:
    """Finishes what killed promotions and rollbacks of a model left undone, and says so.

    One that was killed before it moved anything is closed in the ledger as interrupted.
    """
    for entry in ledger.unfinished(name):
        _finish(name, entry)
    _fill_emptied(name)


def _finish(name: str, entry: ledger.Entry) -> None:
    state = State.of(name)
    if entry.target in state.alias.values():
        state = moves.finish(name, entry.target, entry.stage)
    moved = state.alias[entry.stage] == entry.target
    ledger.close(entry, "done" if moved else "interrupted")
    what = (
        f"promotion of version {entry.target} to {entry.stage}"
        if entry.action == "promote"
        else f"rollback of {entry.stage} to version {entry.target}"
    )
    log.warning(
        "%s: the %s, begun at %s, had not ended; %s",
        name,
        what,
        entry.when,
        "it is finished now" if moved else f"it moved nothing: {state.text(entry.stage)} now",
    )


def _fill_emptied(name: str) -> None:
    """Puts back a version that a late write took out of its stage.

    MLflow cannot make a write depend on what stands there. So a promotion to another stage that
    was taken for dead, and closed, may still write once before it is killed.
    """
    state = State.of(name)
    for stage in get_args(Stage):
        meant = state.alias[stage]
        if meant is None or state.standing[stage] or not ledger.interrupted(name, meant):
            continue
        moves.finish(name, meant, stage)
        log.warning(
            "%s: an interrupted promotion had taken version %s out of %s; it is back there",
            name,
            meant,
            stage,
        )
