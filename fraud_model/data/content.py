"""The bytes of a file, unpacked where they are compressed, and what they are by their beginning."""

from __future__ import annotations

import bz2
import gzip
import lzma
import re
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path, PurePosixPath
from typing import IO, Any, Literal

import pyarrow

from fraud_model.errors import DataError

Format = Literal["csv", "json", "parquet", "arrow"]

# What the errors of a compressed file are that is cut short or damaged.
DAMAGED = (EOFError, zlib.error, gzip.BadGzipFile, lzma.LZMAError, zipfile.BadZipFile)
TABLES = (".csv", ".tsv", ".txt", ".json", ".jsonl", ".ndjson", ".parquet", ".pq", ".feather")
HEAD_BYTES = 1 << 16
# Of UTF-8.
BYTE_ORDER_MARK = b"\xef\xbb\xbf"
JSON_START = re.compile(rb'\{\s*"|\[\s*\{')
MOST_NAMES = 10

PACKED = {
    b"\x1f\x8b": "gzip",
    b"BZh": "bz2",
    b"\xfd7zXZ\0": "xz",
    b"\x28\xb5\x2f\xfd": "zst",
    b"PK\x03\x04": "zip",
    b"PK\x05\x06": "zip",
}
AS_CSV = "Save the table as CSV or Parquet"
FOREIGN = {
    b"SQLite format 3\0": (
        "a SQLite database",
        "Give it as -P data=sqlite:///FILE, with -P query=",
    ),
    b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1": ("an Excel workbook (.xls)", "Save the sheet as CSV"),
    b"\x89HDF\r\n\x1a\n": ("an HDF5 file", AS_CSV),
    b"ORC": ("an ORC file", AS_CSV),
    b"Obj\x01": ("an Avro file", AS_CSV),
    b"PARE": ("an encrypted Parquet file", "Save it without encryption"),
    b"%PDF": ("a PDF document", AS_CSV),
    b"7z\xbc\xaf\x27\x1c": ("a 7z archive", "Unpack it, and name the table in it"),
    b"Rar!": ("a RAR archive", "Unpack it, and name the table in it"),
    b"<stata_dta>": ("a Stata file", AS_CSV),
    b"$FL2": ("an SPSS file", AS_CSV),
    b"version https://git-lfs": ("a pointer of Git LFS, not the file", "Run git lfs pull"),
    **{
        b"\x80" + bytes([protocol]): ("a pickle, which could run code when it is read", AS_CSV)
        for protocol in range(2, 6)
    },
}


@dataclass(frozen=True)
class Content:
    """The bytes of one table.

    `place` is what messages call it, `name` its file name without the ending of a compression,
    `open` gives the bytes from the beginning, `head` is the beginning, and `path` is the file
    where it is not compressed.
    """

    place: str
    name: str
    open: Callable[[], IO[bytes]]
    head: bytes
    path: Path | None
    notes: tuple[str, ...] = ()

    @property
    def format(self) -> Format:
        """What the table is, by its beginning and, where that leaves a choice, by its name.

        Raises:
            DataError: it is no table that can be read here; the message says what it is.
        """
        ending = PurePosixPath(self.name.lower()).suffix
        if self.head.startswith(b"PAR1"):
            return "parquet"
        if self.head.startswith((b"ARROW1", b"FEA1")):
            return "arrow"
        self._refuse_foreign()
        if ending in (".parquet", ".pq"):
            raise DataError(
                f"{self.place} is not a complete Parquet file (it does not begin as one). "
                "Fetch or save it again."
            )
        start = self.head.removeprefix(BYTE_ORDER_MARK).lstrip()
        json = ending in (".json", ".jsonl", ".ndjson") or JSON_START.match(start) is not None
        return "json" if json else "csv"

    def _refuse_foreign(self) -> None:
        start = self.head.removeprefix(BYTE_ORDER_MARK).lstrip()[:200].lower()
        for first, (what, remedy) in FOREIGN.items():
            if self.head.startswith(first):
                raise DataError(f"{self.place} is {what}. {remedy}.")
        if self.head[257:262] == b"ustar":
            raise DataError(f"{self.place} is a tar archive. Unpack it, and name the table in it.")
        if start.startswith((b"<!doctype html", b"<html")):
            raise DataError(
                f"{self.place} is an HTML page, perhaps a login page that was saved as a table. "
                "Fetch the file itself again."
            )
        if start.startswith(b"<?xml"):
            raise DataError(f"{self.place} is an XML file. {AS_CSV}.")


