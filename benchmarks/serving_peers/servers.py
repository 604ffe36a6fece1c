"""What is compared: how each server is started, what it is sent and how its answer reads."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.serving_peers.client import request
from benchmarks.serving_peers.detector import MODEL

REPOSITORY = Path(__file__).parents[2]
START_SECONDS = 120
STOP_SECONDS = 30
POLL_SECONDS = 0.005

Row = Mapping[str, Any]


@dataclass(frozen=True)
class Format:
    """One way to ask for a row's probability: path, content of the body, where the answer is."""

    path: str
    content: Callable[[Row], Any]
    probability: Callable[[Any], float]

    def message(self, row: Row) -> bytes:
        """The request as bytes."""
        return request(self.path, json.dumps(self.content(row)).encode())


def _mlflow(content: Callable[[Row], Any]) -> Format:
    return Format(
        "/invocations", content, lambda answer: float(answer["predictions"][0]["fraud_probability"])
    )


def _v2(*inputs: tuple[str, list[float]]) -> dict[str, Any]:
    tensors = [
        {"name": name, "shape": [1, len(values)], "datatype": "FP64", "data": values}
        for name, values in inputs
    ]
    # Without an id MLServer makes one up, and no two answers would be the same.
    return {"id": "1", "inputs": tensors}


def _mlserver(content: Callable[[Row], Any]) -> Format:
    return Format(
        "/v2/models/fraud/infer", content, lambda answer: float(answer["outputs"][0]["data"][0])
    )


RECORDS = {"dataframe_records": _mlflow(lambda row: {"dataframe_records": [dict(row)]})}
SPLIT = {
    "dataframe_split": _mlflow(
        lambda row: {"dataframe_split": {"columns": list(row), "data": [list(row.values())]}}
    )
}
INPUTS = {"inputs": _mlflow(lambda row: {"inputs": {key: [value] for key, value in row.items()}})}
FLAT = {"": Format("/score", dict, lambda answer: float(answer["fraud_probability"]))}
V2 = {
    "one tensor": _mlserver(lambda row: _v2(("rows", list(row.values())))),
    "a tensor per feature": _mlserver(
        lambda row: _v2(*((key, [value]) for key, value in row.items()))
    ),
}
BENTOML = {
    "list of numbers": Format("/score", lambda row: {"values": list(row.values())}, float),
    "named features": Format("/score_named", lambda row: {"row": dict(row)}, float),
    "list of numbers, coroutine": Format(
        "/score_inline", lambda row: {"values": list(row.values())}, float
    ),
}


@dataclass(frozen=True)
class Server:
    """How to start a server, the formats that it is asked in, the path that tells it is ready.

    `command` and `environment` hold the fields `{python}` (an interpreter), `{mlserver}` and
    `{bentoml}` (environments), `{model}` (the exported directory), `{folder}` (one for what the
    server writes), `{empty}` (one with nothing in it) and `{port}`, `{port2}`, `{port3}` (free
    ports, the first for HTTP).
    """

    name: str
    command: str
    formats: Mapping[str, Format]
    ready: str = "/ping"
    environment: Mapping[str, str] = field(default_factory=dict)


FASTAPI = (
    "{{python}} -m uvicorn benchmarks.serving_peers.{}:app --port {{port}} --no-access-log"
    " --loop uvloop --http httptools"
)

