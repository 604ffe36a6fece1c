"""The ASGI application of one worker."""

from __future__ import annotations

import asyncio
import gc
import json
import logging
import os
import re
import secrets
import signal
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from types import SimpleNamespace

from mlflow.pyfunc import scoring_server
from starlette.applications import Starlette
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn.config import STARTUP_FAILURE
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from fraud_model.errors import FraudModelError
from fraud_model.serving import docs_page, page, prometheus
from fraud_model.serving.cases import Cases
from fraud_model.serving.failure import describe, silence_libraries
from fraud_model.serving.health import READY_FILE, Health
from fraud_model.serving.invocations import Invocations
from fraud_model.serving.live import Live, Version
from fraud_model.serving.loading import load_served
from fraud_model.serving.model import ServedModel
from fraud_model.serving.origin import Origin
from fraud_model.serving.refresh.board import Board
from fraud_model.serving.refresh.swap import Swap
from fraud_model.serving.reply import FAILED, refuse, send_reply
from fraud_model.serving.settings import Settings
from fraud_model.serving.tokens import Tokens

log = logging.getLogger("fraud_model.serving")

ORIGIN = "FRAUD_MODEL_ORIGIN"
ADDRESS = "FRAUD_MODEL_ADDRESS"
# In the folder that the workers share: why a worker could not start.
FAILURE_FILE = "failure"
# Pages and description are the same for everybody: they tell what the version takes, and nothing of
# what it was asked. Without them nobody would find where to enter the token.
WITHOUT_TOKEN = frozenset(
    ("/ping", "/health", "/", "/docs", "/redoc", "/openapi.json", *page.FILES)
)
REQUEST_ID = re.compile(rb"[\x21-\x7e]{1,128}")

# A thread may hold the interpreter this many seconds while a request waits.
SWITCH_INTERVAL = 0.0005


def create_app() -> ASGIApp:
    """The application of a worker; the environment says what to serve.

    Raises:
        FraudModelError: the model cannot be served. While several workers start, one leaves the
            reason to their supervisor instead, and exits so that the supervisor ends too.
    """
    # What is imported by now stays. Looking through it for garbage would hold up requests for a
    # tenth of a second, at every swap.
    gc.freeze()
    board = Board.of_this_server()
    passed = board.passed() if board else None
    # A worker that is restarted begins where the others are.
    origin = passed.origin if passed else Origin(**json.loads(os.environ[ORIGIN]))
    if prometheus.SHARED_FOLDER in os.environ:
        # It is for the supervisor.
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        served = load_served(origin)
    except FraudModelError as error:
        folder = os.environ.get(prometheus.SHARED_FOLDER)
        # A worker that is restarted later must not end the others.
        if folder is None or (Path(folder) / READY_FILE).exists():
            raise
        (Path(folder) / FAILURE_FILE).write_text(str(error), encoding="utf-8")
        # At once: an interpreter that winds down does not answer its supervisor, which then waits
        # for minutes before it sees that the worker has ended.
        os._exit(STARTUP_FAILURE)
    silence_libraries()
    return build(
        served, Settings.from_environment(os.environ), board, passed.number if passed else 0
    )


def build(
    served: ServedModel, settings: Settings, board: Board | None = None, number: int = 0
) -> ASGIApp:
    """The application around a loaded model; it takes those that the board wants after `number`."""
    metrics = prometheus.Metrics(served, board)
    live = Live(Version(served, settings, metrics), metrics)
    swap = Swap(live, settings, metrics, board, number) if board else None
    health = Health(live, settings, board)
    # Of MLflow's application only the routes without a model are used; it must not keep one.
    mlflow_app = scoring_server.init(SimpleNamespace(metadata=served.pyfunc.metadata))
    paths: dict[str, ASGIApp] = {
        "/invocations": Invocations(live, settings, metrics),
        "/ping": mlflow_app,
        "/version": mlflow_app,
    }
    cases = Cases(settings, lambda: live.current.served.target).routes()
    others = _other_routes(
        paths, live, metrics, health, swap, cases if settings.labels_file else []
    )
    # Only the addresses in the pages need what a proxy says about the scheme.
    app: ASGIApp = Server(paths, ProxyHeadersMiddleware(others), Tokens.of(settings))  # type: ignore[arg-type]
    if settings.origins:
        app = CORSMiddleware(
            app,
            allow_origins=settings.origins,
            allow_methods=["GET", "HEAD", "POST"],
            allow_headers=["Authorization", "Content-Type", "X-Request-ID", "X-Request-Source"],
            expose_headers=["X-Request-ID", "Retry-After"],
        )
    return app


