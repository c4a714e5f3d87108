"""Tables of SQLite that are rebuilt keep everything that was not to be changed."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tabulary.database.connection import Connection
from tabulary.database.ddl import ColumnSpec, ForeignKeySpec
from tabulary.database.dialects.sqlite.table_text import TableText
from tabulary.database.engine import Database

RICH = """CREATE TABLE [rich] ( -- a comment, with a comma
  "id" integer not null primary key autoincrement,
  name VARCHAR(20) NOT NULL DEFAULT 'a, (b) /* not */ "c"' COLLATE NOCASE CHECK (length(name) > 1),
  `parent` int REFERENCES "rich" (id) ON DELETE SET NULL ON UPDATE SET DEFAULT NOT DEFERRABLE,
  other int constraint "my fk" references others(id) on delete set default default null,
  amount decimal(10, 2) default (1 + 2) UNIQUE ON CONFLICT IGNORE,
  doubled generated always as (amount * 2) stored,
  CONSTRAINT positive CHECK (amount >= 0),
  UNIQUE (name, parent),
  FOREIGN KEY (other) REFERENCES more (id, x)
)"""


def table() -> TableText:
    return TableText.parse(RICH)


def test_parts_are_found() -> None:
    text = table()
    assert [name for name, _ in text.columns] == ["id", "name", "parent", "other", "amount", "doubled"]
    assert len(text.constraints) == 3
    assert text.stored_columns == ["id", "name", "parent", "other", "amount"]


def test_alter_keeps_the_other_clauses() -> None:
    columns = dict(table().alter_column("name", "name TEXT").columns)
    assert columns["name"] == "name TEXT COLLATE NOCASE CHECK (length(name) > 1)"
    columns = dict(table().alter_column("PARENT", '"parent" bigint NOT NULL').columns)
    assert columns["parent"] == (
        '"parent" bigint NOT NULL REFERENCES "rich" (id) ON DELETE SET NULL ON UPDATE SET DEFAULT NOT DEFERRABLE'
    )
    columns = dict(table().alter_column("other", "other text").columns)
    assert columns["other"] == 'other text constraint "my fk" references others(id) on delete set default'
    columns = dict(table().alter_column("id", '"id" integer NOT NULL').columns)
    assert columns["id"] == '"id" integer NOT NULL primary key autoincrement'


def test_foreign_keys_go_alone() -> None:
    text = table().drop_foreign_key("other")
    assert dict(text.columns)["other"] == "other int default null"
    assert [c.split()[0] for c in text.constraints] == ["CONSTRAINT", "UNIQUE"]
    assert dict(text.drop_unique("amount").columns)["amount"] == "amount decimal(10, 2) default (1 + 2)"


def test_dropped_columns_take_their_constraints() -> None:
    text = table().drop_column("name").drop_column("amount")
    assert [c.split()[0] for c in text.constraints] == ["FOREIGN"]


@pytest.mark.parametrize("options", ["", "WITHOUT ROWID", "STRICT, WITHOUT ROWID"])
def test_options_stay(options: str) -> None:
    text = TableText.parse(f"CREATE TABLE t (a int primary key, b text) {options}")
    assert text.create('"u"').endswith(f") {options}".rstrip())
    sqlite3.connect(":memory:").execute(text.create('"u"'))


LITERALS = st.text(st.characters(codec="utf-8", exclude_characters="\x00"))
IDENTIFIERS = st.text(st.characters(codec="utf-8", exclude_characters="\x00"), min_size=1)


@given(st.lists(IDENTIFIERS, min_size=1, max_size=4, unique_by=str.lower), LITERALS)
def test_any_name_and_default_survives(names: list[str], literal: str) -> None:
    quoted = ['"' + name.replace('"', '""') + '"' for name in names]
    default = "'" + literal.replace("'", "''") + "'"
    sql = f"CREATE TABLE t ({', '.join(f'{name} text default {default}' for name in quoted)})"
    raw = sqlite3.connect(":memory:")
    try:
        raw.execute(sql)
    except sqlite3.OperationalError:
        return  # two names that are one to SQLite
    text = TableText.parse(sql)
    assert [name for name, _ in text.columns] == names
    raw.execute(text.create("u"))
    raw.execute("INSERT INTO u DEFAULT VALUES")
    assert raw.execute("SELECT * FROM u").fetchone() == (literal,) * len(names)


@pytest.fixture
async def connection() -> AsyncIterator[Connection]:
    async with Database.from_url("sqlite://") as database, database.schema_transaction() as opened:
        yield opened


@pytest.mark.anyio
async def test_indexes_triggers_views_and_children_survive(connection: Connection) -> None:
    for sql in (
        "CREATE TABLE parents (id integer primary key autoincrement, name text check (name <> ''), extra int)",
        "CREATE TABLE children (id integer primary key, parent int references parents (id) on delete cascade)",
        "CREATE INDEX by_name ON parents (lower(name)) WHERE name IS NOT NULL",
        "CREATE VIEW names AS SELECT name FROM parents",
        "CREATE TRIGGER named AFTER INSERT ON parents BEGIN UPDATE parents SET extra = 7 WHERE id = new.id; END",
        "INSERT INTO parents (name) VALUES ('a'), ('b'), ('c')",
        "INSERT INTO children (parent) VALUES (1), (2)",
        "DELETE FROM parents WHERE name = 'c'",
    ):
        await connection.execute(sql)
    ddl = connection.dialect.ddl
    await ddl.alter_column(connection, "parents", ColumnSpec("name", "string", nullable=False, max_length=50))
    await ddl.add_column(connection, "parents", ColumnSpec("at", "timestamp", default="now()", nullable=False))
    await ddl.add_column(connection, "parents", ColumnSpec("best", "integer"))
    await ddl.add_foreign_key(connection, ForeignKeySpec("parents", "best", "children", "id"))
    await connection.execute("INSERT INTO parents (name) VALUES ('d')")
    assert await connection.fetch_rows("SELECT id, name, extra FROM parents ORDER BY id") == [
        (1, "a", 7),
        (2, "b", 7),
        (4, "d", 7),
    ]
    assert await connection.fetch_value("SELECT count(*) FROM children") == 2
    assert await connection.fetch_value("SELECT count(*) FROM names") == 3
    assert {i.name for i in await connection.dialect.catalog.indexes(connection, "parents")} == set()  # partial
    assert await connection.fetch_value("SELECT count(*) FROM sqlite_master WHERE name IN ('by_name', 'named')") == 2
    with pytest.raises(sqlite3.IntegrityError):
        await connection.execute("INSERT INTO parents (name) VALUES ('')")


@pytest.mark.anyio
async def test_a_referenced_table_is_not_rebuilt_under_foreign_keys() -> None:
    async with Database.from_url("sqlite://") as database, database.transaction() as connection:
        await connection.execute("CREATE TABLE parents (id integer primary key, name text)")
        await connection.execute("CREATE TABLE children (id int, parent int references parents (id) on delete cascade)")
        await connection.execute("INSERT INTO parents VALUES (1, 'a')")
        await connection.execute("INSERT INTO children VALUES (1, 1)")
        with pytest.raises(RuntimeError, match="schema_transaction"):
            await connection.dialect.ddl.alter_column(connection, "parents", ColumnSpec("name", "string"))
        assert await connection.fetch_value("SELECT count(*) FROM children") == 1


@pytest.mark.anyio
async def test_foreign_keys_are_enforced_again_afterwards() -> None:
    async with Database.from_url("sqlite://") as database:
        async with database.schema_transaction() as connection:
            assert await connection.fetch_value("PRAGMA foreign_keys") == 0
        with pytest.raises(RuntimeError):
            async with database.schema_transaction():
                raise RuntimeError
        async with database.transaction() as connection:
            assert await connection.fetch_value("PRAGMA foreign_keys") == 1
