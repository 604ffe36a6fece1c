"""The directory that scores are written to, part by part, each of them whole or not there."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pyarrow
import pyarrow.csv
import pyarrow.parquet

from fraud_model.data.content import first_line
from fraud_model.errors import DataError, ParameterError
from fraud_model.scoring.manifest import MANIFEST_FILE, Manifest, Part
from fraud_model.scoring.scorer import REASONS, as_text

# A killed run loses the work on less than this.
ROWS_PER_PART = 1 << 18
SCORES = ("fraud_probability", "is_fraud")


class Output:
    """Parts in a directory, with a manifest that names the whole ones.

    They are Parquet files, or CSV files in a directory whose name ends in `.csv`.
    """

    def __init__(self, folder: Path, manifest: Manifest) -> None:
        self.folder = folder
        self.manifest = manifest
        self._ending = ending_of(folder)
        self._waiting: list[pyarrow.Table] = []
        self._schema: pyarrow.Schema | None = None
        if manifest.parts and self._ending == "parquet":
            self._schema = pyarrow.parquet.read_schema(folder / manifest.parts[0].file)

    def add(self, table: pyarrow.Table, place: str) -> None:
        """Adds rows, and writes the part that they complete; `place` is the file they are of.

        Raises:
            DataError: a key is of another type than in the files before, or the part cannot be
                written.
        """
        self._waiting.append(self._alike(table, place))
        if sum(map(len, self._waiting)) >= ROWS_PER_PART:
            self._write()

    def finish(self) -> None:
        """Writes the rows that are left, and that these are all.

        Raises:
            DataError: they cannot be written.
        """
        if self._waiting:
            self._write()
        self.manifest.complete = True
        with _writing(self.folder):
            self.manifest.write(self.folder)

    def scores(self) -> Iterator[pyarrow.Table]:
        """Probability and flag of the rows in each whole part, in order.

        Raises:
            DataError: a part is gone or damaged.
        """
        for part in list(self.manifest.parts):
            path = self.folder / part.file
            try:
                if self._ending == "csv":
                    include = pyarrow.csv.ConvertOptions(include_columns=SCORES)
                    table = pyarrow.csv.read_csv(path, convert_options=include)
                else:
                    table = pyarrow.parquet.ParquetFile(path).read(columns=list(SCORES))
            except (pyarrow.ArrowException, OSError) as error:
                raise _gone(self.folder, path, first_line(error)) from error
            if len(table) != part.rows:
                raise _gone(self.folder, path, f"{len(table):,} of {part.rows:,} rows")
            yield table

    def _alike(self, table: pyarrow.Table, place: str) -> pyarrow.Table:
        if self._schema is None:
            self._schema = table.schema
        try:
            return table.cast(self._schema)
        except (pyarrow.ArrowException, ValueError) as error:
            raise DataError(
                f"{place}: a key column has another type than in the files before "
                f"({first_line(error)}). Save the files again with the same types, or leave the "
                "key out."
            ) from error

    def _write(self) -> None:
        table = pyarrow.concat_tables(self._waiting)
        name = f"part-{len(self.manifest.parts):05}.{self._ending}"
        partial = self.folder / f".{name}.partial"
        with _writing(self.folder):
            try:
                with partial.open("wb") as stream:
                    # Card data: for its owner only, as the log is.
                    os.fchmod(stream.fileno(), 0o600)
                    self._write_table(table, stream)
                    stream.flush()
                    os.fsync(stream.fileno())
                partial.replace(self.folder / name)
            finally:
                partial.unlink(missing_ok=True)
            self.manifest.parts.append(Part(name, len(table)))
            self.manifest.write(self.folder)
        self._waiting = []

    def _write_table(self, table: pyarrow.Table, stream: object) -> None:
        if self._ending == "csv":
            if REASONS in table.column_names:
                place = table.column_names.index(REASONS)
                table = table.set_column(place, REASONS, as_text(table[REASONS]))
            pyarrow.csv.write_csv(table, stream)
        else:
            pyarrow.parquet.write_table(table, stream, compression="zstd")


def ending_of(folder: Path) -> str:
    """`csv` for a directory whose name ends so, else `parquet`."""
    return "csv" if folder.suffix.lower() == ".csv" else "parquet"


@contextmanager
def open_output(folder: Path, asked: Manifest) -> Iterator[Output]:
    """The output directory, which nobody else writes to meanwhile; made if it is not there.

    What it holds of the same table, version and settings is gone on from.

    Raises:
        ParameterError: it is an address, a file, or a directory of something else; it holds scores
            of another table or version; or another process writes to it.
        DataError: it cannot be written to.
    """
    if "://" in str(folder) or ":/" in str(folder):
        raise ParameterError(
            f"output={str(folder)!r} is an address. Name a directory here, and copy it then."
        )
    if folder.exists() and not folder.is_dir():
        raise ParameterError(
            f"output={str(folder)!r} is a file. Name a directory: the scores are written to it in "
            "parts."
        )
    with _writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
        handle = os.open(folder, os.O_RDONLY)
    try:
        _lock(handle, folder)
        found = Manifest.read(folder)
        if found is None and any(folder.iterdir()):
            raise ParameterError(
                f"output={str(folder)!r} holds files but no {MANIFEST_FILE}, so it is left alone. "
                "Choose another directory."
            )
        if found is None or not found.parts:
            # Before the first part: whenever a run is killed, the directory is known as its own.
            with _writing(folder):
                asked.write(folder)
            found = asked
        else:
            found.check_same(asked, folder)
        yield Output(folder, found)
    finally:
        os.close(handle)


def _lock(handle: int, folder: Path) -> None:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise ParameterError(
            f"output={str(folder)!r} is being written to by another process. Wait until it has "
            "ended, or choose another directory."
        ) from error


@contextmanager
def _writing(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise DataError(
            f"output={str(folder)!r} cannot be written to: {error.strerror or error}. What is "
            "there stays, and the same command goes on from it."
        ) from error


def _gone(folder: Path, path: Path, what: str) -> DataError:
    return DataError(
        f"{path}: a part of the scores that the manifest names is gone or damaged ({what}). "
        f"Delete {folder}, and score anew."
    )
