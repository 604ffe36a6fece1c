"""A download ends whole and unchanged under its name, or leaves the name alone and says why."""

from __future__ import annotations

import gzip
import io
import os
import resource
import signal
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from fraud_model.data import download
from fraud_model.data.download import FileIdentity, download_creditcard, fetch, parse_source
from fraud_model.errors import DownloadError, ParameterError
from tests.support.environment import REPOSITORY
from tests.support.file_server import FileHost
from tests.support.waiting import wait_until

CONTENT = bytes(range(256)) * 4_000
CHUNK = download.CHUNK_BYTES


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(download, "FIRST_PAUSE_SECONDS", 0.01)
    monkeypatch.setattr(download, "SILENCE_SECONDS", 1.0)


def zip_of(name: str, content: bytes = CONTENT) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr(name, content)
    return packed.getvalue()


def command_line(*arguments: str, **environment: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "entrypoints.download", *arguments],
        cwd=REPOSITORY,
        env={**os.environ, "KAGGLE_USERNAME": "me", "KAGGLE_KEY": "topsecret", **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@contextmanager
def files_no_larger_than(size: int) -> Iterator[None]:
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


@pytest.fixture
def host() -> FileHost:
    return FileHost(CONTENT)


@pytest.fixture
def expected(tmp_path: Path) -> FileIdentity:
    (tmp_path / "right").write_bytes(CONTENT)
    return FileIdentity.of(tmp_path / "right")


def test_a_file_comes_whole_and_a_second_call_asks_nothing(
    host: FileHost, tmp_path: Path, expected: FileIdentity, capsys: pytest.CaptureFixture[str]
) -> None:
    target = tmp_path / "new" / "creditcard.csv"
    with host.serve() as url:
        fetch(url, target, expected=expected)
        fetch(url, target, expected=expected)
    assert target.read_bytes() == CONTENT
    assert len(host.requests) == 1
    assert [path.name for path in target.parent.iterdir()] == ["creditcard.csv"]
    assert "already there" in capsys.readouterr().out


def test_a_broken_transfer_goes_on_where_it_stopped(
    host: FileHost, tmp_path: Path, expected: FileIdentity
) -> None:
    host.breaks = [3 * CHUNK, 2 * CHUNK + 100]
    with host.serve() as url:
        fetch(url, tmp_path / "t.csv", expected=expected)
    assert (tmp_path / "t.csv").read_bytes() == CONTENT
    ranges = [headers.get("Range") for _, headers in host.requests]
    assert ranges == [None, f"bytes={3 * CHUNK}-", f"bytes={5 * CHUNK}-"]


def test_a_transfer_given_up_is_taken_up_by_the_next_call(
    host: FileHost, tmp_path: Path, expected: FileIdentity
) -> None:
    host.breaks = [CHUNK] * download.ATTEMPTS
    with host.serve() as url:
        with pytest.raises(DownloadError, match=r"gave up after 5 attempts"):
            fetch(url, tmp_path / "t.csv", expected=expected)
        assert not (tmp_path / "t.csv").exists()
        fetch(url, tmp_path / "t.csv", expected=expected)
    assert (tmp_path / "t.csv").read_bytes() == CONTENT
    assert host.requests[-1][1]["Range"] == f"bytes={5 * CHUNK}-"


@pytest.mark.parametrize("ranges", [True, False])
def test_a_file_that_changed_meanwhile_is_not_spliced(
    host: FileHost, tmp_path: Path, ranges: bool
) -> None:
    host.breaks = [CHUNK] * download.ATTEMPTS
    host.ranges = ranges
    with host.serve() as url:
        with pytest.raises(DownloadError):
            fetch(url, tmp_path / "t.csv")
        host.content, host.etag = CONTENT[::-1], '"v2"'
        fetch(url, tmp_path / "t.csv")
    assert (tmp_path / "t.csv").read_bytes() == CONTENT[::-1]
    # If-Range brings the changed file with the first answer.
    assert len(host.requests) == download.ATTEMPTS + 1


@pytest.mark.parametrize("shift", [0, -500])
def test_a_range_that_does_not_continue_the_partial_file_is_not_spliced(
    host: FileHost, tmp_path: Path, shift: int
) -> None:
    (tmp_path / "t.csv.part").write_bytes(CONTENT[:1_000])
    (tmp_path / "t.csv.part.etag").write_text('"v1"')
    host.range_shift = shift
    if not shift:
        host.heeds_if_range = False
        host.content, host.etag = CONTENT[::-1], '"v2"'
    with host.serve() as url:
        fetch(url, tmp_path / "t.csv")
    assert (tmp_path / "t.csv").read_bytes() == host.content
    assert len(host.requests) == 2


def test_a_compressed_transfer_that_broke_is_started_again(host: FileHost, tmp_path: Path) -> None:
    host.content = gzip.compress(CONTENT, 0)
    host.headers = {"Content-Encoding": "gzip"}
    host.breaks = [3 * CHUNK]
    with host.serve() as url:
        fetch(url, tmp_path / "t.csv")
    assert (tmp_path / "t.csv").read_bytes() == CONTENT


def test_a_whole_partial_file_only_needs_its_name(
    host: FileHost, tmp_path: Path, expected: FileIdentity
) -> None:
    (tmp_path / "t.csv.part").write_bytes(CONTENT)
    (tmp_path / "t.csv.part.etag").write_text('"v1"')
    with host.serve() as url:
        fetch(url, tmp_path / "t.csv", expected=expected)
    assert host.requests == []
    assert {path.name for path in tmp_path.iterdir()} == {"t.csv", "right"}


def test_a_partial_file_longer_than_the_file_is_started_again(
    host: FileHost, tmp_path: Path, expected: FileIdentity
) -> None:
    (tmp_path / "t.csv.part").write_bytes(CONTENT + b"more")
    (tmp_path / "t.csv.part.etag").write_text('"v1"')
    with host.serve() as url:
        fetch(url, tmp_path / "t.csv", expected=expected)
    assert (tmp_path / "t.csv").read_bytes() == CONTENT


@pytest.mark.parametrize("content", [CONTENT[:-1] + b"x", CONTENT[: len(CONTENT) // 2], b""])
def test_another_file_is_refused_and_the_earlier_one_stays(
    host: FileHost, tmp_path: Path, expected: FileIdentity, content: bytes
) -> None:
    target = tmp_path / "t.csv"
    target.write_bytes(b"earlier")
    host.content = content
    with host.serve() as url, pytest.raises(DownloadError, match="another file, or a damaged one"):
        fetch(url, target, expected=expected)
    assert target.read_bytes() == b"earlier"
    assert {path.name for path in tmp_path.iterdir()} == {"t.csv", "right"}


def test_a_busy_server_is_asked_again(host: FileHost, tmp_path: Path) -> None:
    host.statuses = [503, 429]
    with host.serve() as url:
        fetch(url, tmp_path / "t.csv")
    assert (tmp_path / "t.csv").read_bytes() == CONTENT


@pytest.mark.parametrize("url", ["http://me:secret@[::1/x?k=secret", "me:secret@host/x"])
def test_an_address_that_is_none_is_refused_without_its_secrets(url: str, tmp_path: Path) -> None:
    with pytest.raises(DownloadError, match="Check the address") as refusal:
        fetch(url, tmp_path / "t.csv")
    assert "secret" not in str(refusal.value)


@pytest.mark.parametrize(("status", "word"), [(404, "answered 404"), (401, "without a login")])
def test_a_refusal_names_the_address_without_its_secrets(
    host: FileHost, tmp_path: Path, status: int, word: str
) -> None:
    host.statuses = [status]
    with host.serve() as url, pytest.raises(DownloadError, match=word) as refusal:
        fetch(url.replace("//", "//me:secret@") + "?token=secret", tmp_path / "t.csv")
    assert f"{url}: " in str(refusal.value)
    assert "secret" not in str(refusal.value)
    assert len(host.requests) == 1
    assert not list(tmp_path.iterdir())


def test_a_slow_server_is_waited_for(
    host: FileHost, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(download, "SILENCE_SECONDS", 0.5)
    host.pause_per_chunk = 0.02
    with host.serve() as url:
        fetch(url, tmp_path / "t.csv")
    assert (tmp_path / "t.csv").read_bytes() == CONTENT
    assert len(host.requests) == 1


def test_a_silent_server_is_not(
    host: FileHost, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(download, "SILENCE_SECONDS", 0.2)
    monkeypatch.setattr(download, "ATTEMPTS", 2)
    host.silent = True
    with (
        host.serve() as url,
        pytest.raises(DownloadError, match=r"after 2 attempts \(the server stopped answering\)"),
    ):
        fetch(url, tmp_path / "t.csv")


@pytest.mark.parametrize(
    ("url", "word"),
    [("http://nowhere.invalid/t.csv", "no such host"), (None, "nothing answers at this host")],
)
def test_nobody_there_is_said(tmp_path: Path, url: str | None, word: str) -> None:
    with FileHost(b"").serve() as closed:
        pass
    with pytest.raises(DownloadError, match=word):
        fetch(url or closed, tmp_path / "t.csv")


def test_a_place_that_cannot_be_written_is_named(host: FileHost, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / "folder").mkdir()
    with host.serve() as url:
        with pytest.raises(DownloadError, match=r"file cannot be written"):
            fetch(url, tmp_path / "file" / "t.csv")
        with pytest.raises(DownloadError, match="is a folder"):
            fetch(url, tmp_path / "folder")
    assert host.requests == []


def test_a_full_disk_is_named_and_what_came_is_kept(
    host: FileHost, tmp_path: Path, expected: FileIdentity
) -> None:
    target = tmp_path / "t.csv"
    with host.serve() as url:
        with (
            files_no_larger_than(3 * CHUNK),
            pytest.raises(DownloadError, match=r"t\.csv\.part cannot be written: .*disk space"),
        ):
            fetch(url, target, expected=expected)
        assert not target.exists()
        fetch(url, target, expected=expected)
    assert target.read_bytes() == CONTENT
    assert host.requests[-1][1]["Range"] == f"bytes={3 * CHUNK}-"


@pytest.mark.parametrize("name", ["creditcard.csv", "folder/creditcard.csv"])
def test_a_zip_of_the_file_is_unpacked(
    host: FileHost, tmp_path: Path, expected: FileIdentity, name: str
) -> None:
    host.content = zip_of(name)
    host.breaks = [3 * CHUNK]
    with host.serve() as url:
        fetch(url, tmp_path / "t.csv", expected=expected)
    assert (tmp_path / "t.csv").read_bytes() == CONTENT
    assert {path.name for path in tmp_path.iterdir()} == {"t.csv", "right"}


def test_a_damaged_zip_is_refused_and_removed(host: FileHost, tmp_path: Path) -> None:
    packed = bytearray(zip_of("creditcard.csv"))
    packed[len(packed) // 2] ^= 1
    host.content = bytes(packed)
    with host.serve() as url, pytest.raises(DownloadError, match="cannot be unpacked"):
        fetch(url, tmp_path / "t.csv")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["127.0.0.1", "localhost"])
def test_kaggle_is_asked_with_credentials_that_a_redirect_does_not_carry_on(
    host: FileHost,
    tmp_path: Path,
    expected: FileIdentity,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
) -> None:
    storage = FileHost(zip_of("creditcard.csv"))
    storage.breaks = [3 * CHUNK]
    monkeypatch.setenv("KAGGLE_USERNAME", "me")
    monkeypatch.setenv("KAGGLE_KEY", "ключ")
    monkeypatch.setattr(download, "creditcard_identity", lambda: expected)
    with host.serve() as url, storage.serve() as storage_url:
        # The same host on another port, and another host.
        host.redirect_to = storage_url.replace("127.0.0.1", name)
        monkeypatch.setenv("KAGGLE_API_ENDPOINT", url.removesuffix("/creditcard.csv"))
        download_creditcard(tmp_path / "t.csv", "kaggle")
    assert (tmp_path / "t.csv").read_bytes() == CONTENT
    assert [path for path, _ in host.requests] == [download.KAGGLE_PATH] * 2
    assert all("Authorization" in headers for _, headers in host.requests)
    assert len(storage.requests) == 2
    assert not any("Authorization" in headers for _, headers in storage.requests)


def test_kaggle_without_or_with_wrong_credentials_names_the_variables(
    host: FileHost, tmp_path: Path, expected: FileIdentity, monkeypatch: pytest.MonkeyPatch
) -> None:
    host.statuses = [401, 403]
    monkeypatch.setattr(download, "creditcard_identity", lambda: expected)
    monkeypatch.setenv("KAGGLE_USERNAME", "me")
    monkeypatch.delenv("KAGGLE_KEY", raising=False)
    with host.serve() as url:
        monkeypatch.setenv("KAGGLE_API_ENDPOINT", url.removesuffix("/creditcard.csv"))
        with pytest.raises(DownloadError, match="KAGGLE_USERNAME and KAGGLE_KEY are not both set"):
            download_creditcard(tmp_path / "t.csv", "kaggle")
        assert host.requests == []
        assert download_creditcard(tmp_path / "right", "kaggle").read_bytes() == CONTENT
        monkeypatch.setenv("KAGGLE_KEY", "topsecret")
        for _ in range(2):
            with pytest.raises(DownloadError, match=r"refused the cred.*KAGGLE_KEY") as refusal:
                download_creditcard(tmp_path / "t.csv", "kaggle")
            assert "topsecret" not in str(refusal.value)


@pytest.mark.slow
def test_the_entry_point_refuses_in_one_line(host: FileHost, tmp_path: Path) -> None:
    unknown = command_line("--source", "elsewhere")
    _, error = unknown.communicate()
    assert error.splitlines()[-1].startswith("error: source='elsewhere'")
    assert unknown.returncode == 1
    host.statuses = [404]
    output = str(tmp_path / "t.csv")
    with host.serve() as url:
        base = url.removesuffix("/creditcard.csv")
        absent = command_line("--source=kaggle", "--output", output, KAGGLE_API_ENDPOINT=base)
        out, error = absent.communicate()
    address = base + download.KAGGLE_PATH
    assert error.splitlines()[-1].startswith(f"error: {address}: the server answered 404")
    assert "Traceback" not in error
    assert (absent.returncode, out) == (1, "")
    with pytest.raises(ParameterError):
        parse_source("Mirror")


@pytest.mark.slow
def test_an_interrupted_entry_point_leaves_a_part_that_is_resumed(
    host: FileHost, tmp_path: Path, expected: FileIdentity
) -> None:
    target, part = tmp_path / "t.csv", tmp_path / "t.csv.part"
    host.pause_per_chunk = 0.1
    with host.serve() as url:
        base = url.removesuffix("/creditcard.csv")
        process = command_line("--source=kaggle", "--output", str(target), KAGGLE_API_ENDPOINT=base)
        wait_until(
            lambda: process.poll() is not None or (part.exists() and part.stat().st_size > 0),
            what="the transfer has begun",
        )
        process.send_signal(signal.SIGINT)
        out, error = process.communicate()
        assert (process.returncode, out) == (130, "")
        assert "Traceback" not in error + out
        assert "topsecret" not in error + out
        assert not target.exists()
        came = part.stat().st_size
        assert 0 < came < len(CONTENT)
        host.pause_per_chunk = 0.0
        fetch(url, target, expected=expected)
    assert target.read_bytes() == CONTENT
    assert host.requests[-1][1]["Range"] == f"bytes={came}-"
