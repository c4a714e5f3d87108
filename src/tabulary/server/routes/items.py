"""``/items/:collection``: the user's collections (spec items-and-query §2)."""

from __future__ import annotations

from starlette.responses import Response
from starlette.routing import Route

from tabulary.core.errors import Forbidden
from tabulary.items.platform import Platform
from tabulary.server import respond
from tabulary.server.batch import Batch
from tabulary.server.request import ApiRequest
from tabulary.server.routes.resource import Resource


class Items(Resource):
    """The resource whose collection is in the path."""

    def __init__(self) -> None:
        super().__init__("/items/{collection}", "")

    def collection_of(self, request: ApiRequest) -> str:
        """The collection of the path.

        Raises :class:`Forbidden`: with a reason for unknown names, without one for system collections, which have
        routes of their own.
        """
        name: str = request.path_params["collection"]
        if name not in request.schema.collections:
            raise Forbidden(f'Collection "{name}" doesn\'t exist or you may not access it.')
        if name.startswith("directus_") and request.schema.collections[name].is_system:
            raise Forbidden
        return name

    async def delete_many(self, request: ApiRequest) -> Response:
        """As everywhere; on a singleton the body is not checked, and one without keys deletes nothing."""
        payload = request.payload
        if not self.is_singleton(request) or isinstance(payload, list):
            return await super().delete_many(request)
        batch = Batch(payload.get("keys"), payload.get("query"))
        if isinstance(batch.keys, list):
            await self.service(request).delete_many(batch.keys)
        elif isinstance(batch.query, dict):
            await self.service(request).delete_by_query(request.parsed(batch.query, validate=False))
        return respond.nothing()


def routes(platform: Platform) -> list[Route]:
    return Items().routes()
