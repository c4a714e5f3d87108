"""``/relations`` (spec schema-and-platform §2.1, §2.5): unknown collection, then the body, then the admin check."""

from __future__ import annotations

from starlette.responses import Response
from starlette.routing import Route

from tabulary.items.platform import Platform
from tabulary.server import respond
from tabulary.server.request import ApiRequest
from tabulary.server.routes.schema_answers import after_change, known_collection
from tabulary.services.relations import RelationsService
from tabulary.services.schema_bodies import check_relation


def routes(platform: Platform) -> list[Route]:
    """The routes of the family."""
    one = "/relations/{collection}/{field}"
    return [
        Route("/relations", read_all, methods=["GET"]),
        Route("/relations", create, methods=["POST"]),
        Route("/relations/{collection}", read_of, methods=["GET"]),
        Route(one, read_one, methods=["GET"]),
        Route(one, update_one, methods=["PATCH"]),
        Route(one, delete_one, methods=["DELETE"]),
    ]


async def read_all(request: ApiRequest) -> Response:
    return respond.data(request, await _service(request).read_all())


async def read_of(request: ApiRequest) -> Response:
    return respond.data(request, await _service(request).read_all(known_collection(request)))


async def read_one(request: ApiRequest) -> Response:
    relation = await _service(request).read_one(known_collection(request), request.path_params["field"])
    return respond.data(request, relation)


async def create(request: ApiRequest) -> Response:
    data = check_relation(request.payload, new=True)
    await _service(request).create_one(data)
    return await _after(request, data["collection"], data["field"])


async def update_one(request: ApiRequest) -> Response:
    collection, field = known_collection(request), request.path_params["field"]
    data = check_relation(request.payload, new=False)
    await _service(request).update_one(collection, field, data)
    return await _after(request, collection, field)


async def delete_one(request: ApiRequest) -> Response:
    await _service(request).delete_one(known_collection(request), request.path_params["field"])
    return respond.nothing()


def _service(request: ApiRequest) -> RelationsService:
    return RelationsService(platform=request.platform, schema=request.schema, accountability=request.accountability)


async def _after(request: ApiRequest, collection: str, field: str) -> Response:
    async def read() -> object:
        request.schema = await request.platform.schemas.current()
        return await _service(request).read_one(collection, field)

    return await after_change(request, read)
