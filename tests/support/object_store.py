"""A local S3 server for tests."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler

import pytest
import requests

from tests.support.file_server import serve
from tests.support.postgresql import PASSWORD

ACCESS = {"AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": PASSWORD}


@dataclass(frozen=True)
class ObjectStore:
    """A bucket, and the address of its server."""

    endpoint: str
    bucket: str

    def put(self, key: str, content: bytes, *, acl: str = "private") -> None:
        """Stores an object; with `public-read` anybody may read it."""
        url = f"{self.endpoint}/{self.bucket}/{key}"
        headers = {"x-amz-acl": acl}
        requests.put(url, data=content, headers=headers, timeout=30).raise_for_status()

    def get(self, key: str) -> bytes:
        """What is stored as an object."""
        url = f"{self.endpoint}/{self.bucket}/{key}"
        answer = requests.get(url, auth=("key", PASSWORD), timeout=30)
        answer.raise_for_status()
        return answer.content


@contextlib.contextmanager
def object_store(bucket: str) -> Iterator[ObjectStore]:
    """Serves an empty bucket until the block ends."""
    # It takes seconds to import, which every quick run would pay.
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        endpoint = f"http://{host}:{port}"
        requests.put(f"{endpoint}/{bucket}", timeout=30).raise_for_status()
        yield ObjectStore(endpoint, bucket)
    finally:
        server.stop()


@contextlib.contextmanager
def without_uploads(store: ObjectStore) -> Iterator[str]:
    """Another address of a store, at which every upload breaks once it has begun."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            if self.command == "PUT":
                self.send_error(403)
                return
            headers = {name: text for name, text in self.headers.items() if name != "Host"}
            url = f"{store.endpoint}{self.path}"
            answer = requests.request(self.command, url, headers=headers, data=body, timeout=30)
            self.send_response(answer.status_code)
            for name, text in answer.headers.items():
                self.send_header(name, text)
            self.end_headers()
            self.wfile.write(answer.content)

        do_HEAD = do_POST = do_PUT = do_DELETE = do_GET

        def log_message(self, format: str, *args: object) -> None:
            """Says nothing."""

    with serve(Handler) as url:
        yield url


def use_store(endpoint: str, monkeypatch: pytest.MonkeyPatch, *, credentials: bool = True) -> None:
    """Sets the environment that leads S3's clients to a server of this machine."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint)
    for name, value in ACCESS.items():
        if credentials:
            monkeypatch.setenv(name, value)
        else:
            monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
