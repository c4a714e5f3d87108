"""``/roles``, with the roles of the caller (spec users §4.7)."""

from __future__ import annotations

from starlette.responses import Response
from starlette.routing import Route

from tabulary.core.errors import Forbidden
from tabulary.items.platform import Platform
from tabulary.server import respond
from tabulary.server.request import ApiRequest
from tabulary.server.routes.resource import Resource


class Roles(Resource):
    """The roles, and ``me``."""

    def routes(self) -> list[Route]:
        return [Route(f"{self.path}/me", self.read_mine, methods=["GET"]), *super().routes()]

    async def read_mine(self, request: ApiRequest) -> Response:
        """The caller's role and its ancestors, all of them; at least their ids."""
        who = request.accountability
        if who.user is None and who.role is None:
            raise Forbidden
        query = request.query.with_limit(None)
        try:
            roles = await self.service(request).read_many(list(who.roles), query) if who.roles else []
        except Forbidden:
            roles = [{"id": role} for role in who.roles]
        return respond.data(request, roles)


def routes(platform: Platform) -> list[Route]:
    return Roles("/roles", "directus_roles").routes()
