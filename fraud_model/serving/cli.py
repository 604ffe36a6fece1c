"""Serve a model version with health, metrics, an audit log and a page around MLflow's server.

example:
  mlflow run . -e serve --env-manager local
  python -m fraud_model.serving --model-uri models:/fraud-detector/Staging --port 5002
"""

from __future__ import annotations

import argparse
import copy
import json
import logging
import logging.config
import os
import signal
import socket
import sys
import tempfile
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Any

import uvicorn
import uvicorn.config
from mlflow.exceptions import MlflowException

from fraud_model.errors import FraudModelError, ParameterError, RegistryError
from fraud_model.serving.app import ADDRESS, FAILURE_FILE, ORIGIN, create_app
from fraud_model.serving.health import WORKERS
from fraud_model.serving.labels_file import LabelsFile
from fraud_model.serving.origin import find_model, limit_patience
from fraud_model.serving.prometheus import SHARED_FOLDER
from fraud_model.serving.refresh.board import BOARD, Board
from fraud_model.serving.refresh.follower import Follower, check_refresh
from fraud_model.serving.settings import Settings
from fraud_model.serving.signals import HangUp, Supervisor
from fraud_model.serving.tokens import Tokens
from fraud_model.stores import failure_of
from fraud_model.tracking import name_run

log = logging.getLogger("fraud_model.serving")

# A worker that imports and loads on a busy machine is slow to answer its supervisor.
WORKER_SILENCE_SECONDS = 120
LONGEST_QUEUE = 2048
EVERY_ADDRESS = ("0.0.0.0", "::")


def main() -> None:
    """Parses the command line and serves until a signal ends it."""
    parser = argparse.ArgumentParser(
        prog="python -m fraud_model.serving",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--model-uri",
        default="",
        help="models:/… or a model directory; default: MODEL_URI, or the version in MODEL_STAGE",
    )
    parser.add_argument(
        "--host", default="127.0.0.1", help="address to listen on (default: %(default)s)"
    )
    parser.add_argument(
        "--port", type=int, default=5001, help="port to listen on (default: %(default)s)"
    )
    parser.add_argument(
        "--workers", type=int, default=1, help="number of processes (default: %(default)s)"
    )
    arguments = parser.parse_args()
    try:
        serve(arguments.model_uri, arguments.host, arguments.port, arguments.workers)
    except FraudModelError as error:
        sys.exit(f"error: {error}")
    except Exception as error:
        failure = failure_of(error)
        if failure is None:
            raise
        sys.exit(f"error: {failure}")


def serve(model_uri: str, host: str, port: int, workers: int) -> None:
    """Finds the model once and serves it until a signal; requests in flight are finished first.

    Raises:
        FraudModelError: a setting, the address or the model cannot be used.
    """
    log_config = _log_config()
    logging.config.dictConfig(log_config)
    signal.signal(signal.SIGTERM, _leave)
    signal.signal(signal.SIGINT, _leave)
    _name_run()
    settings = Settings.from_environment(os.environ)
    if model_uri:
        settings = replace(settings, model_uri=model_uri)
    if workers < 1:
        raise ParameterError(f"workers={workers} is invalid: expected 1 or more.")
    check_refresh(settings)
    Tokens.of(settings)
    if settings.labels_file:
        LabelsFile(Path(settings.labels_file)).check()
    listener = _listen(host, port)

    log.info("looking for the model %s", settings.uri)
    origin = find_model(settings)
    log.info("loading %s", origin.path)
    os.environ[ORIGIN] = json.dumps(asdict(origin))
    os.environ[ADDRESS] = _address(host, listener)
    options: dict[str, Any] = {
        "log_config": log_config,
        "access_log": False,
        "server_header": False,
        "proxy_headers": False,
        "timeout_graceful_shutdown": int(settings.request_timeout) + 5,
        "timeout_worker_healthcheck": WORKER_SILENCE_SECONDS,
        "backlog": LONGEST_QUEUE,
    }
    with tempfile.TemporaryDirectory(prefix="fraud-model-") as folder:
        os.environ[BOARD] = folder
        follower = Follower(settings, origin, Board(Path(folder)))
        follower.start()
        if workers == 1:
            hang_up = HangUp(follower.ask, partial(signal.raise_signal, signal.SIGTERM))
            signal.signal(signal.SIGHUP, lambda number, frame: hang_up())
            uvicorn.Server(uvicorn.Config(create_app(), **options)).run([listener])
            return
        os.environ[SHARED_FOLDER] = folder
        os.environ[WORKERS] = str(workers)
        config = uvicorn.Config(
            f"{create_app.__module__}:{create_app.__name__}",
            factory=True,
            workers=workers,
            **options,
        )
        Supervisor(config, [listener], follower).run()
        failure = Path(folder) / FAILURE_FILE
        if failure.exists():
            raise RegistryError(failure.read_text(encoding="utf-8"))


def _name_run() -> None:
    # Under `mlflow run`. A server that can answer does not end for the name of its run.
    limit_patience()
    try:
        name_run("serve")
    except FraudModelError as error:
        log.warning("the run of this server keeps its random name (%s)", error)
    except MlflowException as error:
        log.warning("the run of this server keeps its random name (%s)", error.error_code)


def _listen(host: str, port: int) -> socket.socket:
    if not 0 <= port <= 65_535:
        raise ParameterError(f"port={port} is invalid: expected 0 to 65535.")
    try:
        family, *_, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listener = socket.socket(family)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
    except OSError as error:
        raise ParameterError(
            f"cannot listen on host={host!r}, port={port}: {error}. Choose another address with "
            "--host and --port."
        ) from error
    listener.set_inheritable(True)
    return listener


def _address(host: str, listener: socket.socket) -> str:
    name = "localhost" if host in EVERY_ADDRESS else f"[{host}]" if ":" in host else host
    return f"http://{name}:{listener.getsockname()[1]}"


def _log_config() -> dict[str, Any]:
    config = copy.deepcopy(uvicorn.config.LOGGING_CONFIG)
    config["loggers"]["fraud_model"] = {"handlers": ["default"], "level": "INFO"}
    return config


def _leave(number: int, frame: FrameType | None) -> None:
    # uvicorn finishes the requests in flight and then raises the signal again.
    sys.exit(0)
