"""How many statements the hot paths cost. A number that rises is a regression, whatever the clock says."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Sequence
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
        if (chain := kind.fetch_chain) is not Connection.fetch_chain:  # all its statements in one call

            async def spy_chain(self: Connection, steps: Sequence[tuple[str, Sequence[Any]]]) -> Any:
                seen.append("; ".join(sql for sql, _ in steps))
                return await chain(self, steps)

            patch.setattr(kind, "fetch_chain", spy_chain)
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
    dialect = library.platform.database.dialect
    chained = dialect.has_writable_cte or dialect.steps is not None
    with counted(monkeypatch, kind) as seen:
        await books.create_one({"title": "Persuasion"})
    created = [s for s in seen if s.lstrip().upper().startswith(("INSERT", "WITH"))]
    assert len(created) == (1 if chained else 3), "\n".join(seen)
    with counted(monkeypatch, kind) as seen:
        await books.update_one(key, {"title": "Sanditon"})
    updated = [s for s in seen if s.lstrip().upper().startswith(("SELECT", "UPDATE", "INSERT", "WITH"))]
    assert len(updated) == (1 if chained else 4), "\n".join(seen)
    with counted(monkeypatch, kind) as seen:
        await books.create_many([{"title": f"Book {n}"} for n in range(50)])
    inserts = [s for s in seen if s.startswith("INSERT")]
    limit = 9 if library.platform.database.dialect.has_returning else 60
    assert len(inserts) <= limit, "\n".join(seen)


TRIGGER = (
    "CREATE TRIGGER counts AFTER INSERT ON books BEGIN INSERT INTO directus_activity (id, action, collection, item,"
    " timestamp) VALUES (1000 + new.id, 'count', 'books', '-', 'now'); END"
)


async def test_the_trail_belongs_to_its_item_whatever_else_inserts(tmp_path: Path) -> None:
    """SQLite's trail refers to the key inserted last: also where triggers have inserted rows of their own."""
    async with bench("sqlite", tmp_path) as library:
        books = library.service("books")
        await books.create_one({"title": "Emma"})
        async with library.platform.database.transaction() as connection:
            await connection.execute(TRIGGER)
        key = await books.create_one({"title": "Persuasion"})
        await books.update_one(key, {"title": "Sanditon"})
        async with library.platform.database.connection() as connection:
            rows = await connection.fetch_rows(
                "SELECT a.action, a.item, r.item, r.data ->> 'title', r.delta ->> 'title' FROM directus_revisions r"
                " JOIN directus_activity a ON a.id = r.activity ORDER BY r.id"
            )
        assert rows[1:] == [
            ("create", str(key), str(key), "Persuasion", "Persuasion"),
            ("update", str(key), str(key), "Sanditon", "Sanditon"),
        ]


async def test_a_write_without_its_trail_is_undone(library: Bench) -> None:
    books = library.service("books")
    key = await books.create_one({"title": "Emma"})
    async with library.platform.database.transaction() as connection:
        quote = "`" if library.platform.database.dialect.name == "mysql" else '"'
        await connection.execute(f"DROP TABLE {quote}directus_revisions{quote}")
    with pytest.raises(Exception, match="directus_revisions"):
        await books.create_one({"title": "Persuasion"})
    with pytest.raises(Exception, match="directus_revisions"):
        await books.update_one(key, {"title": "Sanditon"})
    assert [book["title"] for book in await books.read_by_query({"fields": ["title"]})] == ["Emma"]
    async with library.platform.database.connection() as connection:
        assert await connection.fetch_value("SELECT count(*) FROM directus_activity") == 1
