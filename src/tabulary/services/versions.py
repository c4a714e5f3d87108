"""Content versions (spec items-and-query §10.2): drafts of single items that can be saved, compared and published."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from tabulary.core import json
from tabulary.core.errors import Forbidden, InvalidPayload, UnprocessableContent
from tabulary.core.events import EventContext
from tabulary.core.object_hash import object_hash
from tabulary.database.connection import Connection
from tabulary.items.context import event_names
from tabulary.items.keys import check_keys
from tabulary.items.moments import now, read_moment
from tabulary.items.options import Key, MutationOptions, QueryOptions
from tabulary.items.payload import revealed
from tabulary.services.items import ItemsService
from tabulary.services.reading import AnyQuery, Item
from tabulary.services.version_delta import DATE, USER, Delta, as_payload, defaults_of, mapped, merged
from tabulary.services.version_reading import MAIN

_NEW = frozenset({"key", "name", "collection", "item"})
_CHANGEABLE = frozenset({"key", "name"})
_NEEDED = ("collection", "item", "delta")


class VersionsService(ItemsService):
    """``directus_versions``. Needs ``versioning`` in the settings of the collection that a version is made in."""

    # --- reads ------------------------------------------------------------------------------
    async def read_one(self, key: Key, query: AnyQuery = None, options: QueryOptions | None = None) -> Item:
        """A version; its delta as changes to the item, without the markers of who saved what."""
        parsed = self._parsed(query)
        wanted = parsed.root.fields
        if wanted is not None and not {"*", "delta"}.intersection(wanted):
            return await super().read_one(key, parsed, options)
        row = await super().read_one(key, parsed.with_fields(*dict.fromkeys([*(wanted or ("*",)), *_NEEDED])), options)
        if row["delta"] is not None and isinstance(row["collection"], str):
            row["delta"] = mapped(self.schema, row["collection"], row["delta"], row["item"])
        if wanted is None or "*" in wanted:
            return row
        return {name: value for name, value in row.items() if name in wanted or name not in _NEEDED}

    async def read_json_one(self, key: Key, query: AnyQuery = None, options: QueryOptions | None = None) -> str:
        return json.encode(await self.read_one(key, query, options)).decode()

    # --- writes -----------------------------------------------------------------------------
    async def create_one(self, data: Mapping[str, Any], options: MutationOptions | None = None) -> Key:
        """Start a version of an item that the caller can read.

        Raises :class:`InvalidPayload` for other members than key, name, collection and item, :class:`Forbidden` for an
        item out of sight, :class:`UnprocessableContent` where versions are switched off or the key is taken.
        """
        _check(data, _NEW, ("key", "collection", "item"))
        collection, item = data["collection"], data["item"]

        async def work(connection: Connection) -> Key:
            inside = self.fork(connection=connection)
            main = await inside._main_item(collection, item)
            await inside._check_enabled(collection)
            await inside._check_free(data["key"], collection, item, None)
            row = {**data, "hash": object_hash(main)}
            return await super(VersionsService, inside).create_one(row, options)

        return await self.platform.database.run_in_transaction(work, self.connection)

    async def update_many(
        self, keys: Sequence[Key], data: Mapping[str, Any], options: MutationOptions | None = None
    ) -> list[Key]:
        """Rename versions. Raises as :meth:`create_one`."""
        _check(data, _CHANGEABLE, ())

        async def work(connection: Connection) -> list[Key]:
            inside = self.fork(connection=connection)
            updated = await super(VersionsService, inside).update_many(keys, data, options)
            if "key" in data:
                trusted = inside.fork(accountability=None)
                fields = {"fields": ["id", "collection", "item"], "limit": -1}
                for row in await trusted.read_many(keys, fields):
                    await inside._check_free(data["key"], row["collection"], row["item"], row["id"])
            return updated

        return await self.platform.database.run_in_transaction(work, self.connection)

    # --- save, compare, promote -------------------------------------------------------------
    async def save(self, key: Key, data: Any) -> Item:
        """Put changes into a version; the item with the whole delta over it.

        Needs to read the version and its item, nothing more. Raises :class:`Forbidden` otherwise, and
        :class:`InvalidPayload` for changes that are no object.
        """
        if not isinstance(data, Mapping):
            raise InvalidPayload("The changes to an item have to be an object")

        async def work(connection: Connection) -> Item:
            await connection.dialect.lock(connection, f"version:{key}")
            inside = self.fork(connection=connection)
            version = await inside._version(key)
            main = await inside._main_item(version["collection"], version["item"])
            await inside._track(connection, version, data)
            stamp = {USER: self.accountability and self.accountability.user, DATE: read_moment(now(), "timestamp")}
            delta = merged(self.schema, version["collection"], version["delta"] or {}, data, stamp)
            await inside._elevated().update_one(key, {"delta": delta})
            return {**main, **delta}

        return await self.platform.database.run_in_transaction(work, self.connection)

    async def compare(self, key: Key) -> Item:
        """The version beside its item: ``{outdated, mainHash, current, main}``. Raises as :meth:`save`."""
        version = await self._version(key)
        main = await self._main_item(version["collection"], version["item"])
        current = mapped(self.schema, version["collection"], version["delta"], version["item"])
        found = object_hash(main)
        return {"outdated": found != version["hash"], "mainHash": found, "current": current, "main": main}

    async def promote(self, key: Key, main_hash: Any, fields: Any = None) -> Key:
        """Write a version's changes (or only those of ``fields``) into its item, with the caller's rights; its key.

        Raises :class:`InvalidPayload` for a hash or fields of the wrong form, :class:`Forbidden`, and
        :class:`UnprocessableContent` when there is nothing to write or the item is not what ``main_hash`` says.
        """
        if not isinstance(main_hash, str) or not main_hash:
            raise InvalidPayload('"mainHash" is required and has to be a string')
        if fields is not None and not (isinstance(fields, list) and all(isinstance(f, str) for f in fields)):
            raise InvalidPayload('"fields" has to be a list of field names')
        version = await self._version(key)
        collection, item = version["collection"], version["item"]
        await self.platform.reader.check_items(
            self.schema, collection, "update", [item], [], self.accountability, self.connection
        )
        delta = version["delta"]
        if not delta:
            raise UnprocessableContent("The version has no changes to promote")
        if object_hash(await self._main_item(collection, item)) != main_hash:
            raise UnprocessableContent("The main item has changed since this version was compared with it")
        return await self._write(version, {k: v for k, v in delta.items() if not fields or k in (*fields, USER, DATE)})

    async def _write(self, version: Item, delta: Delta) -> Key:
        """Put a delta into its item, with the events of a promotion around it."""
        collection, item = version["collection"], version["item"]
        service = self.platform.service(
            collection, schema=self.schema, accountability=self.accountability, connection=self.connection
        )
        names = event_names(service.blueprint, "promote")
        meta = {"collection": collection, "item": item, "version": version["key"]}
        payload = as_payload(self.schema, collection, delta)
        payload = await self.platform.hooks.emit_filter(names, payload, meta, self.event_context)
        options = MutationOptions(overwrite_defaults=defaults_of(self.schema, collection, delta))
        written: Key = await service.update_one(item, payload, options)
        context = EventContext(self.platform.database, self.schema, self.accountability)
        self.platform.hooks.emit_action(names, {"payload": payload, **meta}, context)
        return written

    # --- parts ------------------------------------------------------------------------------
    async def _version(self, key: Key) -> Item:
        """The stored row, as far as the caller may see it. Raises :class:`Forbidden`."""
        fields = ["id", "key", "collection", "item", "hash", "delta"]
        return await ItemsService.read_one(self, key, {"fields": fields})

    async def _main_item(self, collection: str, item: str) -> Item:
        """The item that a version is of, as the caller sees it. Raises :class:`Forbidden`."""
        if collection not in self.schema.collections:
            raise Forbidden
        check_keys(self.schema.collections[collection], [item])
        service = self.platform.service(
            collection, schema=self.schema, accountability=self.accountability, connection=self.connection
        )
        found: Item = await service.read_one(item, {"fields": ["*"]})
        return found

    async def _check_enabled(self, collection: str) -> None:
        row = (await self.platform.schemas.model()).collection_row(collection)
        if row is None or not row.get("versioning"):
            raise UnprocessableContent(f'Versions are not enabled for collection "{collection}"')

    async def _check_free(self, key: str, collection: str, item: str, own: Key | None) -> None:
        """Raise :class:`UnprocessableContent` when another version of the item has the key. Writes take turns."""
        assert self.connection is not None
        await self.connection.dialect.lock(self.connection, f"versions:{collection}:{item}")
        same = {"key": {"_eq": key}, "collection": {"_eq": collection}, "item": {"_eq": item}}
        wanted = {"_and": [{name: rule} for name, rule in same.items()]}
        found = await self.fork(accountability=None).get_keys_by_query({"filter": wanted, "limit": 2})
        if any(other != own for other in found):
            raise UnprocessableContent(f'Version "{key}" of this item exists already')

    async def _track(self, connection: Connection, version: Item, data: Mapping[str, Any]) -> None:
        """Record a save among the activity of the item, with the changes as its revision."""
        collection, who = version["collection"], self.accountability
        kept = self.schema.collections[collection].accountability
        if who is None or kept is None:
            return

        def trusted(name: str) -> Any:
            return self.platform.service(name, schema=self.schema, connection=connection)

        options = MutationOptions(bypass_limits=True, auto_purge_cache=False)
        origin = {"user": who.user, "ip": who.ip, "user_agent": who.user_agent, "origin": who.origin}
        about = {"collection": collection, "item": version["item"]}
        activity = await trusted("directus_activity").create_one({"action": "version_save", **origin, **about}, options)
        if kept == "all":
            shown = revealed(self.platform.writes.blueprint(self.schema, collection), data)
            revision = {"activity": activity, **about, "data": shown, "delta": shown, "version": version["id"]}
            await trusted("directus_revisions").create_one(revision, options)

    def _elevated(self) -> ItemsService:
        """The rows themselves, free of the rules of this class and of the caller's permissions, but in their name."""
        who = None if self.accountability is None else replace(self.accountability, admin=True)
        return ItemsService(
            self.collection, platform=self.platform, schema=self.schema, accountability=who, connection=self.connection
        )


def _check(data: Mapping[str, Any], allowed: frozenset[str], required: tuple[str, ...]) -> None:
    """Raise :class:`InvalidPayload` for the first thing wrong with the body of a version."""
    for name in required:
        if name not in data:
            raise InvalidPayload(f'"{name}" is required')
    for name, value in data.items():
        if name not in allowed:
            raise InvalidPayload(f'"{name}" is not allowed')
        if not isinstance(value, str) and not (name == "name" and value is None):
            raise InvalidPayload(f'"{name}" must be a string')
        if name != "name" and not value:
            raise InvalidPayload(f'"{name}" is not allowed to be empty')
    if data.get("key") == MAIN:
        raise InvalidPayload(f'"{MAIN}" is the name of the item itself; choose another key')
