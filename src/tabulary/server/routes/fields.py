"""``/fields`` (spec schema-and-platform §2.1, §2.4): unknown collection, then the body, then the admin check."""

from __future__ import annotations

from starlette.responses import Response
from starlette.routing import Route

from tabulary.core.errors import InvalidPayload
from tabulary.items.platform import Platform
from tabulary.server import respond
from tabulary.server.request import ApiRequest
from tabulary.server.routes.schema_answers import after_change, known_collection, wants_concurrent_indexes
from tabulary.services.fields import FieldsService
from tabulary.services.schema_bodies import check_field
from tabulary.services.schema_change import require_admin


def routes(platform: Platform) -> list[Route]:
    """The routes of the family."""
    of, one = "/fields/{collection}", "/fields/{collection}/{field}"
    return [
        Route("/fields", read_all, methods=["GET"]),
        Route(of, read_of, methods=["GET"]),
        Route(of, create, methods=["POST"]),
        Route(of, update_many, methods=["PATCH"]),
        Route(one, read_one, methods=["GET"]),
        Route(one, update_one, methods=["PATCH"]),
        Route(one, delete_one, methods=["DELETE"]),
    ]


async def read_all(request: ApiRequest) -> Response:
    return respond.data(request, await _service(request).read_all())


async def read_of(request: ApiRequest) -> Response:
    return respond.data(request, await _service(request).read_all(known_collection(request)))


async def read_one(request: ApiRequest) -> Response:
    field = await _service(request).read_one(known_collection(request), request.path_params["field"])
    return respond.data(request, field)


async def create(request: ApiRequest) -> Response:
    collection = known_collection(request)
    field = check_field(request.payload, new=True)
    concurrently = wants_concurrent_indexes(request)
    await _service(request).create_field(collection, field, concurrent_indexes=concurrently)
    return await _after(request, collection, [field["field"]], many=False)


async def update_many(request: ApiRequest) -> Response:
    """A list of changes, each with its ``field``; one after the other."""
    collection = known_collection(request)
    if not isinstance(request.payload, list):
        raise InvalidPayload("Submitted body has to be an array")
    require_admin(request.accountability)
    fields = [check_field(one, new=False, named=True) for one in request.payload]
    concurrently = wants_concurrent_indexes(request)
    names = await _service(request).update_fields(collection, fields, concurrent_indexes=concurrently)
    return await _after(request, collection, names, many=True)


async def update_one(request: ApiRequest) -> Response:
    collection, name = known_collection(request), request.path_params["field"]
    field = check_field(request.payload, new=False)
    concurrently = wants_concurrent_indexes(request)
    await _service(request).update_field(collection, {**field, "field": name}, concurrent_indexes=concurrently)
    return await _after(request, collection, [name], many=False)


async def delete_one(request: ApiRequest) -> Response:
    await _service(request).delete_field(known_collection(request), request.path_params["field"])
    return respond.nothing()


def _service(request: ApiRequest) -> FieldsService:
    return FieldsService(platform=request.platform, schema=request.schema, accountability=request.accountability)


async def _after(request: ApiRequest, collection: str, names: list[str], *, many: bool) -> Response:
    async def read() -> object:
        request.schema = await request.platform.schemas.current()
        service = _service(request)
        found = [await service.read_one(collection, name) for name in names]
        return found if many else found[0]

    return await after_change(request, read)
