"""Builds and runs images with the command line of Docker, or of podman in its place."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import requests

from fraud_model.errors import ImageError

START_SECONDS = 120
POLL_SECONDS = 0.05
LOG_LINES = 15


def build(folder: Path, tag: str) -> None:
    """Builds the Dockerfile in `folder`; the engine's progress goes to the terminal.

    Raises:
        ImageError: there is no engine, or the build fails.
    """
    done = subprocess.run(
        [_engine(), "build", "--tag", tag, str(folder)],
        # HEALTHCHECK belongs to Docker's image format, which podman has to be asked for.
        env={**os.environ, "BUILDAH_FORMAT": "docker"},
        check=False,
    )
    if done.returncode:
        raise ImageError(
            f"the image {tag} was not built: docker build ended with status {done.returncode}. "
            "The last lines of its output above say why."
        )


@contextmanager
def running(tag: str) -> Iterator[tuple[str, float]]:
    """Runs an image with a read-only root until the block ends.

    Yields the address of its server, and the seconds from the start to the first good `/ping`.

    Raises:
        ImageError: it ends, or does not answer in time; its log is in the message.
    """
    port = _free_port()
    start = time.perf_counter()
    published = ["--env", f"PORT={port}", "--publish", f"127.0.0.1:{port}:{port}"]
    container = _ask("run", "--detach", "--read-only", *published, tag)
    try:
        url = f"http://127.0.0.1:{port}"
        _wait(container, url)
        yield url, time.perf_counter() - start
    finally:
        _ask("rm", "--force", container)


def tag(image: str, name: str) -> None:
    """Gives an image another name."""
    _ask("tag", image, name)


def untag(name: str) -> None:
    """Removes a name, and the image with its last one."""
    _ask("rmi", name)


def size(image: str) -> int:
    """Bytes of all layers."""
    return int(_ask("image", "inspect", "--format", "{{.Size}}", image))


def _wait(container: str, url: str) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        try:
            if requests.get(f"{url}/ping", timeout=START_SECONDS).ok:
                return
        except requests.ConnectionError:
            if _ask("inspect", "--format", "{{.State.Running}}", container) != "true":
                raise ImageError(f"the container ended at once: {_log(container)}") from None
        time.sleep(POLL_SECONDS)
    raise ImageError(f"no answer from the container in {START_SECONDS} s: {_log(container)}")


def _log(container: str) -> str:
    done = subprocess.run(
        [_engine(), "logs", container],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    return "\n".join(done.stdout.splitlines()[-LOG_LINES:])


def _ask(*arguments: str) -> str:
    done = subprocess.run([_engine(), *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        lines = done.stderr.strip().splitlines() or ["no message"]
        raise ImageError(f"docker {arguments[0]} failed: {lines[-1]}")
    return done.stdout.strip()


def _engine() -> str:
    found = shutil.which("docker")
    if found is None:
        raise ImageError(
            "docker is not on PATH. Install Docker, or podman with its docker command "
            "(podman-docker)."
        )
    return found


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
