"""Paths that answer anybody, without a look at tokens or the database (spec schema-and-platform §4.2, §4.3)."""

from __future__ import annotations

from collections.abc import Callable

from starlette.responses import Response
from starlette.types import Scope

from tabulary.core.settings import Settings
from tabulary.server.docs_page import DocsPage
from tabulary.server.routing import not_found

OpenRoute = Callable[[Scope], Response]


def routes(settings: Settings) -> dict[str, OpenRoute]:
    """The open routes by their exact path."""
    docs = DocsPage().routes() if settings["OPENAPI_ENABLED"] else {}
    return {
        **docs,
        "/": lambda scope: _root(scope, settings["ROOT_REDIRECT"]),
        "/robots.txt": lambda scope: Response(settings["ROBOTS_TXT"], 200, media_type="text/plain; charset=utf-8"),
        "/server/ping": lambda scope: Response(b"pong", 200, media_type="text/html; charset=utf-8"),
    }


def _root(scope: Scope, target: object) -> Response:
    if not target:
        raise not_found(scope)
    return Response(f"Found. Redirecting to {target}", 302, {"Location": str(target)}, "text/plain; charset=utf-8")
