"""What tells in a folder's files which machine they come from."""

from __future__ import annotations

import getpass
import re
import tempfile
from pathlib import Path

from tests.support.environment import REPOSITORY


def traces(folder: Path) -> list[str]:
    """Where text files below `folder` name this machine's user, folders or temporary files."""
    user = rf"(?<![\w.-]){re.escape(getpass.getuser())}(?![\w.-])"
    places = (Path.home(), REPOSITORY, Path(tempfile.gettempdir()).resolve())
    trace = re.compile("|".join([user, *(f"{re.escape(str(place))}/" for place in places)]))
    files = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    assert files
    return [
        f"{path.relative_to(folder)}:{number}: {line.strip()[:200]}"
        for path in files
        for number, line in enumerate(path.read_bytes().decode(errors="replace").splitlines(), 1)
        if trace.search(line)
    ]
