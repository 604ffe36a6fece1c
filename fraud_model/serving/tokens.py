"""Who calls: bearer tokens by name, from API_TOKEN and from a file that may change."""

from __future__ import annotations

import hashlib
import logging
import re
import time
from collections import Counter
from pathlib import Path

from fraud_model.errors import ParameterError
from fraud_model.serving.settings import Settings

log = logging.getLogger("fraud_model.serving")

# The name of the token that API_TOKEN holds.
SINGLE = "API_TOKEN"
NAME = re.compile(r"[A-Za-z0-9._@+-]{1,64}")
TOKEN = re.compile(r"[\x21-\x7e]+")
# The old one and the new one, while clients change over.
MOST_FOR_A_NAME = 2
RECHECK_SECONDS = 1.0


class Tokens:
    """Knows callers by the header `Authorization`.

    The file has a name and a token on each line. It is looked at again at most once a second; one
    that cannot be used leaves the tokens as they are, and the log says why.

    Raises:
        ParameterError: the file cannot be used at the start.
    """

    def __init__(self, single: str, path: Path | None) -> None:
        self._single = single
        self._path = path
        self._seen = self._stamp()
        self._names = self._read()
        self._checked = time.monotonic()

    @classmethod
    def of(cls, settings: Settings) -> Tokens | None:
        """The tokens of these settings; None where everybody may call."""
        if not settings.wants_token:
            return None
        return cls(
            settings.api_token,
            Path(settings.api_tokens_file) if settings.api_tokens_file else None,
        )

    def name_of(self, authorization: bytes) -> str | None:
        """The name of the token in a header; None for a token that is not known."""
        if self._path and time.monotonic() > self._checked + RECHECK_SECONDS:
            self._check_file()
        # The time that a lookup takes tells of the digest, not of the token.
        return self._names.get(_digest(authorization))

    def _check_file(self) -> None:
        self._checked = time.monotonic()
        stamp = self._stamp()
        if stamp == self._seen:
            return
        self._seen = stamp
        try:
            self._names = self._read()
        except ParameterError as error:
            log.error("%s The tokens from before still hold.", error)
        else:
            log.info("read %d tokens in API_TOKENS_FILE=%s", len(self._names), self._path)

    def _stamp(self) -> tuple[int, ...] | None:
        if self._path is None:
            return None
        try:
            found = self._path.stat()
        except OSError:
            return None
        return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns

    def _read(self) -> dict[bytes, str]:
        """The names by the digest of the header that they are known by."""
        pairs = [(SINGLE, self._single)] if self._single else []
        if self._path:
            pairs += _pairs(self._path)
            _check_names(pairs, self._path)
        return {_digest(f"Bearer {token}".encode()): name for name, token in pairs}


def _digest(authorization: bytes) -> bytes:
    return hashlib.sha256(authorization).digest()


def _pairs(path: Path) -> list[tuple[str, str]]:
    """The names and tokens of a file. No message holds a token."""
    where = f"API_TOKENS_FILE={path}"
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise ParameterError(f"{where} cannot be read: {reason}.") from error
    pairs = []
    for number, line in enumerate(lines, start=1):
        words = line.split()
        if not words or words[0].startswith("#"):
            continue
        if len(words) != 2 or not NAME.fullmatch(words[0]) or not TOKEN.fullmatch(words[1]):
            raise ParameterError(
                f"{where}, line {number}: expected a name (letters, digits and . _ @ + -) and a "
                "token without spaces, with a space between."
            )
        pairs.append((words[0], words[1]))
    if not pairs:
        raise ParameterError(f"{where} holds no token: nobody could call.")
    return pairs


def _check_names(pairs: list[tuple[str, str]], path: Path) -> None:
    names: dict[str, str] = {}
    for name, token in pairs:
        if token in names:
            raise ParameterError(
                f"API_TOKENS_FILE={path}: {names[token]} and {name} have the same token. Give each "
                "name a token of its own, once."
            )
        names[token] = name
    name, tokens = Counter(names.values()).most_common(1)[0]
    if tokens > MOST_FOR_A_NAME:
        raise ParameterError(
            f"API_TOKENS_FILE={path}: {name} has {tokens} tokens; a name may have "
            f"{MOST_FOR_A_NAME}, the old one and the new one. Remove those that are not used."
        )
