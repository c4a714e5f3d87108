"""``/server``: what this server is and how it is (spec schema-and-platform §4.3). ``ping`` is among the open routes."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any

from starlette.responses import Response
from starlette.routing import Route

from tabulary.core import json
from tabulary.items.platform import Platform
from tabulary.server import respond
from tabulary.server.request import ApiRequest
from tabulary.server.routing import not_found
from tabulary.services.first_admin import set_up
from tabulary.services.health import COMPATIBLE_VERSION, Health
from tabulary.services.openapi import OpenApi
from tabulary.services.server_info import server_info

Sdl = Callable[[ApiRequest, str], Awaitable[str]]
"""Makes the caller's GraphQL schema of a scope, ``items`` or ``system``."""

_HEALTH_TYPE = "application/health+json; charset=utf-8"


class Server:
    """The routes of one application."""

    def __init__(self, platform: Platform, sdl: Sdl) -> None:
        self._settings = platform.settings
        self._health = Health(platform)
        self._openapi = OpenApi(platform)
        self._sdl = sdl

    def routes(self) -> list[Route]:
        found = [
            Route("/server/info", self.info, methods=["GET"]),
            Route("/server/health", self.health, methods=["GET"]),
            Route("/server/setup", self.setup, methods=["POST"]),
        ]
        if self._settings["OPENAPI_ENABLED"]:
            found.append(Route("/server/specs/oas", self.oas, methods=["GET"]))
        if self._settings["GRAPHQL_INTROSPECTION"]:
            found.append(Route("/server/specs/graphql", self.graphql, methods=["GET"]))
            found.append(Route("/server/specs/graphql/{scope}", self.graphql, methods=["GET"]))
        return found

    async def info(self, request: ApiRequest) -> Response:
        """The project's face, and more for those who are logged in."""
        return respond.plain(await server_info(request.platform, request.schema, request.accountability))

    async def health(self, request: ApiRequest) -> Response:
        """Whether the parts answer, and for admins how fast. 503 when one does not."""
        report = await self._health.report()
        answer: dict[str, Any] = {"status": report.status}
        if request.accountability.admin:
            answer |= {"releaseId": COMPATIBLE_VERSION, "serviceId": self._settings["PUBLIC_URL"]}
            answer["checks"] = report.checks
        status = 503 if report.status == "error" else 200
        return Response(json.encode(answer), status, {"Cache-Control": "no-cache"}, media_type=_HEALTH_TYPE)

    async def setup(self, request: ApiRequest) -> Response:
        """Make the first administrator, with the token of a setup link; only while there is none."""
        await set_up(request.platform, request.schema, request.payload if isinstance(request.payload, dict) else {})
        return respond.nothing()

    async def oas(self, request: ApiRequest) -> Response:
        """The OpenAPI document of what the caller may do.

        Remembered where it is made, and never in the response cache: it may name the host that this caller wrote.
        """
        host = str(request.base_url).rstrip("/")
        document = await self._openapi.document(request.schema, request.accountability, host)
        headers = {"Vary": "Origin, Cache-Control", "Cache-Control": "no-cache"}
        return Response(document, 200, headers, media_type=respond.JSON_TYPE)

    async def graphql(self, request: ApiRequest) -> Response:
        """The caller's GraphQL schema as a file."""
        scope = request.path_params.get("scope", "items")
        if scope not in ("items", "system"):
            raise not_found(request.scope)
        text = await self._sdl(request, scope)
        settings = request.platform.service("directus_settings", schema=request.schema)
        name = (await settings.read_singleton({"fields": ["project_name"]})).get("project_name") or "tabulary"
        safe = re.sub(r"[^\w. -]+", "_", str(name), flags=re.ASCII).strip() or "tabulary"
        headers = {"Content-Disposition": f'attachment; filename="{safe}_{datetime.now(UTC):%Y-%m-%d}.graphql"'}
        return Response(text, 200, headers, media_type="application/octet-stream")


def routes(platform: Platform, sdl: Sdl) -> list[Route]:
    return Server(platform, sdl).routes()
