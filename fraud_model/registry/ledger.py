"""The record of promotions and rollbacks: one MLflow run each, refused ones too."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

import mlflow
from mlflow.entities import Run

from fraud_model.registry.versions import Stage
from fraud_model.tracking import user

Action = Literal["promote", "rollback"]
# `interrupted` was killed before it moved anything; `overtaken` moved, and before it could see its
# version there another command put another one there.
# MLflow cannot make a write depend on what stands there. So each tag has one writer: the command
# itself writes how it ended, and one that takes it for dead writes so into a tag of its own, which
# counts only where the command wrote nothing.
Outcome = Literal["refused", "moving", "done", "interrupted", "overtaken"]
COUNTED = ("moving", "done")

MOST_ENTRIES = 10_000
# More than can be at work at once.
AT_WORK = 100


@dataclass(frozen=True)
class Entry:
    """One line of the ledger.

    `origin` is the version that stood in the stage before, if any. `ended` says whether the run
    that wrote it came to its end.
    """

    run_id: str
    ended: bool
    stage: Stage
    action: Action
    outcome: Outcome
    origin: str | None
    target: str
    who: str
    when: str


def write(
    action: Action,
    name: str,
    stage: Stage,
    origin: str | None,
    target: str,
    outcome: Outcome,
    when: datetime | None = None,
) -> None:
    """Writes an entry to the active run, or updates the one it holds.

    `when` is the time of what it tells, which orders the entries; by default it is now.
    """
    mlflow.set_tags(
        {
            "ledger.action": action,
            "ledger.model": name,
            "ledger.stage": stage,
            "ledger.from": origin or "none",
            "ledger.to": target,
            "ledger.who": user(),
            "ledger.when": (when or datetime.now(UTC)).isoformat(timespec="microseconds"),
            "ledger.outcome": outcome,
        }
    )


def close(entry: Entry, outcome: Outcome, when: datetime) -> None:
    """Writes how the job of an interrupted entry ended, as seen at some time."""
    client = mlflow.MlflowClient()
    client.set_tag(entry.run_id, "ledger.closed_at", when.isoformat(timespec="microseconds"))
    client.set_tag(entry.run_id, "ledger.closed", outcome)


def end(entry: Entry) -> None:
    """Ends the run of an entry whose job is done, and whose process is gone."""
    mlflow.MlflowClient().set_terminated(entry.run_id, "FINISHED")


def unfinished(name: str) -> list[Entry]:
    """The entries of a model, in any stage, whose moves are not known to have ended."""
    found = _found(f"tags.`ledger.model` = '{name}' and tags.`ledger.outcome` = 'moving'")
    return [entry for entry in found if entry.outcome == "moving"]


def interrupted(name: str, target: str, stage: Stage) -> bool:
    """Whether a move of a version into a stage was closed as interrupted."""
    version = f"tags.`ledger.model` = '{name}' and tags.`ledger.to` = '{target}'"
    found = _found(f"{version} and tags.`ledger.stage` = '{stage}'")
    return any(entry.outcome == "interrupted" for entry in found)


def entries(name: str, stage: Stage, most: int = MOST_ENTRIES) -> list[Entry]:
    """The entries of a model's stage, the earliest first; of more than `most`, those begun last."""
    return _found(f"tags.`ledger.model` = '{name}' and tags.`ledger.stage` = '{stage}'", most)


def _found(condition: str, most: int = MOST_ENTRIES) -> list[Entry]:
    runs = mlflow.search_runs(
        search_all_experiments=True,
        filter_string=condition,
        max_results=most,
        order_by=["attributes.start_time DESC"],
        output_format="list",
    )
    return sorted(map(_entry, runs), key=lambda entry: entry.when)


def _entry(run: Run) -> Entry:
    tags = run.data.tags
    origin = tags["ledger.from"]
    outcome, when = tags["ledger.outcome"], tags["ledger.when"]
    if outcome == "moving" and "ledger.closed" in tags:
        outcome, when = tags["ledger.closed"], tags["ledger.closed_at"]
    return Entry(
        run_id=run.info.run_id,
        ended=run.info.status == "FINISHED",
        stage=tags["ledger.stage"],
        action=tags["ledger.action"],
        outcome=outcome,
        origin=None if origin == "none" else origin,
        target=tags["ledger.to"],
        who=tags["ledger.who"],
        when=when,
    )


def earlier_version(history: list[Entry], current: str) -> str | None:
    """The version that stood in the stage before `current`, or None where there was none.

    Replays the entries: a promotion puts its version on top, a rollback takes the top off. An
    entry interrupted before its version moved leaves one on top that never stood there; the next
    entry's `origin` shows it, and so does `current` at the end.
    """
    stood: list[str] = []
    for entry in history:
        if entry.outcome not in COUNTED:
            continue
        _back_to(stood, entry.origin)
        if entry.action == "promote":
            stood.append(entry.target)
        else:
            _back_to(stood, entry.target)
    _back_to(stood, current)
    return stood[-2] if len(stood) > 1 else None


def _back_to(stood: list[str], version: str | None) -> None:
    if version is None:
        stood.clear()
    elif version in stood:
        while stood[-1] != version:
            stood.pop()
    else:
        stood.append(version)
