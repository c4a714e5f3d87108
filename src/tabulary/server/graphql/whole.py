"""The whole of a schema.

graphql-core looks for its types by recursion, one call deeper for each relation on the way, which a chain of some
hundred collections does not survive; here they are found in the same order without it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from graphql import (
    GraphQLInputObjectType,
    GraphQLInterfaceType,
    GraphQLNamedType,
    GraphQLObjectType,
    GraphQLSchema,
    GraphQLType,
    GraphQLUnionType,
    get_named_type,
)


def whole_schema(
    query: GraphQLObjectType, mutation: GraphQLObjectType | None, subscription: GraphQLObjectType | None
) -> GraphQLSchema:
    """A schema with all types within reach of its roots. It is not validated."""
    roots = [root for root in (query, mutation, subscription) if root is not None]
    return GraphQLSchema(query, mutation, subscription, types=_within_reach(roots), assume_valid=True)


def _within_reach(roots: Iterable[GraphQLType]) -> list[GraphQLNamedType]:
    """The types, each before those that it mentions."""
    found: dict[GraphQLNamedType, None] = {}
    waiting: list[Iterator[GraphQLType]] = [iter(roots)]
    while waiting:
        mentioned = next(waiting[-1], None)
        if mentioned is None:
            waiting.pop()
            continue
        named = get_named_type(mentioned)
        if named not in found:
            found[named] = None
            waiting.append(_mentioned(named))
    return list(found)


def _mentioned(named: GraphQLNamedType) -> Iterator[GraphQLType]:
    """The types that a type mentions, made one after the other."""
    if isinstance(named, GraphQLUnionType):
        yield from named.types
    elif isinstance(named, GraphQLObjectType | GraphQLInterfaceType):
        yield from named.interfaces
        for field in named.fields.values():
            yield field.type
            for argument in field.args.values():
                yield argument.type
    elif isinstance(named, GraphQLInputObjectType):
        for member in named.fields.values():
            yield member.type
