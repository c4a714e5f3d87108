"""What a share token may read, worked out from the shared item outwards (spec users §5.2). Pure functions.

Two things have to hold for an item: the rights behind the share (its creator's and its role's, both) let it be read,
and it is the shared item or hangs on it. The first are permission rows, the second generated filters that lead back
from a collection to the shared item; a share's rows are all rows of the first with all filters of the second.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from typing import Any

from tabulary.access.permissions import Permission
from tabulary.schema.overview import Relation, Schema

Rows = Sequence[Permission]
Rule = Mapping[str, Any]
Visible = Mapping[str, Set[str]]
"""The fields that some row grants, by collection; ``*`` among them means all."""

MAX_DEPTH = 10
MAX_FILTERS = 500
"""Bounds of the walk: densely linked collections have more paths than anybody needs."""


@dataclass(frozen=True, slots=True)
class Side:
    """One of the two whose rights a share carries: everything, or the read rows of their policies."""

    rows: Rows = ()
    admin: bool = False


def base_rows(creator: Side, role: Side, collections: Iterable[str]) -> list[Permission]:
    """The rows that both sides allow. Within a side rows add up; between the sides both must hold."""
    if creator.admin and role.admin:
        return [Permission(name, "read", ("*",)) for name in collections]
    if creator.admin or role.admin:
        return list(role.rows if creator.admin else creator.rows)
    return [
        Permission(row.collection, "read", _common(row.fields, other.fields), _all(row.permissions, other.permissions))
        for row in role.rows
        for other in creator.rows
        if row.collection == other.collection
    ]


def share_rows(schema: Schema, base: Rows, collection: str, item: str) -> list[Permission]:
    """The base rows of all collections that the shared item leads to, each narrowed to what hangs on the item."""
    if collection not in schema.collections:
        return []
    reached: dict[str, list[Rule]] = {}
    for name, rule in reach(schema, base, collection, item):
        rules = reached.setdefault(name, [])
        if rule not in rules:
            rules.append(rule)
    return [
        Permission(row.collection, "read", row.fields, _all(row.permissions, _any(reached[row.collection])))
        for row in base
        if row.collection in reached
    ]


def reach(schema: Schema, base: Rows, collection: str, item: str) -> Iterator[tuple[str, Rule]]:
    """Collections that can be reached over visible relations, with the filter that leads back to the shared item.

    A collection that is on the way already is reached but not passed. A to-one relation is passed only when the other
    side has a field for the way back.
    """
    visible: dict[str, set[str]] = {}
    for row in base:
        visible.setdefault(row.collection, set()).update(row.fields)
    target: Rule = {schema.collections[collection].primary: {"_eq": item}}
    yield collection, target
    waiting: deque[tuple[str, tuple[str, ...], tuple[str, ...]]] = deque([(collection, (), ())])
    found = 1
    while waiting and found < MAX_FILTERS:
        here, way_back, passed = waiting.popleft()
        for there, back, on in _hops(schema, visible, here):
            found += 1
            yield there, _nested((back, *way_back), target)
            if on and there not in (*passed, here) and len(way_back) < MAX_DEPTH:
                waiting.append((there, (back, *way_back), (*passed, here)))


def _hops(schema: Schema, base: Visible, here: str) -> Iterator[tuple[str, str, bool]]:
    """From a collection: where a relation leads, the name of the way back, and whether one may go on from there."""
    for relation in schema.relations:
        if not _is_followed(base, relation):
            continue
        if relation.collection == here:
            yield from _outward(relation)
        if relation.related_collection == here and relation.one_field:
            yield relation.collection, relation.field, True


def _outward(relation: Relation) -> Iterator[tuple[str, str, bool]]:
    if relation.is_any:
        follow = f"$FOLLOW({relation.collection},{relation.field},{relation.one_collection_field})"
        for name in relation.allowed_collections:
            yield name, follow, False
    elif relation.related_collection is not None:
        follow = f"$FOLLOW({relation.collection},{relation.field})"
        yield relation.related_collection, relation.one_field or follow, bool(relation.one_field)


def _is_followed(base: Visible, relation: Relation) -> bool:
    """True when the base lets a relation be seen at both of its ends, as far as they have a field."""
    if not _visible(base, relation.collection, relation.field):
        return False
    there, alias = relation.related_collection, relation.one_field
    return there is None or not alias or _visible(base, there, alias)


def _visible(base: Visible, collection: str, field: str) -> bool:
    fields = base.get(collection, ())
    return "*" in fields or field in fields


def _nested(path: Sequence[str], rule: Rule) -> Rule:
    for name in reversed(path):
        rule = {name: rule}
    return rule


def _common(mine: tuple[str, ...], theirs: tuple[str, ...]) -> tuple[str, ...]:
    if "*" in mine:
        return theirs
    return mine if "*" in theirs else tuple(name for name in mine if name in theirs)


def _all(*rules: Rule | None) -> Rule | None:
    said = [rule for rule in rules if rule]
    return None if not said else said[0] if len(said) == 1 else {"_and": said}


def _any(rules: Sequence[Rule]) -> Rule:
    return rules[0] if len(rules) == 1 else {"_or": list(rules)}
