"""Promotion through the gate, and the way back."""

from __future__ import annotations

from dataclasses import asdict, dataclass

import mlflow

from fraud_model.commands import mlflow_run
from fraud_model.errors import PromotionRefused, RegistryError
from fraud_model.registry import gate, ledger, versions
from fraud_model.registry.candidate import Candidate
from fraud_model.registry.gate import Check, GateThresholds
from fraud_model.registry.versions import Stage


@dataclass(frozen=True)
class Moved:
    """What now stands in a stage, what stood there before, and the checks that let it in."""

    name: str
    stage: Stage
    version: str
    before: str | None
    checks: list[Check]


def promote(name: str, version: str, stage: Stage, thresholds: GateThresholds) -> Moved:
    """Moves a version into a stage if it passes the gate, inside the active run.

    The champion is the version that stands in `stage` now. A version that stands there already
    is left alone, and what an interrupted promotion left undone is finished.

    Raises:
        PromotionRefused: a check failed, or another promotion came first; nothing has changed.
        RegistryError: there is no such version.
    """
    challenger = versions.find_version(name, version)
    champion = versions.current_version(name, stage)
    number = str(challenger.version)
    if champion is not None and str(champion.version) == number:
        return _finish(name, stage, number)
    before = None if champion is None else str(champion.version)
    standing = None if champion is None else Candidate.registered(champion)
    result = gate.run_gate(challenger, standing, thresholds)
    _record(result.checks)
    failed = result.failed
    now = versions.current_version(name, stage)
    if not failed and (None if now is None else str(now.version)) != before:
        failed = ["another promotion moved the stage meanwhile; run this one again"]
    if failed:
        ledger.write("promote", name, stage, before, number, "refused")
        raise PromotionRefused(
            f"version {number} of {name} stays out of {stage}: {'; '.join(failed)}. "
            f"{'Version ' + before if before else 'Nothing'} stands there as before.\n"
            f"{gate.table(result.checks)}"
        )
    ledger.write("promote", name, stage, before, number, "moving")
    versions.move(name, number, stage)
    ledger.write("promote", name, stage, before, number, "done")
    return Moved(name, stage, number, before, result.checks)


def rollback(name: str, stage: Stage) -> Moved:
    """Puts back the version that stood in a stage before the current one, inside the active run.

    Which one that was is read from the ledger; it must still load and score its known rows.

    Raises:
        RegistryError: nothing stands in the stage, or the ledger names no earlier version.
        PromotionRefused: the earlier version is gone or broken; nothing has changed.
    """
    number = str(versions.require_current(name, stage, "roll back").version)
    target = ledger.earlier_version(ledger.entries(name, stage), number)
    if target is None:
        raise RegistryError(
            f"{name}: the ledger names no version before {number} in {stage}. "
            f"Choose one yourself: {mlflow_run('promote', version='N', stage=stage)}"
        )
    earlier = versions.find_version(name, target)
    check = gate.smoke_check(Candidate.registered(earlier))
    _record([check])
    if not check.passed:
        ledger.write("rollback", name, stage, number, target, "refused")
        raise PromotionRefused(
            f"version {target} of {name}, which stood in {stage} before {number}, is broken: "
            f"{check.value}. Version {number} stands there as before."
        )
    ledger.write("rollback", name, stage, number, target, "moving")
    versions.move(name, target, stage)
    ledger.write("rollback", name, stage, number, target, "done")
    return Moved(name, stage, target, number, [check])


def _finish(name: str, stage: Stage, number: str) -> Moved:
    versions.move(name, number, stage)
    for entry in ledger.entries(name, stage):
        if entry.outcome == "moving" and entry.target == number:
            ledger.complete(entry)
    return Moved(name, stage, number, number, [])


def _record(checks: list[Check]) -> None:
    mlflow.log_dict({"checks": [asdict(check) for check in checks]}, "gate.json")
    mlflow.log_text(gate.table(checks) + "\n", "gate.md")
