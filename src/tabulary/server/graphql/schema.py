"""Schemas: one for each data model, permission content and scope, with types that are made on demand (spec §1.2,
§1.3).

A :class:`LazySchema` answers the questions of validation (which type has this name, what may it be) without having
made all types; :attr:`LazySchema.whole` is the ordinary schema with everything, for introspection and SDL.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from threading import Lock
from typing import Any, Self

from graphql import GraphQLField, GraphQLNamedType, GraphQLObjectType, GraphQLSchema, print_schema
from graphql.type import introspection_types

from tabulary.access.accountability import Accountability
from tabulary.access.permissions import PermissionSet
from tabulary.core.settings import Settings
from tabulary.schema.overview import Schema
from tabulary.server.graphql import roots, system
from tabulary.server.graphql.asking import Scope
from tabulary.server.graphql.scalars import SHARED, VOID
from tabulary.server.graphql.system import Caller
from tabulary.server.graphql.types import Types
from tabulary.server.graphql.whole import whole_schema


class _TypesByName(dict[str, GraphQLNamedType]):
    """A type map that makes what it is asked for."""

    def __init__(self, find: Callable[[str], GraphQLNamedType | None]) -> None:
        super().__init__({**introspection_types, **SHARED})
        self._find = find

    def get(self, name: Any, default: Any = None) -> Any:
        found = super().get(name)
        if found is None and (found := self._find(name)) is not None:
            self[name] = found
        return found or default

    def __missing__(self, name: str) -> GraphQLNamedType:
        found: GraphQLNamedType | None = self.get(name)
        if found is None:
            raise KeyError(name)
        return found

    def __contains__(self, name: object) -> bool:
        return self.get(name) is not None


class LazySchema(GraphQLSchema):
    """See the module. Valid by construction."""

    def __init__(self, types: Types, scope: Scope, caller: Caller, settings: Settings) -> None:
        super().__init__(assume_valid=True)
        self.types = types
        self.scope = scope
        self._hand_made = system.Fields(types, caller, settings) if scope == "system" else None
        self.query_type = GraphQLObjectType("Query", self._query_fields)
        if self._hand_made or roots.has_mutations(types, scope):
            self.mutation_type = GraphQLObjectType("Mutation", self._mutation_fields)
        if types.read.collections:
            self.subscription_type = GraphQLObjectType("Subscription", lambda: roots.subscription_fields(types))
        self.type_map = _TypesByName(self._find)
        self._making = Lock()

    def _query_fields(self) -> dict[str, GraphQLField]:
        found = roots.query_fields(self.types, self.scope)
        if not found:
            found["_empty"] = GraphQLField(VOID)
        return found | (self._hand_made.queries() if self._hand_made else {})

    def _mutation_fields(self) -> dict[str, GraphQLField]:
        return roots.mutation_fields(self.types, self.scope) | (self._hand_made.mutations() if self._hand_made else {})

    def _find(self, name: str) -> GraphQLNamedType | None:
        for root in (self.query_type, self.mutation_type, self.subscription_type):
            if root is not None and root.name == name:
                return root
        hand_made = self._hand_made.find(name) if self._hand_made else None
        return hand_made or self.types.find(name)

    def prepare(self) -> Self:
        """Make what two threads must not make at once; then ``whole`` and ``sdl`` may be asked for in another one."""
        for root in (self.query_type, self.mutation_type, self.subscription_type):
            if root is not None:
                _ = root.fields
        return self

    @property
    def whole(self) -> GraphQLSchema:
        """The same schema with all its types made, once, also when several threads ask for it."""
        with self._making:
            return self._whole

    @property
    def sdl(self) -> str:
        """The schema in GraphQL's own language."""
        with self._making:
            return self._sdl

    @cached_property
    def _whole(self) -> GraphQLSchema:
        assert self.query_type is not None
        return whole_schema(self.query_type, self.mutation_type, self.subscription_type)

    @cached_property
    def _sdl(self) -> str:
        return print_schema(self._whole)


@dataclass
class Schemas:
    """The schemas in use, the least recently used forgotten beyond ``GRAPHQL_SCHEMA_CACHE_CAPACITY``.

    Making one takes no await, so that two who ask at once cannot make it twice.
    """

    settings: Settings

    def __post_init__(self) -> None:
        self._kept: OrderedDict[Any, LazySchema] = OrderedDict()
        self._capacity = max(1, int(self.settings["GRAPHQL_SCHEMA_CACHE_CAPACITY"] or 1))

    def of(self, schema: Schema, permissions: PermissionSet, scope: Scope, who: Accountability | None) -> LazySchema:
        """The schema of a caller."""
        caller = Caller.of(who) if scope == "system" else None
        key = (schema.version, permissions.key, scope, caller)
        found = self._kept.get(key)
        if found is None:
            types = Types(schema, permissions)
            found = self._kept[key] = LazySchema(types, scope, caller or Caller.of(who), self.settings)
            while len(self._kept) > self._capacity:
                self._kept.popitem(last=False)
        else:
            self._kept.move_to_end(key)
        return found
