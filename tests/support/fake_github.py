"""A local server that speaks as much of GitHub's REST protocol as the workflows need."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import parse_qs, urlsplit

from tests.support.file_server import serve_api

TOKEN = "ghs_token"


class GitHub:
    """One repository, `owner/fraud`, with its pull requests and issues."""

    def __init__(self) -> None:
        self.pulls: list[dict[str, Any]] = []
        self.issues: list[dict[str, Any]] = []
        self.comments: list[dict[str, Any]] = []

    def answer(self, method: str, path: str, asked: dict[str, Any]) -> tuple[int, Any]:
        """Status and JSON for an authorised request."""
        rest = path.removeprefix("/repos/owner/fraud").lstrip("/")
        if (method, rest) == ("GET", ""):
            return 200, {"default_branch": "main"}
        if (method, rest) == ("GET", "pulls"):
            return 200, [p for p in self.pulls if f"owner:{p['head']}" == asked["head"][0]]
        if (method, rest) == ("POST", "pulls"):
            return 201, self._add(self.pulls, "pull", asked)
        if method == "PATCH" and rest.startswith("pulls/"):
            pull = self.pulls[int(rest.removeprefix("pulls/")) - 1]
            pull.update(asked)
            return 200, pull
        if (method, rest) == ("GET", "issues"):
            return 200, [i for i in self.issues if asked["labels"][0] in i["labels"]]
        if (method, rest) == ("POST", "issues"):
            return 201, self._add(self.issues, "issues", asked)
        if method == "POST" and re.fullmatch(r"issues/\d+/comments", rest):
            return 201, self._add(self.comments, "comment", asked)
        return 404, {"message": f"no such route: {method} {path}"}

    @staticmethod
    def _add(where: list[dict[str, Any]], kind: str, asked: dict[str, Any]) -> dict[str, Any]:
        number = len(where) + 1
        where.append({**asked, "number": number, "html_url": f"https://github/{kind}/{number}"})
        return where[-1]


@contextmanager
def running_github() -> Iterator[tuple[GitHub, str]]:
    """A GitHub and its address, until the block ends."""
    github = GitHub()

    def answer(method: str, path: str, authorization: str, body: bytes) -> tuple[int, object]:
        if authorization != f"Bearer {TOKEN}":
            return 401, {"message": "Bad credentials"}
        url = urlsplit(path)
        return github.answer(method, url.path, json.loads(body) if body else parse_qs(url.query))

    with serve_api(answer) as url:
        yield github, url
