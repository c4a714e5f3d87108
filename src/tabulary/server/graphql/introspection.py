"""``__schema`` and ``__type``: what the schema says of itself (spec §1.2).

The resolvers are graphql-core's; the walk is ours. Schemas repeat themselves a thousandfold (references to the same
types, fields of the same shape), so every part is written once and its text used again: describing hundreds of
collections takes a fraction of a second instead of several.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from types import SimpleNamespace
from typing import Any, Final

from graphql import (
    GraphQLError,
    GraphQLList,
    GraphQLNonNull,
    GraphQLObjectType,
    SelectionSetNode,
    get_named_type,
)
from graphql.type import SchemaMetaFieldDef, TypeMetaFieldDef

from tabulary.core import json
from tabulary.server.graphql.schema import LazySchema
from tabulary.server.graphql.selection import TYPENAME, Nodes, Selector

MAX_TEXT: Final = 64_000_000
"""Characters that one answer may have: nested questions multiply."""
ROOTS: Final[Mapping[str, Any]] = {"__schema": SchemaMetaFieldDef, "__type": TypeMetaFieldDef}


@dataclass(frozen=True, slots=True)
class _Member:
    """One chosen member of an introspection type: its key and how its text is made of the object."""

    key: str
    text: Callable[[Any], str]


class Describer:
    """Describes one schema for the selections of one operation."""

    def __init__(self, schema: LazySchema, selector: Selector) -> None:
        self.selector = selector
        self._schema = schema.prepare()
        self._members: dict[Any, list[_Member]] = {}
        self._texts: dict[Any, str] = {}
        self._length = 0

    def root(self, nodes: Nodes) -> str:
        """The text of a root field. Raises :class:`GraphQLError` for an answer beyond all measure."""
        definition = ROOTS[nodes[0].name.value]
        value: Any = self._schema.whole
        if definition is TypeMetaFieldDef:
            value = value.get_type(self.selector.arguments(definition, nodes[0])["name"])
        return self._value(definition.type, self._sets(nodes), value)

    def _value(self, kind: Any, sets: tuple[SelectionSetNode, ...], value: Any) -> str:
        if isinstance(kind, GraphQLNonNull):
            kind = kind.of_type
        if value is None:
            return "null"
        if isinstance(kind, GraphQLList):
            text = f"[{','.join([self._value(kind.of_type, sets, entry) for entry in value])}]"
            return self._counted(text)
        if isinstance(kind, GraphQLObjectType):
            return self._object(kind, sets, value)
        return json.encode(value.name if isinstance(value, Enum) else value).decode()

    def _object(self, kind: GraphQLObjectType, sets: tuple[SelectionSetNode, ...], value: Any) -> str:
        place = (kind.name, tuple(map(id, sets)))
        # members of types come as (name, definition), and the definition may be shared under many names
        known = (place, (value[0], id(value[1])) if isinstance(value, tuple) else id(value))
        text = self._texts.get(known)
        if text is None:
            members = self._members.get(place)
            if members is None:
                members = self._members[place] = self._chosen(kind, sets)
            parts = [f'"{member.key}":{member.text(value)}' for member in members]
            text = self._texts[known] = f"{{{','.join(parts)}}}"
        return text

    def _chosen(self, kind: GraphQLObjectType, sets: tuple[SelectionSetNode, ...]) -> list[_Member]:
        found = self.selector.collect(kind, sets)
        return [_Member(key, self._reader(kind, nodes)) for key, nodes in found.items()]

    def _reader(self, kind: GraphQLObjectType, nodes: Nodes) -> Callable[[Any], str]:
        name = nodes[0].name.value
        if name == TYPENAME:
            return lambda _: f'"{kind.name}"'
        definition = kind.fields[name]
        resolve: Any = definition.resolve
        arguments = self.selector.arguments(definition, nodes[0])
        sets = self._sets(nodes) if isinstance(get_named_type(definition.type), GraphQLObjectType) else ()
        info = SimpleNamespace(schema=self._schema.whole)
        return lambda value: self._value(definition.type, sets, resolve(value, info, **arguments))

    @staticmethod
    def _sets(nodes: Nodes) -> tuple[SelectionSetNode, ...]:
        return tuple(node.selection_set for node in nodes if node.selection_set is not None)

    def _counted(self, text: str) -> str:
        self._length += len(text)
        if self._length > MAX_TEXT:
            raise GraphQLError("The description of the schema would be too long; ask for less of it at once.")
        return text
