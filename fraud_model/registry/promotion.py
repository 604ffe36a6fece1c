"""Promotion through the gate, and the way back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime

import mlflow
from mlflow.entities.model_registry import ModelVersion

from fraud_model.commands import mlflow_run
from fraud_model.errors import Overtaken, PromotionRefused, RegistryError
from fraud_model.registry import gate, ledger, moves, versions
from fraud_model.registry.candidate import Candidate
from fraud_model.registry.gate import GateResult, Opponents
from fraud_model.registry.gate_thresholds import Check, GateThresholds, table
from fraud_model.registry.recovery import finish_interrupted
from fraud_model.registry.versions import Stage, State
from fraud_model.tracking import rename_run

EXPERIMENT = "promotion"


@dataclass(frozen=True)
class Moved:
    """What now stands in a stage, what stood there before, and the checks that let it in.

    `notes` are no checks, and for somebody to look at.
    """

    name: str
    stage: Stage
    version: str
    before: str | None
    checks: list[Check]
    notes: Sequence[str] = ()


def promote(
    name: str,
    version: str,
    stage: Stage,
    thresholds: GateThresholds,
    *,
    compared: bool = True,
) -> Moved:
    """Moves a version into a stage if it passes the gate, inside the active run.

    The champion is the version that stands in `stage` now; `compared=False` lets the challenger in
    without a comparison with it. A version that stands there already is left alone. What an
    interrupted command left undone is finished first.

    Raises:
        PromotionRefused: a check failed, another command came first, or the version would leave
            Production for Staging; nothing has changed.
        Overtaken: it moved, and another command put another version there.
        RegistryError: there is no such version.
    """
    challenger = versions.find_version(name, version)
    number = str(challenger.version)
    rename_run(f"{name} version {number} to {stage}")
    finish_interrupted(name)
    # The version in the stage, not that of an alias which nothing let in through the gate.
    before = State.of(name).current(stage)
    if before == number:
        _require(moves.move(name, number, stage), name, stage, number)
        return Moved(name, stage, number, number, [])
    claimed = _claimed_by_production(name, number, stage)
    if claimed:
        ledger.write("promote", name, stage, before, number, "refused")
        raise PromotionRefused(f"version {number} of {name} stays out of {stage}: {claimed}")
    champion = versions.find_version(name, before) if before else None
    opponents = Opponents.in_stage(champion, challenger, stage, compared)
    result = gate.run_gate(challenger, opponents, thresholds)
    _record(result)
    if result.failed:
        ledger.write("promote", name, stage, before, number, "refused")
        raise PromotionRefused(
            f"version {number} of {name} stays out of {stage}: {'; '.join(result.failed)}. "
            f"{'Version ' + before if before else 'Nothing'} stands there as before.\n"
            f"{_text(result)}"
        )
    moved = _move("promote", name, stage, before, number, result.checks)
    return replace(moved, notes=result.notes)


def rollback(name: str, stage: Stage) -> Moved:
    """Puts back the version that stood in a stage before the current one, inside the active run.

    Which one that was is read from the ledger; it must still load and score its known rows. After
    a rollback that was interrupted this is the same one: what is left of it is done, and no more.

    Raises:
        RegistryError: nothing stands in the stage, or the ledger names no earlier version.
        PromotionRefused: the earlier version is gone or broken, or another command came first;
            nothing has changed.
        Overtaken: it moved, and another command put another version there.
    """
    versions.check_model_name(name)
    finish_interrupted(name)
    number = State.of(name).current(stage)
    if number is None:
        raise versions.nothing_stands(name, stage, "roll back")
    history = ledger.entries(name, stage)
    interrupted = _interrupted_rollback(history, number)
    if interrupted is not None:
        ledger.end(interrupted)
        return Moved(name, stage, number, interrupted.origin, [])
    target = ledger.earlier_version(history, number)
    rename_run(f"{name} version {target} back to {stage}")
    if target is None:
        raise RegistryError(
            f"{name}: the ledger names no version before {number} in {stage}. "
            f"Choose one yourself: {mlflow_run('promote', version='N', stage=stage)}"
        )
    earlier = _earlier(name, stage, target)
    claimed = _claimed_by_production(name, target, stage)
    check = gate.smoke_check(Candidate.registered(earlier))
    _record(GateResult([check]))
    wrong = claimed or ("" if check.passed else f"it is broken: {check.value}.")
    if wrong:
        ledger.write("rollback", name, stage, number, target, "refused")
        raise PromotionRefused(
            f"version {target} of {name}, which stood in {stage} before {number}, stays out: "
            f"{wrong} Version {number} stands there as before."
        )
    return _move("rollback", name, stage, number, target, [check])


def _earlier(name: str, stage: Stage, number: str) -> ModelVersion:
    try:
        return versions.find_version(name, number)
    except RegistryError as error:
        raise RegistryError(
            f"{error} Version {number} is the one that the ledger names. "
            f"Choose another: {mlflow_run('promote', version='N', stage=stage)}"
        ) from error


def _move(
    action: ledger.Action,
    name: str,
    stage: Stage,
    before: str | None,
    number: str,
    checks: list[Check],
) -> Moved:
    known = {entry.run_id for entry in _done_lately(name, stage)}
    ledger.write(action, name, stage, before, number, "moving")
    state = State.of(name)
    claimed = _claimed_by_production(name, number, stage)
    if state.current(stage) != before or claimed:
        ledger.write(action, name, stage, before, number, "refused")
        raise PromotionRefused(
            f"version {number} of {name} stays out of {stage}: another command came first. "
            f"{claimed or state.text(stage) + ' now; run this one again.'}"
        )
    moves.move(name, number, stage)
    # From before the look, so that entries lie in the order in which their versions stood there,
    # whichever is written first.
    stood = datetime.now(UTC)
    try:
        # No mere look: a late write of a move that this one has overtaken is set right by its
        # command in the end, and would be taken for another that came later.
        _require(moves.finish(name, number, stage), name, stage, number)
    except Overtaken:
        ledger.write(action, name, stage, before, number, "overtaken")
        raise
    before = _origin(name, stage, before, number, known)
    # First the entry, then another look: a command that comes in between finds it, and starts from
    # it.
    ledger.write(action, name, stage, before, number, "done", stood)
    _require(moves.finish(name, number, stage), name, stage, number)
    rename_run(f"{name} version {number} now in {stage}")
    return Moved(name, stage, number, before, checks)


def _origin(
    name: str, stage: Stage, before: str | None, number: str, known: set[str]
) -> str | None:
    """What this move replaced: not `before`, where another one ended since then."""
    since = [
        entry.target
        for entry in _done_lately(name, stage)
        if entry.run_id not in known and entry.target != number
    ]
    return since[-1] if since else before


def _done_lately(name: str, stage: Stage) -> list[ledger.Entry]:
    lately = ledger.entries(name, stage, ledger.AT_WORK)
    return [entry for entry in lately if entry.outcome == "done"]


def _require(state: State, name: str, stage: Stage, number: str) -> None:
    if not state.holds(stage, number):
        raise Overtaken(
            f"{name}: version {number} was put into {stage}, but another command overtook this "
            f"one: {state.text(stage)} now."
            + (f" Version {number} is in Production." if state.holds("Production", number) else "")
        )


def _claimed_by_production(name: str, number: str, stage: Stage) -> str:
    """Why a version cannot enter another stage than Production; empty where it can."""
    if stage == "Production":
        return ""
    state = State.of(name)
    if number not in (state.current("Production"), state.alias["Production"]):
        return ""
    return (
        "it has Production, by stage or alias, and a version stands in one stage only. "
        "Put another version into Production first."
    )


def _interrupted_rollback(history: list[ledger.Entry], current: str) -> ledger.Entry | None:
    """The last move of a stage, if it is a rollback that put `current` there and did not end."""
    last = next((e for e in reversed(history) if e.outcome == "done"), None)
    if last is None or last.ended or last.action != "rollback" or last.target != current:
        return None
    active = mlflow.active_run()
    return None if active and active.info.run_id == last.run_id else last


def _record(result: GateResult) -> None:
    content: dict[str, object] = {"checks": [asdict(check) for check in result.checks]}
    if result.verdict is not None:
        content["verdict"] = asdict(result.verdict)
    if result.difference is not None:
        content["difference"] = asdict(result.difference)
    mlflow.log_dict({**content, "notes": result.notes}, "gate.json")
    mlflow.log_text(_text(result) + "\n", "gate.md")


def _text(result: GateResult) -> str:
    return "\n\n".join([table(result.checks), *result.notes])
