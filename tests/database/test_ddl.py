"""Making and changing tables on every database, seen through the catalog."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
import sqlalchemy as sa

from tabulary.database.catalog import ColumnFacts, ForeignKeyFacts
from tabulary.database.connection import Connection
from tabulary.database.ddl import DDL, TYPES, ColumnSpec, ForeignKeySpec
from tabulary.database.engine import Database

pytestmark = pytest.mark.anyio

ID = ColumnSpec("id", "integer", nullable=False, auto_increment=True, primary_key=True)
BOOKS = sa.table("books", sa.column("id"), sa.column("title"), sa.column("author"), sa.column("pages"))


@pytest.fixture
async def connection(database: Database) -> AsyncIterator[Connection]:
    async with database.connection(write=True) as opened, opened.without_foreign_keys():
        yield opened


@pytest.fixture
def ddl(connection: Connection) -> DDL:
    return connection.dialect.ddl


@pytest.fixture
async def books(connection: Connection, ddl: DDL) -> Connection:
    await ddl.create_table(connection, "authors", [ID, ColumnSpec("name", "string")])
    await ddl.create_table(
        connection,
        "books",
        [
            ID,
            ColumnSpec("title", "string", nullable=False, max_length=40, indexed=True),
            ColumnSpec("isbn", "string", unique=True),
            ColumnSpec("author", "integer"),
            ColumnSpec("pages", "integer", default=100),
        ],
    )
    await ddl.add_foreign_key(connection, ForeignKeySpec("books", "author", "authors", "id", on_delete="SET NULL"))
    await connection.execute("INSERT INTO authors (name) VALUES ('Austen')")
    await connection.execute("INSERT INTO books (title, isbn, author) VALUES ('Emma', '1', 1)")
    return connection


async def column(connection: Connection, name: str, table: str = "books") -> ColumnFacts:
    found = await connection.dialect.catalog.columns(connection)
    return next(c for c in found if (c.table, c.name) == (table, name))


async def foreign_key(connection: Connection) -> ForeignKeyFacts | None:
    return next(iter(await connection.dialect.catalog.foreign_keys(connection)), None)


async def rows(connection: Connection) -> list[dict[str, Any]]:
    return await connection.select(sa.select(BOOKS))


EMMA = [{"id": 1, "title": "Emma", "author": 1, "pages": 100}]


async def test_created_columns(books: Connection) -> None:
    key, title, isbn, pages = [await column(books, name) for name in ("id", "title", "isbn", "pages")]
    assert key.is_primary_key and key.has_auto_increment and not key.is_nullable
    assert (title.max_length, title.is_nullable, title.is_indexed, title.is_unique) == (40, False, True, False)
    assert (isbn.is_unique, isbn.is_indexed, isbn.max_length) == (True, False, 255)
    assert pages.default_value == "100"
    tables = await books.dialect.catalog.tables(books)
    assert [(t.name, t.primary_keys) for t in tables] == [("authors", ("id",)), ("books", ("id",))]


async def test_every_type_has_a_column(connection: Connection, ddl: DDL) -> None:
    plain = sorted(kind for kind in TYPES if not kind.startswith("geometry"))
    await ddl.create_table(connection, "t", [ID, *(ColumnSpec(f"c_{kind}", kind) for kind in plain)])
    found = {c.name: c.data_type for c in await connection.dialect.catalog.columns(connection)}
    assert all(found[f"c_{kind}"] for kind in plain)
    expected = {
        "postgresql": ("timestamp with time zone", "numeric", "uuid", "boolean"),
        "sqlite": ("datetime", "float", "char", "boolean"),
        "mysql": ("timestamp", "decimal", "char", "boolean"),
    }[connection.dialect.name]
    assert tuple(found[f"c_{kind}"] for kind in ("timestamp", "decimal", "uuid", "boolean")) == expected


async def test_what_is_no_column_is_refused(connection: Connection, ddl: DDL) -> None:
    for kind in ("alias", "o2m", "unknown", "int); DROP TABLE x; --"):
        with pytest.raises(ValueError, match="not the type of a column"):
            await ddl.create_table(connection, "t", [ColumnSpec("a", kind)])


TEXT = 'it\'s "50%" :x \\ \t ä'


async def test_defaults(connection: Connection, ddl: DDL) -> None:
    columns = [
        ID,
        ColumnSpec("s", "string", default=TEXT),
        ColumnSpec("t", "text", default=TEXT),
        ColumnSpec("j", "json", default={"a": [1, "b's"]}),
        ColumnSpec("i", "integer", default=-7),
        ColumnSpec("f", "float", default=1.5),
        ColumnSpec("b", "boolean", default=True),
        ColumnSpec("n", "string", default=None),
        ColumnSpec("at", "timestamp", default="NOW()"),
        ColumnSpec("d", "dateTime", default="CURRENT_TIMESTAMP"),
        ColumnSpec("u", "uuid", default="gen_random_uuid()"),
    ]
    await ddl.create_table(connection, "t", columns)
    insert = "INSERT INTO t (id) VALUES (1)"
    await connection.execute(insert)
    wanted: list[sa.ColumnClause[Any]] = [sa.column(c.name) for c in columns]
    row = (await connection.select(sa.select(*wanted).select_from(sa.table("t"))))[0]
    assert row["s"] == row["t"] == TEXT
    assert "".join(str(row["j"]).split()) == '{"a":[1,"b\'s"]}'
    assert (row["i"], row["f"], row["b"], row["n"]) == (-7, 1.5, 1, None)
    assert str(row["at"]).startswith("20") and str(row["d"]).startswith("20") and len(row["u"]) == 36
    assert (await column(connection, "at", "t")).default_value == "CURRENT_TIMESTAMP"


async def test_names_of_any_kind(connection: Connection, ddl: DDL) -> None:
    name, field = 'we"ird `%s` 50%', 'gr\'oup "x" 5%'
    await ddl.create_table(connection, name, [ID, ColumnSpec(field, "string", indexed=True)])
    await ddl.add_column(connection, name, ColumnSpec("select", "integer", default=3, unique=True))
    await ddl.alter_column(connection, name, ColumnSpec(field, "text", default="x"))
    await ddl.drop_index(connection, name, field)
    await ddl.drop_column(connection, name, field)
    assert [c.name for c in await connection.dialect.catalog.columns(connection)] == ["id", "select"]
    await ddl.drop_table(connection, name)
    assert await connection.dialect.catalog.tables(connection) == []


async def test_added_columns(books: Connection, ddl: DDL) -> None:
    await ddl.add_column(books, "books", ColumnSpec("a", "string", default="x", nullable=False, indexed=True))
    await ddl.add_column(books, "books", ColumnSpec("b", "timestamp", default="now()", nullable=False))
    await ddl.add_column(books, "books", ColumnSpec("c", "uuid", unique=True))
    a, b, c = [await column(books, name) for name in "abc"]
    assert (a.default_value, a.is_nullable, a.is_indexed) == ("x", False, True)
    assert (b.default_value, b.is_nullable) == ("CURRENT_TIMESTAMP", False)
    assert c.is_unique
    assert await rows(books) == EMMA


async def test_altered_columns(books: Connection, ddl: DDL) -> None:
    await ddl.alter_column(books, "books", ColumnSpec("pages", "string", nullable=False, default="none", max_length=9))
    pages = await column(books, "pages")
    assert (pages.max_length, pages.is_nullable, pages.default_value) == (9, False, "none")
    assert await rows(books) == [EMMA[0] | {"pages": "100"}]
    await ddl.alter_column(books, "books", ColumnSpec("pages", "bigInteger"))
    pages = await column(books, "pages")
    assert (pages.data_type, pages.is_nullable, pages.default_value) == ("bigint", True, None)
    assert await rows(books) == EMMA


async def test_altering_keeps_keys_references_and_numbering(books: Connection, ddl: DDL) -> None:
    await books.execute("INSERT INTO books (title) VALUES ('gone')")
    await books.execute("DELETE FROM books WHERE title = 'gone'")
    await ddl.alter_column(books, "books", ID)
    await ddl.alter_column(books, "books", ColumnSpec("author", "integer", default=1))
    await ddl.alter_column(books, "books", ColumnSpec("isbn", "string", max_length=20))
    key = await column(books, "id")
    assert key.is_primary_key and key.has_auto_increment and not key.is_nullable
    assert (await column(books, "isbn")).is_unique and (await column(books, "title")).is_indexed
    reference = await foreign_key(books)
    assert reference and (reference.column, reference.foreign_key_table) == ("author", "authors")
    assert reference.on_delete == "SET NULL"
    await books.execute("INSERT INTO books (title) VALUES ('Persuasion')")
    assert [(row["id"], row["author"]) for row in await rows(books)] == [(1, 1), (3, 1)]


async def test_nulls_forbid_not_null(books: Connection, ddl: DDL) -> None:
    await books.execute("INSERT INTO books (title) VALUES ('Anonymous')")
    with pytest.raises(Exception) as refused:
        await ddl.alter_column(books, "books", ColumnSpec("isbn", "string", nullable=False))
    problem = books.dialect.classify(refused.value)
    assert problem and problem.kind == "contains_null"
    assert problem.collection in ("books", None) and problem.field in ("isbn", None)


async def test_duplicates_forbid_unique(books: Connection, ddl: DDL) -> None:
    await books.execute("INSERT INTO books (title, isbn) VALUES ('Emma', '2')")
    with pytest.raises(Exception) as refused:
        await ddl.create_unique(books, "books", "title")
    problem = books.dialect.classify(refused.value)
    assert problem and problem.kind == "unique"


async def test_dropped_columns(books: Connection, ddl: DDL) -> None:
    for name in ("author", "isbn", "title"):
        await ddl.drop_column(books, "books", name)
    assert [c.name for c in await books.dialect.catalog.columns(books) if c.table == "books"] == ["id", "pages"]
    assert await foreign_key(books) is None
    assert await books.fetch_value("SELECT pages FROM books") == 100


async def test_indexes_by_whatever_name(books: Connection, ddl: DDL) -> None:
    catalog = books.dialect.catalog
    names = {i.name: i.unique for i in await catalog.indexes(books, "books") if i.columns in (("title",), ("isbn",))}
    assert names == {"books_title_index": False, "books_isbn_unique": True}
    assert await ddl.drop_index(books, "books", "title") and await ddl.drop_unique(books, "books", "isbn")
    assert not await ddl.drop_index(books, "books", "title") and not await ddl.drop_unique(books, "books", "isbn")
    await books.execute("CREATE INDEX somebody_elses ON books (title)")
    assert await ddl.drop_index(books, "books", "title")
    await ddl.create_unique(books, "books", "title", "pages")
    assert [i.columns for i in await catalog.indexes(books, "books") if i.unique] == [("title", "pages")]
    await ddl.create_index(books, "books", "pages", concurrently=True)
    assert (await column(books, "pages")).is_indexed


async def test_foreign_keys(books: Connection, ddl: DDL) -> None:
    reference = await foreign_key(books)
    assert reference is not None
    assert reference.constraint_name in ("books_author_foreign", None)
    assert reference.foreign_key_column == "id" and reference.on_delete == "SET NULL"
    assert (await column(books, "author")).foreign_key_table == "authors"
    assert await ddl.drop_foreign_key(books, "books", "author")
    assert await ddl.drop_foreign_key(books, "books", "author") is None
    assert await rows(books) == EMMA
    await ddl.add_foreign_key(
        books, ForeignKeySpec("books", "author", "authors", "id", on_delete="CASCADE", on_update="CASCADE")
    )
    reference = await foreign_key(books)
    assert reference and (reference.on_delete, reference.on_update) == ("CASCADE", "CASCADE")


async def test_long_names_are_shortened(connection: Connection, ddl: DDL) -> None:
    table, field = "a_collection_with_a_rather_long_name", "a_field_with_a_rather_long_name_too"
    await ddl.create_table(connection, table, [ID, ColumnSpec(field, "integer", indexed=True, unsigned=True)])
    await ddl.add_foreign_key(connection, ForeignKeySpec(table, field, table, "id"))
    for index in await connection.dialect.catalog.indexes(connection, table):
        limit = ddl.index_name_limit or 1000
        assert len(index.name) <= limit
    reference = await foreign_key(connection)
    assert reference and len(reference.constraint_name or "") in (0, 60)


async def test_foreign_key_of_a_table_to_itself(connection: Connection, ddl: DDL) -> None:
    await ddl.create_table(connection, "tree", [ID, ColumnSpec("parent", "integer")])
    await ddl.add_foreign_key(connection, ForeignKeySpec("tree", "parent", "tree", "id"))
    await connection.execute("INSERT INTO tree (parent) VALUES (NULL)")
    await connection.execute("INSERT INTO tree (parent) VALUES (1)")
    await ddl.alter_column(connection, "tree", ColumnSpec("parent", "integer", default=1))
    reference = await foreign_key(connection)
    assert reference and (reference.table, reference.foreign_key_table) == ("tree", "tree")
    assert await connection.fetch_value("SELECT count(*) FROM tree") == 2


async def test_ddl_is_part_of_the_transaction_where_it_can_be(database: Database) -> None:
    if not database.dialect.transactional_ddl:
        pytest.skip("commits DDL at once")
    ddl = database.dialect.ddl
    with pytest.raises(RuntimeError):
        async with database.schema_transaction() as connection:
            await ddl.create_table(connection, "t", [ID, ColumnSpec("a", "string")])
            await ddl.alter_column(connection, "t", ColumnSpec("a", "text"))
            raise RuntimeError
    async with database.connection() as connection:
        assert await connection.dialect.catalog.tables(connection) == []
