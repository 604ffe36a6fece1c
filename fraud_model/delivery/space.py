"""Puts the serving image's files on a Hugging Face Space, and waits until it serves them."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import requests
import yaml
from httpx2 import HTTPError
from huggingface_hub import (
    CommitOperationAdd,
    CommitOperationCopy,
    CommitOperationDelete,
    HfApi,
    SpaceStage,
)
from huggingface_hub.errors import HfHubHTTPError, HFValidationError

from fraud_model.delivery.bundle import Bundle
from fraud_model.errors import ParameterError, SpaceError

README = "README.md"
PORT = 7860
# The hub's own file; it says which files go to large file storage.
KEPT = {".gitattributes"}
FAILED = (SpaceStage.BUILD_ERROR, SpaceStage.RUNTIME_ERROR, SpaceStage.CONFIG_ERROR)
# Right after a commit a Space still shows the result of the previous build.
GRACE_SECONDS = 60.0
POLL_SECONDS = 5.0
REQUEST_SECONDS = 30


@dataclass(frozen=True)
class Commit:
    """What was sent: its page, the files sent and removed, and the Space as it was before."""

    url: str
    sent: list[str]
    removed: list[str]
    sha_before: str
    files_before: list[str]


def contents(bundle: Bundle) -> dict[str, bytes]:
    """The files that a Space gets, by path: the bundle, and a README with the Space's settings."""
    files = {path.as_posix(): (bundle.folder / path).read_bytes() for path in bundle.files}
    settings = {"title": bundle.name, "sdk": "docker", "app_port": PORT}
    front_matter = yaml.safe_dump(settings, sort_keys=False)
    files[README] = f"---\n{front_matter}---\n\n{bundle.card}".encode()
    return dict(sorted(files.items()))


def upload(space: str, bundle: Bundle, token: str) -> Commit:
    """Sends the files as one commit, which also removes what the Space has beside them.

    The Docker Space is created if it is missing.

    Raises:
        ParameterError: `space` is not a valid name of a Space.
        SpaceError: the hub refuses, or cannot be reached; the Space is as it was.
    """
    api = HfApi(token=token)
    files = contents(bundle)
    try:
        api.create_repo(space, repo_type="space", space_sdk="docker", exist_ok=True)
        info = api.space_info(space)
        before = api.list_repo_files(space, repo_type="space")
        stale = sorted(set(before) - set(files) - KEPT)
        commit = api.create_commit(
            space,
            repo_type="space",
            operations=[
                *(CommitOperationAdd(path, content) for path, content in files.items()),
                *(CommitOperationDelete(path) for path in stale),
            ],
            commit_message=f"{bundle.name} version {bundle.version}",
            # Somebody else's commit in between is not overwritten.
            parent_commit=info.sha,
        )
    except HFValidationError as error:
        raise ParameterError(f"space={space!r} is invalid: expected user/name. {error}") from error
    except HTTPError as error:
        raise SpaceError(_explain(error, space, api.endpoint)) from error
    return Commit(commit.commit_url, list(files), stale, str(info.sha), before)


def restore(space: str, commit: Commit, token: str) -> bool:
    """Undoes a commit with another one; False where the Space had nothing to run before.

    Raises:
        SpaceError: the hub refuses, or cannot be reached.
    """
    if "Dockerfile" not in commit.files_before:
        return False
    api = HfApi(token=token)
    added = sorted(set(commit.sent) - set(commit.files_before))
    try:
        api.create_commit(
            space,
            repo_type="space",
            operations=[
                *(
                    CommitOperationCopy(path, path, src_revision=commit.sha_before)
                    for path in commit.files_before
                ),
                *(CommitOperationDelete(path) for path in added),
            ],
            commit_message="Put back what was served before",
        )
    except HTTPError as error:
        raise SpaceError(_explain(error, space, api.endpoint)) from error
    return True


def wait_until_served(
    space: str,
    bundle: Bundle,
    token: str,
    say: Callable[[str], None],
    patience: float,
) -> str:
    """Asks the Space's `/health` until it serves the bundle's version; returns its address.

    `say` is told each new stage of the Space. `patience` is how long it may take in all, in
    seconds.

    Raises:
        SpaceError: the build or the start fails, or the time runs out.
    """
    api = HfApi(token=token)
    deadline = time.monotonic() + patience
    good_until = time.monotonic()
    last = ""
    while True:
        try:
            info = api.space_info(space)
        except HTTPError as error:
            raise SpaceError(_explain(error, space, api.endpoint)) from error
        stage = info.runtime.stage if info.runtime else "unknown"
        address = (info.host or "").rstrip("/")
        # A private Space needs it.
        headers = {"Authorization": f"Bearer {token}"} if info.private else {}
        serving = _serving(address, headers)
        found = f"{space}: {stage}, serving {serving or 'nothing yet'}"
        if found != last:
            say(found)
            last = found
        if serving == f"{bundle.name} version {bundle.version} ({bundle.run_id})":
            return address
        if stage not in FAILED:
            good_until = time.monotonic()
        if time.monotonic() > good_until + GRACE_SECONDS:
            raise SpaceError(
                f"{space} ended in stage {stage}. Its log is at "
                f"{api.endpoint}/spaces/{space}?logs=build."
            )
        if time.monotonic() > deadline:
            raise SpaceError(
                f"{space} does not serve {bundle.name} version {bundle.version} after "
                f"{patience:g} s. It is in stage {stage} and serves {serving or 'nothing'}. Look "
                f"at {api.endpoint}/spaces/{space}, or give it more time with -P patience=…"
            )
        time.sleep(POLL_SECONDS)


def _serving(address: str, headers: dict[str, str]) -> str:
    try:
        answer = requests.get(f"{address}/health", headers=headers, timeout=REQUEST_SECONDS)
        health = answer.json() if answer.ok else {}
    except requests.RequestException:
        return ""
    if "model_version" not in health:
        return ""
    return f"{health['model_name']} version {health['model_version']} ({health['run_id']})"


def _explain(error: HTTPError, space: str, endpoint: str) -> str:
    if not isinstance(error, HfHubHTTPError):
        return f"{endpoint} cannot be reached: {error}. Nothing was changed on {space}."
    status = error.response.status_code
    if status == 401:
        return (
            f"{endpoint} rejects HF_TOKEN (401). Make a token with write access in the settings "
            "of your account, and export it as HF_TOKEN."
        )
    if status == 403:
        return (
            f"{endpoint} does not let HF_TOKEN write to {space} (403). Use a token with write "
            "access, of the account or organisation before the slash."
        )
    return (
        f"{endpoint} refuses ({status}): {error.server_message or error}. "
        f"Nothing was changed on {space}."
    )
