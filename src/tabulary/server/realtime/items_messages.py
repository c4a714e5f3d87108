"""``items`` messages: reading and writing items over a socket (spec §2.4)."""

from __future__ import annotations

from typing import Any, Final

from tabulary.access.accountability import Accountability
from tabulary.core import json
from tabulary.core.errors import InvalidPayload
from tabulary.items.counting import counts
from tabulary.items.platform import Platform
from tabulary.items.query import Query
from tabulary.schema.overview import Schema
from tabulary.server.realtime.frames import SocketError

Answer = tuple[str, dict[str, int] | None]
"""The JSON text of the data, and the counts that the query asked for."""

_ACTIONS: Final = ("create", "read", "update", "delete")


async def answer(platform: Platform, who: Accountability, message: dict[str, Any]) -> Answer:
    """Do what a message says. Raises :class:`SocketError`, :class:`InvalidPayload` and what the service raises."""
    schema = await platform.schemas.current()
    collection, action = message.get("collection"), message.get("action")
    if not isinstance(collection, str) or collection not in schema.collections or collection.startswith("directus_"):
        raise SocketError("INVALID_COLLECTION", f'There is no collection "{collection}" to work with here.')
    if action not in _ACTIONS:
        raise InvalidPayload(f'"action" has to be one of {", ".join(_ACTIONS)}')
    raw = message.get("query") or {}
    if not isinstance(raw, dict):
        raise InvalidPayload('"query" has to be an object')
    work = _Work(platform, schema, who, collection, Query.parse(raw, platform.settings), message)
    text: str = await getattr(work, action)()
    return text, await work.counts() if action == "read" else None


class _Work:
    """One message."""

    def __init__(
        self,
        platform: Platform,
        schema: Schema,
        who: Accountability,
        collection: str,
        query: Query,
        message: dict[str, Any],
    ) -> None:
        self._platform, self._schema, self._who = platform, schema, who
        self._collection, self._query = collection, query
        self._id, self._ids, self._data = message.get("id"), message.get("ids"), message.get("data")
        self._has_query = bool(message.get("query"))
        self._service = platform.service(collection, schema=schema, accountability=who)
        self._is_singleton = schema.collections[collection].singleton
        if self._ids is not None and not isinstance(self._ids, list):
            raise InvalidPayload('"ids" has to be a list')

    async def create(self) -> str:
        if isinstance(self._data, list):
            return await self._many(await self._service.create_many(self._data))
        return await self._one(await self._service.create_one(self._object()))

    async def read(self) -> str:
        if self._id is not None:
            return await self._one(self._id)
        if self._ids is not None:
            return await self._many(self._ids)
        if self._is_singleton:
            return await self._singleton()
        text: str = await self._service.read_json_by_query(self._query)
        return text

    async def update(self) -> str:
        if self._id is not None:
            return await self._one(await self._service.update_one(self._id, self._object()))
        if self._ids is not None:
            return await self._many(await self._service.update_many(self._ids, self._object()))
        if self._is_singleton:
            await self._service.upsert_singleton(self._object())
            return await self._singleton()
        if isinstance(self._data, list):
            return await self._many(await self._service.update_batch(self._data))
        return await self._many(await self._service.update_by_query(self._query, self._object()))

    async def delete(self) -> str:
        if self._id is not None:
            await self._service.delete_one(self._id)
            return json.encode(self._id).decode()
        if self._ids is not None:
            await self._service.delete_many(self._ids)
            return json.encode(self._ids).decode()
        if not self._has_query:
            raise InvalidPayload('"id", "ids" or "query" has to say what to delete')
        return json.encode(await self._service.delete_by_query(self._query)).decode()

    async def counts(self) -> dict[str, Any] | None:
        """The ``meta`` that the query asks for."""
        return await counts(self._platform.reader, self._schema, self._collection, self._who, self._query)

    def _object(self) -> dict[str, Any]:
        if not isinstance(self._data, dict):
            raise InvalidPayload('"data" has to be an object')
        return self._data

    async def _one(self, key: Any) -> str:
        text: str = await self._service.read_json_one(key, self._query)
        return text

    async def _many(self, keys: list[Any]) -> str:
        text: str = await self._service.read_json_many(keys, self._query) if keys else "[]"
        return text

    async def _singleton(self) -> str:
        return json.encode(await self._service.read_singleton(self._query)).decode()
