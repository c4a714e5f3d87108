"""What broken constraints are called, on every database (spec items-and-query §8.2)."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tabulary.database.connection import Connection
from tabulary.database.ddl import ColumnSpec, ForeignKeySpec
from tabulary.database.engine import Database
from tabulary.database.errors import ConnectionLost, DatabaseProblem

pytestmark = pytest.mark.anyio


@pytest.fixture
async def books(database: Database) -> AsyncIterator[Connection]:
    async with database.connection(write=True) as connection:
        ddl = connection.dialect.ddl
        key = ColumnSpec("id", "integer", nullable=False, primary_key=True)
        await ddl.create_table(connection, "authors", [key])
        columns = [
            key,
            ColumnSpec("group", "string", unique=True),
            ColumnSpec("title", "string", nullable=False, max_length=5),
            ColumnSpec("author", "integer"),
        ]
        await ddl.create_table(connection, "books", columns)
        await ddl.add_foreign_key(connection, ForeignKeySpec("books", "author", "authors", "id"))
        await connection.execute("INSERT INTO authors VALUES (1)")
        await connection.execute("INSERT INTO books VALUES (1, 'a (b)', 'Emma', 1)")
        yield connection


async def problem(connection: Connection, sql: str) -> DatabaseProblem | None:
    with pytest.raises(Exception) as raised:
        await connection.execute(sql)
    assert not connection.dialect.is_transient(raised.value)
    assert not isinstance(raised.value, ConnectionLost)
    return connection.dialect.classify(raised.value)


async def test_unique(books: Connection) -> None:
    found = await problem(books, "INSERT INTO books VALUES (2, 'a (b)', 'x', 1)")
    assert found and found.kind == "unique" and not found.is_primary
    if books.dialect.name == "mysql":  # tells the name of the key only
        assert (found.collection, found.field, found.value) == (None, "books_group_unique", "a (b)")
    else:
        assert (found.collection, found.field) == ("books", "group")


async def test_primary_key(books: Connection) -> None:
    found = await problem(books, "INSERT INTO books VALUES (1, 'c', 'x', 1)")
    assert found and found.kind == "unique" and found.is_primary
    assert found.field in ("id", None)


async def test_foreign_key(books: Connection) -> None:
    expected = (None, None) if books.dialect.name == "sqlite" else ("books", "author")
    for sql in ("INSERT INTO books VALUES (2, 'c', 'x', 9)", "DELETE FROM authors WHERE id = 1"):
        found = await problem(books, sql)
        assert found and found.kind == "foreign_key"
        # PostgreSQL names the key that is still referenced
        assert (found.collection, found.field) in (expected, ("books", "id"))


async def test_not_null(books: Connection) -> None:
    found = await problem(books, "INSERT INTO books VALUES (2, 'c', NULL, 1)")
    assert found and (found.kind, found.field) == ("not_null", "title")


async def test_too_long_and_out_of_range(books: Connection) -> None:
    if books.dialect.name == "sqlite":
        pytest.skip("checks neither")
    found = await problem(books, "INSERT INTO books VALUES (2, 'c', 'Persuasion', 1)")
    assert found and found.kind == "too_long" and found.field in ("title", None)
    found = await problem(books, "INSERT INTO books VALUES (99999999999, 'c', 'x', 1)")
    assert found and found.kind == "out_of_range" and found.field in ("id", None)


async def test_other_errors_are_nobodys_fault(books: Connection) -> None:
    assert await problem(books, "SELECT nothing FROM nowhere") is None
    assert books.dialect.classify(ValueError("x")) is None
