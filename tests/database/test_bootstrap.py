"""The first start on every database: what is made, that it happens once, and that a failure leaves nothing behind."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
import sqlalchemy as sa

from tabulary.core.passwords import Passwords
from tabulary.core.settings import Settings
from tabulary.database import bootstrap as module
from tabulary.database.bootstrap import PUBLIC_POLICY, AdminSpec, bootstrap, is_installed, system_tables
from tabulary.database.ddl import ColumnSpec
from tabulary.database.engine import Database

pytestmark = pytest.mark.anyio

SETTINGS = Settings.of(HASH_MEMORY_COST=1024, HASH_TIME_COST=1, HASH_PARALLELISM=1, PROJECT_NAME="Shop")


async def rows(database: Database, table: str, *columns: str) -> list[dict[str, Any]]:
    async with database.connection() as connection:
        return await connection.select(sa.select(*map(sa.column, columns)).select_from(sa.table(table)))


async def test_everything_is_made_once(database: Database) -> None:
    assert not await is_installed(database)
    made = await bootstrap(database, SETTINGS, AdminSpec("me@example.com", "secret", "token"))
    assert made.created and made.admin_email == "me@example.com" and made.admin_password is None
    assert await is_installed(database)
    again = await bootstrap(database, SETTINGS, AdminSpec("you@example.com"))
    assert not again.created and again.admin_password is None
    assert len(await rows(database, "directus_migrations", "version")) == 101

    (user,) = await rows(database, "directus_users", "email", "password", "token", "role", "status")
    assert (user["email"], user["token"], user["status"]) == ("me@example.com", "token", "active")
    assert await Passwords().verify(user["password"], "secret")
    (role,) = await rows(database, "directus_roles", "id", "name")
    assert role["id"] == user["role"]
    found = await rows(database, "directus_policies", "id", "admin_access")
    policies = {policy["id"]: bool(policy["admin_access"]) for policy in found}
    access = {a["policy"]: a["role"] for a in await rows(database, "directus_access", "policy", "role")}
    assert policies.pop(PUBLIC_POLICY) is False and access.pop(PUBLIC_POLICY) is None
    assert list(policies.values()) == [True] and list(access.values()) == [role["id"]]
    (settings,) = await rows(database, "directus_settings", "id", "project_name", "project_id")
    assert (settings["id"], settings["project_name"], settings["project_id"][14]) == (1, "Shop", "7")


async def test_the_tables_are_the_reference_s(installed_database: Database) -> None:
    async with installed_database.connection() as connection:
        catalog = connection.dialect.catalog
        columns = [column for column in await catalog.columns(connection) if column.table.startswith("directus_")]
        tables = {table.name for table in await catalog.tables(connection)}
        assert len({name for name in tables if name.startswith("directus_")}) == 29
        assert tables - {table.name for table in system_tables()} == {"tabulary_state"}
        assert len(columns) == 354
        assert len(await catalog.foreign_keys(connection)) == 47
    by_name = {(c.table, c.name): c for c in columns}
    for table in system_tables():
        for spec in table.columns:
            column = by_name[table.name, spec.name]
            assert column.is_nullable is spec.nullable, column
            assert column.is_primary_key is spec.primary_key
            assert column.has_auto_increment is spec.auto_increment
    indexed = {(c.table, c.name) for c in columns if c.is_indexed}
    assert ("directus_activity", "timestamp") in indexed and ("directus_revisions", "parent") in indexed


async def test_without_an_administrator(database: Database) -> None:
    assert (await bootstrap(database, SETTINGS)).created
    assert await rows(database, "directus_users", "id") == [] == await rows(database, "directus_roles", "id")
    assert len(await rows(database, "directus_policies", "id")) == 1


async def test_a_role_without_user(database: Database) -> None:
    assert (await bootstrap(database, SETTINGS, AdminSpec())).admin_password is None
    assert await rows(database, "directus_users", "id") == []
    assert len(await rows(database, "directus_roles", "id")) == 1


async def test_a_generated_password_is_told_once(database: Database) -> None:
    made = await bootstrap(database, SETTINGS, AdminSpec("me@example.com"))
    assert made.admin_password and made.admin_password not in repr(made)
    (user,) = await rows(database, "directus_users", "password")
    assert await Passwords().verify(user["password"], made.admin_password)


async def test_two_at_once(database: Database, database_url: str) -> None:
    async with Database.from_url(database_url) as other:
        results = await asyncio.gather(
            *(bootstrap(d, SETTINGS, AdminSpec("me@example.com", "x")) for d in (database, other))
        )
    assert sorted(r.created for r in results) == [False, True]
    assert len(await rows(database, "directus_users", "id")) == 1
    assert len(await rows(database, "directus_migrations", "version")) == 101


async def test_two_processes_at_once(database: Database, database_url: str) -> None:
    code = (
        "import asyncio, sys\n"
        "from tabulary.core.settings import Settings\n"
        "from tabulary.database.bootstrap import AdminSpec, bootstrap\n"
        "from tabulary.database.engine import Database\n"
        "async def main():\n"
        "    async with Database.from_url(sys.argv[1]) as database:\n"
        "        print((await bootstrap(database, Settings.of(), AdminSpec())).created)\n"
        "asyncio.run(main())\n"
    )
    import os
    import sys

    env = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    started = [
        await asyncio.create_subprocess_exec(
            sys.executable,
            "-c",
            code,
            database_url,
            env=env,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        for _ in range(2)
    ]
    answers = [await process.communicate() for process in started]
    assert sorted(out.decode().strip() for out, _ in answers) == ["False", "True"], answers


async def test_a_failure_leaves_nothing(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    async def fail(*_: Any) -> None:
        raise RuntimeError("full disk")

    with monkeypatch.context() as patch:
        patch.setattr(module, "_insert_admin", fail)
        with pytest.raises(RuntimeError, match="full disk"):
            await bootstrap(database, SETTINGS, AdminSpec())
    async with database.connection() as connection:
        assert await connection.dialect.catalog.tables(connection) == []
    assert (await bootstrap(database, SETTINGS, AdminSpec())).created


async def test_an_installed_database_is_left_alone(database: Database) -> None:
    async with database.connection(write=True) as connection:
        for table, name in (("directus_collections", "collection"), ("directus_migrations", "version")):
            key = ColumnSpec(name, "string", nullable=False, primary_key=True)
            await connection.dialect.ddl.create_table(connection, table, [key])
        await connection.run(sa.insert(sa.table("directus_migrations", sa.column("version"))).values(version="1"))
    assert not (await bootstrap(database, SETTINGS, AdminSpec("me@example.com", "x"))).created
    async with database.connection() as connection:
        found = sorted(table.name for table in await connection.dialect.catalog.tables(connection))
        assert found == ["directus_collections", "directus_migrations"]


def test_secrets_do_not_show() -> None:
    assert "secret" not in repr(AdminSpec("me@example.com", "secret", "secret"))
