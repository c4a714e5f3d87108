"""CockroachDB without CockroachDB: its SQL as text, and its way of working on a PostgreSQL that commits as it does.

:class:`Stand` is PostgreSQL's driver under CockroachDB's dialect. It ends the open transaction before each change of a
table (``autocommit_before_ddl``) and puts the one statement that only CockroachDB knows into PostgreSQL's words; all
else that runs here is SQL that both understand.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Sequence
from typing import Any

import asyncpg
import pytest
import sqlalchemy as sa

from tabulary import Accountability, Tabulary
from tabulary.core.errors import ConfigurationError, InvalidPayload
from tabulary.database.bootstrap import bootstrap
from tabulary.database.catalog import ColumnFacts, IndexFacts
from tabulary.database.connection import Connection
from tabulary.database.ddl import ColumnSpec, TableSpec
from tabulary.database.dialects import dialect_for
from tabulary.database.dialects.base import Column, Output
from tabulary.database.dialects.cockroachdb import CockroachDB
from tabulary.database.dialects.cockroachdb.catalog import numbered
from tabulary.database.dialects.cockroachdb.driver import LOCKS, CockroachDBConnection, CockroachDBDriver
from tabulary.database.dialects.postgresql import PostgreSQL
from tabulary.database.driver import Driver
from tabulary.database.dump import DumpError
from tabulary.database.engine import Database
from tabulary.database.journal import JOURNAL
from tabulary.database.options import ConnectionOptions
from tabulary.items.options import MutationOptions

from ..conftest import ADMIN, SETTINGS, Servers

pytestmark = pytest.mark.anyio

_DDL = re.compile(r"\s*(CREATE|ALTER|DROP)\b", re.I)
_DROP_INDEX = re.compile(r'DROP INDEX ("[^"]+")@("[^"]+")( CASCADE)?')


class StandConnection(CockroachDBConnection):
    async def execute(self, sql: str, values: Sequence[Any] = ()) -> int:
        if _DDL.match(sql) and self.raw.is_in_transaction():
            await self.raw.execute("COMMIT")
        if dropped := _DROP_INDEX.fullmatch(sql):
            table, name, cascade = dropped.groups()
            sql = f"ALTER TABLE {table} DROP CONSTRAINT {name}" if cascade else f"DROP INDEX {name}"
        return await super().execute(sql, values)


class StandDriver(CockroachDBDriver):
    connection_class = StandConnection

    def _session_settings(self) -> dict[str, str]:
        settings = super()._session_settings()
        assert settings.pop("autocommit_before_ddl") == "on"
        return settings


class Stand(CockroachDB):
    def driver(self, options: ConnectionOptions) -> Driver:
        return StandDriver(self, options)


@pytest.fixture
async def url(servers: Servers, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[str]:
    """An empty database of PostgreSQL, for a driver that believes in CockroachDB."""
    made = await servers.create("postgresql")
    monkeypatch.setattr("tabulary.database.dialects.cockroachdb.DIALECT", Stand)
    yield made.replace("postgresql://", "cockroachdb://")
    await servers.drop(made)


@pytest.fixture
async def database(url: str) -> AsyncIterator[Database]:
    async with Database.from_url(url) as opened:
        yield opened


@pytest.fixture
async def tabulary(url: str) -> AsyncIterator[Tabulary]:
    settings = SETTINGS.with_values(
        DATABASE_URL=url, ADMIN_EMAIL=ADMIN.email, ADMIN_PASSWORD=ADMIN.password, ADMIN_TOKEN=ADMIN.token
    )
    async with Tabulary(settings) as made:
        yield made


# --- what it is called, what it can do ------------------------------------------------------------
def test_names() -> None:
    for client in ("cockroachdb", "cockroach", "CockroachDB"):
        assert isinstance(dialect_for(client), CockroachDB)
    assert Database.from_url("cockroachdb://u@h:26257/d").dialect.vendor == "cockroachdb"
    assert type(dialect_for("pg")) is PostgreSQL


def test_capabilities() -> None:
    dialect = CockroachDB()
    assert not (dialect.transactional_ddl or dialect.has_writable_cte or dialect.has_notices)
    assert dialect.has_returning and dialect.journal is not None
    assert len(dialect.retry_delays) > len(PostgreSQL().retry_delays)


def test_a_session_is_as_postgresql_has_it() -> None:
    driver = CockroachDBDriver(CockroachDB(), ConnectionOptions("cockroachdb", search_path=("a",)))
    assert driver._session_settings() == {
        "application_name": "tabulary",
        "timezone": "UTC",
        "search_path": '"a"',
        "autocommit_before_ddl": "on",
        "default_transaction_isolation": "read committed",
    }


def test_postgresql_does_not_take_it_for_itself() -> None:
    version = "CockroachDB CCL v25.2.1 (x86_64-pc-linux-gnu, built 2025/06/25 17:01:11, go1.23.7)"
    with pytest.raises(ConfigurationError, match=r"v25\.2\.1: set DB_CLIENT=cockroachdb"):
        PostgreSQL().learn(version)
    PostgreSQL().learn("PostgreSQL")
    CockroachDB().learn(version)


def test_a_lost_race_is_one_that_may_be_won() -> None:
    lost = asyncpg.SerializationError("restart transaction: TransactionRetryWithProtoRefreshError: WriteTooOldError")
    lost.sqlstate = "40001"
    assert CockroachDB().is_transient(lost)


# --- its SQL --------------------------------------------------------------------------------------
def compiled(clause: sa.ClauseElement) -> str:
    return re.sub(r"\s+", " ", CockroachDB().compile(clause).sql)


BOOKS = sa.table("books", sa.column("id"), sa.column("since"), schema=None)


def outputs(dialect: CockroachDB) -> list[tuple[str, Output]]:
    read = dialect.expressions.read
    return [
        ("id", read(BOOKS.c.id, Column("id", "integer", "integer"))),
        ("since", read(BOOKS.c.since, Column("since", "timestamp", "timestamp with time zone"))),
    ]


MOMENT = """to_char(timezone('UTC', books.since), 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') AS "since\""""


def test_a_row_is_named_by_its_table() -> None:
    dialect = CockroachDB()
    select = sa.select().select_from(BOOKS)
    assert compiled(dialect.expressions.rows(outputs(dialect), select, [BOOKS.c.id])) == (
        "SELECT CAST(coalesce(json_agg(row_to_json(tabulary_row)), '[]'::json) AS TEXT) AS coalesce_1"
        f' FROM (SELECT books.id AS "id", {MOMENT} FROM books ORDER BY books.id) AS tabulary_row'
    )


def test_to_many() -> None:
    dialect = CockroachDB()
    found = dialect.expressions.to_many(outputs(dialect), sa.select().select_from(BOOKS), [BOOKS.c.id], 3, 0)
    assert compiled(sa.select(found.expression)) == (
        "SELECT (SELECT coalesce(json_agg(row_to_json(tabulary_row)), '[]'::json) AS coalesce_1"
        f' FROM (SELECT books.id AS "id", {MOMENT} FROM books ORDER BY books.id LIMIT 3) AS tabulary_row) AS anon_1'
    )


def test_a_field_of_the_rows_name_is_no_row() -> None:
    dialect = CockroachDB()
    pairs = [("tabulary_row", Output(BOOKS.c.id))]
    assert compiled(dialect.expressions.rows(pairs, sa.select().select_from(BOOKS), [])) == (
        "SELECT CAST(coalesce(json_agg(x.v), '[]'::json) AS TEXT) AS coalesce_1"
        " FROM (SELECT json_build_object(CAST($1 AS TEXT), books.id) AS v FROM books) AS x"
    )


class Noted(Connection):
    """Notes what is executed."""

    def __init__(self) -> None:
        super().__init__(CockroachDB())
        self.statements: list[str] = []

    async def execute(self, sql: str, values: Sequence[Any] = ()) -> int:
        self.statements.append(re.sub(r"\s+", " ", sql).strip())
        return 0

    async def fetch_value(self, sql: str, values: Sequence[Any] = ()) -> Any:
        raise NotImplementedError

    fetch_rows = execute_many = _begin = _commit = _rollback = fetch_value  # type: ignore[assignment]

    @property
    def last_insert_id(self) -> int | None:
        return None


async def test_tables() -> None:
    connection = Noted()
    ddl = connection.dialect.ddl
    columns = [
        ColumnSpec("id", "integer", nullable=False, auto_increment=True, primary_key=True),
        ColumnSpec("big", "bigInteger", unique=True),
        ColumnSpec("data", "json"),
        ColumnSpec("at", "timestamp", default="CURRENT_TIMESTAMP"),
        ColumnSpec("key", "uuid", default="gen_random_uuid()", indexed=True),
    ]
    await ddl.create_table(connection, "things", columns)
    assert connection.statements == [
        "CREATE TABLE things ( id int4 GENERATED BY DEFAULT AS IDENTITY NOT NULL, big int8, data jsonb,"
        " at timestamp with time zone DEFAULT CURRENT_TIMESTAMP, key uuid DEFAULT gen_random_uuid(), PRIMARY KEY (id) )",
        "ALTER TABLE things ADD CONSTRAINT things_big_unique UNIQUE (big)",
        "CREATE INDEX things_key_index ON things (key)",
    ]


async def test_a_unique_constraint_goes_with_its_index() -> None:
    connection = Noted()
    for index in (IndexFacts("a_b_unique", ("b",), True, True), IndexFacts("a_b_index", ("b",), False)):
        await connection.dialect.ddl._drop_one(connection, "a", index)
    assert connection.statements == ['DROP INDEX "a"@"a_b_unique" CASCADE', 'DROP INDEX "a"@"a_b_index"']


def test_keys_that_serial_made_number_themselves() -> None:
    key = ColumnFacts("id", "t", "bigint", "unique_rowid()", is_primary_key=True)
    assert numbered(key).has_auto_increment
    assert not numbered(ColumnFacts("n", "t", "bigint", "unique_rowid()")).has_auto_increment
    assert not numbered(ColumnFacts("id", "t", "uuid", "gen_random_uuid()", is_primary_key=True)).has_auto_increment


async def test_dumps_are_left_to_the_database() -> None:
    with pytest.raises(DumpError, match="BACKUP"):
        await CockroachDB().dump.save(Noted(), None)  # type: ignore[arg-type]


# --- its way of working ---------------------------------------------------------------------------
async def test_a_lock_is_a_row(database: Database) -> None:
    async with database.transaction() as connection:
        await connection.dialect.lock(connection, "first", through_ddl=True)  # makes the table
    inside = 0

    async def guarded(through_ddl: bool) -> None:
        nonlocal inside
        async with database.transaction() as connection:
            await connection.dialect.lock(connection, "guard", through_ddl=through_ddl)
            assert inside == 0
            inside += 1
            if through_ddl:
                await connection.execute("CREATE TABLE IF NOT EXISTS passing (id int4)")
                assert not connection.raw.is_in_transaction()  # type: ignore[attr-defined]
            await asyncio.sleep(0.01)
            inside -= 1

    await asyncio.gather(*(guarded(number % 2 == 0) for number in range(12)))


async def test_two_at_once_install_once(url: str) -> None:
    async def install() -> bool:
        async with Database.from_url(url) as database:
            return (await bootstrap(database, SETTINGS, ADMIN)).created

    assert sorted(await asyncio.gather(install(), install())) == [False, True]
    async with Database.from_url(url) as database, database.connection() as connection:
        names = {table.name for table in await database.dialect.catalog.tables(connection)}
        assert "directus_users" in names and not names & {LOCKS, JOURNAL}


async def test_items_and_their_trail(tabulary: Tabulary) -> None:
    await (await tabulary.collections()).create_one({"collection": "plants", "schema": {}, "meta": {}})
    for name, kind in (("name", "string"), ("since", "timestamp"), ("data", "json")):
        await (await tabulary.fields()).create_field("plants", {"field": name, "type": kind, "schema": {}})
    plants = tabulary.items("plants", Accountability(admin=True))
    key = await plants.create_one({"name": "oak", "since": "2024-01-02T03:04:05Z", "data": {"b": [1], "a": None}})
    assert key == 1
    await plants.update_one(key, {"name": "Oak"})
    assert await plants.read_one(key) == {
        "id": 1, "name": "Oak", "since": "2024-01-02T03:04:05.000Z", "data": {"a": None, "b": [1]},
    }  # fmt: skip
    revisions = await tabulary.items("directus_revisions").read_by_query({"filter": {"collection": {"_eq": "plants"}}})
    assert [revision["delta"] for revision in revisions][1] == {"name": "Oak"}


async def test_a_change_that_fails_is_taken_back(tabulary: Tabulary) -> None:
    await (await tabulary.collections()).create_one({"collection": "plants", "schema": {}, "meta": {}})
    await (await tabulary.fields()).create_field("plants", {"field": "name", "type": "string", "schema": {}})
    plants = tabulary.items("plants")
    await plants.create_many([{"name": "oak"}, {"name": "oak"}])
    with pytest.raises(Exception):  # noqa: B017 - what is refused, not how
        await (await tabulary.fields()).update_field("plants", {"field": "name", "schema": {"is_unique": True}})
    before = await (await tabulary.fields()).read_one("plants", "name")
    assert before["schema"]["is_unique"] is False
    with pytest.raises(InvalidPayload):
        await (await tabulary.collections()).create_many(
            [{"collection": "stones", "schema": {}, "meta": {}}, {"collection": "plants", "schema": {}, "meta": {}}]
        )
    assert "stones" not in (await tabulary.schema()).collections
    async with tabulary.platform.database.connection() as connection:
        assert await connection.fetch_value(f"SELECT count(*) FROM {JOURNAL}") == 0


async def test_a_unique_field_becomes_an_ordinary_one(tabulary: Tabulary) -> None:
    await (await tabulary.collections()).create_one({"collection": "plants", "schema": {}, "meta": {}})
    unique = {"field": "name", "type": "string", "schema": {"is_unique": True}}
    await (await tabulary.fields()).create_field("plants", unique)
    await (await tabulary.fields()).update_field("plants", {"field": "name", "schema": {"is_unique": False}})
    assert len(await tabulary.items("plants").create_many([{"name": "oak"}, {"name": "oak"}])) == 2


async def test_rows_get_numbers_behind_given_keys(tabulary: Tabulary) -> None:
    await (await tabulary.collections()).create_one({"collection": "plants", "schema": {}, "meta": {}})
    plants = tabulary.items("plants")
    await plants.create_one({"id": 7}, MutationOptions(bypass_limits=True))
    assert await plants.create_one({}) == 8


async def test_what_others_changed_is_seen_without_a_notice(tabulary: Tabulary, url: str) -> None:
    async with Tabulary(tabulary.settings) as other:
        await (await tabulary.collections()).create_one({"collection": "plants", "schema": {}, "meta": {}})
        assert await other.items("plants").read_by_query({}) == []


async def test_tables_are_made_one_by_one(database: Database) -> None:
    """A transaction that changes a table is over, and a new one may begin."""
    async with database.transaction() as connection:
        key = ColumnSpec("id", "integer", nullable=False, primary_key=True)
        await connection.dialect.ddl.create_tables(connection, [TableSpec("a", [key]), TableSpec("b", [key])])
        await connection.execute("START TRANSACTION")
        await connection.execute("INSERT INTO a VALUES (1)")
        await connection.execute("START TRANSACTION")  # commits what is open, as MariaDB does
        await connection.execute("INSERT INTO b VALUES (1)")
    async with database.connection() as connection:
        assert await connection.fetch_value("SELECT count(*) FROM a") == 1
        assert await connection.fetch_value("SELECT count(*) FROM b") == 1
