"""The documents as their reader sees them: fences with commands, tables, links and headings."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from tests.support.environment import REPOSITORY

PAGES = ("README.md", *sorted(f"docs/{path.name}" for path in (REPOSITORY / "docs").glob("*.md")))
DOCUMENTS = (*PAGES, "CHANGELOG.md", "CONTRIBUTING.md")

FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Fence:
    """A fenced block: its language (`sh`, `python`, …) and what it holds."""

    language: str
    text: str

    @property
    def commands(self) -> list[str]:
        """Its lines, each of which is a command in an `sh` fence."""
        return self.text.splitlines()


def read(document: str) -> str:
    """The text of a document, which is named by its path in the repository."""
    return (REPOSITORY / document).read_text(encoding="utf-8")


def fences(document: str, section: str = "") -> list[Fence]:
    """The fenced blocks of a document, or of one of its sections, in order."""
    text = sections(document)[section] if section else read(document)
    return [Fence(language, text) for language, text in FENCE.findall(text)]


def prose(document: str) -> str:
    """A document without its fenced blocks."""
    return FENCE.sub("", read(document))


def sections(document: str) -> dict[str, str]:
    """The text under each heading of the second level, by heading."""
    parts = re.split(r"^## (.*)\n", read(document), flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def rows(text: str) -> dict[str, list[str]]:
    """The table rows of a text whose first cell is code, as cells by that code.

    A first cell may hold several codes; each of them then has the row.
    """
    found = {}
    for line in re.findall(r"^\|(.*)\|$", text, re.MULTILINE):
        first, *others = (cell.strip() for cell in line.split("|"))
        for name in re.findall(r"`([^`]*)`", first):
            found[name] = others
    return found


def links(document: str) -> list[str]:
    """The targets of a document's links and pictures."""
    return re.findall(r"\]\(([^)\s]+)\)", prose(document))


def anchors(document: str) -> set[str]:
    """The anchors that GitHub gives to a document's headings."""
    headings = re.findall(r"^#+ (.*)$", prose(document), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def is_inside(target: str) -> bool:
    """Whether a link's target lies in the repository."""
    return "://" not in target


def target_of(document: str, link: str) -> tuple[Path, str]:
    """The file and the anchor that a link inside the repository leads to."""
    path, _, anchor = link.partition("#")
    file = (REPOSITORY / document).parent / path if path else REPOSITORY / document
    return file.resolve(), anchor
