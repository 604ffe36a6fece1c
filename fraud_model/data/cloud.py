"""Fetches files from object stores, and puts one there: s3://, gs://, abfss://."""

from __future__ import annotations

import re
from pathlib import Path, PurePosixPath
from urllib.parse import parse_qsl, urlencode

import pyarrow
from pyarrow import fs

from fraud_model.data.content import first_line
from fraud_model.errors import DataError, DownloadError, NothingThere

AZURE = ("abfs://", "abfss://")
SCHEMES = ("s3://", "gs://", "gcs://", *AZURE)
# Arrow asks Google's store again and again for 15 minutes.
PATIENCE = {"gs": {"retry_limit_seconds": "15"}, "gcs": {"retry_limit_seconds": "15"}}
# A user of this name in the address of Amazon's or Google's store has no credentials.
ANONYMOUS = "anonymous@"
CREDENTIALS = (
    "Check the credentials, which come from the environment as for the store's own tools, and what "
    "they may"
)
REFUSED = (
    "ACCESS_DENIED|HTTP status 40[13]|PERMISSION_DENIED|INVALID_?ACCESS_?KEY_?ID|"
    "SIGNATURE_?DOES_?NOT_?MATCH|Unauthenticated|Authentication|Failed to get token"
)
SILENT = "NETWORK_CONNECTION|curlCode|Could not connect|resolve host|UNAVAILABLE|timed out|TIMEOUT"
ABSENT = "NO_SUCH_BUCKET|HTTP status 404|NOT_FOUND|not found|does not exist"
REASONS = {
    REFUSED: "access is refused",
    SILENT: "the store does not answer. Check the network, and the store's address",
    ABSENT: "no such bucket or file. Check the address",
}


def fetch_objects(uri: str, folder: Path) -> tuple[Path, str]:
    """Fetches a file, all files of a folder, or those that fit a pattern with `*`, to `folder`.

    Credentials, region and endpoint come from the environment, as the store's own tools take
    them, or from the URI, as pyarrow takes them; `s3://anonymous@bucket` uses none.
    Returns the local counterpart of the URI, and what messages call it.

    Raises:
        NothingThere: the store holds nothing there.
        DataError: the store refuses or does not answer.
    """
    place = _place(uri)
    try:
        return _fetched(uri, place, folder), place
    except (pyarrow.ArrowException, OSError, ValueError) as error:
        if isinstance(error, OSError) and error.filename:
            raise DownloadError(
                f"{error.filename} cannot be written: {error.strerror}. Free disk space."
            ) from error
        raise DataError(f"{place}: {_reason(error, _without_credentials(place))}.") from error


def put_object(file: Path, uri: str) -> None:
    """Puts a file at an address of an object store, with credentials as `fetch_objects` has them.

    Amazon's and Google's stores show it once all of it is there; Azure's empties what was there
    first.

    Raises:
        DataError: the store refuses or does not answer.
    """
    place = _place(uri)
    try:
        store, path = _opened(uri)
        # copy_files ignores what fails when the target is closed. One write, because a signal
        # between two would close it, and put what is written so far.
        with (
            pyarrow.memory_map(str(file)) as source,
            store.open_output_stream(path, compression=None) as target,
        ):
            target.write(source.read_buffer())
    except (pyarrow.ArrowException, OSError, ValueError) as error:
        reason = _reason(error, f"{CREDENTIALS} write")
        raise DataError(f"{place} cannot be written: {reason}.") from error


def without_secrets(uri: str) -> str:
    """An address as it may be printed and recorded: without user and password, and on Azure
    without options, which may hold a key."""
    if uri.startswith(AZURE):
        uri = uri.partition("?")[0]
    # What stands before @ without a colon is a container of Azure.
    return re.sub(r"//[^@]*:[^@]*@", "//", uri)


def _place(uri: str) -> str:
    return without_secrets(uri.partition("?")[0])


def _opened(uri: str) -> tuple[fs.FileSystem, str]:
    """The store of an address, and the path in it."""
    address, _, options = uri.partition("?")
    patience = PATIENCE.get(address.partition("://")[0], {})
    options = urlencode({**patience, **dict(parse_qsl(options))})
    store, path = fs.FileSystem.from_uri(address + (f"?{options}" if options else ""))
    return store, path


def _fetched(uri: str, place: str, folder: Path) -> Path:
    address, mark, options = uri.partition("?")
    before, star, _ = address.partition("*")
    # A pattern is no URI: the store is asked for the folder in front of it.
    base = before.rpartition("/")[0] if star else address.rstrip("/")
    store, path = _opened(base + mark + options)
    if star:
        pattern = path + address[len(base) :]
        deep = "*" in pattern.rpartition("/")[0]
        files = [
            file
            for file in _listed(store, path, recursive=deep)
            if PurePosixPath(file).match(pattern)
            and len(PurePosixPath(file).parts) == len(PurePosixPath(pattern).parts)
        ]
        local = folder / address[len(base) :].lstrip("/")
    else:
        kind = store.get_file_info(path).type
        files = [path] if kind == fs.FileType.File else []
        if kind == fs.FileType.Directory:
            files = _listed(store, path, recursive=True)
        local = folder if kind == fs.FileType.Directory else folder / PurePosixPath(path).name
        path = path if kind == fs.FileType.Directory else path.rpartition("/")[0]
    if not files:
        raise NothingThere(f"{place}: no such file or folder. Check the address.")
    for file in files:
        target = folder / PurePosixPath(file).relative_to(path)
        target.parent.mkdir(parents=True, exist_ok=True)
        fs.copy_files(file, str(target), source_filesystem=store)
    return local


def _listed(store: fs.FileSystem, path: str, *, recursive: bool) -> list[str]:
    found = store.get_file_info(fs.FileSelector(path, allow_not_found=True, recursive=recursive))
    return [info.path for info in found if info.type == fs.FileType.File]


def _reason(error: Exception, about_credentials: str) -> str:
    text = " ".join(str(error).split())
    for pattern, words in REASONS.items():
        if re.search(pattern, text, re.IGNORECASE):
            return f"{words}. {about_credentials}" if pattern == REFUSED else words
    return without_secrets(first_line(error))


def _without_credentials(place: str) -> str:
    scheme, _, address = place.partition("://")
    if address.startswith(ANONYMOUS):
        return f"It is not public, or not there: with credentials, leave {ANONYMOUS} out"
    public = (
        f"{place}?credential_kind=anonymous"
        if place.startswith(AZURE)
        else f"{scheme}://{ANONYMOUS}{address}"
    )
    return f"{CREDENTIALS} read. If it is public, read it without credentials: {public}"
