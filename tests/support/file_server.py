"""A local HTTP server that answers as badly as a test wants, in place of the hosts of real data."""

from __future__ import annotations

import functools
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path


@contextmanager
def serve(handler: Callable[..., BaseHTTPRequestHandler]) -> Iterator[str]:
    """Serves on a free port of this machine until the block ends; yields the address."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()


@contextmanager
def serve_api(answer: Callable[[str, str, str, bytes], tuple[int, object]]) -> Iterator[str]:
    """Serves an API that speaks JSON.

    `answer` is given the method, the path with its query, the header Authorization and the body; it
    gives status and content, where bytes go out as they are.
    """

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            authorization = self.headers.get("Authorization", "")
            status, content = answer(self.command, self.path, authorization, body)
            data = content if isinstance(content, bytes) else json.dumps(content).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        do_POST = do_PATCH = do_GET

        def log_message(self, format: str, *args: object) -> None:
            """Says nothing."""

    with serve(Handler) as url:
        yield url


class QuietFolder(SimpleHTTPRequestHandler):
    """The files of a folder, without a log."""

    def log_message(self, format: str, *args: object) -> None:
        """Says nothing."""


@contextmanager
def serve_folder(folder: Path) -> Iterator[str]:
    """Serves the files of a folder."""
    with serve(functools.partial(QuietFolder, directory=str(folder))) as url:
        yield url


class FileHost:
    """One file behind any path, ranges and ETag included, with misbehaviour to choose.

    `breaks` lists after how many bytes of the body each of the first answers stops; `statuses`
    what the first requests get instead; `requests` records (path, headers) of what came.
    `heeds_if_range` off sends ranges of a changed file too; `range_shift` starts them elsewhere;
    `silent` sends headers and no body until the server stops.
    """

    def __init__(self, content: bytes, etag: str | None = '"v1"') -> None:
        self.content = content
        self.etag = etag
        self.breaks: list[int] = []
        self.statuses: list[int] = []
        self.ranges = True
        self.heeds_if_range = True
        self.range_shift = 0
        self.headers: dict[str, str] = {}
        self.silent = False
        self.stopped = threading.Event()
        self.pause_per_chunk = 0.0
        self.redirect_to: str | None = None
        self.requests: list[tuple[str, dict[str, str]]] = []

    @contextmanager
    def serve(self) -> Iterator[str]:
        """Serves the file until the block ends; yields its URL."""
        self.stopped.clear()
        with serve(self._handler()) as url:
            try:
                yield f"{url}/creditcard.csv"
            finally:
                self.stopped.set()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        host = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                host.requests.append((self.path, dict(self.headers)))
                if host.redirect_to:
                    self.send_response(302)
                    self.send_header("Location", host.redirect_to)
                    self.end_headers()
                elif host.statuses:
                    self.send_error(host.statuses.pop(0))
                else:
                    self._send_content()

            def _send_content(self) -> None:
                start = 0
                asked = self.headers.get("Range")
                same = self.headers.get("If-Range") in (None, host.etag)
                if host.ranges and asked and (same or not host.heeds_if_range):
                    start = int(asked.removeprefix("bytes=").rstrip("-")) + host.range_shift
                    if start >= len(host.content):
                        self.send_error(416)
                        return
                body = host.content[start:]
                self.send_response(206 if start else 200)
                if start:
                    last = len(host.content) - 1
                    self.send_header("Content-Range", f"bytes {start}-{last}/{last + 1}")
                if host.etag:
                    self.send_header("ETag", host.etag)
                for name, value in host.headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                if host.silent:
                    host.stopped.wait()
                    return
                stop = host.breaks.pop(0) if host.breaks else len(body)
                for first in range(0, min(stop, len(body)), 1 << 14):
                    self.wfile.write(body[first : min(stop, first + (1 << 14))])
                    if host.pause_per_chunk and host.stopped.wait(host.pause_per_chunk):
                        return

            def log_message(self, format: str, *args: object) -> None:
                pass

        return Handler
