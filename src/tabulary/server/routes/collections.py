"""``/collections`` (spec schema-and-platform §2.1, §2.3). The admin check comes before any look at the body."""

from __future__ import annotations

from starlette.responses import Response
from starlette.routing import Route

from tabulary.core.errors import InvalidPayload
from tabulary.items.platform import Platform
from tabulary.server import respond
from tabulary.server.request import ApiRequest
from tabulary.server.routes.schema_answers import after_change, wants_concurrent_indexes
from tabulary.services.collections import CollectionsService
from tabulary.services.schema_change import require_admin


def routes(platform: Platform) -> list[Route]:
    """The routes of the family."""
    one = "/collections/{collection}"
    return [
        Route("/collections", read_all, methods=["GET"]),
        Route("/collections", search, methods=["SEARCH"]),
        Route("/collections", create, methods=["POST"]),
        Route("/collections", update_batch, methods=["PATCH"]),
        Route(one, read_one, methods=["GET"]),
        Route(one, update_one, methods=["PATCH"]),
        Route(one, delete_one, methods=["DELETE"]),
    ]


async def read_all(request: ApiRequest) -> Response:
    return respond.data(request, await _service(request).read_by_query())


async def search(request: ApiRequest) -> Response:
    """As GET, or those of ``keys`` that exist."""
    keys = request.payload.get("keys") if isinstance(request.payload, dict) else None
    if not keys:
        return await read_all(request)
    return respond.data(request, await _service(request).read_many(map(str, keys)))


async def create(request: ApiRequest) -> Response:
    """One collection or a list of them, all or none."""
    require_admin(request.accountability)
    payload = request.payload
    many = isinstance(payload, list)
    for one in payload if many else [payload]:
        if not isinstance(one, dict):
            raise InvalidPayload("A collection has to be an object")
    names = await _service(request).create_many(
        payload if many else [payload], concurrent_indexes=wants_concurrent_indexes(request)
    )
    return await _after(request, names, many)


async def update_one(request: ApiRequest) -> Response:
    name = await _service(request).update_one(request.path_params["collection"], _object(request))
    return await _after(request, [name], False)


async def update_batch(request: ApiRequest) -> Response:
    names = await _service(request).update_batch(request.payload)
    return await _after(request, names, True)


async def delete_one(request: ApiRequest) -> Response:
    await _service(request).delete_one(request.path_params["collection"])
    return respond.nothing()


async def read_one(request: ApiRequest) -> Response:
    return respond.data(request, await _service(request).read_one(request.path_params["collection"]))


def _service(request: ApiRequest) -> CollectionsService:
    return CollectionsService(platform=request.platform, schema=request.schema, accountability=request.accountability)


def _object(request: ApiRequest) -> dict[str, object]:
    return request.payload if isinstance(request.payload, dict) else {}


async def _after(request: ApiRequest, names: list[str], many: bool) -> Response:
    async def read() -> object:
        request.schema = await request.platform.schemas.current()
        service = _service(request)
        return await service.read_many(names) if many else await service.read_one(names[0])

    return await after_change(request, read)
