"""The endpoints ``/graphql`` and ``/graphql/system`` (spec §1.1)."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Final

from starlette.responses import Response
from starlette.routing import Route

from tabulary.items.platform import Platform
from tabulary.server.graphql.asking import MethodNotAllowed
from tabulary.server.request import ApiRequest
from tabulary.server.routing import Family

if TYPE_CHECKING:
    from tabulary.server.graphql.engine import Engine

_METHODS: Final = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "SEARCH")


class GraphQL:
    """The routes of one application."""

    def __init__(self, platform: Platform, families: Mapping[str, Family]) -> None:
        self._platform = platform
        self._families = families

    @cached_property
    def engine(self) -> Engine:
        """What answers. Made by the first request: graphql-core is slow to load, and many servers never need it."""
        from tabulary.server.graphql.engine import Engine

        return Engine(self._platform, self._families)

    def routes(self) -> list[Route]:
        paths = ("/graphql/system", "/graphql/system/{rest:path}", "/graphql", "/graphql/{rest:path}")
        return [Route(path, self.answer, methods=list(_METHODS)) for path in paths]

    async def answer(self, request: ApiRequest) -> Response:
        """Any request to either endpoint. Raises :class:`MethodNotAllowed`."""
        if request.method not in ("GET", "POST"):
            raise MethodNotAllowed(request.method)
        return await self.engine.answer(request)

    async def sdl(self, request: ApiRequest, scope: str) -> str:
        """The caller's schema in GraphQL's language, for ``/server/specs/graphql``."""
        return await self.engine.sdl(request, scope)
