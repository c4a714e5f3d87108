"""The fields of ``Query``, ``Mutation`` and ``Subscription`` that collections give rise to (spec §1.6, §1.7, §1.14).

Each says by its :class:`Call` what it does; :mod:`execution` knows how.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

from graphql import (
    GraphQLArgument,
    GraphQLBoolean,
    GraphQLField,
    GraphQLList,
    GraphQLNonNull,
    GraphQLOutputType,
    GraphQLString,
)

from tabulary.server.graphql.asking import Scope
from tabulary.server.graphql.scalars import (
    DELETED_MANY,
    DELETED_ONE,
    EVENT,
    ID_ARGUMENT,
    IDS_ARGUMENT,
    LIST_ARGUMENTS,
    VERSION_ARGUMENT,
)
from tabulary.server.graphql.types import Types, with_arguments

Fields = dict[str, GraphQLField]

CALL: Final = "call"
"""Extension of a root field: its :class:`Call` (or a hand-made one, see :mod:`system`)."""
PREFIX: Final = "directus_"
_NO_MUTATIONS: Final = frozenset({"directus_activity", "directus_revisions"})


@dataclass(frozen=True, slots=True)
class Call:
    """What a root field does with which collection. ``readable``: the result may be shown."""

    verb: str
    collection: str
    readable: bool = True


def query_fields(types: Types, scope: Scope) -> Fields:
    """One to five fields for each readable collection of the scope. A real collection wins over a generated name."""
    collections = [types.schema.collections[name] for name in _of_scope(types.read.collections, scope)]
    found: Fields = {}
    for collection in collections:
        name = collection.collection
        shown, item = _shown(name), types.object(name)
        if scope == "items":
            key = {} if collection.singleton else {"id": ID_ARGUMENT}
            version = {"version": GraphQLArgument(GraphQLNonNull(GraphQLString)), **key}
            found[f"{shown}_by_version"] = _field(types.version(name), version, Call("version", name))
        if collection.singleton:
            continue
        by_id = {"id": ID_ARGUMENT, "version": VERSION_ARGUMENT}
        found[f"{shown}_by_id"] = _field(item, by_id, Call("one", name))
        if f"{name}_aggregated" not in types.read.collections:
            grouped = {
                "groupBy": GraphQLArgument(GraphQLList(GraphQLString)),
                "filter": GraphQLArgument(types.filter(name)),
                **{n: LIST_ARGUMENTS[n] for n in ("limit", "offset", "page", "search", "sort")},
            }
            found[f"{shown}_aggregated"] = _field(_list(types.aggregated(name)), grouped, Call("aggregate", name))
    for collection in collections:
        name = collection.collection
        shown, item = _shown(name), types.object(name)
        if collection.singleton:
            found[shown] = _field(item, {"version": VERSION_ARGUMENT}, Call("singleton", name))
        else:
            found[shown] = _field(_list(item), types.arguments(name), Call("list", name))
    return found


def mutation_fields(types: Types, scope: Scope) -> Fields:
    """The writes that the caller may try."""
    found: Fields = {}
    for name in _of_scope(types.create.collections, scope):
        if name not in _NO_MUTATIONS and not types.schema.collections[name].singleton:
            found |= _create_fields(types, name)
    for name in _of_scope(types.update.collections, scope):
        if name not in _NO_MUTATIONS:
            found |= _update_fields(types, name)
    for name in _of_scope(types.delete.collections, scope):
        if name not in _NO_MUTATIONS and not types.schema.collections[name].singleton:
            shown = _shown(name)
            found[f"delete_{shown}_item"] = _field(DELETED_ONE, {"id": ID_ARGUMENT}, Call("delete_one", name))
            found[f"delete_{shown}_items"] = _field(DELETED_MANY, {"ids": IDS_ARGUMENT}, Call("delete_many", name))
    return found


def has_mutations(types: Types, scope: Scope) -> bool:
    """True when there is anything that the caller may write."""
    singletons = {name for name, collection in types.schema.collections.items() if collection.singleton}
    for reduction in (types.create, types.update, types.delete):
        spared = _NO_MUTATIONS if reduction is types.update else _NO_MUTATIONS | singletons
        if not spared.issuperset(_of_scope(reduction.collections, scope)):
            return True
    return False


def _create_fields(types: Types, name: str) -> Fields:
    shown, item = _shown(name), GraphQLNonNull(types.input("create", name))
    data = {"data": GraphQLArgument(item)}
    several = {**_arguments(types, name), "data": GraphQLArgument(GraphQLList(item))}
    return {
        f"create_{shown}_item": _written(types, name, "create_one", data),
        f"create_{shown}_items": _written(types, name, "create_many", several, many=True),
    }


def _update_fields(types: Types, name: str) -> Fields:
    shown, item = _shown(name), GraphQLNonNull(types.input("update", name))
    data = {"data": GraphQLArgument(item)}
    if types.schema.collections[name].singleton:
        return {f"update_{shown}": _written(types, name, "upsert_singleton", data)}
    arguments = _arguments(types, name)
    batch = {**arguments, "data": GraphQLArgument(GraphQLList(item))}
    return {
        f"update_{shown}_item": _written(types, name, "update_one", {"id": ID_ARGUMENT, **data}),
        f"update_{shown}_batch": _written(types, name, "update_batch", batch, many=True),
        f"update_{shown}_items": _written(
            types, name, "update_many", {**arguments, "ids": IDS_ARGUMENT, **data}, many=True
        ),
    }


def _written(types: Types, name: str, verb: str, arguments: dict[str, Any], many: bool = False) -> GraphQLField:
    if name not in types.read.collections:
        return _field(GraphQLBoolean, arguments, Call(verb, name, readable=False))
    item = types.object(name)
    return _field(_list(item) if many else item, arguments, Call(verb, name))


def _arguments(types: Types, name: str) -> dict[str, Any]:
    return dict(types.arguments(name)) if name in types.read.collections else {}


def subscription_fields(types: Types) -> Fields:
    """One field for each readable collection, system ones by their full name, in both scopes."""
    event = {"event": GraphQLArgument(EVENT)}
    return {
        f"{name}_mutated": _field(types.mutated(name), event, Call("mutated", name)) for name in types.read.collections
    }


def _of_scope(names: Iterable[str], scope: Scope) -> list[str]:
    return [name for name in names if name.startswith(PREFIX) == (scope == "system")]


def _shown(name: str) -> str:
    return name.removeprefix(PREFIX)


def _list(kind: Any) -> GraphQLOutputType:
    return GraphQLNonNull(GraphQLList(GraphQLNonNull(kind)))


def _field(kind: GraphQLOutputType, arguments: dict[str, GraphQLArgument], call: Call) -> GraphQLField:
    return with_arguments(GraphQLField(kind, extensions={CALL: call}), arguments)
