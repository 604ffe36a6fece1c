"""What an output directory holds: of which table, version and settings, and which rows so far."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from fraud_model.errors import ParameterError

# Readers of a folder of Parquet files leave out what begins so.
MANIFEST_FILE = "_manifest.json"


@dataclass(frozen=True)
class Part:
    """A whole part: its file's name and how many rows it holds."""

    file: str
    rows: int


@dataclass
class Manifest:
    """The scores of a table, part by part.

    `data` are the files of the table with what tells whether they have changed, `version` the name,
    number and run of the version, and `settings` what was asked for. `parts` are in the order of
    the rows, and `complete` once they are all of them.
    """

    data: list[dict[str, Any]]
    version: dict[str, str]
    settings: dict[str, Any]
    parts: list[Part] = field(default_factory=list)
    complete: bool = False

    @classmethod
    def read(cls, folder: Path) -> Manifest | None:
        """The manifest in a directory; None where there is none.

        Raises:
            ParameterError: it is no manifest.
        """
        path = folder / MANIFEST_FILE
        if not path.exists():
            return None
        try:
            content = json.loads(path.read_text())
            return cls(**{**content, "parts": [Part(**part) for part in content["parts"]]})
        except (KeyError, TypeError, ValueError) as error:
            raise ParameterError(
                f"{path} cannot be read ({error!r}), so it is not known what {folder} holds. "
                "Choose another output, or delete this one."
            ) from error

    def write(self, folder: Path) -> None:
        """Writes the manifest in the place of the one before, whole."""
        partial = folder / f".{MANIFEST_FILE}.partial"
        partial.write_text(json.dumps(asdict(self), indent=1) + "\n")
        partial.replace(folder / MANIFEST_FILE)

    @property
    def rows(self) -> int:
        """Rows in all parts."""
        return sum(part.rows for part in self.parts)

    def check_same(self, asked: Manifest, folder: Path) -> None:
        """Refuses to go on with another table, version or setting.

        Raises:
            ParameterError: something differs; the message says what.
        """
        differences = [*self._differences(asked)]
        if differences:
            raise ParameterError(
                f"output={str(folder)!r} holds {self.rows:,} rows of another scoring: "
                f"{'; '.join(differences)}. Choose another output, or delete this one to score "
                "anew."
            )

    def _differences(self, asked: Manifest) -> Iterator[str]:
        then, now = ({file["file"]: file for file in each.data} for each in (self, asked))
        if list(then) != list(now):
            yield f"its data was {_listed(list(then))}, and now is {_listed(list(now))}"
        else:
            changed = [name for name, file in then.items() if file != now[name]]
            if changed:
                yield f"{_listed(changed)} has changed since"
        if self.version != asked.version:
            yield f"its version was {_called(self.version)}, and now is {_called(asked.version)}"
        for name, value in asked.settings.items():
            before = self.settings.get(name)
            if before != value:
                yield f"its {name} was {_shown(before)}, and now is {_shown(value)}"


def _listed(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{names[0]} and {len(names) - 1} more files"


def _called(version: dict[str, str]) -> str:
    return f"{version['name']} {version['number']} of run {version['run'][:8]}"


def _shown(value: Any) -> str:
    return ",".join(value) or "nothing" if isinstance(value, list) else str(value)
