"""The store reads once, for everybody, and forgets when told (spec schema-and-platform §1.9)."""

from __future__ import annotations

import asyncio

import pytest

from tabulary.core.settings import Settings
from tabulary.database.engine import Database
from tabulary.schema.store import SchemaStore

pytestmark = pytest.mark.anyio


async def test_an_installed_database_shows_the_system(installed_database: Database) -> None:
    store = SchemaStore(installed_database, Settings.of())
    schema = await store.current()
    assert len(schema.collections) == 29
    users = schema.collections["directus_users"]
    assert users.primary == "id" and users.fields["password"].concealed
    assert users.fields["policies"].alias
    assert schema.relation("directus_users", "role") is not None
    model = await store.model()
    assert len(model.collections()) == 29
    assert len(model.fields()) == 404
    assert len(schema.relations) == 54


async def test_an_empty_database_has_no_collections(database: Database) -> None:
    assert (await SchemaStore(database, Settings.of()).current()).collections == {}


async def test_many_callers_share_one_reading(installed_database: Database) -> None:
    store = SchemaStore(installed_database, Settings.of())
    first, *others = await asyncio.gather(*(store.current() for _ in range(20)))
    assert all(schema is first for schema in others)
    assert await store.current() is first


async def test_a_new_version_after_a_change(installed_database: Database) -> None:
    store = SchemaStore(installed_database, Settings.of())
    before = await store.current()
    async with installed_database.connection(write=True) as connection:
        await connection.execute("CREATE TABLE books (id integer PRIMARY KEY)")
    assert "books" not in (await store.current()).collections
    store.invalidate()
    after = await store.current()
    assert "books" in after.collections and after.version > before.version


async def test_a_reading_that_began_before_the_change_is_not_kept(installed_database: Database) -> None:
    store = SchemaStore(installed_database, Settings.of())
    early = asyncio.ensure_future(store.current())
    await asyncio.sleep(0)
    store.invalidate()
    late = await store.current()
    assert (await early).version != late.version
    assert await store.current() is late


async def test_a_caller_that_leaves_does_not_stop_the_others(installed_database: Database) -> None:
    store = SchemaStore(installed_database, Settings.of())
    leaving = asyncio.ensure_future(store.current())
    staying = asyncio.ensure_future(store.current())
    await asyncio.sleep(0)
    leaving.cancel()
    assert (await staying).collections
