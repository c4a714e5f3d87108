"""Filters in SQL against a model of them in Python, on every database: the same items, whatever the filter."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.conftest import DIALECTS, Servers

from tabulary.access.store import AccessStore
from tabulary.core.settings import Settings
from tabulary.database.ddl import ColumnSpec
from tabulary.database.engine import Database
from tabulary.items.query import Query
from tabulary.items.reader import Reader
from tabulary.schema.overview import Collection, Field, Relation, Schema

from .logic import Verdict, conjoin, disjoin, leaf

AUTHORS = [{"id": 1, "name": "Jane"}, {"id": 2, "name": "Mary"}, {"id": 3, "name": None}]
BOOKS = [
    {"id": n, "title": title, "pages": pages, "author": author}
    for n, (title, pages, author) in enumerate(
        [
            ("Emma", 474, 1),
            ("Persuasion", 249, 1),
            ("Mathilda", None, 2),
            (None, 280, 2),
            ("", 1, None),
            ("Beowulf", 0, 3),
        ],
        1,
    )
]
REVIEWS = [
    {"id": n, "book": book, "stars": stars}
    for n, (book, stars) in enumerate([(1, 5), (1, 1), (2, 3), (4, None), (4, 5), (None, 2)], 1)
]
TABLES: dict[str, tuple[list[ColumnSpec], list[dict[str, Any]]]] = {
    "authors": ([ColumnSpec("id", "integer", primary_key=True, nullable=False), ColumnSpec("name", "string")], AUTHORS),
    "books": (
        [
            ColumnSpec("id", "integer", primary_key=True, nullable=False),
            ColumnSpec("title", "string"),
            ColumnSpec("pages", "integer"),
            ColumnSpec("author", "integer"),
        ],
        BOOKS,
    ),
    "reviews": (
        [
            ColumnSpec("id", "integer", primary_key=True, nullable=False),
            ColumnSpec("book", "integer"),
            ColumnSpec("stars", "integer"),
        ],
        REVIEWS,
    ),
}
SCHEMA = Schema.of(
    [
        Collection(
            name,
            "id",
            {c.name: Field(c.name, c.type) for c in specs}
            | ({"reviews": Field("reviews", "alias", alias=True, special=("o2m",))} if name == "books" else {}),
        )
        for name, (specs, _) in TABLES.items()
    ],
    [Relation("books", "author", "authors"), Relation("reviews", "book", "books", meta={"one_field": "reviews"})],
    version=1,
)

# --- the model: three-valued logic over rows -------------------------------------------------------
Row = dict[str, Any]


def evaluate(tree: Any, book: Row, child: Row) -> Verdict:
    """A filter on a book, given the one child that the path ``reviews`` stands for."""
    verdicts: list[Verdict] = []
    for key, value in tree.items():
        if key == "_and":
            verdicts.append(conjoin([evaluate(v, book, child) for v in value]))
        elif key == "_or":
            verdicts.append(disjoin([evaluate(v, book, child) for v in value]) if value else True)
        elif key == "author" and "name" in value:
            author = next((a for a in AUTHORS if a["id"] == book["author"]), {"name": None})
            verdicts += [leaf(author["name"], op, operand) for op, operand in value["name"].items()]
        elif key == "reviews" and ("_some" in value or "_none" in value):
            ((quantifier, inner),) = value.items()
            some = any(evaluate_child(inner, r) is True for r in REVIEWS if r["book"] == book["id"])
            verdicts.append(some is (quantifier == "_some"))
        elif key == "reviews":
            verdicts.append(evaluate_child(value, child))
        else:
            verdicts += [leaf(book[key], op, operand) for op, operand in value.items()]
    return conjoin(verdicts)


def evaluate_child(tree: Any, child: Row) -> Verdict:
    return conjoin([leaf(child[k], op, operand) for k, tests in tree.items() for op, operand in tests.items()])


def model(tree: Any) -> list[int]:
    """A book is found when one of its children (or, having none, a row of nulls) makes the whole filter true."""
    found = []
    for book in BOOKS:
        children = [r for r in REVIEWS if r["book"] == book["id"]] or [{"id": None, "book": None, "stars": None}]
        if any(evaluate(tree, book, child) is True for child in children):
            found.append(book["id"])
    return found


# --- filters ----------------------------------------------------------------------------------------
_numbers = st.integers(-1, 500)
_flags = st.sampled_from(["_null", "_nnull"]).flatmap(lambda op: st.booleans().map(lambda b: {op: b}))
_number_tests = (
    st.sampled_from(["_eq", "_neq", "_lt", "_lte", "_gt", "_gte"]).flatmap(lambda op: _numbers.map(lambda n: {op: n}))
    | st.sampled_from(["_in", "_nin"]).flatmap(
        lambda op: st.lists(_numbers, min_size=1, max_size=3).map(lambda v: {op: v})
    )
    | st.tuples(_numbers, _numbers).map(lambda pair: {"_between": list(pair)})
    | _flags
)
# Letter case is no part of the model, nor of LIKE on SQLite and MariaDB: no word matches only without regard to it.
_words = st.sampled_from(["Emma", "Persuasion", "Jane", "Mary", "mm", "a", "zzz"])
_text_tests = (
    st.sampled_from(["_eq", "_neq", "_contains", "_starts_with"]).flatmap(lambda op: _words.map(lambda w: {op: w}))
    | st.sampled_from(["_empty", "_nempty"]).flatmap(lambda op: st.booleans().map(lambda b: {op: b}))
    | _flags
)
_leaves = (
    st.fixed_dictionaries({"pages": _number_tests})
    | st.fixed_dictionaries({"title": _text_tests})
    | st.fixed_dictionaries({"author": st.fixed_dictionaries({"name": _text_tests})})
    | st.fixed_dictionaries({"author": _flags})
    | st.fixed_dictionaries({"reviews": st.fixed_dictionaries({"stars": _number_tests})})
    | st.fixed_dictionaries(
        {
            "reviews": st.sampled_from(["_some", "_none"]).flatmap(
                lambda q: st.fixed_dictionaries({q: st.fixed_dictionaries({"stars": _number_tests})})
            )
        }
    )
)
_filters = st.recursive(
    _leaves,
    lambda inner: st.sampled_from(["_and", "_or"]).flatmap(
        lambda op: st.lists(inner, min_size=1, max_size=3).map(lambda v: {op: v})
    ),
    max_leaves=6,
)


@pytest.mark.parametrize("dialect", DIALECTS)
def test_filters_find_what_the_model_finds(dialect: str, servers: Servers) -> None:
    with asyncio.Runner() as runner:
        url = runner.run(servers.create(dialect))
        database = Database.from_url(url)
        runner.run(_fill(database))
        values = Settings.of()
        reader = Reader(database, AccessStore(database, None, values), values)  # type: ignore[arg-type]

        @settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
        @given(_filters)
        def check(tree: Any) -> None:
            query = Query.parse({"fields": ["id"], "filter": tree, "sort": ["id"]}, values)
            found = [item["id"] for item in runner.run(reader.read(SCHEMA, "books", query))]
            assert found == model(tree)
            assert runner.run(reader.count(SCHEMA, "books", None, query)) == len(found)

        try:
            check()
        finally:
            runner.run(database.close())
            runner.run(servers.drop(url))


async def _fill(database: Database) -> None:
    await database.open()
    ddl, quote = database.dialect.ddl, database.dialect.quote
    async with database.schema_transaction() as connection:
        for name, (specs, _) in TABLES.items():
            await ddl.create_table(connection, name, specs)
    async with database.transaction() as connection:
        for name, (_, rows) in TABLES.items():
            for row in rows:
                shown = ", ".join(
                    "NULL" if v is None else f"'{v}'" if isinstance(v, str) else str(v) for v in row.values()
                )
                await connection.execute(f"INSERT INTO {quote(name)} VALUES ({shown})")
