"""The folder in which the processes of one server tell each other what to serve, and what they do.

wanted.json      the version that the follower has fetched
passed.json      the last one that a worker could load and check
follower.json    whether the registry answered
worker-PID.json  what a worker serves, and why it refused what was wanted
versions/        the files of fetched versions
"""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from fraud_model.serving.origin import Origin

# The environment variable that names the folder.
BOARD = "FRAUD_MODEL_BOARD"

WANTED, PASSED, FOLLOWER = "wanted.json", "passed.json", "follower.json"


@dataclass(frozen=True)
class Wanted:
    """A version to serve; each one that is fetched has the next `number`."""

    number: int
    origin: Origin


@dataclass(frozen=True)
class Report:
    """What a worker serves.

    Attributes:
        origin: the version that answers new requests.
        number: the last wanted version that it has loaded or refused.
        failure: why it refused that one; empty if it serves it.
        folders: the versions whose files it still needs.
    """

    origin: Origin
    number: int
    failure: str
    folders: tuple[str, ...]


class Board:
    """Reads and writes the folder; every file is replaced as a whole."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.versions = folder / "versions"

    @classmethod
    def of_this_server(cls) -> Board | None:
        """The board that the environment names; None where nobody follows the registry."""
        folder = os.environ.get(BOARD)
        return None if folder is None else cls(Path(folder))

    def want(self, wanted: Wanted) -> None:
        """Asks every worker to serve this version."""
        self._write(WANTED, asdict(wanted))

    def wanted(self) -> Wanted | None:
        """What the workers are to serve; None as long as it is what they started with."""
        return self._wanted(WANTED)

    def passed(self) -> Wanted | None:
        """What a worker that is restarted begins with; None as for `wanted`."""
        return self._wanted(PASSED)

    def report(self, report: Report) -> None:
        """Says what this worker serves."""
        self._write(f"worker-{os.getpid()}.json", asdict(report))
        last = self.passed()
        if report.number and not report.failure and (last is None or last.number < report.number):
            self._write(PASSED, asdict(Wanted(report.number, report.origin)))

    def reports(self) -> list[Report]:
        """What each living worker serves."""
        reports = []
        for file in self._folder.glob("worker-*.json"):
            try:
                os.kill(int(file.stem.partition("-")[2]), 0)
            except ProcessLookupError:
                file.unlink(missing_ok=True)
                continue
            found = self._read(file.name)
            if found is not None:
                found |= {"origin": Origin(**found["origin"]), "folders": tuple(found["folders"])}
                reports.append(Report(**found))
        return reports

    def tell(self, failure: str) -> None:
        """Says whether the registry answered; `failure` is empty if it did."""
        self._write(FOLLOWER, {"failure": failure})

    @property
    def state(self) -> str:
        """`off` if nobody has asked the registry since the start, `ok`, or `failed: ` and why."""
        asked = self._read(FOLLOWER)
        if asked is None:
            return "off"
        wanted = self.wanted()
        failures = [asked["failure"]]
        if wanted is not None:
            failures += [r.failure for r in self.reports() if r.number == wanted.number]
        return next((f"failed: {failure}" for failure in failures if failure), "ok")

    def clear(self) -> bool:
        """Deletes the files that nobody needs; True if those of more than one version are left."""
        known = [w.origin.path for w in (self.wanted(), self.passed()) if w is not None]
        needed = {*known, *(folder for report in self.reports() for folder in report.folders)}
        left = 0
        for folder in self.versions.glob("*"):
            if any(Path(path).is_relative_to(folder) for path in needed):
                left += 1
            else:
                shutil.rmtree(folder, ignore_errors=True)
        return left > 1

    def _wanted(self, name: str) -> Wanted | None:
        found = self._read(name)
        return None if found is None else Wanted(found["number"], Origin(**found["origin"]))

    def _read(self, name: str) -> dict[str, Any] | None:
        try:
            found: dict[str, Any] = json.loads((self._folder / name).read_text(encoding="utf-8"))
        except FileNotFoundError:
            return None
        return found

    def _write(self, name: str, content: dict[str, Any]) -> None:
        # Some systems delete what has lain in the temporary folder for days.
        self._folder.mkdir(parents=True, exist_ok=True)
        draft = self._folder / f"{name}.{os.getpid()}"
        draft.write_text(json.dumps(content), encoding="utf-8")
        draft.replace(self._folder / name)
