"""A local S3 server for tests."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
import requests

from tests.support.postgresql import PASSWORD


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


def use_store(endpoint: str, monkeypatch: pytest.MonkeyPatch, *, credentials: bool = True) -> None:
    """Sets the environment that leads S3's clients to a server of this machine."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint)
    given = {"AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": PASSWORD}
    for name, value in given.items():
        if credentials:
            monkeypatch.setenv(name, value)
        else:
            monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
