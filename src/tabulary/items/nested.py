"""Relations inside a payload (spec items-and-query §6): to-one items are saved before their parent, to-many after it.

Everything goes through the service that is responsible for the related collection, so each level has its own events,
permissions, validation and tracking. Look-ups of keys are raw: they ask what exists, not what may be seen.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tabulary.core.errors import Forbidden, InvalidPayload
from tabulary.items.blueprint import Blueprint
from tabulary.items.context import WriteContext
from tabulary.items.keys import check_keys, key_text
from tabulary.items.options import Key
from tabulary.schema.overview import Relation

_DETAILS = frozenset({"create", "update", "delete"})


def has_relations(blueprint: Blueprint, payload: Mapping[str, Any]) -> bool:
    """True when the payload brings items of other collections."""
    return (
        any(isinstance(payload.get(name), dict | list) for name in blueprint.many_to_one)
        or any(isinstance(payload.get(name), dict | list) for name in blueprint.any_to_one)
        or any(name in payload for name in blueprint.one_to_many)
    )


# --- to one: before the parent ------------------------------------------------------------------
async def save_to_one(context: WriteContext, payload: dict[str, Any]) -> dict[str, Any]:
    """Save related items of M2O, then A2O fields; the payload with their keys in place of the objects."""
    result = payload
    for name, relation in context.blueprint.many_to_one.items():
        if isinstance(payload.get(name), dict | list):
            target = relation.related_collection
            assert target is not None
            result = {**result, name: await _save_one(context, name, target, payload[name])}
    for name, relation in context.blueprint.any_to_one.items():
        value = payload.get(name)
        if isinstance(value, dict | list):
            key = await _save_one(context, name, _any_target(context, relation, payload), value)
            result = {**result, name: str(key)}
        elif value is not None:
            result = {**result, name: str(value)}
    return result


def _any_target(context: WriteContext, relation: Relation, payload: Mapping[str, Any]) -> str:
    target = payload.get(str(relation.one_collection_field))
    if not target:
        raise InvalidPayload(f'"{relation.one_collection_field}" has to name the collection of "{relation.field}"')
    if target not in relation.allowed_collections or target not in context.schema.collections:
        raise InvalidPayload(f'"{relation.collection}.{relation.field}" can\'t be linked to collection "{target}"')
    return str(target)


async def _save_one(context: WriteContext, name: str, target: str, value: Any) -> Key:
    """Create, update or only link the item that ``value`` describes; its key."""
    if not isinstance(value, dict):
        raise InvalidPayload(f'"{name}" has to be a key or an object')
    primary = context.schema.collections[target].primary
    service = context.service(target, name)
    options = context.child_options(context.defaults_of(name))
    key = value.get(primary)
    if key in (None, "") or not await _exists(context, target, key):
        return await service.create_one(value, options)
    rest = {field: entry for field, entry in value.items() if field != primary}
    if rest:
        await service.update_one(key, rest, options)
    return key


async def _exists(context: WriteContext, collection: str, key: Key) -> bool:
    found = context.schema.collections[collection]
    check_keys(found, [key])
    return bool(await context.rows(collection, [found.primary], found.primary, [key]))


# --- to many: after the parent ------------------------------------------------------------------
async def save_to_many(context: WriteContext, payload: Mapping[str, Any], parent: Key) -> None:
    """Bring the children of each O2M field of the payload in line with its value.

    Raises :class:`InvalidPayload` for a value of neither form, :class:`Forbidden` for keys that do not exist.
    """
    for name, relation in context.blueprint.one_to_many.items():
        if name not in payload:
            continue
        value, children = payload[name], _Children(context, name, relation, parent)
        if isinstance(value, dict):
            await children.alter(value)
        elif isinstance(value, list) or not value:
            await children.replace(value or [])
        else:
            raise InvalidPayload(
                f'"{name}" has to be a list of items or an object with "create", "update" and "delete"'
            )


@dataclass(frozen=True, slots=True)
class _Children:
    """The children of one parent through one O2M field."""

    context: WriteContext
    name: str
    relation: Relation
    parent: Key

    @property
    def blueprint(self) -> Blueprint:
        return self.context.platform.writes.blueprint(self.context.schema, self.relation.collection)

    @property
    def primary(self) -> str:
        return self.blueprint.collection.primary

    def service(self) -> Any:
        return self.context.service(self.relation.collection, self.name)

    # --- the list: these and no others ------------------------------------------------------
    async def replace(self, elements: Sequence[Any]) -> None:
        linked = await self._links(_key_of(element, self.primary) for element in elements)
        if any(not isinstance(element, dict) and self._text(element) not in linked for element in elements):
            raise Forbidden()
        kept: set[str] = set()
        new: list[tuple[int, dict[str, Any]]] = []
        for index, element in enumerate(elements):
            key = _key_of(element, self.primary)
            if key is None or (text := self._text(key)) not in linked:
                new.append((index, {**element, self.relation.field: self.parent}))
                continue
            kept |= await self._create(new)
            new = []
            await self._keep(index, key, element, linked[text])
            kept.add(text)
        kept |= await self._create(new)
        await self._deselect([key for key in await self._keys_of_parent() if self._text(key) not in kept])

    async def _keep(self, index: int, key: Key, element: Any, is_linked: bool) -> None:
        """An existing item of the list: a bare key of a linked child needs no write at all."""
        changes = {f: v for f, v in element.items() if f != self.primary} if isinstance(element, dict) else {}
        if not is_linked:
            changes[self.relation.field] = self.parent
        if changes or isinstance(element, dict):
            await self.service().update_one(key, changes, self._options(index))

    async def _create(self, new: Sequence[tuple[int, dict[str, Any]]], part: str | None = None) -> set[str]:
        if not new:
            return set()
        defaults = self.context.defaults_of(self.name)
        if defaults is None:
            keys = await self.service().create_many([item for _, item in new], self._options(0, part))
        else:
            keys = [await self.service().create_one(item, self._options(index, part)) for index, item in new]
        return {self._text(key) for key in keys}

    # --- the detailed object: only these changes --------------------------------------------
    async def alter(self, changes: Mapping[str, Any]) -> None:
        create, update, delete = self._checked(changes)
        await self._create(list(enumerate(await self._sorted(create))), "create")
        linked = await self._links(item[self.primary] for item in update)
        for index, item in enumerate(update):
            rest = {f: v for f, v in item.items() if f != self.primary}
            if not linked.get(self._text(item[self.primary]), False):
                rest[self.relation.field] = self.parent
            await self.service().update_one(item[self.primary], rest, self._options(index, "update"))
        own = await self._links(delete)
        await self._deselect([key for key in dict.fromkeys(delete) if own.get(self._text(key), False)])

    def _checked(self, changes: Mapping[str, Any]) -> tuple[list[dict[str, Any]], list[dict[str, Any]], list[Key]]:
        create, update, delete = (changes.get(part, []) for part in ("create", "update", "delete"))
        if not set(changes) <= _DETAILS or not all(isinstance(part, list) for part in (create, update, delete)):
            raise InvalidPayload(f'"{self.name}" takes the lists "create", "update" and "delete" and nothing else')
        if not all(isinstance(item, dict) for item in (*create, *update)):
            raise InvalidPayload(f'"{self.name}": "create" and "update" are lists of objects')
        if not all(isinstance(key, str | int | float) and not isinstance(key, bool) for key in delete):
            raise InvalidPayload(f'"{self.name}": "delete" is a list of keys')
        if any(item.get(self.primary) in (None, "") for item in update):
            raise InvalidPayload(f'"{self.name}": each item of "update" needs its "{self.primary}"')
        return create, update, delete

    async def _sorted(self, create: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
        """New items with their link and, where the relation has an order, a place after the last one."""
        sort = self.relation.sort_field
        linked = [{**item, self.relation.field: self.parent} for item in create]
        if sort is None or sort not in self.blueprint.fields or all(sort in item for item in linked):
            return linked
        link = self.blueprint.fields[self.relation.field]
        statement = self.context.statements(self.relation.collection).maximum(sort, link)
        last = await self.context.value(statement, self.context.driver_value(link, self.parent)) or 0
        return [item if sort in item else {**item, sort: int(last) + index + 1} for index, item in enumerate(linked)]

    # --- both -------------------------------------------------------------------------------
    async def _deselect(self, keys: list[Key]) -> None:
        if not keys:
            return
        if self.relation.deletes_deselected:
            await self.service().delete_many(keys, self.context.child_options())
        else:
            await self.service().update_many(keys, {self.relation.field: None}, self.context.child_options())

    async def _links(self, keys: Any) -> dict[str, bool]:
        """Which of the keys exist, and whether they are linked to the parent already."""
        wanted = [key for key in keys if key is not None]
        if not wanted:
            return {}
        check_keys(self.blueprint.collection, wanted)
        columns = [self.primary, self.relation.field]
        found = await self.context.rows(self.relation.collection, columns, self.primary, wanted)
        parent = key_text(self.context.blueprint.collection, self.parent)
        return {
            self._text(key): link is not None and key_text(self.context.blueprint.collection, link) == parent
            for key, link in found
        }

    async def _keys_of_parent(self) -> list[Key]:
        rows = await self.context.rows(self.relation.collection, [self.primary], self.relation.field, [self.parent])
        return [key for (key,) in rows]

    def _text(self, key: Key) -> str:
        return key_text(self.blueprint.collection, key)

    def _options(self, index: int, part: str | None = None) -> Any:
        """Options of one child, with its own share of ``overwrite_defaults``."""
        defaults = self.context.defaults_of(self.name)
        if part is not None and isinstance(defaults, Mapping):
            defaults = defaults.get(part)
        if isinstance(defaults, list):
            defaults = defaults[index] if index < len(defaults) else None
        return self.context.child_options(defaults)


def _key_of(element: Any, primary: str) -> Key | None:
    """The key that an element of a list names; None for a new item. Raises :class:`InvalidPayload` for other values."""
    if isinstance(element, dict):
        key = element.get(primary)
        return None if key == "" else key
    if isinstance(element, str | int | float) and not isinstance(element, bool):
        return element
    raise InvalidPayload("A related item is given by its key or as an object")
