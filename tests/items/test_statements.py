"""How many statements the hot paths cost. A number that rises is a regression, whatever the clock says."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tabulary.database.connection import Connection

from .workbench import DATABASES, Bench, bench

pytestmark = pytest.mark.anyio


@pytest.fixture(params=DATABASES)
async def library(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Bench]:
    try:
        async with bench(request.param, tmp_path) as made:
            yield made
    except OSError as problem:
        pytest.skip(f"{request.param} was not reached: {problem}")


@contextmanager
def counted(monkeypatch: pytest.MonkeyPatch, kind: type[Connection]) -> Iterator[list[str]]:
    """The SQL of every statement that connections of this kind run meanwhile."""
    seen: list[str] = []
    with monkeypatch.context() as patch:
        for name in ("fetch_value", "fetch_rows", "execute"):
            original = getattr(kind, name)

            async def spy(self: Connection, sql: str, *more: Any, _original: Any = original) -> Any:
                seen.append(sql)
                return await _original(self, sql, *more)

            patch.setattr(kind, name, spy)
        yield seen


@pytest.mark.parametrize(
    "query",
    [
        {"limit": 25},
        {"fields": ["*", "author.name", "reviews.stars", "genres.genres_id.name"], "limit": 5},
        {"filter": {"reviews": {"_some": {"stars": {"_gt": 1}}}}, "sort": ["-author.name"], "search": "a"},
        {"aggregate": {"count": "*", "avg": "pages"}, "groupBy": ["author"]},
        {"fields": ["author.books.reviews.stars"], "deep": {"author": {"books": {"_limit": 2}}}},
    ],
)
async def test_a_read_is_one_statement(library: Bench, monkeypatch: pytest.MonkeyPatch, query: dict[str, Any]) -> None:
    books = library.service("books", None)
    await books.create_one({"title": "Emma", "author": {"name": "Jane"}, "reviews": [{"stars": 5}]})
    async with library.platform.database.connection() as connection:
        kind = type(connection)
    with counted(monkeypatch, kind) as seen:
        await books.read_by_query(query)
    assert len(seen) == 1, "\n".join(seen)


async def test_writes_are_few_statements(library: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    books = library.service("books")
    key = await books.create_one({"title": "Emma"})
    async with library.platform.database.transaction() as connection:
        kind = type(connection)
    writable = library.platform.database.dialect.has_writable_cte
    with counted(monkeypatch, kind) as seen:
        await books.create_one({"title": "Persuasion"})
    created = [s for s in seen if s.lstrip().upper().startswith(("INSERT", "WITH"))]
    assert len(created) == (1 if writable else 3), "\n".join(seen)
    with counted(monkeypatch, kind) as seen:
        await books.update_one(key, {"title": "Sanditon"})
    updated = [s for s in seen if s.lstrip().upper().startswith(("SELECT", "UPDATE", "INSERT", "WITH"))]
    assert len(updated) == (1 if writable else 4), "\n".join(seen)
    with counted(monkeypatch, kind) as seen:
        await books.create_many([{"title": f"Book {n}"} for n in range(50)])
    inserts = [s for s in seen if s.startswith("INSERT")]
    limit = 9 if library.platform.database.dialect.has_returning else 60
    assert len(inserts) <= limit, "\n".join(seen)
