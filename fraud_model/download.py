"""Fetches files over HTTP whole, unchanged and resumable; knows where the real data lies.

A transfer grows `<target>.part`. Only a file of the expected size and SHA-256 takes the target's
name, in one step; until then an earlier target stays as it was.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
import zipfile
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Literal, get_args
from urllib.parse import urlsplit, urlunsplit

import requests
from tqdm import tqdm

from fraud_model.errors import DownloadError, ParameterError

MIRROR_URL = "https://storage.googleapis.com/download.tensorflow.org/data/creditcard.csv"
KAGGLE_URL = (
    "https://www.kaggle.com/api/v1/datasets/download/mlg-ulb/creditcardfraud/creditcard.csv"
)

Source = Literal["mirror", "kaggle"]
Auth = tuple[str, str]

ATTEMPTS = 5
FIRST_PAUSE_SECONDS = 0.5
CONNECT_SECONDS = 15.0
SILENCE_SECONDS = 60.0
CHUNK_BYTES = 1 << 16
TRANSIENT = frozenset({408, 425, 429, 500, 502, 503, 504})


@dataclass(frozen=True)
class FileIdentity:
    """What a file must be: its size in bytes and its SHA-256 as hexadecimal digits."""

    bytes: int
    sha256: str

    @classmethod
    def of(cls, path: Path) -> FileIdentity:
        """Measures a file."""
        with path.open("rb") as stream:
            digest = hashlib.file_digest(stream, "sha256").hexdigest()
        return cls(path.stat().st_size, digest)


class _Interrupted(Exception):
    """A transfer that broke and can be taken up again."""


def parse_source(text: str) -> Source:
    """Reads the name of a source.

    Raises:
        ParameterError: it is neither mirror nor kaggle.
    """
    for source in get_args(Source):
        if text == source:
            return source  # type: ignore[no-any-return]
    raise ParameterError(f"source={text!r}: it is mirror or kaggle.")


def creditcard_identity() -> FileIdentity:
    """Size and SHA-256 of the public creditcard.csv."""
    figures = json.loads((files("fraud_model") / "creditcard_figures.json").read_text())
    return FileIdentity(figures["full_data"]["bytes"], figures["full_data"]["sha256"])


def download_creditcard(target: Path, source: Source) -> Path:
    """Fetches the real transactions to `target`; nothing is done where they are there already.

    Raises:
        DownloadError: the credentials are missing or refused, the transfer fails, or what came is
            not the public file.
    """
    auth = _kaggle_credentials() if source == "kaggle" else None
    url = KAGGLE_URL if source == "kaggle" else MIRROR_URL
    return fetch(url, target, auth=auth, expected=creditcard_identity())


def fetch(
    url: str,
    target: Path,
    *,
    auth: Auth | None = None,
    expected: FileIdentity | None = None,
) -> Path:
    """Fetches `url` to `target`, resuming a transfer that broke; returns `target`.

    A server that answers with a zip of one file has it unpacked. requests drops the credentials
    where a redirect leads to another host.

    Raises:
        DownloadError: one line with the URL (without its secrets), what happened, and the mend.
    """
    if expected and target.exists() and FileIdentity.of(target) == expected:
        print(f"{target}: there already, checksum right")
        return target
    part = target.with_name(target.name + ".part")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        for attempt in range(1, ATTEMPTS + 1):
            try:
                _transfer(url, part, auth)
                break
            except (_Interrupted, requests.ConnectionError, requests.Timeout) as error:
                if attempt == ATTEMPTS:
                    raise DownloadError(
                        f"{public(url)}: gave up after {ATTEMPTS} attempts ({_reason(error)}). "
                        "Run it again to go on from where it stopped."
                    ) from error
                time.sleep(FIRST_PAUSE_SECONDS * 2 ** (attempt - 1))
        _unzip(part)
        _check(url, part, expected)
        part.replace(target)
    except requests.RequestException as error:
        raise DownloadError(f"{public(url)}: {_reason(error)}. Check the address.") from error
    except OSError as error:
        raise DownloadError(
            f"{error.filename or part}: cannot be written: {error.strerror or error}. "
            "Free the disk or name another place."
        ) from error
    _validator(part).unlink(missing_ok=True)
    return target


def public(url: str) -> str:
    """A URL without user name, password, query and fragment, fit for a message."""
    parts = urlsplit(url)
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))


def _transfer(url: str, part: Path, auth: Auth | None) -> None:
    have = part.stat().st_size if part.exists() else 0
    validator = _validator(part)
    headers = {"Accept-Encoding": "identity"}
    if have and validator.exists():
        # If-Range: the server sends the rest of the same file, or all of a changed one.
        headers |= {"Range": f"bytes={have}-", "If-Range": validator.read_text()}
    with requests.get(
        url, auth=auth, headers=headers, stream=True, timeout=(CONNECT_SECONDS, SILENCE_SECONDS)
    ) as answer:
        if answer.status_code == 416:
            # What is there is as long as the file or longer: only a new start can tell.
            part.unlink()
            raise _Interrupted("the partial file did not fit; started again")
        _check_status(url, answer, with_credentials=auth is not None)
        resumed = answer.status_code == 206
        if not resumed:
            have = 0
            _remember(validator, answer)
        _receive(answer, part, have)


def _receive(answer: requests.Response, part: Path, have: int) -> None:
    length = answer.headers.get("Content-Length")
    total = have + int(length) if length and length.isdecimal() else None
    with (
        part.open("ab" if have else "wb") as stream,
        tqdm(total=total, initial=have, unit="B", unit_scale=True, desc=part.stem) as progress,
    ):
        try:
            for chunk in answer.iter_content(CHUNK_BYTES):
                stream.write(chunk)
                progress.update(len(chunk))
        except (requests.exceptions.ChunkedEncodingError, requests.ConnectionError) as error:
            raise _Interrupted(_reason(error)) from error
    if total is not None and part.stat().st_size < total:
        raise _Interrupted(f"{part.stat().st_size:,} of {total:,} bytes came")


def _check_status(url: str, answer: requests.Response, *, with_credentials: bool) -> None:
    status = answer.status_code
    if status in TRANSIENT:
        raise _Interrupted(f"status {status}")
    if status in (401, 403) and with_credentials:
        raise DownloadError(
            f"{public(url)}: Kaggle refused the credentials (status {status}). Make a token at "
            "kaggle.com/settings, put it into KAGGLE_USERNAME and KAGGLE_KEY, and accept the "
            "data set's terms; or use source=mirror, which needs no account."
        )
    if not answer.ok:
        raise DownloadError(
            f"{public(url)}: the server answered {status} {answer.reason}. Check the address"
            + (" and who may read it." if status in (401, 403) else ".")
        )


def _check(url: str, part: Path, expected: FileIdentity | None) -> None:
    if expected is None:
        return
    found = FileIdentity.of(part)
    if found != expected:
        part.unlink()
        _validator(part).unlink(missing_ok=True)
        raise DownloadError(
            f"{public(url)}: what came has {found.bytes:,} bytes and SHA-256 {found.sha256[:12]}…, "
            f"not {expected.bytes:,} and {expected.sha256[:12]}…: another file, or a damaged one. "
            "It was removed; fetch it again, or from the other source."
        )


def _unzip(part: Path) -> None:
    if not zipfile.is_zipfile(part):
        return
    with zipfile.ZipFile(part) as packed:
        names = [name for name in packed.namelist() if not name.endswith("/")]
        if len(names) != 1:
            return
        unpacked = Path(packed.extract(names[0], part.parent / f"{part.name}.unzipped"))
    unpacked.replace(part)
    unpacked.parent.rmdir()


def _kaggle_credentials() -> Auth:
    user, key = os.environ.get("KAGGLE_USERNAME"), os.environ.get("KAGGLE_KEY")
    if not user or not key:
        raise DownloadError(
            "kaggle: KAGGLE_USERNAME and KAGGLE_KEY are not both set. Make a token at "
            "kaggle.com/settings and set them; or use source=mirror, which needs no account."
        )
    return user, key


def _validator(part: Path) -> Path:
    return part.with_name(part.name + ".etag")


def _remember(validator: Path, answer: requests.Response) -> None:
    tag = answer.headers.get("ETag", "")
    strong = tag if tag and not tag.startswith("W/") else answer.headers.get("Last-Modified")
    if strong:
        validator.write_text(strong)
    else:
        validator.unlink(missing_ok=True)


def _reason(error: Exception) -> str:
    if isinstance(error, requests.Timeout):
        return "the server did not answer in time"
    if isinstance(error, requests.ConnectionError | requests.exceptions.ChunkedEncodingError):
        return "the connection broke, or was not to be had"
    return str(error) if isinstance(error, _Interrupted) else type(error).__name__
