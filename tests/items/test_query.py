"""Parsing of queries and filters: what is sanitised, what is refused, and that shape and values part."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tabulary.core.errors import InvalidQuery, TabularyError
from tabulary.core.settings import Settings
from tabulary.items.filter import EMPTY, And, Leaf, Null, Or, Quantified, Value, Variable, parse_filter
from tabulary.items.query import Query, path_depth, split_fields

SETTINGS = Settings.of()


def parse(**raw: Any) -> Query:
    return Query.parse(raw, SETTINGS)


def filter_of(raw: Any) -> tuple[Any, list[Any]]:
    values: list[Any] = []
    return parse_filter(raw, values), values


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        ("id, title ,author.name", ("id", "title", "author.name")),
        (["id,title", "id"], ("id", "title")),
        ("json(meta, a[0].b),id", ("json(meta, a[0].b)", "id")),
        ("", None),
        (None, None),
    ],
)
def test_fields(raw: Any, expected: tuple[str, ...] | None) -> None:
    assert parse(fields=raw).root.fields == expected


@pytest.mark.parametrize(
    "raw",
    [
        {"fields": "id,"},
        {"fields": 5},
        {"fields": "year(month(x))"},
        {"fields": "year(x"},
        {"sort": "a,"},
        {"limit": "abc"},
        {"limit": -2},
        {"limit": 1.5},
        {"offset": -1},
        {"page": "x"},
        {"filter": "{"},
        {"filter": "[1]"},
        {"filter": {"a": {"_in": []}}},
        {"filter": {"a": None}},
        {"filter": {"a": {"_eq": ""}}},
        {"filter": {"a": {"_eq": {"b": 1}}}},
        {"filter": {"a": {"_null": 5}}},
        {"filter": {"a": {"_icontains": None}}},
        {"filter": {"a": {"_eq": 2**53}}},
        {"filter": {"a": {"_eq": "x\x00y"}}},
        {"filter": {"_xor": []}},
        {"filter": {"_and": {"a": 1}}},
        {"alias": "nope"},
        {"alias": {"a": "b.c"}},
        {"aggregate": "nope"},
        {"aggregate": {"median": "a"}},
        {"meta": "nope"},
        {"export": "exe"},
        {"search": "a\x00b"},
        {"fields": ".".join(["a"] * 11)},
        {"filter": json.loads('{"a":' * 11 + '{"_eq": 1}' + "}" * 11)},
        {"deep": json.loads('{"a":' * 11 + '{"_limit": 1}' + "}" * 11)},
    ],
)
def test_what_is_refused(raw: dict[str, Any]) -> None:
    with pytest.raises(InvalidQuery):
        Query.parse(raw, SETTINGS)


def test_limits_and_pages() -> None:
    assert parse().root.limit == 100
    assert parse(limit=-1).root.limit is None
    assert parse(limit="").root.limit == 0
    assert parse(limit=10, page=3).offset == 20
    assert parse(page=2, offset=5).offset == 100
    assert parse(limit=-1, page=2, offset=7).offset == 7
    small = Settings.of(QUERY_LIMIT_MAX=50)
    assert Query.parse({}, small).root.limit == 50
    assert Query.parse({"limit": -1}, small).root.limit == 50
    with pytest.raises(InvalidQuery):
        Query.parse({"limit": 51}, small)
    assert Query.internal({"limit": -1}, small).root.limit is None, "deleting a role has to reach all of its users"


def test_nested_limits_are_not_validated() -> None:
    level = parse(deep={"reviews": {"_limit": "abc", "_sort": "-stars", "author": {"_limit": 2}}}).root.of_relation(
        "reviews"
    )
    assert level is not None
    assert (level.limit, level.sort) == (0, ("-stars",))
    below = level.of_relation("author")
    assert below is not None and below.limit == 2


def test_shape_and_values_part() -> None:
    one = parse(filter={"title": {"_eq": "Emma"}, "pages": {"_in": [1, 2]}}, search="x")
    two = parse(filter={"title": {"_eq": "Persuasion"}, "pages": {"_in": [3, 4]}}, search="y")
    assert one.shape == two.shape and hash(one.shape) == hash(two.shape)
    assert one.values == ("Emma", 1, 2, "x") and two.values == ("Persuasion", 3, 4, "y")
    assert parse(filter={"title": {"_eq": None}}).shape != parse(filter={"title": {"_eq": "a"}}).shape
    assert parse(limit=5, offset=10).shape == parse(limit=5, offset=20).shape


def test_filter_normalisation() -> None:
    tree, values = filter_of({"a": {"_or": [{"_eq": 1}, {"_gt": 5}]}, "b": "true"})
    assert tree == And(
        (Or((Leaf(("a",), "_eq", Value(0)), Leaf(("a",), "_gt", Value(1)))), Leaf(("b",), "_eq", Value(2)))
    )
    assert values == [1, 5, True]
    assert filter_of({"a": {"_in": "1,2"}})[0] == Leaf(("a",), "_in", (Value(0), Value(1)))
    assert filter_of({"a": {"_eq": "null"}})[0] == Leaf(("a",), "_eq", Null())
    assert filter_of({"a": {"_nnull": False}})[0] == Leaf(("a",), "_nnull", False)
    assert filter_of({"a": {"_eq": "$CURRENT_USER.role"}})[0] == Leaf(("a",), "_eq", Variable("$CURRENT_USER.role"))
    assert filter_of({"a": {"_eq": "costs $NOW"}})[1] == ["costs $NOW"]
    assert filter_of({"a": {"_some": {"b": 1}}})[0] == Quantified(("a",), "_some", Leaf(("b",), "_eq", Value(0)))
    assert filter_of({"_or": [{}, {"a": 1}]})[0] == EMPTY
    assert filter_of({"a": {"_between": [1, 2, 3]}})[0] == EMPTY


def test_key_replaces_a_condition_on_the_key() -> None:
    query = parse(filter={"id": {"_gt": 5}, "title": {"_eq": "x"}}).with_key("id", [7], many=False)
    assert list(query.root.filter.children) == [  # type: ignore[union-attr]
        Leaf(("title",), "_eq", Value(1)),
        Leaf(("id",), "_eq", Value(2)),
    ]


def test_paths() -> None:
    assert split_fields("a, f(b, c), d") == ["a", "f(b, c)", "d"]
    assert path_depth("a.b.c") == 3
    assert path_depth("a.count(b.c)") == 3
    assert path_depth("json(meta, a.b.c.d)") == 1


_scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8)
_json = st.recursive(
    _scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=12,
)
_parameters = st.sampled_from(
    [
        "fields",
        "filter",
        "search",
        "sort",
        "limit",
        "offset",
        "page",
        "deep",
        "alias",
        "aggregate",
        "groupBy",
        "meta",
        "export",
    ]
)


@given(st.dictionaries(_parameters, _json, max_size=5))
def test_any_query_is_parsed_or_refused(raw: dict[str, Any]) -> None:
    """Whatever a client sends ends in a query or in a clear error, never in a crash; and it parses the same twice."""
    try:
        query = Query.parse(raw, SETTINGS)
    except TabularyError:
        return
    assert query == Query.parse(raw, SETTINGS)
    hash(query.shape)


@given(st.text(max_size=60))
def test_any_field_text_is_parsed_or_refused(text: str) -> None:
    with suppress(TabularyError):
        Query.parse({"fields": text, "sort": text}, SETTINGS)
