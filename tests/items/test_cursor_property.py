"""Walking a list by cursor gives what the whole list is, on every database, in any order, also while others write."""

from __future__ import annotations

import asyncio
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.conftest import DIALECTS, Servers

from tabulary import Tabulary
from tabulary.items.query import Query

NUMBERED = {"field": "id", "type": "integer", "schema": {"is_primary_key": True, "has_auto_increment": True}}
SORTS = ("pages", "title", "price", "weight", "published", "seen", "large", "out", "shelf.name", "year(published)")
WEIGHTS = [0.1, 0.3, 1 / 3, -2.5, 0.0, 1e-7]
"""What a float column of MariaDB keeps only roughly, and SQLite's JSON shortens."""


def book(n: int) -> dict[str, Any]:
    """One of many: with nulls, equals, quotes and numbers that lose digits as text."""
    return {
        "pages": None if n % 5 == 0 else n % 4,
        "title": None if n % 7 == 0 else ["it's", "Emma", "émile", "", " a", "Zoë\\", "emma"][n % 7 - 1],
        "price": None if n % 6 == 0 else f"{n % 3}.12345",
        "weight": None if n % 4 == 0 else WEIGHTS[n % len(WEIGHTS)],
        "published": None if n % 9 == 0 else f"20{n % 3:02}-0{1 + n % 2}-03T04:05:06.{n % 2}07Z",
        "seen": None if n % 3 == 0 else f"201{n % 2}-02-03",
        "large": None if n % 8 == 0 else str(2**62 + n % 3),
        "out": [None, True, False][n % 3],
        "shelf": None if n % 5 == 1 else 1 + n % 3,
    }


async def _fill(tabulary: Tabulary) -> None:
    kinds = {
        "pages": "integer", "title": "string", "price": "decimal", "weight": "float", "published": "timestamp",
        "seen": "date", "large": "bigInteger", "out": "boolean", "shelf": "integer",
    }  # fmt: skip
    collections = await tabulary.collections()
    shelf = [NUMBERED, {"field": "name", "type": "string"}]
    await collections.create_one({"collection": "shelves", "schema": {}, "fields": shelf})
    fields = [NUMBERED, *({"field": name, "type": kind} for name, kind in kinds.items())]
    collections = await tabulary.collections()
    await collections.create_one({"collection": "books", "schema": {}, "fields": fields})
    relation = {"collection": "books", "field": "shelf", "related_collection": "shelves"}
    await (await tabulary.relations()).create_one(relation)
    await tabulary.items("shelves").create_many([{"name": "A"}, {"name": None}, {"name": "B"}])
    await tabulary.items("books").create_many([book(n) for n in range(40)])


_sorts = st.lists(
    st.tuples(st.sampled_from(SORTS), st.booleans()).map(lambda s: f"-{s[0]}" if s[1] else s[0]),
    max_size=3,
    unique_by=lambda name: name.removeprefix("-"),
)
_filters = st.sampled_from([{}, {"pages": {"_in": [1, 2]}}, {"shelf": {"name": {"_eq": "A"}}}, {"id": {"_lt": 0}}])
_queries = st.fixed_dictionaries({"sort": _sorts, "limit": st.integers(1, 15), "filter": _filters})


def whole(query: dict[str, Any]) -> dict[str, Any]:
    """The query of the whole list, in the order that a walk has."""
    sort = query["sort"] or ["id"]
    last = "-id" if sort[-1].startswith("-") else "id"
    return {**query, "sort": [*sort, *([] if sort == ["id"] else [last])], "limit": -1, "fields": ["id"]}


@pytest.mark.parametrize("dialect", DIALECTS)
def test_walks(dialect: str, servers: Servers) -> None:
    with asyncio.Runner() as runner:
        url = runner.run(servers.installed(dialect))
        tabulary = Tabulary(url)
        runner.run(tabulary.open())
        runner.run(_fill(tabulary))

        @settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck))
        @given(_queries)
        def still(query: dict[str, Any]) -> None:
            runner.run(_both_ways(tabulary, query))

        @settings(max_examples=20, deadline=None, suppress_health_check=list(HealthCheck))
        @given(_queries, st.lists(st.integers(0, 60), min_size=1, max_size=8))
        def moving(query: dict[str, Any], others: list[int]) -> None:
            runner.run(_while_others_write(tabulary, query, others))

        try:
            still()
            moving()
        finally:
            runner.run(tabulary.close())
            runner.run(servers.drop(url))


async def _both_ways(tabulary: Tabulary, raw: dict[str, Any]) -> None:
    books = tabulary.items("books")
    expected = [item["id"] for item in await books.read_by_query(whole(raw))]
    query = Query.parse({**raw, "fields": ["id"], "meta": "cursor"}, tabulary.platform.settings)
    pages = [await books.read_page(query)]
    assert pages[0].previous is None
    while (cursor := pages[-1].next) is not None:
        pages.append(await books.read_page(query.at(cursor)))
    assert [[item["id"] for item in page.items] for page in pages] == [
        expected[start : start + raw["limit"]] for start in range(0, len(expected) or 1, raw["limit"])
    ]
    assert all(page.previous is not None for page in pages[1:])
    for before, page in pairwise(pages):
        back = await books.read_page(query.at(page.previous))
        assert back.items == before.items and back.next == before.next
        assert (back.previous is None) == (before is pages[0])


async def _while_others_write(tabulary: Tabulary, raw: dict[str, Any], others: list[int]) -> None:
    books = tabulary.items("books")
    expected = [item["id"] for item in await books.read_by_query(whole(raw))]
    made: list[Any] = []
    walked: list[int] = []
    turn = 0
    async for page in books.pages({**raw, "fields": ["id"]}):
        walked += [item["id"] for item in page]
        for other in others if turn < 5 else ():
            if made and (other + turn) % 2:
                await books.delete_one(made.pop(0))
            else:
                made.append(await books.create_one(book(other)))
        turn += 1
    assert [key for key in walked if key <= 40] == expected
    assert len(walked) == len(set(walked))
    await books.delete_by_query({"filter": {"id": {"_gt": 40}}, "limit": -1})
