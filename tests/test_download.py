"""A download ends whole and unchanged under its name, or leaves the name alone and says why."""

from __future__ import annotations

import io
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from fraud_model import download
from fraud_model.download import FileIdentity, download_creditcard, fetch, parse_source
from fraud_model.errors import DownloadError, ParameterError
from tests.conftest import REPOSITORY
from tests.file_server import FileHost

CONTENT = bytes(range(256)) * 4_000
CHUNK = download.CHUNK_BYTES


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(download, "FIRST_PAUSE_SECONDS", 0.01)
    monkeypatch.setattr(download, "SILENCE_SECONDS", 1.0)


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
    assert "there already" in capsys.readouterr().out


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
        with pytest.raises(DownloadError, match=r"gave up after 5 attempts .*Run it again"):
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


def test_a_partial_file_longer_than_the_file_is_started_again(
    host: FileHost, tmp_path: Path, expected: FileIdentity
) -> None:
    (tmp_path / "t.csv.part").write_bytes(CONTENT + b"more")
    (tmp_path / "t.csv.part.etag").write_text('"v1"')
    with host.serve() as url:
        fetch(url, tmp_path / "t.csv", expected=expected)
    assert (tmp_path / "t.csv").read_bytes() == CONTENT


def test_another_file_is_refused_and_the_earlier_one_stays(
    host: FileHost, tmp_path: Path, expected: FileIdentity
) -> None:
    target = tmp_path / "t.csv"
    target.write_bytes(b"earlier")
    host.content = CONTENT[:-1] + b"x"
    with host.serve() as url, pytest.raises(DownloadError, match="another file, or a damaged one"):
        fetch(url, target, expected=expected)
    assert target.read_bytes() == b"earlier"
    assert {path.name for path in tmp_path.iterdir()} == {"t.csv", "right"}


def test_a_busy_server_is_asked_again(host: FileHost, tmp_path: Path) -> None:
    host.statuses = [503, 429]
    with host.serve() as url:
        fetch(url, tmp_path / "t.csv")
    assert (tmp_path / "t.csv").read_bytes() == CONTENT


@pytest.mark.parametrize(("status", "word"), [(404, "answered 404"), (401, "who may read it")])
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


def test_a_slow_server_is_waited_for(host: FileHost, tmp_path: Path) -> None:
    host.pause_per_chunk = 0.1
    with host.serve() as url:
        fetch(url, tmp_path / "t.csv")
    assert (tmp_path / "t.csv").read_bytes() == CONTENT


def test_a_silent_server_is_not(
    host: FileHost, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(download, "SILENCE_SECONDS", 0.2)
    monkeypatch.setattr(download, "ATTEMPTS", 2)
    host.pause_per_chunk = 2.0
    with host.serve() as url, pytest.raises(DownloadError, match="gave up after 2 attempts"):
        fetch(url, tmp_path / "t.csv")


def test_nobody_there_is_said(tmp_path: Path) -> None:
    with FileHost(b"").serve() as url:
        pass
    with pytest.raises(DownloadError, match="connection broke, or was not to be had"):
        fetch(url, tmp_path / "t.csv")


def test_a_place_that_cannot_be_written_is_named(host: FileHost, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with host.serve() as url, pytest.raises(DownloadError, match="cannot be written"):
        fetch(url, tmp_path / "file" / "t.csv")


def test_kaggle_is_asked_with_credentials_that_a_redirect_does_not_carry_on(
    host: FileHost, tmp_path: Path, expected: FileIdentity, monkeypatch: pytest.MonkeyPatch
) -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("creditcard.csv", CONTENT)
    storage = FileHost(packed.getvalue())
    monkeypatch.setenv("KAGGLE_USERNAME", "me")
    monkeypatch.setenv("KAGGLE_KEY", "secret")
    monkeypatch.setattr(download, "creditcard_identity", lambda: expected)
    with host.serve() as url, storage.serve() as storage_url:
        # Another host name for the same machine, as a storage service has another host.
        host.redirect_to = storage_url.replace("127.0.0.1", "localhost")
        monkeypatch.setattr(download, "KAGGLE_URL", url)
        download_creditcard(tmp_path / "t.csv", "kaggle")
    assert (tmp_path / "t.csv").read_bytes() == CONTENT
    assert "Authorization" in host.requests[0][1]
    assert "Authorization" not in storage.requests[0][1]
    assert {path.name for path in tmp_path.iterdir()} == {"t.csv", "right"}


def test_kaggle_without_or_with_wrong_credentials_names_the_variables(
    host: FileHost, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    host.statuses = [401]
    with host.serve() as url:
        monkeypatch.setattr(download, "KAGGLE_URL", url)
        monkeypatch.delenv("KAGGLE_KEY", raising=False)
        with pytest.raises(DownloadError, match="KAGGLE_USERNAME and KAGGLE_KEY are not both set"):
            download_creditcard(tmp_path / "t.csv", "kaggle")
        assert host.requests == []
        monkeypatch.setenv("KAGGLE_USERNAME", "me")
        monkeypatch.setenv("KAGGLE_KEY", "topsecret")
        with pytest.raises(DownloadError, match="refused the credentials") as refusal:
            download_creditcard(tmp_path / "t.csv", "kaggle")
    assert "topsecret" not in str(refusal.value)


def test_the_entry_point_refuses_in_one_line() -> None:
    command = [sys.executable, "-m", "entrypoints.download", "--source", "elsewhere"]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.splitlines() == ["error: source='elsewhere': it is mirror or kaggle."]
    with pytest.raises(ParameterError):
        parse_source("Mirror")
