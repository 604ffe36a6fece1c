"""The versions that a challenger is held against: in a stage now, and there before."""

from __future__ import annotations

from fraud_model.errors import RegistryError
from fraud_model.registry import ledger, versions
from fraud_model.registry.candidate import Candidate
from fraud_model.registry.versions import Stage

# How many champions before the current one are looked back at.
LOOK_BACK = 3


def earlier_champions(name: str, stage: Stage, *others: str) -> list[Candidate]:
    """The last champions of a stage that the ledger names, the latest first, without `others`.

    Versions that are gone, or whose tags cannot be read, are left out.
    """
    stood = [entry.target for entry in ledger.entries(name, stage) if entry.outcome == "done"]
    found: list[Candidate] = []
    for number in dict.fromkeys(reversed(stood)):
        if number in others:
            continue
        if len(found) == LOOK_BACK:
            break
        try:
            found.append(Candidate.registered(versions.find_version(name, number)))
        except RegistryError:
            continue
    return found
