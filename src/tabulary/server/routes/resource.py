"""The one router of everything that is a list of items: user collections and system collections alike.

A family is a :class:`Resource` object; what differs between families is a constructor argument or an overridden method.
The rules are those of spec items-and-query §2 and users-and-access §2.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Sequence
from typing import Any

from starlette.responses import Response
from starlette.routing import Route

from tabulary.core.errors import Forbidden, InvalidQuery, RouteNotFound
from tabulary.items.counting import counts
from tabulary.items.paging import cursors
from tabulary.items.query import Query
from tabulary.server import export, respond
from tabulary.server.batch import read_batch
from tabulary.server.request import ApiRequest
from tabulary.server.respond import JsonText

Handler = Callable[[Any], Awaitable[Response]]

EVERYTHING = ("read", "create", "update", "delete")
READ_ONLY = ("read",)


class Resource:
    """The routes of one collection.

    Args:
        path: where it is mounted, such as ``/folders``.
        collection: the collection behind it, such as ``directus_folders``.
        actions: which of read, create, update, delete are served; the others are 404.
    """

    key_pattern = "{key}"

    def __init__(self, path: str, collection: str, actions: Collection[str] = EVERYTHING) -> None:
        self.path = path
        self.collection = collection
        self.actions = actions

    def routes(self) -> list[Route]:
        """All routes; subclasses put their own before these."""
        one = f"{self.path}/{self.key_pattern}"
        table: Sequence[tuple[str, str, str, Handler]] = (
            ("read", self.path, "GET", self.read_many),
            ("read", self.path, "SEARCH", self.search),
            ("read", one, "GET", self.read_one),
            ("create", self.path, "POST", self.create),
            ("update", self.path, "PATCH", self.update_many),
            ("update", one, "PATCH", self.update_one),
            ("delete", self.path, "DELETE", self.delete_many),
            ("delete", one, "DELETE", self.delete_one),
        )
        return [Route(p, handler, methods=[method]) for a, p, method, handler in table if a in self.actions]

    # --- what subclasses change -------------------------------------------------------------
    def collection_of(self, request: ApiRequest) -> str:
        """The collection a request is about. Raises :class:`Forbidden` when there is no such thing."""
        return self.collection

    def service(self, request: ApiRequest) -> Any:
        """The service that does the work, on behalf of the caller."""
        return request.service(self.collection_of(request))

    def is_singleton(self, request: ApiRequest) -> bool:
        return request.schema.collections[self.collection_of(request)].singleton

    # --- reads ------------------------------------------------------------------------------
    async def read_many(self, request: ApiRequest) -> Response:
        """``GET /``: the list, or the one item of a singleton."""
        query = request.query
        service = self.service(request)
        if self.is_singleton(request):
            item = await service.read_singleton(query)
            return respond.data(request, item, meta=await self.counts(request, query))
        if query.export:
            return await export.download_list(service, query, export.subject(request))
        if query.cursor is not None:
            page = await service.read_page(query)
            meta = {**(await self.counts(request, query) or {}), "cursor": cursors(page)}
            return respond.data(request, page.items, meta=meta)
        text = JsonText(await service.read_json_by_query(query))
        return respond.data(request, text, meta=await self.counts(request, query))

    async def search(self, request: ApiRequest) -> Response:
        """``SEARCH /``: as GET, with keys and query in the body."""
        batch = read_batch(request.payload, "read")
        if batch.query is not None:
            request.query = request.parsed(batch.query)
        if batch.keys is None or self.is_singleton(request):
            return await self.read_many(request)
        if request.query.cursor is not None:
            raise InvalidQuery('"keys" name the items: leave "cursor" out')
        text = JsonText(await self.service(request).read_json_many(batch.keys, request.query))
        return respond.data(request, text, meta=await self.counts(request, request.query))

    async def read_one(self, request: ApiRequest) -> Response:
        """``GET /:key``."""
        query = request.query
        service = self.service(request)
        return respond.data(request, JsonText(await service.read_json_one(request.path_params["key"], query)))

    async def counts(self, request: ApiRequest, query: Query) -> dict[str, Any] | None:
        """The ``meta`` of an answer, or None when nothing was asked for."""
        reader, collection = request.platform.reader, self.collection_of(request)
        return await counts(reader, request.schema, collection, request.accountability, query)

    # --- writes -----------------------------------------------------------------------------
    async def create(self, request: ApiRequest) -> Response:
        """``POST /``: one item or a list of them."""
        query, payload = request.query, request.payload
        service = self.service(request)
        if self.is_singleton(request):
            raise RouteNotFound(f"/{self.collection_of(request)}")
        if isinstance(payload, list):
            keys = await service.create_many(payload)
            return await self.after_many(request, service, keys, query)
        return await self.after_one(request, service, await service.create_one(payload), query)

    async def update_one(self, request: ApiRequest) -> Response:
        """``PATCH /:key``."""
        query = request.query
        service = self.service(request)
        if self.is_singleton(request):
            raise RouteNotFound(f"/{self.collection_of(request)}/{request.path_params['key']}")
        key = await service.update_one(request.path_params["key"], self.object_of(request))
        return await self.after_one(request, service, key, query)

    async def update_many(self, request: ApiRequest) -> Response:
        """``PATCH /``: a list of items with keys, one change for many, or the singleton."""
        query, payload = request.query, request.payload
        service = self.service(request)
        if self.is_singleton(request):
            if isinstance(payload, dict):
                await service.upsert_singleton(payload)
            return await self.after_write(request, lambda: service.read_singleton(query))
        if isinstance(payload, list):
            keys = await service.update_batch(payload)
        else:
            batch = read_batch(payload, "update")
            if batch.keys is not None:
                keys = await service.update_many(batch.keys, batch.data)
            else:
                keys = await service.update_by_query(request.parsed(batch.query or {}, validate=False), batch.data)
        return await self.after_many(request, service, keys, query)

    async def delete_one(self, request: ApiRequest) -> Response:
        """``DELETE /:key``."""
        await self.service(request).delete_one(request.path_params["key"])
        return respond.nothing()

    async def delete_many(self, request: ApiRequest) -> Response:
        """``DELETE /``: a list of keys, ``{keys}`` or ``{query}``."""
        payload = request.payload
        service = self.service(request)
        if isinstance(payload, list):
            await service.delete_many(payload)
            return respond.nothing()
        batch = read_batch(payload, "delete")
        if batch.keys is not None:
            await service.delete_many(batch.keys)
        else:
            await service.delete_by_query(request.parsed(batch.query or {}, validate=False))
        return respond.nothing()

    # --- what a write shows -----------------------------------------------------------------
    @staticmethod
    def object_of(request: ApiRequest) -> Any:
        """The body of a route that takes one item. A list there is an item without fields, as in the reference."""
        return request.payload if isinstance(request.payload, dict) else {}

    async def after_one(self, request: ApiRequest, service: Any, key: Any, query: Query) -> Response:
        """The written item as the caller may see it; 204 when it is out of their sight."""

        async def again() -> JsonText:
            return JsonText(await service.read_json_one(key, query))

        return await self.after_write(request, again)

    async def after_many(self, request: ApiRequest, service: Any, keys: list[Any], query: Query) -> Response:
        """The written items, as :meth:`after_one`."""

        async def again() -> JsonText:
            return JsonText(await service.read_json_many(keys, query))

        return await self.after_write(request, again)

    @staticmethod
    async def after_write(request: ApiRequest, read: Callable[[], Awaitable[Any]]) -> Response:
        """Read again with ``read``: the write stands even when its result may not be seen."""
        try:
            return respond.data(request, await read())
        except Forbidden:
            return respond.nothing()