def unpacked(path: Path, place: str) -> Content:
    """The bytes of a file, unpacked as often as they are compressed.

    Raises:
        DataError: the file is empty, a workbook, or an archive without exactly one table; or it
            is cut short or damaged.
    """
    content = Content(place, path.name, lambda: path.open("rb"), b"", path)
    while True:
        try:
            with content.open() as stream:
                content = replace(content, head=stream.read(HEAD_BYTES))
        except (*DAMAGED, OSError) as error:
            if content.path:
                raise
            raise damaged(place, error) from error
        if not content.head:
            raise DataError(f"{place} is empty. Fetch or save it again.")
        packing = next((p for first, p in PACKED.items() if content.head.startswith(first)), None)
        if packing is None:
            return content
        content = _opened(content, packing)


def damaged(place: str, error: BaseException) -> DataError:
    """The error of a compressed file that is cut short or damaged."""
    return DataError(
        f"{place}: the compressed file is cut short or damaged ({first_line(error)}). "
        "Fetch it again."
    )


def first_line(error: BaseException) -> str:
    """What an error says, cut to one short line."""
    line = (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")
    return line if len(line) <= 200 else line[:199] + "…"


def _opened(packed: Content, packing: str) -> Content:
    if packing == "zip":
        return _zipped(packed)
    inner = packed.open
    openers: dict[str, Callable[[IO[bytes]], Any]] = {
        "gzip": gzip.open,
        "bz2": bz2.open,
        "xz": lzma.open,
        "zst": partial(pyarrow.CompressedInputStream, compression="zstd"),
    }
    opener = openers[packing]
    name = packed.name
    if PurePosixPath(name.lower()).suffix in (".gz", ".bz2", ".xz", ".zst"):
        name = PurePosixPath(name).stem
    return replace(packed, name=name, open=lambda: opener(inner()), path=None)


def _zipped(packed: Content) -> Content:
    try:
        archive = zipfile.ZipFile(packed.open())
    except zipfile.BadZipFile as error:
        raise damaged(packed.place, error) from error
    files = [member for member in archive.infolist() if not member.is_dir()]
    names = [member.filename for member in files]
    if "[Content_Types].xml" in names:
        what = "an Excel workbook" if any(n.startswith("xl/") for n in names) else "a document"
        raise DataError(
            f"{packed.place} is {what} of Microsoft Office. Save the sheet as CSV, and give that."
        )
    if "mimetype" in names:
        raise DataError(f"{packed.place} is an OpenDocument file. Save the sheet as CSV.")
    files = [m for m in files if not m.filename.startswith(("__MACOSX/", "."))]
    tables = [m for m in files if _is_table(m.filename)] or files
    if len(tables) != 1:
        listed = ", ".join(member.filename for member in tables[:MOST_NAMES])
        more = f" and {len(tables) - MOST_NAMES} more" if len(tables) > MOST_NAMES else ""
        raise DataError(
            f"{packed.place} holds {len(tables)} tables{': ' if tables else ''}{listed}{more}. "
            "Unpack it, and name one of them."
        )
    (member,) = tables
    if member.flag_bits & 1:
        raise DataError(f"{packed.place} is a zip with a password. Unpack it, and name the table.")
    note = f"the table in the zip is {member.filename}"
    return replace(
        packed,
        name=PurePosixPath(member.filename).name,
        open=lambda: archive.open(member),
        path=None,
        notes=(*packed.notes, note),
    )


def _is_table(name: str) -> bool:
    base = name.lower()
    for ending in (".gz", ".bz2", ".xz", ".zst"):
        base = base.removesuffix(ending)
    return base.endswith(TABLES)
