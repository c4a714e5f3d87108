"""Types made of collections: objects, versions, aggregates, unions, subscription payloads (spec §1.4, §1.5).

A type is made when somebody asks for it and its fields when somebody looks at them; inputs are in :mod:`inputs`. What
a field means follows from its type: an object type knows its collection, a union the field that names the collection,
and ``<field>_func`` is a function object.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Final, TypeVar, cast

from graphql import (
    GraphQLArgument,
    GraphQLField,
    GraphQLFloat,
    GraphQLID,
    GraphQLInputObjectType,
    GraphQLInt,
    GraphQLList,
    GraphQLNamedType,
    GraphQLNonNull,
    GraphQLObjectType,
    GraphQLOutputType,
    GraphQLString,
    GraphQLUnionType,
    get_named_type,
)

from tabulary.access.permissions import PermissionSet
from tabulary.schema.overview import Collection, Field, Schema
from tabulary.server.graphql import inputs
from tabulary.server.graphql.reduction import Reduction
from tabulary.server.graphql.scalars import (
    BIG_INT,
    EVENT,
    FUNCTION_OBJECTS,
    HASH,
    JSON,
    SCALAR_TYPES,
    list_arguments,
)
from tabulary.server.graphql.trusted import ObjectType

COLLECTION: Final = "collection"
"""Extension of an object type: the collection whose items it shows."""
BY: Final = "by"
"""Extension of a union type: the field that names the collection of the item."""

_SELF_FILLING: Final = frozenset(
    {"uuid", "date-created", "date-updated", "role-created", "role-updated", "user-created", "user-updated"}
)
_NUMBERS: Final = (GraphQLInt, GraphQLFloat, BIG_INT)
_NULLABLE_KEYS: Final = frozenset({"directus_permissions"})
"""Collections that also show rows without a key."""

T = TypeVar("T", bound=GraphQLNamedType)
Fields = dict[str, GraphQLField]


class Types:
    """The types of one schema: one data model, one set of permissions."""

    def __init__(self, schema: Schema, permissions: PermissionSet) -> None:
        self.schema = schema
        self.read, self.create, self.update, self.delete = (
            Reduction(schema, permissions, action) for action in ("read", "create", "update", "delete")
        )
        self._made: dict[str, GraphQLNamedType] = {}
        self._fields: dict[tuple[int, str | None], GraphQLField] = {}
        self._arguments: dict[str, dict[str, GraphQLArgument]] = {}

    def made(self, name: str, make: Callable[[], T]) -> T:
        """The type of this name, made once: of two threads that make it at once, both get the same."""
        found: Any = self._made.get(name)
        if found is None:
            found = self._made.setdefault(name, make())
        return cast(T, found)

    def find(self, name: str) -> GraphQLNamedType | None:
        """The type with this name, if collections give rise to it."""
        if name in self._made:
            return self._made[name]
        for prefix, suffix, make in self._patterns():
            if len(name) > len(prefix) + len(suffix) and name.startswith(prefix) and name.endswith(suffix):
                collection = name[len(prefix) : len(name) - len(suffix)]
                found = make(collection) if collection in self.schema.collections else None
                if found is not None and found.name == name:
                    return found
        return self._find_union(name)

    def _patterns(self) -> tuple[tuple[str, str, Callable[[str], GraphQLNamedType | None]], ...]:
        """Names by what stands around the collection's; a real collection comes first."""
        return (
            ("", "", self._if(self.read, self.object)),
            ("", "_filter", self._if(self.read, self.filter)),
            ("", "_quantifier_filter", self._if(self.read, self.quantifier_filter)),
            ("create_", "_input", self._if(self.create, partial(self.input, "create"))),
            ("update_", "_input", self._if(self.update, partial(self.input, "update"))),
            ("", "_aggregated", self._if(self.read, self.aggregated)),
            ("", "_aggregated_count", self._if(self.read, partial(self._aggregated_part, "count"))),
            ("", "_aggregated_fields", self._if(self.read, partial(self._aggregated_part, "sum"))),
            ("version_", "", self._if(self.read, self.version)),
            ("", "_mutated", self._if(self.read, self.mutated)),
        )

    @staticmethod
    def _if(reduction: Reduction, make: Callable[[str], T | None]) -> Callable[[str], T | None]:
        return lambda collection: make(collection) if collection in reduction.collections else None

    def _find_union(self, name: str) -> GraphQLNamedType | None:
        for relation in self.schema.relations:
            if name == f"{relation.collection}_{relation.field}_union" and relation.is_any:
                found = self.read.relation(relation.collection, relation.field)
                return self.union(relation.collection, relation.field) if found else None
        return None

    # --- objects ----------------------------------------------------------------------------
    def object(self, name: str) -> GraphQLObjectType:
        """The items of a collection as the caller reads them."""
        return self.made(name, lambda: self._object(name))

    def _object(self, name: str) -> GraphQLObjectType:
        collection = self.schema.collections[name]
        description = collection.note or None
        return ObjectType(
            name, lambda: self._object_fields(collection), description=description, extensions={COLLECTION: name}
        )

    def _object_fields(self, collection: Collection) -> Fields:
        name = collection.collection
        found: Fields = {}
        functions: Fields = {}
        for field in self.read.fields(name):
            if field.type in FUNCTION_OBJECTS:
                functions[f"{field.field}_func"] = self.field(FUNCTION_OBJECTS[field.type], field.note)
            found[field.field] = self._relation_field(name, field) or self.field(
                self.output(collection, field, self.read), field.note
            )
        return {**functions, **found}

    def _relation_field(self, collection: str, field: Field) -> GraphQLField | None:
        relation = self.read.relation(collection, field.field)
        if relation is None:
            return None
        kind, link = relation
        if kind == "a2o":
            return GraphQLField(self.union(collection, field.field), description=field.note or None)
        target = link.collection if kind == "o2m" else str(link.related_collection)
        item = self.object(target)
        result: GraphQLOutputType = GraphQLList(item) if kind == "o2m" else item
        return with_arguments(GraphQLField(result, description=field.note or None), self.arguments(target))

    def union(self, collection: str, field: str) -> GraphQLUnionType:
        """What the item of a M2A relation may be."""
        name = f"{collection}_{field}_union"
        found = self.schema.relation(collection, field)
        assert found is not None
        relation = found[1]
        allowed = [c for c in relation.allowed_collections if c in self.read.collections]
        extensions = {BY: relation.one_collection_field}
        return self.made(
            name, lambda: GraphQLUnionType(name, lambda: [self.object(c) for c in allowed], extensions=extensions)
        )

    def version(self, collection: str) -> GraphQLObjectType:
        """An item with the changes of a version, relations as raw JSON; as the caller may update it, if at all."""
        name = f"version_{collection}"
        return self.made(name, lambda: ObjectType(name, lambda: self._version_fields(collection)))

    def _version_fields(self, name: str) -> Fields:
        collection = self.schema.collections[name]
        reduction = next(r for r in (self.update, self.create, self.read) if name in r.collections)
        found: Fields = {}
        for field in reduction.fields(name):
            if reduction is self.read and field.type in FUNCTION_OBJECTS:
                found[f"{field.field}_func"] = self.field(FUNCTION_OBJECTS[field.type], field.note)
            relation = reduction.relation(name, field.field)
            kind = JSON if relation is not None else self.output(collection, field, reduction)
            found[field.field] = self.field(kind, field.note)
        return found

    def mutated(self, collection: str) -> GraphQLObjectType:
        """What a subscription sends."""
        name = f"{collection}_mutated"
        fields = {
            "key": GraphQLField(GraphQLNonNull(GraphQLID)),
            "event": GraphQLField(EVENT),
            "data": GraphQLField(self.object(collection)),
        }
        return self.made(name, lambda: ObjectType(name, fields))

    # --- aggregates -------------------------------------------------------------------------
    def aggregated(self, collection: str) -> GraphQLObjectType:
        """One group of an aggregation (spec §1.10)."""
        name = f"{collection}_aggregated"
        return self.made(name, lambda: ObjectType(name, lambda: self._aggregated_fields(collection)))

    def _aggregated_fields(self, collection: str) -> Fields:
        fields = self.read.fields(collection)
        counts = {f.field: self.field(GraphQLInt, f.note) for f in fields}
        numbers = {f.field: self.field(GraphQLFloat, f.note) for f in fields if self.scalar(f) in _NUMBERS}
        found: Fields = {"group": self.field(JSON), "countAll": self.field(GraphQLInt)}
        if counts:
            count = self.made(
                f"{collection}_aggregated_count", lambda: ObjectType(f"{collection}_aggregated_count", counts)
            )
            found |= {"count": self.field(count), "countDistinct": self.field(count)}
        if any(self.scalar(f) in (GraphQLInt, GraphQLFloat) for f in fields):
            values = self.made(
                f"{collection}_aggregated_fields", lambda: ObjectType(f"{collection}_aggregated_fields", numbers)
            )
            found |= {n: self.field(values) for n in ("avg", "sum", "avgDistinct", "sumDistinct", "min", "max")}
        return found

    def _aggregated_part(self, member: str, collection: str) -> GraphQLNamedType | None:
        """The type of a member of an aggregation, if there is one."""
        field = self.aggregated(collection).fields.get(member)
        return None if field is None else get_named_type(field.type)

    # --- inputs -----------------------------------------------------------------------------
    def filter(self, collection: str) -> GraphQLInputObjectType:
        """Conditions on items."""
        name = f"{collection}_filter"
        return self.made(name, lambda: inputs.filter_type(self, collection))

    def quantifier_filter(self, collection: str) -> GraphQLInputObjectType:
        """Conditions on the items of a to-many relation: some, none, or any of them."""
        name = f"{collection}_quantifier_filter"
        return self.made(name, lambda: inputs.quantifier_filter_type(self, collection))

    def input(self, action: str, collection: str) -> GraphQLInputObjectType:
        """What a ``create`` or ``update`` of an item takes."""
        reduction = self.create if action == "create" else self.update
        return self.made(f"{action}_{collection}_input", lambda: inputs.input_type(self, reduction, collection))

    def arguments(self, collection: str) -> dict[str, GraphQLArgument]:
        """The arguments of a list of items: one mapping for all fields that take them."""
        found = self._arguments.get(collection)
        if found is None:
            found = self._arguments[collection] = list_arguments(self.filter(collection))
        return found

    # --- parts ------------------------------------------------------------------------------
    def field(self, kind: GraphQLOutputType, description: str | None = None) -> GraphQLField:
        """A field without arguments; those of the same type and description are one object."""
        key = (id(kind), description)
        found = self._fields.get(key)
        if found is None:
            found = self._fields[key] = GraphQLField(kind, description=description or None)
        return found

    @staticmethod
    def scalar(field: Field) -> GraphQLOutputType:
        """The scalar of a field's values."""
        if field.concealed:
            return HASH
        return _CSV if field.type == "csv" else SCALAR_TYPES.get(field.type, GraphQLString)

    def output(self, collection: Collection, field: Field, reduction: Reduction) -> Any:
        """The type of a plain field for reading or writing, with its ``!`` (spec §1.5)."""
        name, action = collection.collection, reduction.action
        consistent = reduction.is_consistent(name, field.field)
        if field.field == collection.primary and (consistent or name in _NULLABLE_KEYS):
            return self._key(field, name, action)
        kind = self.scalar(field)
        required = not field.nullable and not field.default_value and not _SELF_FILLING.intersection(field.special)
        return _NON_NULL.get(kind, kind) if required and consistent and action != "update" else kind

    @staticmethod
    def _key(field: Field, collection: str, action: str) -> GraphQLOutputType:
        if action == "update" or collection in _NULLABLE_KEYS:
            return GraphQLID
        given = action == "create" and (field.default_value is not None or "uuid" in field.special)
        return GraphQLID if given else _NON_NULL[GraphQLID]


def with_arguments(field: GraphQLField, arguments: dict[str, GraphQLArgument]) -> GraphQLField:
    """Give a field its arguments. The constructor would check and copy them, thousands of times the same."""
    field.args = arguments
    return field


_CSV: Final = GraphQLList(GraphQLString)
_NON_NULL: Final[Mapping[Any, Any]] = {
    kind: GraphQLNonNull(kind) for kind in (GraphQLID, GraphQLString, HASH, _CSV, *SCALAR_TYPES.values())
}
"""``T!`` of every scalar: one object each, so that fields can be shared."""
