"""The whole of a schema: as graphql-core would put it together, also where that could not."""

from __future__ import annotations

import sys

from graphql import (
    GraphQLArgument,
    GraphQLField,
    GraphQLInputField,
    GraphQLInputObjectType,
    GraphQLInt,
    GraphQLInterfaceType,
    GraphQLList,
    GraphQLNonNull,
    GraphQLObjectType,
    GraphQLSchema,
    GraphQLString,
    GraphQLUnionType,
    print_schema,
)

from tabulary.server.graphql.whole import whole_schema


def test_types_come_in_the_order_of_graphql_core() -> None:
    named = GraphQLInterfaceType("Named", {"name": GraphQLField(GraphQLString)})
    leaf = GraphQLObjectType("Leaf", {"name": GraphQLField(GraphQLString)}, interfaces=[named])
    tree = GraphQLObjectType("Tree", lambda: {"self": GraphQLField(tree), "of": GraphQLField(either)})
    either = GraphQLUnionType("Either", [tree, leaf])
    filter_ = GraphQLInputObjectType(
        "Filter", lambda: {"_and": GraphQLInputField(GraphQLList(filter_)), "size": GraphQLInputField(GraphQLInt)}
    )
    found = GraphQLField(GraphQLNonNull(GraphQLList(tree)), {"filter": GraphQLArgument(filter_)})
    roots = (
        GraphQLObjectType("Query", {"trees": found}),
        GraphQLObjectType("Mutation", {"fell": GraphQLField(leaf)}),
        GraphQLObjectType("Subscription", {"grown": GraphQLField(either)}),
    )
    expected, made = GraphQLSchema(*roots), whole_schema(*roots)
    assert list(made.type_map) == list(expected.type_map)
    assert print_schema(made) == print_schema(expected)
    assert made.get_implementations(named).objects == [leaf]


def test_a_chain_of_relations_may_have_any_length() -> None:
    length = sys.getrecursionlimit()
    last = GraphQLObjectType(f"T{length}", {"name": GraphQLField(GraphQLString)})
    for number in reversed(range(length)):
        last = GraphQLObjectType(f"T{number}", {"next": GraphQLField(last)})
    made = whole_schema(GraphQLObjectType("Query", {"first": GraphQLField(last)}), None, None)
    assert f"T{length}" in made.type_map
    assert f"type T{length} {{" in print_schema(made)
