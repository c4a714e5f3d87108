"""Object types whose field names the reduction has checked. graphql-core would check each again, letter by letter: half
the time that a schema of hundreds of collections takes.
"""

from __future__ import annotations

from functools import cached_property

from graphql import GraphQLField, GraphQLInputField, GraphQLInputObjectType, GraphQLObjectType


class ObjectType(GraphQLObjectType):
    @cached_property
    def fields(self) -> dict[str, GraphQLField]:
        return dict(self._fields() if callable(self._fields) else self._fields)


class InputObjectType(GraphQLInputObjectType):
    @cached_property
    def fields(self) -> dict[str, GraphQLInputField]:
        return dict(self._fields() if callable(self._fields) else self._fields)
