"""Items: reading and writing any collection, as the public API offers it (spec items-and-query §1).

Reading is inherited (:mod:`tabulary.services.reading`). A write is a pipeline of steps (:mod:`tabulary.items.pipeline`)
in one transaction; this class puts around it what belongs to a *call*: counting, events, access to the items named, and
the order of all that. Services of system collections subclass it, override methods and call ``super()``.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import sqlalchemy as sa

from tabulary.core.errors import InvalidPayload
from tabulary.core.events import Action, EventContext
from tabulary.database.connection import Connection
from tabulary.items.blueprint import CREATE, DELETE, UPDATE
from tabulary.items.context import WriteContext, event_names
from tabulary.items.keys import check_keys
from tabulary.items.options import IntegrityFlags, Key, MutationOptions, MutationTracker
from tabulary.items.pipeline import (
    MAX_ROWS,
    create_item,
    create_plain_items,
    delete_items,
    is_atomic,
    is_one_update,
    is_plain,
    prepare,
    update_items,
)
from tabulary.items.validation import process_payload
from tabulary.services.reading import AnyQuery, Item, ItemsReader


class ItemsService(ItemsReader):
    """The items of one collection, on behalf of someone (``accountability``) or of the system (None)."""

    # --- create -----------------------------------------------------------------------------
    async def create_one(self, data: Mapping[str, Any], options: MutationOptions | None = None) -> Key:
        """Create an item with everything nested in it; its key. Raises what permissions and rules raise."""
        options = self._counted(options, 1)

        key, payload, nested = await self._create(data, options)
        self._announce(options, CREATE, {"payload": payload, "key": key, "collection": self.collection}, nested)
        await self._purge(options)
        return key

    async def _create(self, data: Mapping[str, Any], options: MutationOptions) -> tuple[Key, Item, list[Action]]:
        """In a transaction, hooks included, unless all there is to do is one statement or chain of them."""

        async def work(connection: Connection, payload: Item | None = None) -> tuple[Key, Item, list[Action]]:
            nested: list[Action] = []
            context = self._context(connection, options, nested)
            payload = await prepare(context, data) if payload is None else dict(payload)
            return await create_item(context, payload), payload, nested

        async with self._connected() as connection:
            if self.platform.hooks.listens(event_names(self.blueprint, CREATE)):
                return await self.platform.database.run_in_transaction(work, connection)
            context = self._context(connection, options, [])
            payload = await prepare(context, data)
            if is_atomic(context, payload):
                return await self.platform.database.run_atomic(partial(work, payload=payload), connection)
            return await self.platform.database.run_in_transaction(partial(work, payload=payload), connection)

    async def create_many(self, data: Sequence[Mapping[str, Any]], options: MutationOptions | None = None) -> list[Key]:
        """Create all items or none; their keys in order. Plain items become few statements."""
        if not isinstance(data, list | tuple):
            raise InvalidPayload("Items have to be a list")
        if not all(isinstance(item, Mapping) for item in data):
            raise InvalidPayload("An item has to be an object")
        options = self._counted(options, 0)

        async def work(connection: Connection) -> tuple[list[Key], list[Action]]:
            actions: list[Action] = []
            emit = options.bypass_emit_action or self._into(actions)
            inner, flags = _collecting_flags(replace(options, auto_purge_cache=False, bypass_emit_action=emit))
            keys = await self.fork(connection=connection)._create_all(data, inner)
            await self._check_integrity(connection, options, flags)
            return keys, actions

        keys, actions = await self.platform.database.run_in_transaction(work, self.connection)
        self._emit(actions)
        await self._purge(options)
        return keys

    async def _create_all(self, data: Sequence[Mapping[str, Any]], options: MutationOptions) -> list[Key]:
        """Runs of plain items at once, others one by one; always in order."""
        if type(self).create_one is not ItemsService.create_one:
            return [await self.create_one(item, options) for item in data]
        assert self.connection is not None
        keys: list[Key] = []
        waiting: list[Item] = []
        context = self._context(self.connection, options, [])

        async def flush() -> None:
            done = await create_plain_items(context, waiting) if waiting else []
            for key, payload in zip(done, waiting, strict=True):
                self._announce(options, CREATE, {"payload": payload, "key": key, "collection": self.collection}, ())
            keys.extend(done)
            waiting.clear()

        for item in data:
            self._counted(options, 1)
            own = self._context(self.connection, options, [])
            payload = await prepare(own, item)
            if is_plain(own, payload):
                waiting.append(payload)
            else:
                await flush()
                keys.append(await create_item(own, payload))
                self._announce(
                    options, CREATE, {"payload": payload, "key": keys[-1], "collection": self.collection}, ()
                )
            if len(waiting) >= MAX_ROWS:
                await flush()
        await flush()
        return keys

    # --- update -----------------------------------------------------------------------------
    async def update_one(self, key: Key, data: Mapping[str, Any], options: MutationOptions | None = None) -> Key:
        await self.update_many([key], data, options)
        return key

    async def update_many(
        self, keys: Sequence[Key], data: Mapping[str, Any], options: MutationOptions | None = None
    ) -> list[Key]:
        """Write the same payload to all keys, or to none; the keys sorted as text. Keys need not exist for admins."""
        options = self._counted(options, len(keys))
        check_keys(self.blueprint.collection, keys)
        ordered = sorted(keys, key=str)
        payload = await self._filtered(options, UPDATE, data, {"keys": ordered, "collection": self.collection})
        await self._check_items(UPDATE, ordered, list(payload))
        payload = await process_payload(
            self.platform,
            self.schema,
            self.blueprint,
            UPDATE,
            payload,
            self.accountability,
            self.nested,
            self.connection,
        )
        self._raise_deferred(options)
        if not ordered:
            return []

        nested = await self._update(ordered, payload, options)
        await self._purge(options)
        self._announce(options, UPDATE, {"payload": payload, "keys": ordered, "collection": self.collection}, nested)
        return ordered

    async def _update(self, keys: list[Key], payload: Item, options: MutationOptions) -> list[Action]:
        """In a transaction, unless all there is to do is one statement or chain of them."""

        async def work(connection: Connection) -> list[Action]:
            nested: list[Action] = []
            await update_items(self._context(connection, options, nested), keys, payload)
            return nested

        async with self._connected() as connection:
            context = self._context(connection, options, [])
            if not context.flags and is_one_update(context, keys, payload):
                return await self.platform.database.run_atomic(work, connection)
            return await self.platform.database.run_in_transaction(work, connection)

    async def update_batch(
        self, items: Sequence[Mapping[str, Any]], options: MutationOptions | None = None
    ) -> list[Key]:
        """Update each item by the key it carries, all or none. Raises :class:`InvalidPayload` without one."""
        if not isinstance(items, list | tuple):
            raise InvalidPayload("Items have to be a list")
        primary = self.blueprint.collection.primary
        options = self._counted(options, 0)

        async def work(connection: Connection) -> list[Key]:
            service, keys = self.fork(connection=connection), []
            inner, flags = _collecting_flags(replace(options, auto_purge_cache=False))
            for item in items:
                if not isinstance(item, Mapping) or not item.get(primary):
                    raise InvalidPayload(f'Each item needs its "{primary}"')
                rest = {name: value for name, value in item.items() if name != primary}
                keys.append(await service.update_one(item[primary], rest, inner))
            await self._check_integrity(connection, options, flags)
            return keys

        try:
            return await self.platform.database.run_in_transaction(work, self.connection)
        finally:
            await self._purge(options)

    async def update_by_query(
        self, query: AnyQuery, data: Mapping[str, Any], options: MutationOptions | None = None
    ) -> list[Key]:
        """Update what matches, up to the query's limit."""
        keys = await self.get_keys_by_query(query)
        return await self.update_many(keys, data, options) if keys else []

    # --- upsert -----------------------------------------------------------------------------
    async def upsert_one(self, item: Mapping[str, Any], options: MutationOptions | None = None) -> Key:
        """Update the item when one with its key exists (whether visible or not), else create it."""
        primary = self.blueprint.collection.primary
        key = item.get(primary)
        if not key or not await self._exists(key):
            return await self.create_one(item, options)
        return await self.update_one(key, {name: value for name, value in item.items() if name != primary}, options)

    async def upsert_many(
        self, items: Sequence[Mapping[str, Any]], options: MutationOptions | None = None
    ) -> list[Key]:
        options = self._counted(options, 0)

        async def work(connection: Connection) -> list[Key]:
            service = self.fork(connection=connection)
            inner, flags = _collecting_flags(replace(options, auto_purge_cache=False))
            keys = [await service.upsert_one(item, inner) for item in items]
            await self._check_integrity(connection, options, flags)
            return keys

        keys = await self.platform.database.run_in_transaction(work, self.connection)
        await self._purge(options)
        return keys

    async def upsert_singleton(self, data: Mapping[str, Any], options: MutationOptions | None = None) -> Key:
        """Update the only item, or create it."""
        primary = self.blueprint.collection.primary
        column: sa.ColumnClause[Any] = sa.column(primary)
        async with self._connected() as connection:
            found = await connection.select(
                sa.select(column).select_from(sa.table(self.collection)).order_by(column).limit(1)
            )
        if found:
            return await self.update_one(found[0][primary], data, options)
        return await self.create_one(data, options)

    # --- delete -----------------------------------------------------------------------------
    async def delete_one(self, key: Key, options: MutationOptions | None = None) -> Key:
        await self.delete_many([key], options)
        return key

    async def delete_many(self, keys: Sequence[Key], options: MutationOptions | None = None) -> list[Key]:
        """Delete all keys, or none. What refers to them is the business of the database's foreign keys."""
        options = self._counted(options, len(keys))
        check_keys(self.blueprint.collection, keys)
        chosen = list(await self._filtered(options, DELETE, list(keys), {"collection": self.collection}))
        await self._check_items(DELETE, chosen, [])
        self._raise_deferred(options)
        if not chosen:
            return []

        async def work(connection: Connection) -> None:
            await delete_items(self._context(connection, options, []), chosen)

        await self.platform.database.run_in_transaction(work, self.connection)
        await self._purge(options)
        self._announce(options, DELETE, {"payload": chosen, "keys": chosen, "collection": self.collection}, ())
        return chosen

    async def delete_by_query(self, query: AnyQuery, options: MutationOptions | None = None) -> list[Key]:
        """Delete what matches, up to the query's limit."""
        keys = await self.get_keys_by_query(query)
        return await self.delete_many(keys, options) if keys else []

    # --- around a write ---------------------------------------------------------------------
    def _counted(self, options: MutationOptions | None, items: int) -> MutationOptions:
        """The options with a tracker; counts the items against ``MAX_BATCH_MUTATION``."""
        options = options or MutationOptions()
        tracker = options.mutation_tracker
        if tracker is None:
            tracker = MutationTracker(float(self.platform.settings.get("MAX_BATCH_MUTATION") or math.inf))
            options = replace(options, mutation_tracker=tracker)
        if items and not options.bypass_limits:
            tracker.track(items)
        return options

    def _context(self, connection: Connection, options: MutationOptions, nested: list[Action]) -> WriteContext:
        """The context of one write; its children's events go to the caller's own list, or into ``nested``."""
        return WriteContext(
            self.platform,
            self.schema,
            self.blueprint,
            self.accountability,
            connection,
            self.nested,
            options,
            options.bypass_emit_action or self._into(nested),
        )

    async def _check_integrity(
        self, connection: Connection, options: MutationOptions, flags: Sequence[IntegrityFlags]
    ) -> None:
        """Check once, at the end, what the items of one call asked for; or hand it to the caller's own check."""
        context = self._context(connection, options, [])
        for flag in flags:
            context.require_integrity(flag)
        await context.check_integrity()

    async def _filtered(self, options: MutationOptions, verb: str, payload: Any, meta: Mapping[str, Any]) -> Any:
        if not options.emit_events:
            return payload
        return await self.platform.hooks.emit_filter(
            event_names(self.blueprint, verb), payload, meta, self.event_context
        )

    async def _check_items(self, action: str, keys: list[Key], fields: list[str]) -> None:
        if self.accountability is not None and not self.accountability.admin:
            await self.platform.reader.check_items(
                self.schema, self.collection, action, keys, fields, self.accountability, self.connection
            )

    @staticmethod
    def _raise_deferred(options: MutationOptions) -> None:
        if options.pre_mutation_error is not None:
            raise options.pre_mutation_error

    async def _exists(self, key: Key) -> bool:
        primary = self.blueprint.primary
        check_keys(self.blueprint.collection, [key])
        async with self._connected() as connection:
            context = self._context(connection, MutationOptions(), [])
            return bool(await context.rows(self.collection, [primary.name], primary.name, [key]))

    def _into(self, actions: list[Action]) -> Callable[[Action], None]:
        """Collects the action events that somebody waits for: of many items, the others would only fill the memory."""

        def collect(action: Action) -> None:
            if self.platform.hooks.listens(action.event):
                actions.append(action)

        return collect

    # --- after a write ----------------------------------------------------------------------
    def _announce(self, options: MutationOptions, verb: str, meta: Mapping[str, Any], nested: Sequence[Action]) -> None:
        """The call's own action event, then those of its children."""
        names = event_names(self.blueprint, verb)
        own = []
        if options.emit_events and (options.bypass_emit_action or self.platform.hooks.listens(names)):
            context = EventContext(self.platform.database, self.schema, self.accountability)
            own.append(Action(names, meta, context))
        if options.bypass_emit_action is None:
            self._emit([*own, *nested])
        else:
            for action in own:
                options.bypass_emit_action(action)

    def _emit(self, actions: Sequence[Action]) -> None:
        """Start action hooks; inside somebody's open transaction, once that has committed."""
        if not actions:
            return

        def emit() -> None:
            for action in actions:
                self.platform.hooks.emit_action(action.event, action.meta, action.context)

        if self.connection is None:
            emit()
        else:
            self.connection.after_commit(emit)

    async def _purge(self, options: MutationOptions) -> None:
        """Clear the response cache, where the settings and the caller want it (spec items-and-query §1.13)."""
        if options.auto_purge_cache is not False:
            await self.platform.purge_cache(self.collection, self.connection)


def _collecting_flags(options: MutationOptions) -> tuple[MutationOptions, list[IntegrityFlags]]:
    """Options for the items of one call, and the list that gets their integrity flags."""
    flags = [options.user_integrity_check_flags]
    inner = replace(
        options, user_integrity_check_flags=IntegrityFlags.NONE, on_require_user_integrity_check=flags.append
    )
    return inner, flags
