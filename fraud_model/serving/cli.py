"""Serve a model version with health, metrics, audit and a page around MLflow's scoring server.

example:
  mlflow run . -e serve
  python -m fraud_model.serving --model-uri models:/fraud-detector/Staging --port 5002
"""

from __future__ import annotations

import argparse
import copy
import json
import os
import signal
import socket
import sys
import tempfile
from dataclasses import asdict, replace
from types import FrameType
from typing import Any

import uvicorn
import uvicorn.config
import uvicorn.supervisors

from fraud_model.errors import FraudModelError, ParameterError
from fraud_model.serving.app import ORIGIN, create_app
from fraud_model.serving.health import WORKERS
from fraud_model.serving.metrics import SHARED_FOLDER
from fraud_model.serving.origin import find_model
from fraud_model.serving.settings import Settings

# A worker that imports and loads on a busy machine answers its supervisor late.
WORKER_SILENCE_SECONDS = 120
LONGEST_QUEUE = 2048


def main() -> None:
    """Resolves the model once, then serves it until SIGTERM."""
    parser = argparse.ArgumentParser(
        prog="python -m fraud_model.serving",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--model-uri",
        default="",
        help="models:/… or a model directory; else MODEL_URI, else what stands in MODEL_STAGE",
    )
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on")
    parser.add_argument("--port", type=int, default=5001, help="port to listen on")
    parser.add_argument("--workers", type=int, default=1, help="processes")
    arguments = parser.parse_args()
    try:
        serve(arguments.model_uri, arguments.host, arguments.port, arguments.workers)
    except FraudModelError as error:
        sys.exit(f"error: {error}")


def serve(model_uri: str, host: str, port: int, workers: int) -> None:
    """Serves until a signal ends it; requests in flight are finished first.

    Raises:
        FraudModelError: a setting, the address or the model cannot be used.
    """
    signal.signal(signal.SIGTERM, _leave)
    signal.signal(signal.SIGINT, _leave)
    settings = Settings.from_environment(os.environ)
    if model_uri:
        settings = replace(settings, model_uri=model_uri)
    if workers < 1:
        raise ParameterError(f"workers={workers}: at least one is needed.")
    listener = _listen(host, port)

    os.environ[ORIGIN] = json.dumps(asdict(find_model(settings)))
    options: dict[str, Any] = {
        "log_config": _log_config(),
        "access_log": False,
        "server_header": False,
        "proxy_headers": False,
        "timeout_graceful_shutdown": int(settings.request_timeout) + 5,
        "timeout_worker_healthcheck": WORKER_SILENCE_SECONDS,
        "backlog": LONGEST_QUEUE,
    }
    if workers == 1:
        uvicorn.Server(uvicorn.Config(create_app(), **options)).run([listener])
        return
    with tempfile.TemporaryDirectory(prefix="fraud-model-") as folder:
        os.environ[SHARED_FOLDER] = folder
        os.environ[WORKERS] = str(workers)
        config = uvicorn.Config(
            f"{create_app.__module__}:{create_app.__name__}",
            factory=True,
            workers=workers,
            **options,
        )
        uvicorn.supervisors.Multiprocess(config, sockets=[listener]).run()


def _listen(host: str, port: int) -> socket.socket:
    if not 0 <= port <= 65_535:
        raise ParameterError(f"port={port}: it lies from 0 to 65535.")
    try:
        family, *_, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listener = socket.socket(family)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
    except OSError as error:
        raise ParameterError(
            f"host={host!r}, port={port}: cannot listen there: {error}. Choose others with "
            "--host and --port."
        ) from error
    listener.set_inheritable(True)
    return listener


def _log_config() -> dict[str, Any]:
    config = copy.deepcopy(uvicorn.config.LOGGING_CONFIG)
    config["loggers"]["fraud_model"] = {"handlers": ["default"], "level": "INFO"}
    return config


def _leave(number: int, frame: FrameType | None) -> None:
    # uvicorn finishes the requests in flight, and then raises the signal once more for us.
    sys.exit(0)
