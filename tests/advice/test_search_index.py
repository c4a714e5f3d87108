"""Search indexes: every search finds the same rows with and without one, and with one it does not read them all."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tabulary import Tabulary
from tabulary.access.permissions import UNRESTRICTED
from tabulary.database.ddl import NoSearchIndex
from tabulary.database.dialects.sqlite.search import PREFIX, trigrams
from tabulary.items.planner import Planner
from tabulary.items.query import Query
from tabulary.items.slots import fill
from tabulary.items.sql import Compiler
from tabulary.services.backup import BackupService

from .shelf import found, index_texts, make_notes

pytestmark = pytest.mark.anyio
COLUMNS = ("title", "body")
ALPHABET = "aAbBcéÉßİıſKσςΣ%_'\"\\1 .-\u0307😀"
WORDS = st.text(ALPHABET, max_size=12)


@pytest.fixture
async def tabulary(installed_url: str) -> AsyncIterator[Tabulary]:
    async with Tabulary(installed_url) as opened:
        await make_notes(opened)
        yield opened


def skip_without_index(tabulary: Tabulary) -> None:
    if tabulary.platform.database.dialect.name == "mysql":
        pytest.skip("MariaDB has no such index")


async def plan_of(tabulary: Tabulary, term: str) -> str:
    """How the database runs a search."""
    platform, schema = tabulary.platform, await tabulary.schema()
    query = Query.parse({"search": term, "fields": ["id"]}, platform.settings)
    compiler = Compiler(schema, platform.database.dialect)
    statement = compiler.read(Planner(schema, UNRESTRICTED, platform.reader.limits).root("notes", query.root))
    values = fill(compiler.slots.slots, query.values, {}, statement.constants, statement.names, 0)
    async with platform.database.connection() as connection:
        return await platform.database.dialect.plan(connection, statement.sql, values)


ROWS = st.lists(st.tuples(st.none() | WORDS, st.none() | WORDS, st.none() | st.integers(-3, 111)), max_size=12)
TERMS = st.lists(st.text(ALPHABET, min_size=1, max_size=7), min_size=1, max_size=8)


@pytest.mark.parametrize("dialect", ["sqlite", "postgresql"])
def test_a_search_finds_the_same_with_and_without_index(servers: Any, dialect: str) -> None:
    """Two collections of one content, one of them indexed; changes after the index was made count, too."""
    with asyncio.Runner() as runner:
        url = runner.run(servers.installed(dialect))
        opened = Tabulary(url)

        async def prepare() -> None:
            await opened.open()
            for name in ("notes", "plain"):
                await make_notes(opened, name)
            await index_texts(opened, COLUMNS)
            indexed = (await opened.schema()).collections
            assert (indexed["notes"].search_index, indexed["plain"].search_index) == (COLUMNS, ())

        async def compare(rows: list[Any], changes: list[Any], terms: list[str]) -> None:
            items = [{"title": t, "body": b, "stars": s, "ref": str(uuid.uuid4())} for t, b, s in rows]
            other = [{"title": t, "body": b, "stars": s} for t, b, s in changes]
            for name in ("notes", "plain"):
                handle = opened.items(name)
                keys = [item["id"] for item in await handle.read_by_query({"fields": ["id"], "limit": -1})]
                if keys:
                    await handle.delete_many(keys)
                made = await handle.create_many([{"id": place + 1, **item} for place, item in enumerate(items)])
                for key, change in zip(made, other, strict=False):
                    await handle.update_one(key, change)
                if len(made) > 2:
                    await handle.delete_one(made[-1])
            whole = [text for row in (*rows, *changes) for text in row[:2] if text]
            for term in [*terms, *whole, *(text.upper() for text in whole), *(text[1:5] for text in whole)]:
                if term:
                    assert await found(opened, term) == await found(opened, term, "plain"), term

        @settings(max_examples=40, deadline=None, database=None, suppress_health_check=list(HealthCheck))
        @given(ROWS, ROWS, TERMS)
        def check(rows: list[Any], changes: list[Any], terms: list[str]) -> None:
            runner.run(compare(rows, changes, terms))

        try:
            runner.run(prepare())
            check()
        finally:
            runner.run(opened.close())
            runner.run(servers.drop(url))


async def test_a_search_uses_the_index(tabulary: Tabulary) -> None:
    skip_without_index(tabulary)
    rows = [{"title": f"note {n}", "body": f"{uuid.UUID(int=n * 7919)} " * 20} for n in range(3000)]
    await tabulary.items("notes").create_many(rows)
    before = await plan_of(tabulary, "note 2718")
    statements = await index_texts(tabulary, COLUMNS)
    if tabulary.platform.database.dialect.name == "postgresql":
        async with tabulary.platform.database.connection() as connection:
            await connection.execute("ANALYZE notes")
    after = await plan_of(tabulary, "note 2718")
    name = next(word for word in ("_tabulary_search_notes_index", "notes_search_") if word in str(statements))
    assert name not in before and ("SCAN" in before or "Seq Scan" in before or "notes_pkey" in before)
    if tabulary.platform.database.dialect.name == "sqlite":
        assert "VIRTUAL TABLE INDEX" in after and "SEARCH t0 USING INTEGER PRIMARY KEY" in after
    else:
        assert f"Bitmap Index Scan on {name}" in after
    assert len(await found(tabulary, "note 2718")) == 1
    # what is too short for a trigram is looked for as before
    assert len(await found(tabulary, "99")) > 30


async def test_columns_that_the_index_lacks_are_searched_all_the_same(tabulary: Tabulary) -> None:
    skip_without_index(tabulary)
    await index_texts(tabulary, ("title",))
    await tabulary.items("notes").create_many([{"title": "needle"}, {"body": "needle"}, {"title": "hay"}])
    assert await found(tabulary, "needle") == [1, 2]


async def test_numbers_are_found_beside_texts(tabulary: Tabulary) -> None:
    skip_without_index(tabulary)
    await index_texts(tabulary, COLUMNS)
    await tabulary.items("notes").create_many([{"title": "about 1234"}, {"stars": 1234}, {"stars": 5}])
    assert await found(tabulary, "1234") == [1, 2]
    assert await found(tabulary, "1234", filter={"stars": {"_null": True}}) == [1]


async def test_the_index_is_no_collection_and_goes_with_its_own(tabulary: Tabulary) -> None:
    skip_without_index(tabulary)
    await index_texts(tabulary, COLUMNS)
    schema = await tabulary.schema()
    assert schema.collections["notes"].search_index == COLUMNS
    assert not [name for name in schema.collections if name.startswith(PREFIX)]
    async with tabulary.platform.database.connection() as connection:
        tables = [table.name for table in await connection.dialect.catalog.tables(connection)]
        assert not [name for name in tables if name.startswith(PREFIX)]
    await (await tabulary.collections()).delete_one("notes")
    async with tabulary.platform.database.connection() as connection:
        assert await connection.dialect.catalog.search_indexes(connection) == []
        if connection.dialect.name == "sqlite":
            left = "SELECT name FROM sqlite_master WHERE name LIKE '%tabulary_search%'"
            assert await connection.fetch_rows(left) == []
    await make_notes(tabulary)  # nothing is in the way of a new one
    await index_texts(tabulary, COLUMNS)


async def test_changed_tables_keep_what_can_be_kept(tabulary: Tabulary) -> None:
    skip_without_index(tabulary)
    await index_texts(tabulary, COLUMNS)
    await tabulary.items("notes").create_one({"title": "first words", "body": "second words"})
    await (await tabulary.fields()).update_field("notes", {"field": "stars", "type": "bigInteger"})
    assert await found(tabulary, "first") == [1]
    await (await tabulary.fields()).delete_field("notes", "body")
    await tabulary.items("notes").create_one({"title": "third words"})
    assert await found(tabulary, "words") == [1, 2]
    await tabulary.items("notes").update_one(1, {"title": "other"})
    assert await found(tabulary, "words") == [2]
    if tabulary.platform.database.dialect.name == "sqlite":
        assert (await tabulary.schema()).collections["notes"].search_index == ("title",)


async def test_an_index_with_a_trigger_missing_is_not_asked(tabulary: Tabulary) -> None:
    if tabulary.platform.database.dialect.name != "sqlite":
        pytest.skip("triggers are SQLite's way")
    await index_texts(tabulary, COLUMNS)
    async with tabulary.platform.database.transaction() as connection:
        await connection.execute(f'DROP TRIGGER "{PREFIX}notes_index_insert"')
        connection.outdates({"schema"})
    await tabulary.items("notes").create_one({"title": "unseen by the index"})
    assert await found(tabulary, "unseen") == [1]
    await (await tabulary.fields()).delete_field("notes", "body")  # no trigger is left that names the column
    await tabulary.items("notes").create_one({"title": "unseen, too"})
    assert await found(tabulary, "unseen") == [1, 2]


async def test_why_there_can_be_no_index(tabulary: Tabulary) -> None:
    dialect = tabulary.platform.database.dialect
    fields = [{"field": "id", "type": "uuid", "schema": {"is_primary_key": True}}, {"field": "t", "type": "string"}]
    await (await tabulary.collections()).create_one({"collection": "named", "schema": {}, "fields": fields})
    async with tabulary.platform.database.connection() as connection:
        if dialect.name == "mysql":
            with pytest.raises(NoSearchIndex, match="FULLTEXT"):
                await dialect.ddl.search_index_texts(connection, "notes", "id", COLUMNS)
        elif dialect.name == "sqlite":
            with pytest.raises(NoSearchIndex, match="INTEGER PRIMARY KEY"):
                await dialect.ddl.search_index_texts(connection, "named", "id", ("t",))
        else:
            assert await dialect.ddl.search_index_texts(connection, "named", "id", ("t",))


async def test_a_backup_takes_the_index_along(tabulary: Tabulary, tmp_path: Path) -> None:
    skip_without_index(tabulary)
    await index_texts(tabulary, COLUMNS)
    await tabulary.items("notes").create_many([{"title": "kept"}, {"body": "kept, too"}])
    service = BackupService(platform=tabulary.platform)
    await service.create(tmp_path / "saved.tar", files=False)
    await tabulary.items("notes").delete_many([1, 2])
    await service.restore(tmp_path / "saved.tar", overwrite=True)
    assert await found(tabulary, "kept") == [1, 2]
    async with tabulary.platform.database.connection() as connection:
        searched = await connection.dialect.catalog.search_indexes(connection)
    assert [(index.table, index.columns) for index in searched] == [("notes", COLUMNS)]


def test_trigrams_cover_a_term_and_leave_wildcards_out() -> None:
    assert trigrams("abcdefgh") == ["abc", "def", "fgh"]
    assert trigrams("ABC") == ["abc"]
    assert trigrams("ab%cd_e") == []
    assert trigrams("x%abcd") == ["abc", "bcd"]