class Server:
    """Gives each request an id, checks the token, and passes it to the application of its path.

    `/invocations` bypasses routers and middleware, which cost more than scoring a row.
    """

    def __init__(
        self, paths: Mapping[str, ASGIApp], others: ASGIApp, tokens: Tokens | None
    ) -> None:
        self._paths = paths
        self._others = others
        self._tokens = tokens

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers one request."""
        if scope["type"] != "http":
            await self._others(scope, receive, send)
            return
        # If a header comes twice, the first one counts, as in MLflow's own server.
        headers = scope["headers_by_name"] = dict(reversed(scope["headers"]))
        given = headers.get(b"x-request-id", b"")
        token = headers.get(b"authorization", b"")
        known = given if REQUEST_ID.fullmatch(given) else secrets.token_hex(16).encode()
        scope["request_id"] = known.decode()
        source = headers.get(b"x-request-source", b"")
        scope["source"] = source.decode() if REQUEST_ID.fullmatch(source) else ""

        started = False

        async def send_with_id(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                message["headers"] = [*message["headers"], (b"x-request-id", known)]
            await send(message)

        path = scope["path"]
        caller = self._tokens.name_of(token) if self._tokens else ""
        scope["caller"] = caller
        if caller is None and path not in WITHOUT_TOKEN:
            reply = refuse(
                401,
                "unauthorized",
                "The header `Authorization: Bearer <token>` is missing or wrong.",
            )
            await send_reply(reply, send_with_id, (b"www-authenticate", b"Bearer"))
            return
        try:
            await self._paths.get(path, self._others)(scope, receive, send_with_id)
        except Exception as error:
            log.error("request %s to %s failed: %s", known.decode(), path, describe(error))
            if not started:
                await send_reply(FAILED, send_with_id)


def _other_routes(
    paths: Mapping[str, ASGIApp],
    live: Live,
    metrics: prometheus.Metrics,
    health: Health,
    swap: Swap | None,
    cases: Sequence[Route],
) -> Starlette:
    async def show_health(request: Request) -> Response:
        healthy, report = health.report()
        return JSONResponse(report, 200 if healthy else 503)

    async def show_metrics(request: Request) -> Response:
        text = await asyncio.to_thread(metrics.text)
        return Response(text, headers={"content-type": prometheus.CONTENT_TYPE})

    async def show_description(request: Request) -> Response:
        return JSONResponse(live.current.description)

    async def show_docs(request: Request) -> Response:
        return HTMLResponse(
            docs_page.page(live.current.description, str(request.base_url).rstrip("/"))
        )

    async def show_failure(request: Request, error: Exception) -> Response:
        return Response(FAILED.body, FAILED.status, media_type=FAILED.media_type)

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        sys.setswitchinterval(SWITCH_INTERVAL)
        if health.worker_is_up():
            _announce(live.current.served)
        live.current.start()
        if swap:
            swap.start()
        yield
        if swap:
            await swap.stop()
        await live.current.close()

    return Starlette(
        routes=[
            *page.routes(),
            *cases,
            Route("/health", show_health),
            Route("/metrics", show_metrics),
            Route("/openapi.json", show_description),
            Route("/docs", show_docs),
            Route("/redoc", show_docs),
            # They get here with a slash at the end, and are redirected as MLflow's server does.
            *(Route(path, endpoint) for path, endpoint in paths.items()),
        ],
        lifespan=lifespan,
        exception_handlers={Exception: show_failure},
    )


def _announce(served: ServedModel) -> None:
    origin = served.origin
    log.info(
        "serving %s, version %s, from %s (%s)",
        origin.model_name or "a model",
        origin.model_version or "unregistered",
        origin.path,
        origin.source,
    )
    if served.route_note:
        log.info("every request is scored by MLflow's `predict`: %s", served.route_note)
    address = os.environ.get(ADDRESS, "")
    log.info("ready: page %s/, scoring %s/invocations, API %s/docs", *[address] * 3)
