"""A local server that speaks as much of the Hugging Face hub's protocol as a deployment needs."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import parse_qs

from tests.support.file_server import serve_api

SPACE = re.compile(r"/api/spaces/(?P<space>[^/]+/[^/]+)(?P<rest>/.*|)$")
FILE = re.compile(r"/spaces/(?P<space>[^/]+/[^/]+)/resolve/(?P<sha>\w+)/(?P<path>.*)$")


class Hub:
    """Spaces by name, each a dict of files by path; a new one holds the hub's own two files.

    `token` is the one that is let in, and may write where `writable`. `failing_commits` answers
    commits with 500. `stages` are shown one after the other, the last for ever, and `host` is the
    address of every Space. `on_commit` is called with the files after each commit.
    """

    def __init__(self) -> None:
        self.token = "hf_good"
        self.writable = True
        self.failing_commits = False
        self.private = False
        self.stages = ["RUNNING"]
        self.host = ""
        self.url = ""
        self.spaces: dict[str, dict[str, bytes]] = {}
        self.commits: list[dict[str, Any]] = []
        # Files by space and commit.
        self.history: dict[tuple[str, str], dict[str, bytes]] = {}
        self.on_commit: Callable[[dict[str, bytes]], None] = lambda files: None

    def answer(self, method: str, path: str, body: bytes) -> tuple[int, Any]:
        """Status and JSON for an authorised request."""
        if path == "/api/repos/create":
            asked = json.loads(body)
            return self._create(f"{asked['organization']}/{asked['name']}", asked)
        if path == "/api/validate-yaml":
            return 200, {"warnings": [], "errors": []}
        file = FILE.match(path)
        if file:
            return 200, self.history[file["space"], file["sha"]][file["path"]]
        found = SPACE.match(path)
        if found is None or found["space"] not in self.spaces:
            return 404, {"error": "Repository not found"}
        space, rest = found["space"], found["rest"]
        files = self.spaces[space]
        self.history[space, self._sha()] = dict(files)
        if rest.startswith("/paths-info/"):
            revision = rest.removeprefix("/paths-info/")
            then = files if revision == "main" else self.history[space, revision]
            wanted = parse_qs(body.decode())["paths"]
            return 200, [
                {"type": "file", "path": p, "size": len(then[p]), "oid": _oid(then[p])}
                for p in wanted
                if p in then
            ]
        if method == "GET" and rest in ("", "/revision/main"):
            stage = self.stages.pop(0) if len(self.stages) > 1 else self.stages[0]
            runtime = {"stage": stage, "hardware": {"current": "cpu-basic", "requested": None}}
            siblings = [{"rfilename": name} for name in files]
            return 200, {
                "id": space,
                "sha": self._sha(),
                "private": self.private,
                "host": self.host,
                "runtime": runtime,
                "siblings": siblings,
            }
        if method == "GET" and rest.startswith("/tree/main"):
            return 200, [
                {"type": "file", "path": name, "size": len(content), "oid": _oid(content)}
                for name, content in files.items()
            ]
        if rest == "/preupload/main":
            asked = [file["path"] for file in json.loads(body)["files"]]
            modes = [
                {
                    "path": name,
                    "uploadMode": "regular",
                    "shouldIgnore": False,
                    "oid": _oid(files[name]) if name in files else None,
                }
                for name in asked
            ]
            return 200, {"files": modes}
        if rest == "/commit/main":
            return self._commit(space, [json.loads(line) for line in body.splitlines()])
        return 404, {"error": f"no such route: {method} {path}"}

    def _create(self, space: str, asked: dict[str, Any]) -> tuple[int, Any]:
        assert (asked["type"], asked["sdk"]) == ("space", "docker")
        if not self.writable:
            return 403, {"error": "You don't have the rights to create a space there"}
        url = f"{self.url}/spaces/{space}"
        if space in self.spaces:
            return 409, {"error": "You already created this space repo", "url": url}
        self.spaces[space] = {".gitattributes": b"*.bin lfs\n", "README.md": b"# empty\n"}
        return 200, {"url": url}

    def _commit(self, space: str, lines: list[dict[str, Any]]) -> tuple[int, Any]:
        if self.failing_commits:
            return 500, {"error": "the commit could not be stored"}
        if not self.writable:
            return 403, {"error": "You don't have the rights to write there"}
        header, *operations = lines
        if header["value"].get("parentCommit") not in (None, self._sha()):
            return 412, {"error": "A commit has happened since"}
        files = self.spaces[space]
        for operation in operations:
            value = operation["value"]
            if operation["key"] == "file":
                files[value["path"]] = base64.b64decode(value["content"])
            else:
                del files[value["path"]]
        self.commits.append({"space": space, **header["value"]})
        self.on_commit(dict(files))
        url = f"{self.url}/spaces/{space}/commit/{self._sha()}"
        return 200, {"commitUrl": url, "commitOid": self._sha()}

    def _sha(self) -> str:
        return f"{len(self.commits):040x}"


@contextmanager
def running_hub() -> Iterator[tuple[Hub, str]]:
    """A hub and its address, until the block ends."""
    hub = Hub()

    def answer(method: str, path: str, authorization: str, body: bytes) -> tuple[int, object]:
        if authorization != f"Bearer {hub.token}":
            return 401, {"error": "Invalid username or password."}
        return hub.answer(method, path.partition("?")[0], body)

    with serve_api(answer) as url:
        hub.url = url
        yield hub, url


def _oid(content: bytes) -> str:
    """Git's name of a blob."""
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()
