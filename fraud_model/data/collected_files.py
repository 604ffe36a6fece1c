"""The files that `collect` reads and writes: those named, or copies of objects in a store."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from fraud_model.data.cloud import SCHEMES, fetch_objects, put_object, without_secrets
from fraud_model.errors import NothingThere


@contextmanager
def local_files(output: str, base: str) -> Iterator[tuple[Path, tuple[Path, str] | None]]:
    """Where to write the table, and where the earlier one lies with what messages call it.

    `output` and `base` are paths, or addresses as `fetch_objects` takes them. What lies at an
    address is fetched at the start, and put there when the block ends well. Where both are the
    same and nothing is there yet, no table is an earlier one. `base` may be empty.

    Raises:
        DataError: there is no earlier table, or a store refuses or does not answer.
    """
    with tempfile.TemporaryDirectory() as folder:
        earlier = _earlier(output, base, Path(folder)) if base else None
        if not output.startswith(SCHEMES):
            yield Path(output).expanduser(), earlier
            return
        written = Path(folder) / "collected"
        yield written, earlier
        put_object(written, output)


def _earlier(output: str, base: str, folder: Path) -> tuple[Path, str] | None:
    if base.startswith(SCHEMES):
        try:
            return fetch_objects(base, folder / "base")
        except NothingThere:
            if base != output:
                raise
    else:
        path = Path(base).expanduser()
        if path.exists() or path.resolve() != Path(output).expanduser().resolve():
            return path, base
    print(f"{without_secrets(base)}: nothing is there yet, so this is the first collection")
    return None
