"""Subscriptions: being told of changes as they happen (spec files-graphql-realtime-flows §2.5, §2.6).

Writes announce themselves through action hooks; a :class:`Publisher` puts one message a write on the bus. In each
process :class:`Subscriptions` takes the messages and finds who wants to know. Subscribers with the same collection,
query and rights form a :class:`~tabulary.services.watching.Group`: the change is read once for all of them, by the
service and with their rights of this moment, so that what they may not see is never sent. Nobody is waited for:
``deliver`` takes a change at once or refuses it.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Callable, Mapping
from contextvars import ContextVar
from typing import Any, Final

from tabulary.access.accountability import Accountability
from tabulary.core import json
from tabulary.core.errors import ServiceUnavailable
from tabulary.core.events import EventContext
from tabulary.items.filter import parse_rule
from tabulary.items.platform import Platform
from tabulary.items.query import Query
from tabulary.schema.overview import Schema
from tabulary.services.verdicts import needed
from tabulary.services.watching import Change, Group, Message, Subscription, Viewer, group_key, read_current

logger = logging.getLogger("tabulary.realtime")

CHANNEL: Final = "websocket.event"
MAX_WAITING: Final = 10_000
"""Changes of one collection that may wait for their turn; older ones are dropped then, and the log says so."""
MAX_UNREAD: Final = 1_000
"""Changes that a Python subscriber may leave unread."""
_SIDE_BY_SIDE: Final = 4
_MAX_REMEMBERED: Final = 10_000
_ACTIONS: Final = ("create", "update", "delete")
_BY_COLLECTION: Final = {"fields": "directus_fields", "relations": "directus_relations"}

_before: ContextVar[dict[tuple[str, str], dict[str, Any]] | None] = ContextVar("tabulary_before", default=None)
"""What deleted items were, from the filter hook before the deletion to the action hook after it."""


_Told = tuple[list[Subscription], list[Change]]
"""Subscribers and what they are told."""


class Publisher:
    """Puts a message on the bus for every write of this process."""

    def __init__(self, platform: Platform) -> None:
        self._platform = platform
        self._active = False

    def start(self) -> None:
        """Begin to listen to writes. Safe to call again."""
        if self._active:
            return
        self._active = True
        hooks = self._platform.hooks
        for action in _ACTIONS:
            hooks.action(f"*.{action}", self._publish)
        hooks.action("files.upload", self._publish)
        hooks.action("items.sort", self._publish)
        hooks.filter("*.delete", self._remember)

    async def _publish(self, meta: Mapping[str, Any], _context: EventContext) -> None:
        scope, _, verb = str(meta["event"]).partition(".")
        message = _message(scope, verb, meta)
        if message is None:
            return
        if message["action"] == "delete":
            remembered = _before.get() or {}
            collection = message["collection"]
            message["before"] = {
                k: remembered[collection, k] for k in map(str, message["keys"]) if (collection, k) in remembered
            }
        await self._platform.bus.publish(CHANNEL, message)

    async def _remember(self, keys: Any, meta: Mapping[str, Any], context: EventContext) -> None:
        """Keep of items about to be deleted what item rules look at: the rules decide who may hear of it."""
        collection, schema = str(meta.get("collection")), context.schema
        if not isinstance(schema, Schema) or collection not in schema.collections or not isinstance(keys, list):
            return
        fields = await self._ruled_fields(schema, collection)
        if not fields:
            return
        connection = context.database if hasattr(context.database, "in_transaction") else None
        base = schema.collections[collection]
        query = Query.internal({"fields": [base.primary, *fields], "limit": -1}, self._platform.settings)
        reader = self._platform.reader
        items = await reader.read(schema, collection, query.with_key(base.primary, keys, True), None, connection)
        remembered = dict(_before.get() or {})
        remembered |= {(collection, str(item[base.primary])): item for item in items}
        _before.set(dict(list(remembered.items())[-_MAX_REMEMBERED:]))

    async def _ruled_fields(self, schema: Schema, collection: str) -> list[str]:
        """The fields that the item rules of any policy look at."""
        snapshot = await self._platform.access.snapshot()
        rows = [row for policy in snapshot.policies.values() for row in policy.permissions]
        rules = [r.permissions for r in rows if r.collection == collection and r.action == "read" and r.permissions]
        found = {name for rule in rules for name in needed(parse_rule(rule, []), schema, collection)}
        return sorted(found)


def _message(scope: str, verb: str, meta: Mapping[str, Any]) -> Message | None:
    """The message of an action event; None for events of another kind."""
    collection = meta.get("collection")
    if not isinstance(collection, str):
        return None
    if scope in _BY_COLLECTION:
        places = _places(collection, meta)
        return {"collection": _BY_COLLECTION[scope], "action": verb, "keys": places} if places else None
    if verb == "sort":
        return {"collection": collection, "action": "update", "keys": [meta["item"]]}
    keys = [meta["key"]] if "key" in meta else list(meta.get("keys") or ())
    return {"collection": collection, "action": "create" if verb == "upload" else verb, "keys": keys}


def _places(collection: str, meta: Mapping[str, Any]) -> list[list[str]]:
    """The fields that an event of the data model is about, each with its collection."""
    payload = meta.get("payload")
    if collection in _BY_COLLECTION.values():  # an event of the metadata row
        row = payload if isinstance(payload, Mapping) else {}
        return [[row["collection"], row["field"]]] if "collection" in row and "field" in row else []
    names = [meta["key"]] if "key" in meta else payload
    return [[collection, name] for name in names] if isinstance(names, list) else []


class Subscriptions:
    """The subscriptions of one process."""

    def __init__(self, platform: Platform) -> None:
        self._platform = platform
        self._publisher = Publisher(platform)
        self._watched: dict[str, _Watched] = {}
        self._stop: Callable[[], None] | None = None
        if platform.bus.is_shared:
            self._publisher.start()

    def start(self) -> None:
        """Listen to the bus, and to this process's writes. Safe to call again; the first subscription does it."""
        if self._stop is None:
            self._publisher.start()
            self._stop = self._platform.bus.listen(CHANNEL, self._receive)

    async def close(self) -> None:
        """End all subscriptions."""
        if self._stop is not None:
            self._stop()
            self._stop = None
        for watched in self._watched.values():
            watched.stop()
        self._watched.clear()

    def add(self, subscription: Subscription) -> None:
        """Tell a subscriber of changes from now on."""
        self.start()
        watched = self._watched.get(subscription.collection)
        if watched is None:
            watched = self._watched[subscription.collection] = _Watched(self._platform, subscription.collection)
        watched.add(subscription)

    def remove(self, subscription: Subscription) -> None:
        """Stop telling; unknown subscriptions are passed over."""
        watched = self._watched.get(subscription.collection)
        if watched is not None:
            watched.remove(subscription)
            if not watched.subscriptions:
                watched.stop()
                del self._watched[subscription.collection]

    async def current(self, subscription: Subscription) -> str:
        """The items that a subscription begins with, as JSON text. Raises what the read raises."""
        return await read_current(self._platform, subscription)

    async def events(
        self,
        collection: str,
        query: Query,
        accountability: Accountability | None = None,
        *,
        event: str | None = None,
        item: Any = None,
    ) -> AsyncGenerator[dict[str, Any], None]:
        """Changes as ``{"event", "data", "keys"}``; without ``event`` the first is ``init`` with the items there are.

        Raises :class:`Forbidden` without permission to read and :class:`ServiceUnavailable` for a reader that leaves
        more than :data:`MAX_UNREAD` changes unread.
        """
        changes: asyncio.Queue[Change] = asyncio.Queue(MAX_UNREAD)
        lagging = False

        def deliver(change: Change) -> None:
            nonlocal lagging
            try:
                changes.put_nowait(change)
            except asyncio.QueueFull:
                lagging = True

        wanted = None if item is None else str(item)
        subscription = Subscription(collection, query, Viewer(accountability), deliver, event=event, item=wanted)
        await subscription.check(self._platform)
        self.add(subscription)
        try:
            await self._platform.bus.ready()
            if event is None:
                yield {"event": "init", "data": json.decode(await self.current(subscription)), "keys": []}
            while not (lagging and changes.empty()):
                change = await changes.get()
                if change.error is not None:
                    raise change.error
                yield {"event": change.event, "data": json.decode(change.text), "keys": change.keys}
            raise ServiceUnavailable("subscription", f"More than {MAX_UNREAD} changes were left unread")
        finally:
            self.remove(subscription)

    def _receive(self, message: Message) -> None:
        watched = self._watched.get(message.get("collection", ""))
        if watched is not None and message.get("keys"):
            watched.put(message)


