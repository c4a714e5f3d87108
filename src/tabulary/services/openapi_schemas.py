"""Collections as OpenAPI schemas: the fields that a caller may read, in the types of the wire (spec platform §4.3)."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from tabulary.access.permissions import PermissionSet
from tabulary.schema.overview import Collection, Field, Schema
from tabulary.services.relations import may_see

Node = dict[str, Any]

_TYPES: Mapping[str, Node] = {
    "alias": {"type": "string"},
    "hash": {"type": "string"},
    "string": {"type": "string"},
    "text": {"type": "string"},
    "bigInteger": {"type": "integer", "format": "int64"},
    "binary": {"type": "string", "format": "binary"},
    "boolean": {"type": "boolean"},
    "csv": {"type": "array", "items": {"type": "string"}},
    "date": {"type": "string", "format": "date"},
    "dateTime": {"type": "string", "format": "date-time"},
    "time": {"type": "string", "format": "time"},
    "timestamp": {"type": "string", "format": "timestamp"},
    "uuid": {"type": "string", "format": "uuid"},
    "decimal": {"type": "number"},
    "float": {"type": "number", "format": "float"},
    "integer": {"type": "integer"},
}
_PARTS = re.compile(r"[^A-Za-z0-9]+")


def reference(name: str, kind: str = "schemas") -> Node:
    return {"$ref": f"#/components/{kind}/{name}"}


def type_of(field: Field) -> Node:
    """The schema of a plain value."""
    if field.type.startswith("geometry"):
        return {"type": "object"}
    return dict(_TYPES.get(field.type, {}))


class SchemaNames:
    """The names of the components: ``ItemsBooksTranslations`` for ``books_translations``, ``Users`` for system ones."""

    def __init__(self, collections: Iterable[Collection]) -> None:
        self._names: dict[str, str] = {}
        taken: set[str] = set()
        for collection in collections:
            base = name = title(collection)
            number = 2
            while name in taken:
                name, number = f"{base}{number}", number + 1
            taken.add(name)
            self._names[collection.collection] = name

    def __getitem__(self, collection: str) -> str:
        return self._names[collection]

    def __contains__(self, collection: object) -> bool:
        return collection in self._names


def title(collection: Collection) -> str:
    """``books_translations`` → ``ItemsBooksTranslations``."""
    name = collection.collection
    bare = name.removeprefix("directus_") if collection.is_system else name
    words = "".join(part[:1].upper() + part[1:] for part in _PARTS.split(bare) if part)
    return words if collection.is_system else f"Items{words}"


def item_schema(schema: Schema, collection: Collection, permissions: PermissionSet, names: SchemaNames) -> Node:
    """The schema of a collection's items, reduced to the fields that the caller may read."""
    granted = permissions.fields(collection.collection, "read")
    may = _granted(granted if permissions.allows(collection.collection, "read") else _writable(permissions, collection))
    fields = [field for name, field in collection.fields.items() if may(name)]
    properties = {field.field: _property(schema, collection, field, names, permissions) for field in fields}
    found: Node = {
        "type": "object",
        "properties": {name: node for name, node in properties.items() if node is not None},
        "x-collection": collection.collection,
    }
    required = [field.field for field in fields if _is_required(field)]
    return {**found, "required": required} if required else found


def _writable(permissions: PermissionSet, collection: Collection) -> frozenset[str]:
    """The fields of somebody who may write, but not read."""
    return permissions.fields(collection.collection, "create") | permissions.fields(collection.collection, "update")


def _granted(fields: frozenset[str]) -> Callable[[str], bool]:
    return (lambda name: True) if "*" in fields else fields.__contains__


def _is_required(field: Field) -> bool:
    return not field.alias and not field.nullable and field.default_value is None and not field.generated


def _property(
    schema: Schema, collection: Collection, field: Field, names: SchemaNames, permissions: PermissionSet
) -> Node | None:
    """One field; None for a list of items that the caller may not read. Relations need both their ends to be seen."""
    nullable: Node = {"nullable": field.nullable or field.alias}
    relation = schema.relation(collection.collection, field.field)
    if relation is None:
        return {**nullable, **type_of(field)}
    kind, found = relation
    seen = may_see(found, permissions)
    if kind == "o2m":
        if not seen or found.collection not in names:
            return None
        key = type_of(schema.collections[found.collection].primary_field)
        return {**nullable, "type": "array", "items": {"oneOf": [key, reference(names[found.collection])]}}
    targets = found.allowed_collections if kind == "a2o" else [found.related_collection or ""]
    known = [reference(names[name]) for name in targets if seen and name in names]
    if not known:
        return {**nullable, **type_of(field)}
    return {**nullable, "oneOf": [type_of(field), *known]}
