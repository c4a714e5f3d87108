"""Watching a collection: subscriptions, the groups that they form, and what a change looks like to a group."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from tabulary.access.accountability import Accountability
from tabulary.access.permissions import PermissionSet
from tabulary.core import json
from tabulary.core.errors import ErrorGroup, Forbidden, TabularyError
from tabulary.items.counting import counts
from tabulary.items.evaluate import Operands
from tabulary.items.filter import EMPTY, Filter, parse_rule, variables
from tabulary.items.platform import Platform
from tabulary.items.query import Query
from tabulary.schema.overview import Schema
from tabulary.services.collections import CollectionsService
from tabulary.services.fields import FieldsService
from tabulary.services.relations import RelationsService
from tabulary.services.verdicts import Judge, every, judge, needed, some

logger = logging.getLogger("tabulary.realtime")

Message = dict[str, Any]
"""``{"collection", "action", "keys", "before"?}``: a write, as the bus carries it."""

_DATA_MODEL: Final = {
    "directus_collections": CollectionsService,
    "directus_fields": FieldsService,
    "directus_relations": RelationsService,
}
_NOTHING: Final = "[]"


class Viewer:
    """Who watches, and with which rights. Tells its subscriptions when the rights change."""

    def __init__(self, accountability: Accountability | None) -> None:
        self.subscriptions: set[Subscription] = set()
        self._accountability = accountability
        self._stale = False

    @property
    def accountability(self) -> Accountability | None:
        """Their rights of this moment; None is the system."""
        return self._accountability

    @accountability.setter
    def accountability(self, accountability: Accountability | None) -> None:
        self._accountability = accountability
        self._unsettle()

    @property
    def stale(self) -> bool:
        """True when the rights have to be looked up again (:meth:`renew`) before the next change is told."""
        return self._stale

    @stale.setter
    def stale(self, stale: bool) -> None:
        self._stale = stale
        if stale:
            self._unsettle()

    def check_session(self) -> None:
        """Become stale where the rights hang on a session that may have ended."""

    async def renew(self) -> None:
        """Find out whether the rights still hold. Those that Python code gave do."""

    def _unsettle(self) -> None:
        for subscription in self.subscriptions:
            subscription.unsettle()


@dataclass(frozen=True, slots=True)
class Change:
    """A change as a group of subscribers may see it. ``text`` is the data as JSON; ``error`` stands in its place."""

    event: str
    keys: Sequence[Any]
    text: str = "null"
    meta: Mapping[str, int] | None = None
    error: TabularyError | None = None
    frames: dict[Any, Any] = field(default_factory=dict, compare=False)
    """What the doors made of it, so that equal frames are made once."""


@dataclass(eq=False)
class Subscription:
    """One subscriber's wish.

    Attributes:
        collection: the collection watched.
        query: how changed items are read.
        viewer: on whose behalf.
        deliver: takes each change, at once.
        event: only ``create``, ``update`` or ``delete``.
        item: only the item with this key, as text.
        single: one change a key, its data an object; unreadable items are passed over in silence.
        read: another way to read changed items: ``read(service, keys, query)`` gives a JSON list.
    """

    collection: str
    query: Query
    viewer: Viewer
    deliver: Callable[[Change], None]
    event: str | None = None
    item: str | None = None
    single: bool = False
    read: Callable[[Any, list[Any], Query], Awaitable[str]] | None = None
    group: Group | None = field(default=None, init=False, repr=False)
    unsettle: Callable[[], None] = field(default=lambda: None, init=False, repr=False)

    async def check(self, platform: Platform) -> None:
        """Raise :class:`Forbidden` unless the viewer may read the collection at all."""
        schema = await platform.schemas.current()
        permissions = await platform.access.permissions(self.viewer.accountability, schema)
        if self.collection not in schema.collections or not permissions.allows(self.collection, "read"):
            raise Forbidden(
                f'You don\'t have permission to access collection "{self.collection}" or it does not exist.'
            )


async def group_key(platform: Platform, subscription: Subscription, who: Accountability | None, schema: Schema) -> Any:
    """What subscriptions have to share to be told the same: the wish, and rights that come to the same."""
    permissions = await platform.access.permissions(who, schema)
    query = subscription.query
    personal = platform.hooks.listens((f"{subscription.collection}.items.read", "items.read", "items.query"))
    if personal or subscription.collection in _DATA_MODEL or _is_personal(permissions, query):
        rights: Any = who
    else:
        rights = permissions.key
    wish = (subscription.event, subscription.item, subscription.single, query.shape, json.encode(query.values))
    return (*wish, query.offset, query.meta, query.count_cap, query.estimates, rights)


def _is_personal(permissions: PermissionSet, query: Query) -> bool:
    """True when the result depends on who asks beyond their permissions."""
    if any(text.startswith("$CURRENT") for text in query.variables):
        return True
    rules = (r.permissions for (_, action), rows in permissions.rows.items() if action == "read" for r in rows)
    return any("$CURRENT" in json.encode(rule).decode() for rule in rules if rule)


@dataclass
class Group:
    """Subscriptions that are told the same: what one of them, the ``sample``, wishes, with the rights of ``who``.

    Those are the rights that the sample had when the group was made: it may have got others since, or have left.

    ``allows`` judges items by the rights of the group, ``concerns`` by its filter as well; ``looks_at`` are the fields
    that they need. ``sees_all``: no item rule holds anything back.
    """

    key: Any
    sample: Subscription
    who: Accountability | None
    sees_all: bool
    allows: Judge
    concerns: Judge
    looks_at: frozenset[str]
    members: dict[Subscription, None] = field(default_factory=dict)

    @classmethod
    async def of(
        cls, platform: Platform, sample: Subscription, who: Accountability | None, schema: Schema, key: Any
    ) -> Group:
        """The group of a subscription."""
        query, collection = sample.query, sample.collection
        permissions = await platform.access.permissions(who, schema)
        rules: list[tuple[Filter, list[Any]]] = []
        for row in permissions.of_action(collection, "read"):
            values: list[Any] = []
            rules.append((parse_rule(row.permissions, values), values))
        trees = [query.root.filter, *(tree for tree, _ in rules)]
        asked = await platform.access.variables(query.variables, who, schema)
        texts = {variable.text for tree, _ in rules for variable in variables(tree)}
        bound = await platform.access.variables(texts, who, schema, of_rules=True)
        sees_all = permissions.unrestricted or any(tree == EMPTY for tree, _ in rules)
        judges = [judge(tree, Operands(values, bound), schema, collection) for tree, values in rules]
        allows = every(()) if sees_all else some(judges)
        wanted = judge(query.root.filter, Operands(query.values, asked), schema, collection)
        fields = {name for tree in trees for name in needed(tree, schema, collection)}
        return cls(key, sample, who, sees_all, allows, every((wanted, allows)), frozenset(fields))

    def is_interested(self, message: Message) -> bool:
        """By event and key."""
        wish = self.sample
        if wish.event is not None and wish.event != message["action"]:
            return False
        return wish.item is None or wish.item in map(str, message["keys"])

    def may_concern(self, items: Sequence[Mapping[str, Any]]) -> bool:
        """False only when the group can certainly see none of the changed items."""
        return any(self.concerns(item) is not False for item in items)

    # --- telling ----------------------------------------------------------------------------
    async def changes(self, platform: Platform, schema: Schema, message: Message) -> list[Change]:
        """What the group is told of a write: what has changed, read with the group's rights."""
        return [change async for change in self._changes(platform, schema, message)]

    async def _changes(self, platform: Platform, schema: Schema, message: Message) -> AsyncIterator[Change]:
        action, keys = message["action"], list(message["keys"])
        try:
            if action == "delete":
                for change in self._deletions(message):
                    yield change
            elif self.sample.single:
                for key in keys:
                    text = await _text_of(platform, schema, self.sample, self.who, [key])
                    if text != _NOTHING:
                        yield Change(action, [key], text[1:-1])
            else:
                wanted = keys if self.sample.item is None else [self.sample.item]
                text = await _text_of(platform, schema, self.sample, self.who, wanted)
                if text != _NOTHING:
                    counts = await _counts(platform, schema, self.sample, self.who)
                    yield Change(action, keys, text if self.sample.item is None else text[1:-1], counts)
        except Exception as problem:
            if not self.sample.single:
                yield Change(action, keys, error=_expected(problem))

    def _deletions(self, message: Message) -> Iterator[Change]:
        """Keys of deleted items that the group might have seen (the reference tells everybody)."""
        before = message.get("before") or {}
        keys = [key for key in message["keys"] if self.sees_all or self._might_have_seen(before.get(str(key)))]
        if self.sample.item is not None:
            keys = [key for key in keys if str(key) == self.sample.item]
        if self.sample.single:
            for key in keys:
                yield Change("delete", [key])
        elif keys:
            yield Change("delete", keys, json.encode(keys).decode())

    def _might_have_seen(self, item: Mapping[str, Any] | None) -> bool:
        return item is not None and self.allows(item) is True


