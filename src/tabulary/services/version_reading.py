"""Reading an item as one of its versions would make it (``?version=key``, spec items-and-query §10.4).

The delta is applied for real, in a transaction that is always rolled back; so relations, functions and the caller's own
permissions work as on any item. Items that exist only in the version have no key yet: theirs are shown as null.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from tabulary.core.errors import Forbidden
from tabulary.database.connection import Connection
from tabulary.items.keys import key_text
from tabulary.items.options import Key, MutationOptions
from tabulary.items.query import Query
from tabulary.schema.overview import Schema
from tabulary.services.version_delta import as_payload, defaults_of, mapped

if TYPE_CHECKING:
    from tabulary.services.reading import ItemsReader

Item = dict[str, Any]
VERSIONS = "directus_versions"
MAIN = "main"


class _Undo(Exception):
    """Ends the transaction of a preview."""


def is_versioned(query: Query) -> bool:
    """True when a query of one item asks for a version of it."""
    return bool(query.version) and query.version != MAIN


async def read_version(service: ItemsReader, key: Key, query: Query) -> Item:
    """The item ``key`` in the version that the query names.

    Raises :class:`Forbidden` when the caller may not read the version or the item, or there is none. With
    ``versionRaw`` an unknown version is the item itself.
    """
    found = await _version_of(service, key, query)
    if query.version_raw:
        item = await service.read_one(key, _plain(query))
        if found is None or not found["delta"]:
            return item
        return {**item, **mapped(service.schema, service.collection, found["delta"], found["item"])}
    if found is None:
        raise Forbidden
    if not found["delta"]:
        return await service.read_one(key, _plain(query))
    return await _preview(service, key, query, found["delta"])


async def _version_of(service: ItemsReader, key: Key, query: Query) -> Item | None:
    versions = service.platform.service(
        VERSIONS, schema=service.schema, accountability=service.accountability, connection=service.connection
    )
    conditions = {"key": query.version, "collection": service.collection, "item": str(key)}
    wanted = {"_and": [{name: {"_eq": value}} for name, value in conditions.items()]}
    raw = {"fields": ["id", "item", "delta"], "filter": wanted, "limit": 1}
    rows: list[Item] = await versions.read_by_query(raw)
    return rows[0] if rows else None


def _plain(query: Query) -> Query:
    return query.with_version(None)


async def _preview(service: ItemsReader, key: Key, query: Query, delta: Mapping[str, Any]) -> Item:
    schema, created = service.schema, set[tuple[str, str]]()

    def remember(collection: str, new: Key) -> None:
        created.add((collection, key_text(schema.collections[collection], new)))

    options = MutationOptions(
        emit_events=False,
        skip_tracking=True,
        auto_purge_cache=False,
        auto_purge_system_cache=False,
        bypass_limits=True,
        bypass_emit_action=lambda action: None,
        on_item_create=remember,
        overwrite_defaults=defaults_of(schema, service.collection, delta),
    )
    item: Item = {}

    async def work(connection: Connection) -> None:
        nonlocal item
        async with connection.savepoint():
            trusted = service.platform.service(service.collection, schema=schema, connection=connection)
            await trusted.update_one(key, as_payload(schema, service.collection, delta), options)
            item = await service.fork(connection=connection).read_one(key, _plain(query))
            raise _Undo

    with suppress(_Undo):
        await service.platform.database.run_in_transaction(work, service.connection)
    return _without_new_keys(schema, service.collection, item, created)


def _without_new_keys(schema: Schema, collection: str, item: Item, created: set[tuple[str, str]]) -> Item:
    """The item with null in place of the keys of rows that the preview made."""
    if not created:
        return item

    def is_new(target: str | None, key: Any) -> bool:
        found = schema.collections.get(target or "")
        return found is not None and (found.collection, key_text(found, key)) in created

    def shown(target: str | None, value: Any) -> Any:
        if isinstance(value, list):
            return [shown(target, entry) for entry in value]
        if isinstance(value, dict):
            return _without_new_keys(schema, target, value, created) if target else value
        return None if value is not None and is_new(target, value) else value

    result = {}
    for name, value in item.items():
        relation = schema.relation(collection, name)
        if relation is None:
            own = collection in schema.collections and name == schema.collections[collection].primary
            result[name] = None if own and value is not None and is_new(collection, value) else value
            continue
        kind, found = relation
        target = found.collection if kind == "o2m" else found.related_collection
        result[name] = shown(target or item.get(str(found.one_collection_field)), value)
    return result
