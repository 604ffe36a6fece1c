"""A load generator of one thread: keep-alive connections, each with one request at a time."""

from __future__ import annotations

import re
import selectors
import socket
import time
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import cycle

import requests

HEAD_END = b"\r\n\r\n"
LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
PATIENCE_SECONDS = 30
POLL_SECONDS = 0.1


@dataclass(frozen=True)
class Load:
    """Seconds of every answered request, and seconds from the first request to the last answer."""

    latencies: list[float]
    elapsed: float

    @property
    def rate(self) -> float:
        """Requests per second."""
        return len(self.latencies) / self.elapsed


def request(path: str, body: bytes) -> bytes:
    """The bytes of one POST."""
    head = (
        f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def ask(port: int, message: bytes) -> bytes:
    """The body of one answer.

    Raises:
        RuntimeError: the status is not 200.
    """
    with _connect(port) as connection:
        connection.sendall(message)
        answer = b""
        while not _is_whole(answer):
            answer += _receive(connection)
        return _body(answer)


def load(
    port: int, messages: Sequence[bytes], bodies: Sequence[bytes], connections: int, seconds: float
) -> Load:
    """Sends the messages in turn for some seconds, and compares each answer with its body.

    Raises:
        RuntimeError: a status is not 200, or an answer is not the one expected.
    """
    latencies: list[float] = []
    turns = cycle(zip(messages, bodies, strict=True))
    clock = time.perf_counter
    sockets = [_connect(port) for _ in range(connections)]
    # By socket: what has arrived, what should, and when the request left.
    waiting: dict[socket.socket, tuple[bytes, bytes, float]] = {}
    with selectors.DefaultSelector() as selector:
        for connection in sockets:
            selector.register(connection, selectors.EVENT_READ)
        start = clock()
        end = start + seconds
        for connection in sockets:
            message, expected = next(turns)
            waiting[connection] = (b"", expected, clock())
            connection.sendall(message)
        while waiting:
            ready = selector.select(PATIENCE_SECONDS)
            if not ready:
                raise RuntimeError(f"no answer within {PATIENCE_SECONDS} s")
            for key, _ in ready:
                connection = key.fileobj  # type: ignore[assignment]
                answer, expected, sent = waiting[connection]
                answer += _receive(connection)
                if not _is_whole(answer):
                    waiting[connection] = (answer, expected, sent)
                    continue
                now = clock()
                latencies.append(now - sent)
                if _body(answer) != expected:
                    raise RuntimeError(f"{expected!r} expected, answered {answer!r}")
                if now >= end:
                    del waiting[connection]
                    continue
                message, expected = next(turns)
                waiting[connection] = (b"", expected, clock())
                connection.sendall(message)
        elapsed = clock() - start
    for connection in sockets:
        connection.close()
    return Load(latencies, elapsed)


def wait_for_shadow(port: int) -> None:
    """Waits until the shadow of our server scores.

    Raises:
        RuntimeError: it does not in time.
    """
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline:
        state = requests.get(f"http://127.0.0.1:{port}/health", timeout=PATIENCE_SECONDS).json()
        if state["shadow"] == "ok":
            return
        time.sleep(POLL_SECONDS)
    raise RuntimeError(f"after {PATIENCE_SECONDS} s the shadow is {state['shadow']}")


def _connect(port: int) -> socket.socket:
    connection = socket.create_connection(("127.0.0.1", port), PATIENCE_SECONDS)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connection


def _receive(connection: socket.socket) -> bytes:
    part = connection.recv(1 << 20)
    if not part:
        raise RuntimeError("the server closed the connection")
    return part


def _is_whole(answer: bytes) -> bool:
    head = answer.find(HEAD_END)
    if head < 0:
        return False
    length = LENGTH.search(answer, 0, head)
    if length is None:
        raise RuntimeError(f"an answer without Content-Length: {answer[:head]!r}")
    return len(answer) >= head + len(HEAD_END) + int(length[1])


def _body(answer: bytes) -> bytes:
    head, _, body = answer.partition(HEAD_END)
    if not head.startswith(b"HTTP/1.1 200"):
        raise RuntimeError(f"answered {answer[:500]!r}")
    return body
