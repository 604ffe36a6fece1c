"""Callers are known by name, and the file of their tokens may change."""

from __future__ import annotations

import logging
import os
from pathlib import Path

import pytest

from fraud_model.errors import ParameterError
from fraud_model.serving import tokens
from fraud_model.serving.settings import Settings
from fraud_model.serving.tokens import Tokens


def known(path: Path, single: str = "") -> Tokens:
    found = Tokens.of(Settings(api_token=single, api_tokens_file=str(path)))
    assert found
    return found


def name(tokens: Tokens, token: str) -> str | None:
    return tokens.name_of(f"Bearer {token}".encode())


def test_a_name_has_two_tokens_while_it_changes_over_and_api_token_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(tokens, "RECHECK_SECONDS", -1.0)
    path = tmp_path / "tokens"
    path.write_text("# analysts\nalice old\n\nbob other\n")
    callers = known(path, "single")
    assert [name(callers, it) for it in ("old", "other", "single", "new", "")] == [
        *("alice", "bob", "API_TOKEN"),
        *(None, None),
    ]
    path.write_text("alice old\nalice new\n")
    assert [name(callers, it) for it in ("old", "new", "other")] == ["alice", "alice", None]
    path.write_text("alice new\n")
    assert [name(callers, it) for it in ("old", "new", "single")] == [None, "alice", "API_TOKEN"]
    # A change that cannot be used is none, and is told once.
    caplog.set_level(logging.ERROR)
    for broken in ("alice\n", None):
        path.unlink() if broken is None else path.write_text(broken)
        caplog.clear()
        assert [name(callers, it) for it in ("new", "alice", "new")] == ["alice", None, "alice"]
        (said,) = caplog.messages
        assert str(path) in said
        assert "still hold" in said
    path.write_text("carol newest\n")
    assert [name(callers, it) for it in ("new", "newest")] == [None, "carol"]


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("alice s3cret\nbob\n", "line 2: expected a name"),
        ("alice s3cret more\n", "line 1: expected a name"),
        ("al/ice s3cret\n", "line 1: expected a name"),
        ("alice s3crét\n", "line 1: expected a name"),
        ("# nobody\n", "no token"),
        ("alice s3cret\nbob s3cret\n", "alice and bob have the same token"),
        ("alice a\nalice b\nalice c\n", "alice has 3 tokens"),
        ("alice single\n", "API_TOKEN and alice have the same token"),
        (b"alice \xff\n", "not UTF-8"),
        (None, "cannot be read"),
    ],
)
def test_a_file_that_cannot_be_used_ends_the_start(
    tmp_path: Path, content: str | bytes | None, told: str
) -> None:
    path = tmp_path / "tokens"
    if content is not None:
        path.write_bytes(content.encode() if isinstance(content, str) else content)
    with pytest.raises(ParameterError, match=told) as refused:
        known(path, "single")
    assert f"API_TOKENS_FILE={path}" in str(refused.value)
    assert "s3cr" not in str(refused.value)


def test_without_tokens_everybody_may_call() -> None:
    assert Tokens.of(Settings.from_environment(dict.fromkeys(os.environ, ""))) is None
