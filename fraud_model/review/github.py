"""Outputs of a GitHub Actions workflow, and the calls to GitHub: push, pull request, issue."""

from __future__ import annotations

import base64
import os
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests

from fraud_model.errors import GitHubError, ParameterError

SECONDS = 60
AUTHOR = {
    "GIT_AUTHOR_NAME": "github-actions[bot]",
    "GIT_AUTHOR_EMAIL": "41898282+github-actions[bot]@users.noreply.github.com",
    "GIT_COMMITTER_NAME": "github-actions[bot]",
    "GIT_COMMITTER_EMAIL": "41898282+github-actions[bot]@users.noreply.github.com",
}


def set_output(name: str, value: str) -> None:
    """Gives a step's result to later steps and jobs; does nothing outside a workflow."""
    _append("GITHUB_OUTPUT", f"{name}={value}\n")


def add_summary(markdown: str) -> None:
    """Adds to the summary of the job; does nothing outside a workflow."""
    _append("GITHUB_STEP_SUMMARY", markdown + "\n")


def _append(variable: str, text: str) -> None:
    file = os.environ.get(variable)
    if file:
        with Path(file).open("a") as stream:
            stream.write(text)


@dataclass(frozen=True)
class Repository:
    """A repository on GitHub, by `owner/name`, with a token that may write to it."""

    name: str
    token: str
    api: str
    server: str
    run_id: str

    @classmethod
    def from_environment(cls) -> Repository:
        """The repository that GITHUB_REPOSITORY names, with the token in GITHUB_TOKEN.

        Raises:
            ParameterError: a variable is not set.
        """
        needed = ("GITHUB_REPOSITORY", "GITHUB_TOKEN")
        missing = [name for name in needed if not os.environ.get(name)]
        if missing:
            raise ParameterError(
                f"{' and '.join(missing)} not set. A workflow sets GITHUB_REPOSITORY (owner/name); "
                "GITHUB_TOKEN is a token that may write to it."
            )
        return cls(
            os.environ["GITHUB_REPOSITORY"],
            os.environ["GITHUB_TOKEN"],
            os.environ.get("GITHUB_API_URL", "https://api.github.com"),
            os.environ.get("GITHUB_SERVER_URL", "https://github.com"),
            os.environ.get("GITHUB_RUN_ID", ""),
        )

    @property
    def run_url(self) -> str:
        """The page of the workflow's run, or of the repository outside a workflow."""
        page = f"{self.server}/{self.name}"
        return f"{page}/actions/runs/{self.run_id}" if self.run_id else page

    def raw(self, commit: str, path: str) -> str:
        """The address of a file's content at a commit, for those who may see the repository."""
        return f"{self.server}/{self.name}/blob/{commit}/{path}?raw=true"

    def push(self, folder: Path, paths: list[str], branch: str, message: str) -> str:
        """Commits `paths` on top of what is checked out, and makes `branch` that commit.

        Returns the commit.

        Raises:
            GitHubError: git fails.
        """
        secret = base64.b64encode(f"x-access-token:{self.token}".encode()).decode()
        # In the environment, because a command line can be read by others.
        credentials = {
            "GIT_CONFIG_COUNT": "1",
            "GIT_CONFIG_KEY_0": f"http.{self.server}/.extraheader",
            "GIT_CONFIG_VALUE_0": f"AUTHORIZATION: basic {secret}",
        }
        _git(folder, ["add", "--all", "--force", "--", *paths])
        _git(folder, ["commit", "--quiet", "--message", message], AUTHOR)
        target = f"HEAD:refs/heads/{branch}"
        _git(folder, ["push", "--quiet", "--force", "origin", target], credentials)
        return _git(folder, ["rev-parse", "HEAD"]).strip()

    def propose(self, branch: str, title: str, body: str) -> str:
        """Opens the pull request of a branch, or updates the open one; returns its page.

        Raises:
            GitHubError: GitHub refuses or cannot be reached.
        """
        owner = self.name.partition("/")[0]
        found = self._ask("GET", "pulls", params={"head": f"{owner}:{branch}", "state": "open"})
        content = {"title": title, "body": body}
        if found:
            return str(self._ask("PATCH", f"pulls/{found[0]['number']}", json=content)["html_url"])
        base = self._ask("GET", "")["default_branch"]
        content |= {"head": branch, "base": base}
        return str(self._ask("POST", "pulls", json=content)["html_url"])

    def complain(self, label: str, title: str, body: str) -> str:
        """Opens the issue of a label, or comments on the open one; returns its page.

        Raises:
            GitHubError: GitHub refuses or cannot be reached.
        """
        found = self._ask("GET", "issues", params={"labels": label, "state": "open"})
        if found:
            number = found[0]["number"]
            self._ask("POST", f"issues/{number}/comments", json={"body": body})
            return str(found[0]["html_url"])
        content = {"title": title, "body": body, "labels": [label]}
        return str(self._ask("POST", "issues", json=content)["html_url"])

    def _ask(self, method: str, path: str, **more: Any) -> Any:
        url = f"{self.api}/repos/{self.name}/{path}".rstrip("/")
        headers = {
            "Authorization": f"Bearer {self.token}",
            "Accept": "application/vnd.github+json",
        }
        try:
            answer = requests.request(method, url, headers=headers, timeout=SECONDS, **more)
        except requests.RequestException as error:
            raise GitHubError(f"{self.api} cannot be reached: {error}") from error
        if not answer.ok:
            reason = answer.text[:300]
            raise GitHubError(
                f"{method} {url} was refused ({answer.status_code}): {reason} "
                "Check the workflow's permissions, which limit its token."
            )
        return answer.json()


def _git(folder: Path, arguments: list[str], more: Mapping[str, str] | None = None) -> str:
    done = subprocess.run(
        ["git", *arguments],
        cwd=folder,
        env={**os.environ, **(more or {})},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        lines = (done.stderr or done.stdout).strip().splitlines() or ["no message"]
        raise GitHubError(f"git {arguments[0]} failed: {lines[-1]}")
    return done.stdout
