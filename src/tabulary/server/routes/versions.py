"""``/versions``: content versions, and saving, comparing and promoting them (spec items-and-query §10.2)."""

from __future__ import annotations

from starlette.responses import Response
from starlette.routing import Route

from tabulary.items.platform import Platform
from tabulary.server import respond
from tabulary.server.request import ApiRequest
from tabulary.server.routes.resource import Resource


class Versions(Resource):
    """The versions, and what one does with a version."""

    def routes(self) -> list[Route]:
        one = f"{self.path}/{self.key_pattern}"
        return [
            *super().routes(),
            Route(f"{one}/save", self.save, methods=["POST"]),
            Route(f"{one}/compare", self.compare, methods=["GET"]),
            Route(f"{one}/promote", self.promote, methods=["POST"]),
        ]

    async def save(self, request: ApiRequest) -> Response:
        """Put changes into a version."""
        return respond.plain(await self.service(request).save(request.path_params["key"], request.payload))

    async def compare(self, request: ApiRequest) -> Response:
        """The version beside its item."""
        return respond.plain(await self.service(request).compare(request.path_params["key"]))

    async def promote(self, request: ApiRequest) -> Response:
        """Write the changes of a version into its item."""
        body = self.object_of(request)
        key = request.path_params["key"]
        return respond.plain(await self.service(request).promote(key, body.get("mainHash"), body.get("fields")))


def routes(platform: Platform) -> list[Route]:
    return Versions("/versions", "directus_versions").routes()
