"""Input types made of collections: filters and what create and update take (spec §1.5, §1.8).

graphql-core turns a coerced filter into the query language on its way out: ``out_name`` spells ``item__headings`` as
``item:headings``, and ``published_func: {year: …}`` becomes ``year(published): …``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from graphql import GraphQLInputField, GraphQLInputObjectType, GraphQLList, GraphQLString

from tabulary.schema.overview import Field
from tabulary.server.graphql.scalars import (
    FUNCTION_OBJECTS,
    FUNCTION_OPERATORS,
    HASH_OPERATORS,
    OPERATORS,
    STRING_OPERATORS,
)
from tabulary.server.graphql.trusted import InputObjectType

if TYPE_CHECKING:
    from tabulary.server.graphql.reduction import Reduction
    from tabulary.server.graphql.types import Types

Members = dict[str, GraphQLInputField]


def filter_type(types: Types, collection: str) -> GraphQLInputObjectType:
    """``<collection>_filter``."""
    name = f"{collection}_filter"
    return InputObjectType(
        name, lambda: _filter_members(types, collection), out_type=_function_names(types, collection)
    )


def quantifier_filter_type(types: Types, collection: str) -> GraphQLInputObjectType:
    """``<collection>_quantifier_filter``: the filter, and ``_some`` and ``_none`` of it."""
    name = f"{collection}_quantifier_filter"

    def members() -> Members:
        whole = GraphQLInputField(types.filter(collection))
        return {**types.filter(collection).fields, "_some": whole, "_none": whole}

    return InputObjectType(name, members, out_type=_function_names(types, collection))


def _filter_members(types: Types, collection: str) -> Members:
    found: Members = {}
    functions: Members = {}
    for field in types.read.fields(collection):
        if field.type in FUNCTION_OBJECTS:
            objects = FUNCTION_OBJECTS[field.type]
            functions[f"{field.field}_func"] = _shared(FUNCTION_OPERATORS[objects.name])
        found |= _conditions(types, collection, field)
    several = GraphQLInputField(GraphQLList(types.filter(collection)))
    return {**functions, **found, "_and": several, "_or": several}


def _conditions(types: Types, collection: str, field: Field) -> Members:
    name = field.field
    relation = types.read.relation(collection, name)
    if relation is None:
        operators = HASH_OPERATORS if field.concealed else OPERATORS.get(field.type, STRING_OPERATORS)
        return {name: _shared(operators)}
    kind, link = relation
    if kind == "a2o":
        return {
            f"{name}__{target}": GraphQLInputField(types.filter(target), out_name=f"{name}:{target}")
            for target in link.allowed_collections
            if target in types.read.collections
        }
    if kind == "o2m":
        return {name: GraphQLInputField(types.quantifier_filter(link.collection))}
    return {name: GraphQLInputField(types.filter(str(link.related_collection)))}


def _function_names(types: Types, collection: str) -> Callable[[dict[str, Any]], Any]:
    """From ``published_func: {year: x}`` to ``year(published): x``."""

    def renamed(given: dict[str, Any]) -> dict[str, Any]:
        fields = types.schema.collections[collection].fields
        found: dict[str, Any] = {}
        for key, value in given.items():
            field = key.removesuffix("_func")
            if key in fields or field == key or field not in fields:
                found[key] = value
            elif isinstance(value, Mapping):
                found |= {f"{function}({field})": condition for function, condition in value.items()}
        return found

    return renamed


def input_type(types: Types, reduction: Reduction, collection: str) -> GraphQLInputObjectType:
    """``create_<collection>_input`` or ``update_<collection>_input``."""
    name = f"{reduction.action}_{collection}_input"
    return InputObjectType(name, lambda: _input_members(types, reduction, collection))


def _input_members(types: Types, reduction: Reduction, name: str) -> Members:
    collection = types.schema.collections[name]
    found: Members = {}
    for field in reduction.fields(name):
        relation = reduction.relation(name, field.field)
        kind: Any
        if relation is None:
            kind = types.output(collection, field, reduction)
        elif relation[0] == "a2o":
            kind = GraphQLString
        elif relation[0] == "o2m":
            kind = GraphQLList(types.input(reduction.action, relation[1].collection))
        else:
            kind = types.input(reduction.action, str(relation[1].related_collection))
        found[field.field] = GraphQLInputField(kind, description=field.note or None)
    return found


_OPERATOR_FIELDS: Mapping[str, GraphQLInputField] = {
    kind.name: GraphQLInputField(kind)
    for kind in (STRING_OPERATORS, HASH_OPERATORS, *OPERATORS.values(), *FUNCTION_OPERATORS.values())
}


def _shared(operators: GraphQLInputObjectType) -> GraphQLInputField:
    return _OPERATOR_FIELDS[operators.name]
