"""Nothing that the rules hide can be found out sideways.

Two databases differ only in what a restricted user may not see (:func:`worlds.twin`). Whatever that user asks, the two
answers have to be the same to the byte: fields, filters, sorts, searches, aggregates, counts, exports, nested reads,
and errors too. Worlds, permissions and queries are generated.
"""

from __future__ import annotations

import asyncio
import os
from contextlib import AsyncExitStack

import pytest
from hypothesis import HealthCheck, given, note, settings
from hypothesis import strategies as st
from tests.conftest import Servers

from .stage import opened_stage
from .world_strategies import SIZES, changes, grants, requests, worlds
from .worlds import (
    COLUMNS,
    OTHER,
    POLICIES,
    READER,
    USERS,
    Change,
    Grant,
    World,
    twin,
)

EXAMPLES = {"sqlite": int(os.environ.get("TABULARY_TEST_EXAMPLES", 150)), "postgresql": 25, "mysql": 25}
REQUESTS = 6


@pytest.mark.parametrize("dialect", EXAMPLES)
def test_hidden_rows_and_values_change_no_answer(dialect: str, servers: Servers) -> None:
    with asyncio.Runner() as runner:
        stack = AsyncExitStack()
        stages = [runner.run(opened_stage(stack, servers, dialect)) for _ in range(2)]
        answered: dict[int, int] = {}

        @settings(max_examples=EXAMPLES[dialect], deadline=None, database=None, suppress_health_check=list(HealthCheck))
        @given(st.data())
        def check(data: st.DataObject) -> None:
            world, permissions = data.draw(worlds()), data.draw(grants())
            other = twin(world, data.draw(changes()), permissions)
            for stage, shown in zip(stages, (world, other), strict=True):
                runner.run(stage.fill(shown))
                runner.run(stage.permit(permissions))
            for _ in range(REQUESTS):
                path = data.draw(requests(permissions))
                first, second = (runner.run(stage.answer(path)) for stage in stages)
                answered[first[0]] = answered.get(first[0], 0) + 1
                if first != second:
                    note(_difference(world, other))
                assert first == second, path
                assert first[0] < 500, (path, first)

        try:
            check()
        finally:
            runner.run(stack.aclose())
        assert answered[200] > sum(answered.values()) / 3, answered


BOOK = {"title": "ant", "author": 1}
AUTHORS = Grant("authors", ("id", "name", "books"), None, POLICIES[0])
OWN_BOOKS = Grant("books", ("id", "title"), {"owner": {"_eq": "$CURRENT_USER"}}, POLICIES[1])
HIDDEN_BOOK = Change("books", 2, {"title": None, "author": 1, "owner": OTHER})
FOUND: dict[str, tuple[list[Grant], Change, str]] = {
    "filter by a count": ([AUTHORS, OWN_BOOKS], HIDDEN_BOOK, '/items/authors?filter={"count(books)":{"_gt":1}}'),
    "sort by a count": ([AUTHORS, OWN_BOOKS], HIDDEN_BOOK, "/items/authors?sort=count(books)"),
    "null of a child": ([AUTHORS, OWN_BOOKS], HIDDEN_BOOK, '/items/authors?filter={"books":{"title":{"_null":true}}}'),
    "sort by children": ([AUTHORS, OWN_BOOKS], HIDDEN_BOOK, "/items/authors?sort=books.title"),
    "a join of the rule": (
        [
            Grant("genres", ("id",), {"name": {"_nnull": True}}, POLICIES[0]),
            Grant("books_genres", ("id",), {"genres_id": {"owner": {"_eq": "$CURRENT_USER"}}}, POLICIES[0]),
            Grant("books_genres", ("id", "genres_id"), {"genres_id": {"_gt": 3}}, POLICIES[1]),
        ],
        Change("books_genres", 1, {"genres_id": 2}),
        '/items/books_genres?fields=id&filter={"genres_id":{"id":{"_eq":1}}}',
    ),
    "a field of the reader": (
        [Grant("genres", ("id", "name"), None, POLICIES[0])],
        Change(USERS, READER, {"location": "cat"}),
        '/items/genres?filter={"name":{"_eq":"$CURRENT_USER.location"}}',
    ),
}
"""What was found and mended: permissions, what the reader may not notice, and a question that once told."""


@pytest.mark.anyio
@pytest.mark.parametrize("case", FOUND)
async def test_what_once_told(servers: Servers, case: str) -> None:
    permissions, change, path = FOUND[case]
    world = World({name: {} for name in SIZES} | {USERS: {READER: {"id": READER, **dict.fromkeys(COLUMNS[USERS])}}})
    for key, name in enumerate(("bee", "cat", "dog"), 1):
        world.tables["authors"][key] = {"id": key, **dict.fromkeys(COLUMNS["authors"]), "name": name}
        world.tables["genres"][key] = {"id": key, "name": name, "owner": READER}
    world.tables["books"][1] = {"id": 1, **dict.fromkeys(COLUMNS["books"]), **BOOK, "owner": READER}
    world.tables["books"][3] = {"id": 3, **dict.fromkeys(COLUMNS["books"]), **BOOK, "author": 2, "owner": READER}
    world.tables["books_genres"][1] = {"id": 1, "books_id": 1, "genres_id": 1}
    other = twin(world, [change], permissions)
    assert other.tables != world.tables
    answers = []
    async with AsyncExitStack() as stack:
        stage = await opened_stage(stack, servers, "sqlite")
        await stage.permit(permissions)
        for shown in (world, other):
            await stage.fill(shown)
            answers.append(await stage.answer(path))
    assert answers[0] == answers[1]


def _difference(world: World, other: World) -> str:
    lines = []
    for name, rows in world.tables.items():
        for key in sorted({*rows, *other.tables[name]}, key=str):
            if rows.get(key) != other.tables[name].get(key):
                lines.append(f"{name}: {rows.get(key)} / {other.tables[name].get(key)}")
    return "\n".join(lines)
