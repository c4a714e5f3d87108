"""The reading half of a service, and what both halves stand on (spec items-and-query §1.1, §1.3, §1.10, §1.11).

A read is a plan and one SQL statement (:mod:`tabulary.items.reader`). Its answer is JSON text; it is decoded only when
the caller wants objects or a hook wants to see them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import replace
from typing import Any, Self

from tabulary.access.accountability import Accountability
from tabulary.core import json
from tabulary.core.cache import Cache
from tabulary.core.errors import Forbidden, InvalidQuery
from tabulary.core.events import EventContext
from tabulary.database.connection import Connection
from tabulary.items.blueprint import Blueprint
from tabulary.items.context import event_names
from tabulary.items.keys import check_keys
from tabulary.items.options import Key, QueryOptions
from tabulary.items.paging import Page, read_page
from tabulary.items.platform import Platform
from tabulary.items.query import Query
from tabulary.schema.overview import Schema
from tabulary.services.version_reading import is_versioned, read_version

Item = dict[str, Any]
AnyQuery = Query | Mapping[str, Any] | None

_READS = ("read_by_query", "read_one", "read_many", "read_json_by_query", "read_json_one", "read_json_many")


class ItemsReader:
    """The items of one collection, on behalf of someone (``accountability``) or of the system (None).

    ``connection`` joins an open transaction; ``nested`` is the way from the root payload, for paths in errors.
    """

    def __init__(
        self,
        collection: str,
        *,
        platform: Platform,
        schema: Schema,
        accountability: Accountability | None = None,
        connection: Connection | None = None,
        nested: tuple[str, ...] = (),
    ) -> None:
        self.collection = collection
        self.platform = platform
        self.schema = schema
        self.accountability = accountability
        self.connection = connection
        self.nested = nested

    def fork(self, **changes: Any) -> Self:
        """The same service with other options, such as ``connection``."""
        options: dict[str, Any] = {
            "platform": self.platform,
            "schema": self.schema,
            "accountability": self.accountability,
            "connection": self.connection,
            "nested": self.nested,
        }
        return type(self)(self.collection, **(options | changes))

    @property
    def event_scope(self) -> str:
        """``items``, or the name of a system collection without its prefix."""
        return self.collection.removeprefix("directus_") if self.blueprint.collection.is_system else "items"

    @property
    def cache(self) -> Cache | None:
        """The response cache, where there is one."""
        return self.platform.cache

    @property
    def blueprint(self) -> Blueprint:
        """What writes know of the collection. Raises :class:`Forbidden` for an unknown one."""
        return self.platform.writes.blueprint(self.schema, self.collection)

    @property
    def answers_in_sql(self) -> bool:
        """True when reads are the database's own text: nothing overrides them and no hook looks at the items.

        Only then may a query carry a selection (``Query.with_selection``); others want the items in REST's shape.
        """
        own = type(self)
        return all(getattr(own, n) is getattr(ItemsReader, n) for n in _READS) and not self._is_observed(None)

    # --- read -------------------------------------------------------------------------------
    async def read_by_query(self, query: AnyQuery = None, options: QueryOptions | None = None) -> list[Item]:
        """The items that match. Raises :class:`Forbidden` for what does not exist or may not be read."""
        parsed = await self._before_read(self._parsed(query), options)
        items = await self.platform.reader.read(
            self.schema, self.collection, parsed, self.accountability, self.connection
        )
        return await self._after_read(items, parsed, options)

    async def read_json_by_query(self, query: AnyQuery = None, options: QueryOptions | None = None) -> str:
        """The same as the JSON text of a list: straight from the database when no hook looks at it."""
        parsed = self._parsed(query)
        if self._is_observed(options):
            return json.encode(await self.read_by_query(parsed, options)).decode()
        parsed = await self._before_read(parsed, options)
        return await self.platform.reader.read_json(
            self.schema, self.collection, parsed, self.accountability, self.connection
        )

    async def read_page(self, query: AnyQuery = None, options: QueryOptions | None = None) -> Page:
        """The page at the query's ``cursor`` (the first one without), ``limit`` items long, and where to read on.

        Raises what :meth:`read_by_query` raises, and :class:`InvalidQuery` for a cursor of another list.
        """
        if type(self).read_by_query is not ItemsReader.read_by_query:
            raise InvalidQuery(f'"{self.collection}" is always read as a whole: leave "cursor" out')
        parsed = await self._before_read(self._parsed(query), options)
        page = await read_page(
            self.platform.reader, self.schema, self.collection, parsed, self.accountability, self.connection
        )
        return replace(page, items=await self._after_read(page.items, parsed, options))

    async def read_one(self, key: Key, query: AnyQuery = None, options: QueryOptions | None = None) -> Item:
        """The item with this key. Raises :class:`Forbidden` when there is none to see."""
        parsed = self._parsed(query)
        if is_versioned(parsed):
            return await read_version(self, key, parsed)
        items = await self.read_by_query(self._with_key(key, query), options)
        if not items:
            raise Forbidden()
        return items[0]

    async def read_json_one(self, key: Key, query: AnyQuery = None, options: QueryOptions | None = None) -> str:
        """The JSON text of the item with this key. Raises :class:`Forbidden` when there is none to see."""
        parsed = self._parsed(query)
        if is_versioned(parsed):
            return json.encode(await self.read_one(key, parsed)).decode()
        text = (await self.read_json_by_query(self._with_key(key, query), options)).strip()
        if text == "[]":
            raise Forbidden()
        return text[1:-1]

    async def read_many(
        self, keys: Sequence[Key], query: AnyQuery = None, options: QueryOptions | None = None
    ) -> list[Item]:
        """The items with these keys in the query's order; missing ones are left out."""
        return await self.read_by_query(self._with_keys(keys, query), options)

    async def read_json_many(
        self, keys: Sequence[Key], query: AnyQuery = None, options: QueryOptions | None = None
    ) -> str:
        return await self.read_json_by_query(self._with_keys(keys, query), options)

    async def read_singleton(self, query: AnyQuery = None, options: QueryOptions | None = None) -> Item:
        """The one item, or the defaults of its fields when there is none yet (spec items-and-query §1.11)."""
        parsed = self._parsed(query).with_limit(1)
        if is_versioned(parsed):
            keys = await self.get_keys_by_query({"limit": 1})
            return await self.read_one(keys[0], parsed) if keys else self._defaults(parsed)
        items = await self.read_by_query(parsed, options)
        return items[0] if items else self._defaults(parsed)

    async def get_keys_by_query(self, query: AnyQuery = None) -> list[Key]:
        """Keys of matching items, whoever asks: permissions do not count here, but the limit does."""
        system = self.fork(accountability=None)
        if system._is_observed(None):
            primary = self.blueprint.collection.primary
            items = await system.read_by_query(self._parsed(query).with_fields(primary))
            return [item[primary] for item in items if item.get(primary)]
        keys = await self.platform.reader.keys(self.schema, self.collection, self._parsed(query), self.connection)
        return [key for key in keys if key]

    def _parsed(self, query: AnyQuery) -> Query:
        return query if isinstance(query, Query) else Query.parse(query or {}, self.platform.settings)

    def _with_key(self, key: Key, query: AnyQuery) -> Query:
        check_keys(self.blueprint.collection, [key])
        return self._parsed(query).with_key(self.blueprint.collection.primary, [key], False)

    def _with_keys(self, keys: Sequence[Key], query: AnyQuery) -> Query:
        check_keys(self.blueprint.collection, keys)
        parsed = self._parsed(query)
        if parsed.root.limit in (0, self._parsed(None).root.limit):
            parsed = parsed.with_limit(len(keys))
        return parsed.with_key(self.blueprint.collection.primary, list(keys), True)

    def _defaults(self, query: Query) -> Item:
        collection, wanted = self.blueprint.collection, query.root.fields
        item: Item = {}
        for name, field in collection.fields.items():
            if wanted is not None and "*" not in wanted and name not in wanted:
                continue
            if name == collection.primary:
                item[name] = None
            elif field.default_value is not None:
                item[name] = field.default_value
        return item

    # --- events -----------------------------------------------------------------------------
    @property
    def event_context(self) -> EventContext:
        """For hooks outside of a transaction of ours."""
        return EventContext(self.connection or self.platform.database, self.schema, self.accountability)

    def _is_observed(self, options: QueryOptions | None) -> bool:
        """True when hooks would see the items of a read."""
        return self._emits(options) and self.platform.hooks.listens(event_names(self.blueprint, "read"))

    async def _before_read(self, query: Query, options: QueryOptions | None) -> Query:
        if not self._emits(options) or self.collection not in self.schema.collections:
            return query
        names, meta = event_names(self.blueprint, "query"), {"collection": self.collection}
        changed: Query = await self.platform.hooks.emit_filter(names, query, meta, self.event_context)
        return changed

    async def _after_read(self, items: list[Item], query: Query, options: QueryOptions | None) -> list[Item]:
        if not self._is_observed(options):
            return items
        names, meta = event_names(self.blueprint, "read"), {"query": query, "collection": self.collection}
        items = await self.platform.hooks.emit_filter(names, items, meta, self.event_context)
        self.platform.hooks.emit_action(names, {"payload": items, **meta}, self.event_context)
        return items

    @staticmethod
    def _emits(options: QueryOptions | None) -> bool:
        return options is None or options.emit_events

    def _connected(self) -> AbstractAsyncContextManager[Connection]:
        """The service's connection, or one of the pool for a moment."""
        return nullcontext(self.connection) if self.connection is not None else self.platform.database.connection()