async def read_current(platform: Platform, subscription: Subscription) -> str:
    """The items that a subscription shows at its beginning, as JSON. Raises what the read raises."""
    schema = await platform.schemas.current()
    who, collection = subscription.viewer.accountability, subscription.collection
    if collection in _DATA_MODEL:
        found = await _data_model(platform, schema, collection, who, None)
        return json.encode(found).decode()
    service = platform.service(collection, schema=schema, accountability=who)
    if subscription.item is not None:
        text: str = await service.read_json_one(subscription.item, subscription.query)
    elif schema.collections[collection].singleton:
        text = json.encode(await service.read_singleton(subscription.query)).decode()
    else:
        text = await service.read_json_by_query(subscription.query)
    return text


async def counts_of(platform: Platform, subscription: Subscription) -> dict[str, int] | None:
    """The ``meta`` that the query asks for."""
    return await _counts(platform, await platform.schemas.current(), subscription, subscription.viewer.accountability)


async def _counts(
    platform: Platform, schema: Schema, subscription: Subscription, who: Accountability | None
) -> dict[str, Any] | None:
    return await counts(platform.reader, schema, subscription.collection, who, subscription.query)


async def _text_of(
    platform: Platform, schema: Schema, subscription: Subscription, who: Accountability | None, keys: list[Any]
) -> str:
    """The items with these keys as far as the subscription shows them: a JSON list."""
    collection = subscription.collection
    if collection in _DATA_MODEL:
        return json.encode(await _data_model(platform, schema, collection, who, keys)).decode()
    service = platform.service(collection, schema=schema, accountability=who)
    text: str = await (subscription.read or _read)(service, keys, subscription.query)
    return text.strip()


async def _read(service: Any, keys: list[Any], query: Query) -> str:
    text: str = await service.read_json_many(keys, query)
    return text


async def _data_model(
    platform: Platform, schema: Schema, collection: str, who: Accountability | None, keys: list[Any] | None
) -> list[Any]:
    """Collections, fields or relations; all of them or those with ``keys``."""
    service: Any = _DATA_MODEL[collection](platform=platform, schema=schema, accountability=who)
    if collection == "directus_collections":
        return list(await (service.read_by_query() if keys is None else service.read_many(keys)))
    if keys is None:
        return list(await service.read_all())
    return [await service.read_one(of, name) for of, name in keys]


def _expected(problem: Exception) -> TabularyError:
    if isinstance(problem, ErrorGroup):
        return problem.errors[0]
    if isinstance(problem, TabularyError):
        return problem
    logger.error("a change could not be read for a subscriber", exc_info=problem)
    return TabularyError("The change could not be read.")