OURS = Server(
    "ours",
    "{python} -m fraud_model.serving --model-uri {model} --port {port}",
    {**RECORDS, **SPLIT, **INPUTS},
)
PLAIN_ROWS = Server("ours, records", OURS.command, RECORDS)
AUDITED = Server(
    "ours, with audit log",
    OURS.command,
    RECORDS,
    environment={"AUDIT_LOG": "{folder}/audit.jsonl"},
)
SHADOWED = Server(
    "ours, with audit log and shadow",
    OURS.command,
    RECORDS,
    environment={"AUDIT_LOG": "{folder}/shadowed.jsonl", "SHADOW_MODEL_URI": "{model}"},
)
UNRECORDED = Server(
    "ours, without metrics",
    "{python} -m benchmarks.serving_peers.unrecorded --model-uri {model} --port {port}",
    RECORDS,
)
FLOOR = Server("FastAPI: pydantic, booster", FASTAPI.format("floor"), FLAT, "/docs")
NAIVE = Server("FastAPI: DataFrame, scaler, booster", FASTAPI.format("naive"), FLAT, "/docs")
MLSERVER = Server(
    "MLServer",
    "{mlserver}/bin/mlserver start {empty}",
    V2,
    "/v2/models/fraud/ready",
    {
        "MLSERVER_HOST": "127.0.0.1",
        "MLSERVER_HTTP_PORT": "{port}",
        "MLSERVER_GRPC_PORT": "{port2}",
        "MLSERVER_METRICS_PORT": "{port3}",
        "MLSERVER_MODEL_NAME": "fraud",
        "MLSERVER_MODEL_IMPLEMENTATION": "benchmarks.serving_peers.mlserver_peer.Runtime",
    },
)
# Its default is one process for inference beside the one that listens.
MLSERVER_ALONE = Server(
    "MLServer, parallel_workers=0",
    MLSERVER.command,
    V2,
    MLSERVER.ready,
    {**MLSERVER.environment, "MLSERVER_PARALLEL_WORKERS": "0"},
)
BENTO = Server(
    "BentoML",
    "{bentoml}/bin/bentoml serve benchmarks.serving_peers.bentoml_peer:Scorer"
    " --host 127.0.0.1 --port {port}",
    BENTOML,
    "/readyz",
    {"BENTOML_HOME": "{folder}", "BENTOML_DO_NOT_TRACK": "true"},
)
PLAIN = Server(
    "mlflow models serve",
    "{python} -m mlflow models serve --env-manager local --workers 1 --model-uri {model}"
    " --port {port}",
    {**RECORDS, **INPUTS},
)
SERVERS = (OURS, FLOOR, MLSERVER, MLSERVER_ALONE, BENTO, NAIVE, PLAIN)


@contextmanager
def started(server: Server, places: Mapping[str, str]) -> Iterator[int]:
    """Runs a server until the block ends; yields its port once it is ready.

    Raises:
        RuntimeError: it ends, or is not ready in time.
    """
    names = ("port", "port2", "port3")
    fields = {**places, **dict(zip(names, map(str, _free_ports(len(names))), strict=True))}
    folder = Path(fields["folder"])
    (folder / "empty").mkdir(exist_ok=True)
    fields["empty"] = str(folder / "empty")
    environment = {name: value.format(**fields) for name, value in server.environment.items()}
    with (folder / "server.log").open("w+b") as log:
        process = subprocess.Popen(
            [part.format(**fields) for part in server.command.split()],
            cwd=folder,
            env={
                **os.environ,
                "PYTHONPATH": str(REPOSITORY),
                # `mlflow models serve` looks for uvicorn there.
                "PATH": f"{Path(fields['python']).parent}:{os.environ['PATH']}",
                MODEL: fields["model"],
                **environment,
            },
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
        try:
            port = int(fields["port"])
            _wait_until_ready(process, port, server.ready)
            yield port
        except RuntimeError as error:
            log.seek(0)
            lines = log.read().decode(errors="replace").splitlines()[-20:]
            raise RuntimeError("\n".join([f"{server.name}: {error}", *lines])) from error
        finally:
            _end(process)


def _wait_until_ready(process: subprocess.Popen[bytes], port: int, path: str) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise RuntimeError(f"ended with status {process.returncode}")
        try:
            with socket.create_connection(("127.0.0.1", port), START_SECONDS) as connection:
                connection.sendall(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode())
                if connection.recv(1024).startswith(b"HTTP/1.1 200"):
                    return
        except OSError:
            pass
        time.sleep(POLL_SECONDS)
    raise RuntimeError(f"not ready after {START_SECONDS} s")


def _end(process: subprocess.Popen[bytes]) -> None:
    # Some servers are a family of processes: the session that was begun with the first ends.
    for kind in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(process.pid, kind)
        except ProcessLookupError:
            break
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            continue
    process.wait()


def _free_ports(count: int) -> list[int]:
    with ExitStack() as stack:
        listeners = [stack.enter_context(socket.socket()) for _ in range(count)]
        for listener in listeners:
            listener.bind(("127.0.0.1", 0))
        return [listener.getsockname()[1] for listener in listeners]
