"""A Space gets one commit with all it needs, and the deployment ends when it serves the version."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from tests.support.environment import REPOSITORY, own_environment
from tests.support.hub import Hub, running_hub
from tests.support.server import Server, serving

SPACE = "someone/fraud"


@pytest.fixture
def hub() -> Iterator[tuple[Hub, str]]:
    with running_hub() as running:
        yield running


def deploy(
    model: Path, url: str, *more: str, token: str = "hf_good"
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "entrypoints.deploy", "--model-dir", str(model), *more],
        cwd=REPOSITORY,
        env=own_environment(HF_ENDPOINT=url, HF_TOKEN=token, HF_HUB_DISABLE_TELEMETRY="1"),
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.slow
def test_a_missing_space_is_created_and_serves_what_was_sent(
    hub: tuple[Hub, str], exported: Path, tmp_path: Path
) -> None:
    fake, url = hub
    running: list[Server] = []

    def run_what_was_committed(files: dict[str, bytes]) -> None:
        for name, content in files.items():
            path = tmp_path / "space" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        context = serving(tmp_path, "--model-uri", str(tmp_path / "space" / "model"))
        running.append(context.__enter__())
        stopping.append(context)
        fake.host = running[0].url

    stopping: list[object] = []
    fake.on_commit = run_what_was_committed
    fake.stages = ["BUILDING", "APP_STARTING", "RUNNING"]
    done = deploy(exported, url, "--space", SPACE)
    try:
        assert done.returncode == 0, done.stderr
        assert done.stdout.splitlines()[-1].startswith(f"{running[0].url} serves model-")
        assert done.stdout.splitlines()[-1].endswith(" version 1")
    finally:
        stopping[0].__exit__(None, None, None)  # type: ignore[attr-defined]
    files = fake.spaces[SPACE]
    assert {"Dockerfile", "requirements.txt", "README.md", ".gitattributes"} <= set(files)
    assert "fraud_model/serving/app.py" in files
    assert "model/MLmodel" in files
    assert not [name for name in files if "__pycache__" in name]
    assert len(fake.commits) == 1
    readme = files["README.md"].decode()
    _, front_matter, card = readme.split("---\n", 2)
    assert yaml.safe_load(front_matter) == {
        "title": yaml.safe_load(front_matter)["title"],
        "sdk": "docker",
        "app_port": 7860,
    }
    assert "average precision" in card


@pytest.mark.slow
def test_what_is_stale_is_removed_in_the_same_commit(
    hub: tuple[Hub, str], exported: Path, server: Server
) -> None:
    fake, url = hub
    fake.host = server.url
    fake.spaces[SPACE] = {".gitattributes": b"x", "app.py": b"x", "model/old.bin": b"x"}
    done = deploy(exported, url, "--space", SPACE)
    assert done.returncode == 0, done.stderr
    assert "2 removed" in done.stdout
    assert len(fake.commits) == 1
    assert {"app.py", "model/old.bin"}.isdisjoint(fake.spaces[SPACE])
    assert ".gitattributes" in fake.spaces[SPACE]


@pytest.mark.slow
def test_a_dry_run_lists_and_asks_nobody(exported: Path) -> None:
    done = deploy(exported, "http://127.0.0.1:9", "--space", SPACE, "--dry-run", "true", token="")
    assert done.returncode == 0, done.stderr
    listed = {line.split()[-1] for line in done.stdout.splitlines()[:-1]}
    assert {"Dockerfile", "README.md", "requirements.txt", "model/MLmodel"} <= listed
    assert "Nothing was sent" in done.stdout


@pytest.mark.slow
def test_a_rejected_token_is_one_line(hub: tuple[Hub, str], exported: Path) -> None:
    fake, url = hub
    fake.token = "hf_another"
    done = deploy(exported, url, "--space", SPACE)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith("error: ")
    assert "rejects HF_TOKEN (401)" in done.stderr
    assert "hf_good" not in done.stderr + done.stdout
    assert fake.spaces == {}


@pytest.mark.slow
def test_a_token_without_write_access_is_one_line(hub: tuple[Hub, str], exported: Path) -> None:
    fake, url = hub
    fake.writable = False
    fake.spaces[SPACE] = {"app.py": b"x"}
    done = deploy(exported, url, "--space", SPACE)
    assert done.returncode == 1
    assert f"does not let HF_TOKEN write to {SPACE} (403)" in done.stderr
    assert fake.spaces[SPACE] == {"app.py": b"x"}


@pytest.mark.slow
def test_a_failed_commit_leaves_the_space_as_it_was(hub: tuple[Hub, str], exported: Path) -> None:
    fake, url = hub
    fake.failing_commits = True
    fake.spaces[SPACE] = {"app.py": b"x"}
    done = deploy(exported, url, "--space", SPACE)
    assert done.returncode == 1
    assert "refuses (500)" in done.stderr
    assert "the commit could not be stored" in done.stderr
    assert f"Nothing was changed on {SPACE}" in done.stderr
    assert "Traceback" not in done.stderr
    assert fake.spaces[SPACE] == {"app.py": b"x"}


@pytest.mark.slow
def test_no_hub_is_one_line(exported: Path) -> None:
    done = deploy(exported, "http://127.0.0.1:9", "--space", SPACE)
    assert done.returncode == 1
    assert "http://127.0.0.1:9 cannot be reached" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("space", ["", "some one/fraud"])
def test_a_bad_name_is_refused(space: str, exported: Path, hub: tuple[Hub, str]) -> None:
    done = deploy(exported, hub[1], "--space", space)
    assert done.returncode == 1
    assert f"error: space={space!r}" in done.stderr
    assert "user/name" in done.stderr


@pytest.mark.slow
def test_no_token_is_refused(exported: Path, hub: tuple[Hub, str]) -> None:
    done = deploy(exported, hub[1], "--space", SPACE, token="")
    assert done.returncode == 1
    assert "error: HF_TOKEN is not set" in done.stderr


@pytest.mark.slow
def test_a_space_that_stays_on_another_version_is_reported(
    hub: tuple[Hub, str], exported: Path, server: Server, tmp_path: Path
) -> None:
    fake, url = hub
    fake.host = server.url
    other = tmp_path / "model"
    subprocess.run(["cp", "-r", str(exported), str(other)], check=True)
    origin = other / "origin.json"
    origin.write_text(origin.read_text().replace('"model_version": "1"', '"model_version": "2"'))
    done = deploy(other, url, "--space", SPACE, "--patience", "1")
    assert done.returncode == 1
    assert "version 2 after 1 s" in done.stderr
    assert "version 1" in done.stderr
    assert "It served nothing before" in done.stderr


@pytest.mark.slow
def test_a_space_that_does_not_come_up_gets_its_files_back(
    hub: tuple[Hub, str], exported: Path, server: Server
) -> None:
    fake, url = hub
    fake.host = server.url
    fake.stages = ["BUILD_ERROR"]
    before = {".gitattributes": b"x", "Dockerfile": b"old", "app.py": b"x", "README.md": b"old"}
    fake.spaces[SPACE] = dict(before)
    fake.host = "http://127.0.0.1:9"
    done = deploy(exported, url, "--space", SPACE, "--patience", "1")
    assert done.returncode == 1
    assert "Its previous files are back" in done.stderr
    assert fake.spaces[SPACE] == before
    assert len(fake.commits) == 2


@pytest.mark.slow
def test_a_private_space_is_asked_with_the_token(hub: tuple[Hub, str], exported: Path) -> None:
    # The hub itself refuses whoever has no token, and so stands for a private Space.
    fake, url = hub
    fake.private = True
    fake.host = url
    asked: list[str] = []
    plain = fake.answer

    def answer(method: str, path: str, body: bytes) -> tuple[int, object]:
        if path == "/health":
            asked.append(method)
        return plain(method, path, body)

    fake.answer = answer  # type: ignore[method-assign]
    done = deploy(exported, url, "--space", SPACE, "--patience", "1")
    assert done.returncode == 1
    assert asked
