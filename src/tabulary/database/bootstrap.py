"""The first start of a database: system tables, their first rows, the first administrator.

What is made is what the reference makes, so that either may run on the result (spec schema-and-platform §5,
``system_tables.json``). A database that has the tables already is left as it is.
"""

from __future__ import annotations

import os
import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from importlib.resources import files
from typing import Any, Self
from uuid import UUID, uuid4

import sqlalchemy as sa

from tabulary.core import json
from tabulary.core.errors import ConfigurationError
from tabulary.core.passwords import hash_password
from tabulary.core.settings import Settings
from tabulary.database import versions
from tabulary.database.connection import Connection
from tabulary.database.ddl import ColumnSpec, ForeignKeySpec, TableSpec
from tabulary.database.engine import Database

PUBLIC_POLICY = "abf8a154-5b1c-4a46-ac9c-7300570f4f17"
"""The policy of visitors without a token has the same key everywhere."""

_MARKER = "directus_collections"
_FILLED = "directus_migrations"
"""Its rows are the last that an installation writes, ours or the reference's."""
_LOCK = "bootstrap"


@dataclass(frozen=True, slots=True)
class AdminSpec:
    """The first administrator. Role and policy are made in any case, the user only with an e-mail address.

    A user without ``password`` gets a generated one, which the result tells once.
    """

    email: str | None = None
    password: str | None = field(default=None, repr=False)
    token: str | None = field(default=None, repr=False)

    @classmethod
    def from_settings(cls, settings: Mapping[str, Any]) -> Self:
        """``ADMIN_EMAIL``, ``ADMIN_PASSWORD`` and ``ADMIN_TOKEN``."""
        given = (settings.get(name) for name in ("ADMIN_EMAIL", "ADMIN_PASSWORD", "ADMIN_TOKEN"))
        return cls(*(None if value is None or value == "" else str(value) for value in given))


@dataclass(frozen=True, slots=True)
class BootstrapResult:
    """``created`` is False when the tables were there. ``admin_password`` is set only when it was generated."""

    created: bool
    admin_email: str | None = None
    admin_password: str | None = field(default=None, repr=False)


async def is_installed(database: Database) -> bool:
    """True when the database has system tables, ours or the reference's."""
    async with database.connection() as connection:
        return await _is_complete(connection)


async def bootstrap(database: Database, settings: Settings, admin: AdminSpec | None = None) -> BootstrapResult:
    """Install the system tables in an empty database. Safe to repeat and to run in several processes at once.

    Args:
        admin: the first administrator; None makes neither user nor role.
    """
    if await is_installed(database):
        return BootstrapResult(False)
    generated = secrets.token_urlsafe(12) if admin and admin.email and not admin.password else None
    hashed = None
    if admin and admin.email:  # hashing is slow: before the transaction
        hashed = await hash_password(generated or admin.password or "", settings.group("HASH_"))
        admin = replace(admin, password=hashed)
    async with database.schema_transaction() as connection:
        await connection.dialect.lock(connection, _LOCK, through_ddl=True)
        if await _is_complete(connection):
            return BootstrapResult(False)
        if not connection.dialect.transactional_ddl:
            await _drop_remains(connection)
        try:
            await versions.install(connection)
            await connection.dialect.ddl.create_tables(connection, system_tables())
            if not connection.dialect.transactional_ddl:
                await connection.execute("START TRANSACTION")  # the tables have ended the one that was open
            await _insert_rows(connection, settings, admin)
        except BaseException:
            if not connection.dialect.transactional_ddl:
                await connection.execute("ROLLBACK")
                await _drop_remains(connection)
            raise
    return BootstrapResult(True, admin.email if admin else None, generated)


def system_tables() -> list[TableSpec]:
    """The 29 system tables."""
    return [
        TableSpec(
            table["name"],
            [ColumnSpec(**column) for column in table["columns"]],
            [ForeignKeySpec(table["name"], **key) for key in table.get("foreign_keys", ())],
            table.get("uniques", ()),
        )
        for table in _data()["tables"]
    ]


def migrations() -> list[tuple[str, str]]:
    """Version and name of the reference's migrations that the tables are the result of."""
    return [(version, name) for version, name in _data()["migrations"]]


