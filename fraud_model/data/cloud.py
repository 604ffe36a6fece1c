"""Fetches files from object stores: s3://, gs://, abfss://."""

from __future__ import annotations

import re
from pathlib import Path, PurePosixPath
from urllib.parse import parse_qsl, urlencode

import pyarrow
from pyarrow import fs

from fraud_model.data.content import first_line
from fraud_model.errors import DataError, DownloadError

SCHEMES = ("s3://", "gs://", "gcs://", "abfs://", "abfss://")
# Arrow asks Google's store again and again for 15 minutes.
PATIENCE = {"gs": {"retry_limit_seconds": "15"}, "gcs": {"retry_limit_seconds": "15"}}
# A user of this name in the address of Amazon's or Google's store has no credentials.
ANONYMOUS = "anonymous@"
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
        DataError: nothing is there, or the store refuses or does not answer.
    """
    place = _without_secrets(uri.partition("?")[0])
    try:
        return _fetched(uri, place, folder), place
    except (pyarrow.ArrowException, OSError, ValueError) as error:
        if isinstance(error, OSError) and error.filename:
            raise DownloadError(
                f"{error.filename} cannot be written: {error.strerror}. Free disk space."
            ) from error
        raise DataError(f"{place}: {_reason(error, place)}.") from error


def _fetched(uri: str, place: str, folder: Path) -> Path:
    address, _, options = uri.partition("?")
    scheme = address.partition("://")[0]
    options = urlencode({**PATIENCE.get(scheme, {}), **dict(parse_qsl(options))})
    before, star, _ = address.partition("*")
    # A pattern is no URI: the store is asked for the folder in front of it.
    base = before.rpartition("/")[0] if star else address.rstrip("/")
    store, path = fs.FileSystem.from_uri(base + (f"?{options}" if options else ""))
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
        raise DataError(f"{place}: no such file or folder. Check the address.")
    for file in files:
        target = folder / PurePosixPath(file).relative_to(path)
        target.parent.mkdir(parents=True, exist_ok=True)
        fs.copy_files(file, str(target), source_filesystem=store)
    return local


def _listed(store: fs.FileSystem, path: str, *, recursive: bool) -> list[str]:
    found = store.get_file_info(fs.FileSelector(path, allow_not_found=True, recursive=recursive))
    return [info.path for info in found if info.type == fs.FileType.File]


def _reason(error: Exception, place: str) -> str:
    text = " ".join(str(error).split())
    for pattern, words in REASONS.items():
        if re.search(pattern, text, re.IGNORECASE):
            return f"{words}. {_about_credentials(place)}" if pattern == REFUSED else words
    return _without_secrets(first_line(error))


def _about_credentials(place: str) -> str:
    scheme, _, address = place.partition("://")
    if address.startswith(ANONYMOUS):
        return f"It is not public, or not there: with credentials, leave {ANONYMOUS} out"
    public = (
        f"{place}?credential_kind=anonymous"
        if scheme.startswith("abfs")
        else f"{scheme}://{ANONYMOUS}{address}"
    )
    return (
        "Check the credentials, which come from the environment as for the store's own tools, and "
        f"what they may read. If it is public, read it without credentials: -P data={public}"
    )


def _without_secrets(text: str) -> str:
    # What stands before @ without a colon is a container of Azure.
    return re.sub(r"//[^@]*:[^@]*@", "//", text)
