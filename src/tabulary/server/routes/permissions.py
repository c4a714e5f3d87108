"""``/permissions``, with what the caller may do (spec users §4.7)."""

from __future__ import annotations

from starlette.responses import Response
from starlette.routing import Route

from tabulary.core.errors import Forbidden
from tabulary.items.platform import Platform
from tabulary.server import respond
from tabulary.server.request import ApiRequest
from tabulary.server.routes import explain
from tabulary.server.routes.resource import Resource


class Permissions(Resource):
    """The permission rows, and ``me``."""

    def routes(self) -> list[Route]:
        return [
            Route(f"{self.path}/me", self.read_mine, methods=["GET"]),
            Route(f"{self.path}/me/{{collection}}", self.read_of_item, methods=["GET"]),
            Route(f"{self.path}/me/{{collection}}/{{key}}", self.read_of_item, methods=["GET"]),
            *super().routes(),
        ]

    async def read_mine(self, request: ApiRequest) -> Response:
        """All that the caller may do, by collection and action."""
        who = request.accountability
        if who.user is None and who.role is None and who.share is None:
            raise Forbidden
        return respond.plain(await self.service(request).summary())

    async def read_of_item(self, request: ApiRequest) -> Response:
        """What the caller may do with one item."""
        collection, key = request.path_params["collection"], request.path_params.get("key")
        return respond.plain(await self.service(request).of_item(collection, key))


def routes(platform: Platform) -> list[Route]:
    return [*explain.routes(platform), *Permissions("/permissions", "directus_permissions").routes()]