def _data() -> dict[str, Any]:
    data: dict[str, Any] = json.decode(files("tabulary.database").joinpath("system_tables.json").read_bytes())
    return data


async def _is_complete(connection: Connection) -> bool:
    """True when the tables are there and, where making them is no transaction, also the first rows, which come last."""
    tables = {table.name for table in await connection.dialect.catalog.tables(connection)}
    if _MARKER not in tables:
        return False
    return connection.dialect.transactional_ddl or (_FILLED in tables and await _has_rows(connection, _FILLED))


async def _has_rows(connection: Connection, table: str) -> bool:
    return bool(await connection.select(sa.select(sa.literal(1)).select_from(sa.table(table)).limit(1)))


async def _insert_rows(connection: Connection, settings: Settings, admin: AdminSpec | None) -> None:
    policy = {"id": PUBLIC_POLICY, "name": "$t:public_label", "icon": "public", "description": "$t:public_description"}
    await _insert(connection, "directus_policies", **policy, admin_access=False, app_access=False, enforce_tfa=False)
    await _insert(connection, "directus_access", id=str(uuid4()), policy=PUBLIC_POLICY, sort=1)
    project = {"project_name": settings.get("PROJECT_NAME"), "project_owner": settings.get("PROJECT_OWNER")}
    models = {name: json.encode(value).decode() for name, value in _data()["settings"].items()}
    given = {name: str(value) for name, value in project.items() if value}
    await _insert(connection, "directus_settings", project_id=time_ordered_uuid(), **models, **given)
    if admin is not None:
        await _insert_admin(connection, admin)
    for version, name in migrations():
        await _insert(connection, "directus_migrations", version=version, name=name)


async def _insert_admin(connection: Connection, admin: AdminSpec) -> None:
    role, policy = str(uuid4()), str(uuid4())
    described = {"name": "Administrator", "icon": "verified", "description": "$t:admin_description"}
    await _insert(connection, "directus_roles", id=role, **described)
    await _insert(
        connection, "directus_policies", id=policy, **described, admin_access=True, app_access=True, enforce_tfa=False
    )
    await _insert(connection, "directus_access", id=str(uuid4()), role=role, policy=policy)
    if admin.email is not None:
        await _insert(
            connection,
            "directus_users",
            id=str(uuid4()),
            first_name="Admin",
            last_name="User",
            email=admin.email,
            password=admin.password,
            token=admin.token,
            role=role,
            status="active",
            provider="default",
            email_notifications=True,
            text_direction="auto",
        )


async def _insert(connection: Connection, table: str, **values: Any) -> None:
    """One row; None and absent columns get the database's default."""
    given = {name: value for name, value in values.items() if value is not None}
    await connection.run(sa.insert(sa.table(table, *map(sa.column, given))).values(given))


async def _drop_remains(connection: Connection) -> None:
    """Drop what an installation that broke off has left: empty tables, their foreign keys first.

    Raises :class:`ConfigurationError` when one of them has rows: then it was something else, and is not ours to drop.
    """
    ddl, catalog = connection.dialect.ddl, connection.dialect.catalog
    ours = {table.name for table in system_tables()}
    for name in sorted(ours & {table.name for table in await catalog.tables(connection)}):
        if await _has_rows(connection, name):
            raise ConfigurationError(
                f'The database has some of the system tables, and rows in "{name}": restore a backup, '
                "or use an empty database"
            )
    for key in await catalog.foreign_keys(connection):
        if key.table.startswith("directus_"):
            await ddl.drop_foreign_key(connection, key.table, key.column)
    made = {table.name for table in await catalog.tables(connection)}
    for name in (*(table.name for table in system_tables()), versions.TABLE):
        if name in made:
            await ddl.drop_table(connection, name)


def time_ordered_uuid() -> str:
    """A version 7 UUID (RFC 9562): 48 bits of milliseconds, then random."""
    value = (time.time_ns() // 1_000_000) << 80 | int.from_bytes(os.urandom(10))
    value = value & ~(0xF << 76) | 7 << 76
    return str(UUID(int=value & ~(0x3 << 62) | 2 << 62))
