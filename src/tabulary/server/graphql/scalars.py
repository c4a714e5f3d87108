"""The scalars, function objects and filter operators that all schemas share (spec §1.4, §1.5, §1.8)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from graphql import (
    GraphQLArgument,
    GraphQLBoolean,
    GraphQLEnumType,
    GraphQLEnumValue,
    GraphQLError,
    GraphQLField,
    GraphQLFloat,
    GraphQLID,
    GraphQLInputField,
    GraphQLInputObjectType,
    GraphQLInt,
    GraphQLList,
    GraphQLNamedType,
    GraphQLNonNull,
    GraphQLObjectType,
    GraphQLScalarType,
    GraphQLString,
)
from graphql.language import FloatValueNode, IntValueNode, StringValueNode, ValueNode
from graphql.utilities import value_from_ast_untyped

_MAX_SAFE: Final = 2**53 - 1


def _any(value: Any) -> Any:
    return value


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise GraphQLError(f"Expected a text, found {str(value)[:100]}.")
    return value


def _text_literal(node: ValueNode, _variables: Any = None) -> str:
    if not isinstance(node, StringValueNode):
        raise GraphQLError("Expected a text.", node)
    return node.value


def _big(value: Any) -> int | str:
    text = _text(value)
    try:
        number = int(text)
    except ValueError:
        raise GraphQLError("A GraphQLBigInt has to be the text of a whole number.") from None
    if len(text) > 20 or not -(2**63) <= number < 2**63:
        raise GraphQLError("A GraphQLBigInt has 64 bits at most.")
    return number if abs(number) <= _MAX_SAFE else text


def _big_literal(node: ValueNode, _variables: Any = None) -> int | str:
    return _big(_text_literal(node))


def _text_or_number(value: Any) -> str | float:
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise GraphQLError(f"Expected a text or a number, found {str(value)[:100]}.")
    return value


def _text_or_number_literal(node: ValueNode, _variables: Any = None) -> str | float:
    if isinstance(node, StringValueNode):
        return node.value
    if isinstance(node, IntValueNode):
        return int(node.value)
    if isinstance(node, FloatValueNode):
        return float(node.value)
    raise GraphQLError("Expected a text or a number.", node)


def _nothing(_value: Any, _variables: Any = None) -> None:
    return None


def _json_literal(node: ValueNode, variables: Any = None) -> Any:
    return value_from_ast_untyped(node, variables)


BIG_INT: Final = GraphQLScalarType(
    "GraphQLBigInt",
    description="A whole number of 64 bits, as text.",
    parse_value=_big,
    parse_literal=_big_literal,
)
TEXT_OR_NUMBER: Final = GraphQLScalarType(
    "GraphQLStringOrFloat",
    description="A text or a number.",
    parse_value=_text_or_number,
    parse_literal=_text_or_number_literal,
)
HASH: Final = GraphQLScalarType(
    "Hash", description="A value that is never shown.", parse_value=_text, parse_literal=_text_literal
)
DATE: Final = GraphQLScalarType(
    "Date", description="A date, time or moment in ISO 8601.", parse_value=_text, parse_literal=_text_literal
)
JSON: Final = GraphQLScalarType("JSON", description="Any JSON value.", parse_value=_any, parse_literal=_json_literal)
GEOJSON: Final = GraphQLScalarType(
    "GraphQLGeoJSON", description="A GeoJSON geometry.", parse_value=_any, parse_literal=_json_literal
)
VOID: Final = GraphQLScalarType(
    "Void", description="Nothing: always null.", parse_value=_nothing, parse_literal=_nothing
)

EVENT: Final = GraphQLEnumType("EventEnum", {name: GraphQLEnumValue(name) for name in ("create", "update", "delete")})

SCALAR_TYPES: Final[Mapping[str, GraphQLScalarType]] = {
    "boolean": GraphQLBoolean,
    "integer": GraphQLInt,
    "bigInteger": BIG_INT,
    "float": GraphQLFloat,
    "decimal": GraphQLFloat,
    "json": JSON,
    "geometry": GEOJSON,
    "timestamp": DATE,
    "dateTime": DATE,
    "date": DATE,
    "time": DATE,
    "hash": HASH,
    "uuid": GraphQLID,
}
"""Platform type → scalar; all others are ``String``, ``csv`` a list of it."""

FORMS: Final[Mapping[str, str]] = {"ID": "text", "GraphQLBigInt": "text", "Float": "number"}
"""The form in which a scalar goes out where it is not that of REST."""


# --- functions ----------------------------------------------------------------------------------
_DATE_PARTS: Final = ("year", "month", "week", "day", "weekday")
_TIME_PARTS: Final = ("hour", "minute", "second")


def _functions(name: str, members: Iterable[str]) -> GraphQLObjectType:
    return GraphQLObjectType(name, {member: GraphQLField(GraphQLInt) for member in members})


COUNT_FUNCTIONS: Final = _functions("count_functions", ("count",))
DATE_FUNCTIONS: Final = _functions("date_functions", _DATE_PARTS)
TIME_FUNCTIONS: Final = _functions("time_functions", _TIME_PARTS)
DATETIME_FUNCTIONS: Final = _functions("datetime_functions", (*_DATE_PARTS, *_TIME_PARTS))

FUNCTION_OBJECTS: Final[Mapping[str, GraphQLObjectType]] = {
    "date": DATE_FUNCTIONS,
    "time": TIME_FUNCTIONS,
    "dateTime": DATETIME_FUNCTIONS,
    "timestamp": DATETIME_FUNCTIONS,
    "json": COUNT_FUNCTIONS,
    "alias": COUNT_FUNCTIONS,
}
"""Platform type → the type of its ``<field>_func``."""


# --- filter operators ---------------------------------------------------------------------------
def _operators(name: str, members: Mapping[str, Any]) -> GraphQLInputObjectType:
    return GraphQLInputObjectType(name, {member: GraphQLInputField(kind) for member, kind in members.items()})


_NULL: Final = dict.fromkeys(("_null", "_nnull"), GraphQLBoolean)
_FLAGS: Final = {**_NULL, **dict.fromkeys(("_empty", "_nempty"), GraphQLBoolean)}
_EQUAL: Final = ("_eq", "_neq")
_ORDER: Final = ("_gt", "_gte", "_lt", "_lte")
_TEXT: Final = (
    "_contains", "_icontains", "_ncontains",
    *(f"_{kind}{side}" for side in ("starts_with", "ends_with") for kind in ("", "n", "i", "ni")),
)  # fmt: skip


def _numeric(name: str, kind: GraphQLScalarType) -> GraphQLInputObjectType:
    lists = dict.fromkeys(("_in", "_nin", "_between", "_nbetween"), GraphQLList(kind))
    return _operators(name, {**dict.fromkeys((*_EQUAL, *_ORDER), kind), **lists, **_NULL})


def _textual(name: str, kind: GraphQLScalarType) -> GraphQLInputObjectType:
    lists = dict.fromkeys(("_in", "_nin"), GraphQLList(kind))
    return _operators(name, {**dict.fromkeys((*_EQUAL, *_TEXT), kind), **lists, **_FLAGS})


NUMBER_OPERATORS: Final = _numeric("number_filter_operators", TEXT_OR_NUMBER)
BIG_INT_OPERATORS: Final = _numeric("big_int_filter_operators", BIG_INT)
STRING_OPERATORS: Final = _textual("string_filter_operators", GraphQLString)
ID_OPERATORS: Final = _textual("id_filter_operators", GraphQLID)
BOOLEAN_OPERATORS: Final = _operators("boolean_filter_operators", {**dict.fromkeys(_EQUAL, GraphQLBoolean), **_NULL})
HASH_OPERATORS: Final = _operators("hash_filter_operators", _FLAGS)
DATE_OPERATORS: Final = _operators(
    "date_filter_operators",
    {
        **dict.fromkeys((*_EQUAL, *_ORDER), GraphQLString),
        **_NULL,
        **dict.fromkeys(("_in", "_nin"), GraphQLList(GraphQLString)),
        **dict.fromkeys(("_between", "_nbetween"), GraphQLList(TEXT_OR_NUMBER)),
    },
)
GEOMETRY_OPERATORS: Final = _operators(
    "geometry_filter_operators",
    {
        **dict.fromkeys((*_EQUAL, "_intersects", "_nintersects", "_intersects_bbox", "_nintersects_bbox"), GEOJSON),
        **_NULL,
    },
)

OPERATORS: Final[Mapping[str, GraphQLInputObjectType]] = {
    "boolean": BOOLEAN_OPERATORS,
    "integer": NUMBER_OPERATORS,
    "float": NUMBER_OPERATORS,
    "decimal": NUMBER_OPERATORS,
    "bigInteger": BIG_INT_OPERATORS,
    "geometry": GEOMETRY_OPERATORS,
    "timestamp": DATE_OPERATORS,
    "dateTime": DATE_OPERATORS,
    "date": DATE_OPERATORS,
    "time": DATE_OPERATORS,
    "hash": HASH_OPERATORS,
    "uuid": ID_OPERATORS,
}
"""Platform type → its filter operators; all others are compared as text."""

FUNCTION_OPERATORS: Final[Mapping[str, GraphQLInputObjectType]] = {
    objects.name: _operators(
        f"{objects.name.removesuffix('s')}_filter_operators", dict.fromkeys(objects.fields, NUMBER_OPERATORS)
    )
    for objects in (COUNT_FUNCTIONS, DATE_FUNCTIONS, TIME_FUNCTIONS, DATETIME_FUNCTIONS)
}
"""Name of a function object → the operators of its filter."""


# --- arguments and results ----------------------------------------------------------------------
def list_arguments(filter_type: GraphQLInputObjectType) -> dict[str, GraphQLArgument]:
    """The arguments of everything that is a list of items."""
    return {"filter": GraphQLArgument(filter_type), **LIST_ARGUMENTS}


LIST_ARGUMENTS: Final[Mapping[str, GraphQLArgument]] = {
    "sort": GraphQLArgument(GraphQLList(GraphQLString)),
    "limit": GraphQLArgument(GraphQLInt),
    "offset": GraphQLArgument(GraphQLInt),
    "page": GraphQLArgument(GraphQLInt),
    "search": GraphQLArgument(GraphQLString),
}
ID_ARGUMENT: Final = GraphQLArgument(GraphQLNonNull(GraphQLID))
IDS_ARGUMENT: Final = GraphQLArgument(GraphQLNonNull(GraphQLList(GraphQLID)))
VERSION_ARGUMENT: Final = GraphQLArgument(GraphQLString)
DELETED_ONE: Final = GraphQLObjectType("delete_one", {"id": GraphQLField(GraphQLNonNull(GraphQLID))})
DELETED_MANY: Final = GraphQLObjectType("delete_many", {"ids": GraphQLField(GraphQLNonNull(GraphQLList(GraphQLID)))})

SHARED: Final[Mapping[str, GraphQLNamedType]] = {
    kind.name: kind
    for kind in (
        GraphQLString, GraphQLInt, GraphQLFloat, GraphQLBoolean, GraphQLID,
        BIG_INT, TEXT_OR_NUMBER, HASH, DATE, JSON, GEOJSON, VOID, EVENT, DELETED_ONE, DELETED_MANY,
        COUNT_FUNCTIONS, DATE_FUNCTIONS, TIME_FUNCTIONS, DATETIME_FUNCTIONS,
        NUMBER_OPERATORS, BIG_INT_OPERATORS, STRING_OPERATORS, ID_OPERATORS, BOOLEAN_OPERATORS, HASH_OPERATORS,
        DATE_OPERATORS, GEOMETRY_OPERATORS, *FUNCTION_OPERATORS.values(),
    )
}  # fmt: skip
"""All of the above by name."""
