"""Replaying the ledger tells which version stood in a stage before."""

from __future__ import annotations

import pytest

from fraud_model.registry import ledger
from fraud_model.registry.ledger import Entry, earlier_version
from tests.support.store import Store


def history(lines: str) -> list[Entry]:
    """Entries written as `1>2` promoted, `1<2` rolled back, `1>2?` killed, `1>2!` refused."""
    entries = []
    for when, line in enumerate(lines.split()):
        outcome = {"?": "moving", "!": "refused"}.get(line[-1], "done")
        left, action, right = line[0], line[1], line[2]
        origin, target = (left, right) if action == ">" else (right, left)
        entries.append(
            Entry(
                run_id="run",
                ended=True,
                stage="Production",
                action="promote" if action == ">" else "rollback",
                outcome=outcome,  # type: ignore[arg-type]
                origin=None if origin == "-" else origin,
                target=target,
                who="me",
                when=str(when),
            )
        )
    return entries


@pytest.mark.parametrize(
    ("lines", "current", "earlier"),
    [
        ("->1", "1", None),
        ("->1 1>2", "2", "1"),
        ("->1 1>2 2>3 2<3", "2", "1"),
        ("->1 1>2 1<2", "1", None),
        ("->1 1>2 1<2 1>3", "3", "1"),
        ("->1 1>2! 1>3", "3", "1"),
        # Killed before the move: 2 never stood there, as the next entry or the stage shows.
        ("->1 1>2? 1>3", "3", "1"),
        ("->1 1>2?", "1", None),
        # Killed after the move.
        ("->1 1>2?", "2", "1"),
        # 7 was moved in by hand.
        ("->1 7>8", "8", "7"),
    ],
)
def test_the_version_before(lines: str, current: str, earlier: str | None) -> None:
    assert earlier_version(history(lines), current) == earlier


def test_entries_come_back_in_order_with_who_and_when(store: Store, run: str) -> None:
    name = store.new_model()
    ledger.write("promote", name, "Production", None, "1", "moving")
    ledger.write("promote", name, "Production", None, "1", "done")
    (entry,) = ledger.entries(name, "Production")
    assert (entry.run_id, entry.action, entry.outcome) == (run, "promote", "done")
    assert (entry.origin, entry.target) == (None, "1")
    assert entry.who
    assert entry.when.endswith("+00:00")
    assert ledger.entries(name, "Staging") == []