class _Watched:
    """One collection that somebody watches: its subscriptions, their groups, and the writes that wait.

    Several writes are looked at side by side, because each needs the database; they are told in the order they came.
    """

    def __init__(self, platform: Platform, collection: str) -> None:
        self.subscriptions: dict[Subscription, None] = {}
        self._platform = platform
        self._collection = collection
        self._waiting: asyncio.Queue[Message] = asyncio.Queue(MAX_WAITING)
        self._looking: asyncio.Queue[asyncio.Task[list[_Told]]] = asyncio.Queue(_SIDE_BY_SIDE)
        self._groups: dict[Any, Group] = {}
        self._unsettled: dict[Subscription, None] = {}
        self._look: tuple[frozenset[str], Query] | None = None
        self._version: Any = None
        self._identities = platform.access.identity_version, platform.access.session_version
        self._grouping = asyncio.Lock()
        self._workers = [asyncio.ensure_future(self._look_at_all()), asyncio.ensure_future(self._tell_all())]

    def put(self, message: Message) -> None:
        """Take a write; it is told when its turn comes."""
        if self._waiting.full():
            logger.error("changes of %s come faster than they can be told; the oldest is dropped", self._collection)
            self._waiting.get_nowait()
        self._waiting.put_nowait(message)

    def add(self, subscription: Subscription) -> None:
        self.subscriptions[subscription] = None
        self._unsettled[subscription] = None
        subscription.unsettle = lambda: self._unsettled.setdefault(subscription, None)
        subscription.viewer.subscriptions.add(subscription)

    def remove(self, subscription: Subscription) -> None:
        self.subscriptions.pop(subscription, None)
        self._unsettled.pop(subscription, None)
        subscription.viewer.subscriptions.discard(subscription)
        self._leave(subscription)

    def stop(self) -> None:
        for worker in self._workers:
            worker.cancel()
        while not self._looking.empty():
            self._looking.get_nowait().cancel()

    # --- writes -----------------------------------------------------------------------------
    async def _look_at_all(self) -> None:
        while True:
            message = await self._waiting.get()
            await self._looking.put(asyncio.ensure_future(self._look_at(message)))

    async def _tell_all(self) -> None:
        while True:
            looking = await self._looking.get()
            try:
                told = await looking
            except Exception:
                logger.exception("a change of %s could not be told", self._collection)
                continue
            for members, changes in told:
                for member in members:
                    if member in self.subscriptions:
                        for change in changes:
                            member.deliver(change)

    async def _look_at(self, message: Message) -> list[_Told]:
        """What is to be told to whom."""
        await self._platform.database.versions.check()
        schema = await self._platform.schemas.current()
        await self._regroup(schema)
        groups = [group for group in self._groups.values() if group.is_interested(message)]
        # with the rights of now: who gets others meanwhile is told all the same, and once
        members = {group.key: list(group.members) for group in groups}
        items = await self._looked_at(schema, groups, message)
        told: list[_Told] = []
        for group in groups:
            if items is None or group.may_concern(items):
                changes = await group.changes(self._platform, schema, message)
                told.append((members[group.key], changes))
        return told

    async def _looked_at(self, schema: Schema, groups: list[Group], message: Message) -> list[dict[str, Any]] | None:
        """The changed items with what the groups' conditions look at, read once; None when that would not help."""
        fields = frozenset(name for group in groups for name in group.looks_at)
        if len(groups) < 2 or not fields or message["action"] == "delete":
            return None
        primary = schema.collections[self._collection].primary
        try:
            if self._look is None or self._look[0] != fields:
                asked = {"fields": [primary, *sorted(fields)], "limit": -1}
                self._look = fields, Query.parse(asked, self._platform.settings)
            query = self._look[1].with_key(primary, list(message["keys"]), True)
            return await self._platform.reader.read(schema, self._collection, query, None)
        except Exception:
            logger.debug("no look at the changed items of %s", self._collection, exc_info=True)
            return None

    # --- groups -----------------------------------------------------------------------------
    async def _regroup(self, schema: Schema) -> None:
        """Put new subscribers, and those whose rights may have changed, into the group they belong to now."""
        access = self._platform.access
        version = schema.version, access.version
        identities = access.identity_version, access.session_version
        settled = version == self._version and identities == self._identities and not self._unsettled
        if settled and not self._grouping.locked():  # who is being settled is in no group for a moment
            return
        async with self._grouping:
            if version != self._version:
                known, self._version = self._version is not None, version
                self._groups.clear()
                for subscription in self.subscriptions:
                    subscription.group = None
                    subscription.viewer.stale = subscription.viewer.stale or known
                self._unsettled = dict(self.subscriptions)
            if identities != self._identities:
                only_sessions = identities[0] == self._identities[0]
                self._identities = identities
                for subscription in self.subscriptions:
                    if only_sessions:
                        subscription.viewer.check_session()
                    else:
                        subscription.viewer.stale = True
            failed: set[Subscription] = set()
            while pending := [each for each in self._unsettled if each not in failed]:
                for subscription in pending:
                    try:
                        await self._settle(subscription, schema)
                    except Exception:  # it tries again with the next change; the others shall hear of this one
                        logger.exception("the rights of a subscriber of %s could not be read", self._collection)
                        failed.add(subscription)

    async def _settle(self, subscription: Subscription, schema: Schema) -> None:
        viewer = subscription.viewer
        if viewer.stale:
            viewer.stale = False
            await viewer.renew()
        self._leave(subscription)
        who = viewer.accountability
        key = await group_key(self._platform, subscription, who, schema)
        group = self._groups.get(key) or await Group.of(self._platform, subscription, who, schema, key)
        if subscription not in self.subscriptions:  # it has left while we waited
            self._unsettled.pop(subscription, None)
        elif viewer.accountability is who and not viewer.stale:
            self._unsettled.pop(subscription, None)
            self._groups[key] = group
            group.members[subscription] = None
            subscription.group = group

    def _leave(self, subscription: Subscription) -> None:
        group, subscription.group = subscription.group, None
        if group is not None:
            group.members.pop(subscription, None)
            if not group.members and self._groups.get(group.key) is group:
                del self._groups[group.key]
