"""Which indexes a condition and an order could use."""

from __future__ import annotations

from typing import Any

import pytest

from tabulary.access.permissions import UNRESTRICTED
from tabulary.core.settings import Settings
from tabulary.database.catalog import IndexFacts
from tabulary.items.planner import Limits, Planner
from tabulary.items.query import Query
from tabulary.schema.overview import Collection, Field, Relation, Schema
from tabulary.services.advice.wanted import Wanted, wanted_by


def collection(name: str, *fields: Field) -> Collection:
    return Collection(name, "id", {f.field: f for f in (Field("id", "integer"), *fields)})


def plain(name: str, kind: str = "integer") -> Field:
    return Field(name, kind)


SCHEMA = Schema.of(
    [
        collection(
            "books", plain("author"), plain("state", "string"), plain("year"), plain("price"), plain("day", "date"), plain("shelf"),
            Field("reviews", "alias", special=("o2m",), alias=True),
        ),
        collection("authors", plain("team"), plain("name", "string")),
        collection("reviews", plain("book"), plain("stars")),
    ],
    [
        Relation("books", "author", "authors", {"constraint_name": "a"}, {"one_field": None}),
        Relation("reviews", "book", "books", {"constraint_name": "b"}, {"one_field": "reviews"}),
    ],
)  # fmt: skip


def wanted(filter_: Any = None, *sort: str) -> list[tuple[str, tuple[str, ...]]]:
    query = Query.internal({"filter": filter_, "sort": list(sort), "fields": ["id"]}, Settings.of())
    node = Planner(SCHEMA, UNRESTRICTED, Limits()).root("books", query.root)
    return [(entry.collection, entry.columns) for entry in wanted_by("books", node.filter, node.order if sort else ())]


@pytest.mark.parametrize(
    ("filter_", "sort", "expected"),
    [
        ({"state": {"_eq": "x"}}, (), [("books", ("state",))]),
        ({"state": {"_eq": "x"}, "shelf": {"_in": [1, 2]}}, (), [("books", ("state", "shelf"))]),
        ({"state": {"_eq": "x"}}, ("-year",), [("books", ("state", "year"))]),
        ({"year": {"_gt": 1}, "state": {"_eq": "x"}}, (), [("books", ("state", "year"))]),
        ({"year": {"_gt": 1}}, ("price",), [("books", ("year",)), ("books", ("price",))]),
        (None, ("year", "price"), [("books", ("year", "price"))]),
        (None, ("year", "-price"), [("books", ("year",))]),
        (None, ("author.name",), []),
        ({"state": {"_neq": "x"}}, (), []),
        ({"state": {"_contains": "x"}}, (), []),
        ({"_or": [{"state": {"_eq": "x"}}, {"year": {"_lt": 5}}]}, (), [("books", ("state",)), ("books", ("year",))]),
        ({"author": {"team": {"_eq": 1}}}, (), [("books", ("author",)), ("authors", ("team",))]),
        ({"reviews": {"_some": {"stars": {"_eq": 5}}}}, (), [("reviews", ("book",)), ("reviews", ("stars",))]),
        ({"reviews": {"stars": {"_gte": 4}}}, (), [("reviews", ("book",)), ("reviews", ("stars",))]),
        ({"year(day)": {"_eq": 1}}, (), []),
        (None, ("-id",), []),
        ({"state": {"_eq": "x"}}, ("year", "id"), [("books", ("state", "year"))]),
    ],
)
def test_what_a_read_could_use(filter_: Any, sort: tuple[str, ...], expected: list[Any]) -> None:
    assert wanted(filter_, *sort) == expected


@pytest.mark.parametrize(
    ("columns", "equal", "index", "covered"),
    [
        (("a",), 1, ("a",), True),
        (("a",), 1, ("a", "b"), True),
        (("a", "b"), 2, ("b", "a", "c"), True),
        (("a", "b"), 1, ("b", "a"), False),
        (("a", "b"), 2, ("a",), False),
        (("a",), 0, ("b", "a"), False),
    ],
)
def test_what_an_index_serves_already(columns: Any, equal: int, index: Any, covered: bool) -> None:
    assert Wanted("t", columns, equal).covered_by([IndexFacts("i", index, False)]) is covered


def test_a_unique_column_finds_single_rows() -> None:
    assert Wanted("t", ("a", "key"), 2).covered_by([IndexFacts("i", ("key",), True)])
    assert not Wanted("t", ("a", "key"), 0).covered_by([IndexFacts("i", ("key",), True)])
