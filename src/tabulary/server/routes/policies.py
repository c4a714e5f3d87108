"""``/policies``, with what the caller's policies add up to (spec users §4.7)."""

from __future__ import annotations

from starlette.responses import Response
from starlette.routing import Route

from tabulary.items.platform import Platform
from tabulary.server import respond
from tabulary.server.request import ApiRequest
from tabulary.server.routes.resource import Resource


class Policies(Resource):
    """The policies, and ``me/globals``."""

    def routes(self) -> list[Route]:
        return [
            Route(f"{self.path}/me/globals", self.read_globals, methods=["GET"]),
            Route(f"{self.path}/me", nothing, methods=["GET"]),
            *super().routes(),
        ]

    async def read_globals(self, request: ApiRequest) -> Response:
        """Admin and app access of the caller, and whether a second factor is demanded."""
        who = request.accountability
        if who.user is None:
            return respond.plain({"app_access": False})
        enforced = await request.platform.access.enforces_tfa(who)
        return respond.plain({"app_access": who.app, "admin_access": who.admin, "enforce_tfa": enforced})


async def nothing(request: ApiRequest) -> Response:
    """``/policies/me`` and ``/access/me`` answer, but have nothing to say."""
    return respond.nothing()


def routes(platform: Platform) -> list[Route]:
    return Policies("/policies", "directus_policies").routes()
