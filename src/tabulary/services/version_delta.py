"""The delta of a content version: what somebody changed of an item without publishing it (spec items-and-query §10.2).

A delta is a partial item in the form of a payload; relations are kept as they were sent. Every object in it that was
changed carries markers, ``_user`` and ``_date``: who saved it and when. Only objects that stand for items are marked; a
JSON field's own value is data and stays untouched.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import zip_longest
from typing import Any

from tabulary.schema.overview import Schema

Delta = dict[str, Any]
USER, DATE = "_user", "_date"
_MARKERS = (USER, DATE)
_PARTS = ("create", "update", "delete")


def merged(schema: Schema, collection: str, old: Mapping[str, Any], new: Mapping[str, Any], stamp: Delta) -> Delta:
    """The old delta with newly saved fields over it. What changed is stamped, what did not keeps its markers."""
    marked = {
        name: _marked(_target(schema, collection, name), schema, value, old.get(name), stamp)
        for name, value in new.items()
    }
    changed = any(name not in old or _bare(old[name]) != _bare(value) for name, value in new.items())
    return {**old, **marked, **(stamp if changed else {})}


def mapped(schema: Schema, collection: str, delta: Mapping[str, Any] | None, item: str) -> Delta:
    """A delta as single reads show it: without markers, with what they say in the fields that record such things."""
    shown = _shown(schema, collection, delta or {}, created=False)
    return {schema.collections[collection].primary: item, **shown} if collection in schema.collections else shown


def as_payload(schema: Schema, collection: str, delta: Mapping[str, Any]) -> Delta:
    """What to write for a delta: the same without markers."""
    return {
        name: _mapped_value(_target(schema, collection, name), value, _without_markers(schema))
        for name, value in delta.items()
        if name not in _MARKERS
    }


def defaults_of(schema: Schema, collection: str, delta: Mapping[str, Any]) -> Delta:
    """The markers alone, as the option ``overwrite_defaults`` of a write takes them."""
    found = {name: delta[name] for name in _MARKERS if name in delta}
    for name, value in delta.items():
        target = _target(schema, collection, name)
        if target is not None and name not in _MARKERS and isinstance(value, dict | list):
            found[name] = _defaults_below(schema, target, value)
    return found


# --- helpers over the two shapes of relations ---------------------------------------------------
def _target(schema: Schema, collection: str, name: str) -> str | None:
    """The collection that a field's objects are items of; ``""`` where it depends on the item (M2A)."""
    relation = schema.relation(collection, name)
    if relation is None:
        return None
    kind, found = relation
    if kind == "o2m":
        return found.collection
    return found.related_collection if kind == "m2o" else ""


def _is_detailed(value: Any) -> bool:
    """True for ``{"create", "update", "delete"}``."""
    return isinstance(value, Mapping) and any(part in value for part in _PARTS)


def _marked(target: str | None, schema: Schema, value: Any, old: Any, stamp: Delta) -> Any:
    if target is None:
        return value
    if isinstance(value, list):
        earlier_ones = old if isinstance(old, list) else []
        pairs = zip_longest(value, earlier_ones[: len(value)])
        return [_marked(target, schema, entry, earlier, stamp) for entry, earlier in pairs]
    if not isinstance(value, Mapping):
        return value
    if isinstance(old, Mapping) and _bare(old) == _bare(value):
        return dict(old)
    before = old if isinstance(old, Mapping) else {}
    inner = {}
    for name, entry in value.items():
        below = target if _is_detailed(value) and name in _PARTS else _target(schema, target, name)
        inner[name] = _marked(below, schema, entry, before.get(name), stamp)
    return {**inner, **stamp}


def _bare(value: Any) -> Any:
    """A value without any markers, for comparing."""
    if isinstance(value, Mapping):
        return {name: _bare(entry) for name, entry in value.items() if name not in _MARKERS}
    return [_bare(entry) for entry in value] if isinstance(value, list) else value


Shape = Callable[[str, Mapping[str, Any], bool], Delta]
"""How an object that stands for an item is shown: its collection, itself, and whether it is a new item."""


def _mapped_value(target: str | None, value: Any, shape: Shape, created: bool = True) -> Any:
    if target is None:
        return value
    if isinstance(value, list):
        return [_mapped_value(target, entry, shape, created) for entry in value]
    if not isinstance(value, Mapping):
        return value
    if _is_detailed(value):
        return {
            part: _mapped_value(target, entries, shape, part == "create")
            for part, entries in value.items()
            if part not in _MARKERS
        }
    return shape(target, value, created)


def _without_markers(schema: Schema) -> Shape:
    return lambda target, value, created: as_payload(schema, target, value)


def _shown(schema: Schema, collection: str, value: Mapping[str, Any], created: bool) -> Delta:
    def shape(target: str, inner: Mapping[str, Any], is_new: bool) -> Delta:
        known = schema.collections.get(target)
        return _shown(schema, target, inner, is_new and (known is None or not inner.get(known.primary)))

    found = {
        name: _mapped_value(_target(schema, collection, name), entry, shape)
        for name, entry in value.items()
        if name not in _MARKERS
    }
    verb = "created" if created else "updated"
    known = schema.collections.get(collection)
    for name, field in (known.fields if known is not None else {}).items():
        for marker, special in ((USER, f"user-{verb}"), (DATE, f"date-{verb}")):
            if special in field.special and marker in value:
                found[name] = value[marker]
    return found


def _defaults_below(schema: Schema, target: str, value: Any) -> Any:
    if isinstance(value, list):
        return [_defaults_below(schema, target, entry) if isinstance(entry, dict) else None for entry in value]
    if _is_detailed(value):
        return {
            part: _defaults_below(schema, target, value[part])
            for part in ("create", "update")
            if isinstance(value.get(part), list)
        }
    return defaults_of(schema, target, value)
