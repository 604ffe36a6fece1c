"""The page to score transactions by hand: files for a browser, which calls `/invocations` itself.

The folder works from any web server; ALLOWED_ORIGINS then has to name that.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

FOLDER = Path(__file__).parent
PAGE = "page.html"
MEDIA_TYPES = {".html": "text/html", ".css": "text/css", ".js": "text/javascript"}

FILES = {
    "/" if file.name == PAGE else f"/{file.name}": file
    for file in sorted(FOLDER.iterdir())
    if file.suffix in MEDIA_TYPES
}


def routes() -> list[Route]:
    """The page at `/` and its parts beside it, read once."""
    return [
        Route(path, partial(_answer, file.read_bytes(), MEDIA_TYPES[file.suffix]))
        for path, file in FILES.items()
    ]


async def _answer(content: bytes, media_type: str, request: Request) -> Response:
    # A browser must not mix the parts of two releases.
    return Response(content, media_type=media_type, headers={"cache-control": "no-cache"})
