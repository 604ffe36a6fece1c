"""Downloads files over HTTP, resumed and checked; knows the addresses of the real data.

A transfer is written to `<target>.part`, which replaces the target in one step once its size and
SHA-256 are as expected. Until then an earlier target stays as it was.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import sys
import time
import zipfile
import zlib
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Literal, get_args

import requests
from requests.auth import AuthBase, HTTPBasicAuth
from requests.exceptions import ChunkedEncodingError
from tqdm import tqdm
from urllib3 import exceptions

from fraud_model.errors import DownloadError, ParameterError

MIRROR_URL = "https://storage.googleapis.com/download.tensorflow.org/data/creditcard.csv"
KAGGLE_HOST = "https://www.kaggle.com"
KAGGLE_PATH = "/api/v1/datasets/download/mlg-ulb/creditcardfraud/creditcard.csv"

Source = Literal["mirror", "kaggle"]

ATTEMPTS = 5
FIRST_PAUSE_SECONDS = 0.5
CONNECT_SECONDS = 15.0
SILENCE_SECONDS = 60.0
CHUNK_BYTES = 1 << 16
TRANSIENT = frozenset({408, 425, 429, 500, 502, 503, 504})
REASONS = (
    (exceptions.ReadTimeoutError, "the server stopped answering"),
    (exceptions.NameResolutionError, "no such host, or no network"),
    (exceptions.NewConnectionError, "nothing answers at this host and port"),
    (exceptions.ConnectTimeoutError, "connecting took too long"),
    (exceptions.SSLError, "no TLS: its certificate or protocol was refused"),
    (exceptions.ProxyError, "the proxy refused, or cannot be reached"),
)


@dataclass(frozen=True)
class FileIdentity:
    """The size in bytes and the SHA-256, as hexadecimal digits, that a file must have."""

    bytes: int
    sha256: str

    @classmethod
    def of(cls, path: Path) -> FileIdentity:
        """Measures a file."""
        with path.open("rb") as stream:
            digest = hashlib.file_digest(stream, "sha256").hexdigest()
        return cls(path.stat().st_size, digest)

    def fits(self, path: Path) -> bool:
        """Whether `path` is this file; one of another size is not read."""
        return path.is_file() and path.stat().st_size == self.bytes and self.of(path) == self


class _Interrupted(Exception):
    """A transfer that broke and can be resumed."""


def parse_source(text: str) -> Source:
    """Reads the name of a source.

    Raises:
        ParameterError: it is neither mirror nor kaggle.
    """
    for source in get_args(Source):
        if text == source:
            return source  # type: ignore[no-any-return]
    raise ParameterError(f"source={text!r} is invalid: expected mirror or kaggle.")


def creditcard_identity() -> FileIdentity:
    """Size and SHA-256 of the public creditcard.csv."""
    figures = json.loads((files("fraud_model.data") / "creditcard_figures.json").read_text())
    return FileIdentity(figures["full_data"]["bytes"], figures["full_data"]["sha256"])


def download_creditcard(target: Path, source: Source) -> Path:
    """Fetches the real transactions to `target`, unless they are there already.

    KAGGLE_API_ENDPOINT names another host for Kaggle's API, as in Kaggle's own client.

    Raises:
        DownloadError: the credentials are missing or refused, the transfer fails, or the file is
            not the public one.
    """
    expected = creditcard_identity()
    if source == "mirror" or expected.fits(target):
        return fetch(MIRROR_URL, target, expected=expected)
    host = os.environ.get("KAGGLE_API_ENDPOINT") or KAGGLE_HOST
    url = host.rstrip("/") + KAGGLE_PATH
    return fetch(url, target, auth=_kaggle_credentials(), expected=expected)


def fetch(
    url: str, target: Path, *, auth: AuthBase | None = None, expected: FileIdentity | None = None
) -> Path:
    """Fetches `url` to `target`, resuming a transfer that broke; returns `target`.

    A zip that holds one file is unpacked. requests drops the credentials if a redirect leads to
    another host or port.

    Raises:
        DownloadError: the transfer fails, or the file is not the expected one.
    """
    part = target.with_name(target.name + ".part")
    try:
        if expected and expected.fits(target):
            print(f"{target}: already there, checksum correct")
            return target
        if target.is_dir():
            raise DownloadError(f"{target} is a folder. Name a file.")
        target.parent.mkdir(parents=True, exist_ok=True)
        if not (expected and expected.fits(part)):
            _transfer_patiently(url, part, auth)
            _unzip(url, part)
            if expected:
                _check(url, part, expected)
        part.replace(target)
        _validator(part).unlink(missing_ok=True)
    except requests.RequestException as error:
        raise DownloadError(f"{public(url)}: {_reason(error)}. Check the address.") from error
    except OSError as error:
        raise DownloadError(
            f"{error.filename or part} cannot be written: {error.strerror or error}. "
            "Free disk space or choose another path."
        ) from error
    return target


def public(url: str) -> str:
    """A URL without user name, password, query and fragment, fit for a message."""
    # Without a parser, which would refuse some of the addresses that messages show.
    return re.sub(r"^((?:[^/@:]+:)?/*)[^/]*@", r"\1", re.split("[?#]", url, maxsplit=1)[0])


def _transfer_patiently(url: str, part: Path, auth: AuthBase | None) -> None:
    for attempt in range(1, ATTEMPTS + 1):
        try:
            _transfer(url, part, auth)
            return
        except (_Interrupted, requests.ConnectionError, requests.Timeout) as error:
            if attempt == ATTEMPTS:
                raise DownloadError(
                    f"{public(url)}: gave up after {ATTEMPTS} attempts ({_reason(error)}). "
                    "Run the command again to resume."
                ) from error
            time.sleep(FIRST_PAUSE_SECONDS * 2 ** (attempt - 1))


def _transfer(url: str, part: Path, auth: AuthBase | None) -> None:
    have = part.stat().st_size if part.exists() else 0
    stored = _validator(part).read_text() if have and _validator(part).exists() else ""
    headers = {"Accept-Encoding": "identity"}
    if stored:
        # If-Range: the server sends the rest of the same file, or all of a changed one.
        headers |= {"Range": f"bytes={have}-", "If-Range": stored}
    with requests.get(
        url, auth=auth, headers=headers, stream=True, timeout=(CONNECT_SECONDS, SILENCE_SECONDS)
    ) as answer:
        status = answer.status_code
        if status == 416 or (status == 206 and not _continues(answer, have, stored)):
            part.unlink(missing_ok=True)
            raise _Interrupted("the partial file did not fit; started again")
        _check_status(url, answer, with_credentials=auth is not None)
        if status != 206:
            have = 0
            # Before the validator: a new one beside old bytes would splice two files.
            part.unlink(missing_ok=True)
            _validator(part).write_text(_validator_in(answer))
        _receive(answer, part, have)


def _continues(answer: requests.Response, have: int, stored: str) -> bool:
    # Some servers know Range but not If-Range, or send another range than the one asked for.
    start = answer.headers.get("Content-Range", "").removeprefix("bytes ").partition("-")[0]
    return start == str(have) and _validator_in(answer) in ("", stored)


def _receive(answer: requests.Response, part: Path, have: int) -> None:
    length = answer.headers.get("Content-Length", "")
    total = have + int(length) if length.isdecimal() else None
    # A log keeps every line: there, one in ten seconds is enough.
    pause = 0.1 if sys.stderr.isatty() else 10
    with (
        part.open("ab") as stream,
        tqdm(
            desc=part.stem, total=total, initial=have, unit="B", unit_scale=True, mininterval=pause
        ) as progress,
    ):
        try:
            for chunk in answer.iter_content(CHUNK_BYTES):
                stream.write(chunk)
                progress.update(len(chunk))
        except (ChunkedEncodingError, requests.ConnectionError) as error:
            raise _Interrupted(_reason(error)) from error


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
            + (" and whether it may be read without a login." if status in (401, 403) else ".")
        )


def _check(url: str, part: Path, expected: FileIdentity) -> None:
    found = FileIdentity.of(part)
    if found != expected:
        _remove(part)
        raise DownloadError(
            f"{public(url)}: the file has {found.bytes:,} bytes and SHA-256 {found.sha256[:12]}…, "
            f"not {expected.bytes:,} and {expected.sha256[:12]}…: another file, or a damaged one. "
            "It was removed. Fetch it again, or from the other source."
        )


def _unzip(url: str, part: Path) -> None:
    if not zipfile.is_zipfile(part):
        return
    unpacked = part.with_name(part.name + ".unzipped")
    try:
        with zipfile.ZipFile(part) as packed:
            members = [member for member in packed.infolist() if not member.is_dir()]
            if len(members) != 1:
                return
            with packed.open(members[0]) as source, unpacked.open("wb") as stream:
                shutil.copyfileobj(source, stream)
        # The validator is the zip's: the unpacked file cannot be resumed with it.
        _validator(part).unlink(missing_ok=True)
        unpacked.replace(part)
    except (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError) as error:
        _remove(part)
        raise DownloadError(
            f"{public(url)}: the zip cannot be unpacked ({error}). It was removed. Fetch it again."
        ) from error
    finally:
        unpacked.unlink(missing_ok=True)


def _kaggle_credentials() -> AuthBase:
    user, key = os.environ.get("KAGGLE_USERNAME"), os.environ.get("KAGGLE_KEY")
    if not user or not key:
        raise DownloadError(
            "kaggle: KAGGLE_USERNAME and KAGGLE_KEY are not both set. Make a token at "
            "kaggle.com/settings and set them; or use source=mirror, which needs no account."
        )
    # requests would encode text as Latin-1, and stop at a character outside it.
    return HTTPBasicAuth(user.encode(), key.encode())


def _validator(part: Path) -> Path:
    return part.with_name(part.name + ".etag")


def _remove(part: Path) -> None:
    part.unlink()
    _validator(part).unlink(missing_ok=True)


def _validator_in(answer: requests.Response) -> str:
    """The value for If-Range; empty if a later range would not continue the partial file."""
    if answer.headers.get("Content-Encoding", "identity") != "identity":
        return ""
    tag = answer.headers.get("ETag", "")
    return tag if tag and not tag.startswith("W/") else answer.headers.get("Last-Modified", "")


def _reason(error: Exception) -> str:
    # By type, because the text of these errors repeats the URL with its secrets.
    if isinstance(error, _Interrupted):
        return str(error)
    if isinstance(error, requests.ConnectionError | requests.Timeout | ChunkedEncodingError):
        cause = getattr(error.args[0], "reason", error.args[0]) if error.args else None
        words = (words for kind, words in REASONS if isinstance(cause, kind))
        return next(words, "the connection broke")
    return type(error).__name__
