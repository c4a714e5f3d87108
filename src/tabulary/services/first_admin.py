"""The first administrator, made through a link that works once (``POST /server/setup``, spec schema-and-platform §4.3).

The reference lets the first visitor of a database without users become its administrator. Here it takes a token that
only who runs the machine can make (:func:`make_token`: ``tabulary start`` and ``tabulary security setup-link`` print it
within a link). All processes read it from the database, which keeps nothing but its hash and its end, and there is one
at most: a new one replaces the last. It is used up in the transaction that makes the administrator, behind a lock, and
is worthless from the moment that there is one, however that one came to be.
"""

from __future__ import annotations

import hashlib
import secrets
import time
from base64 import urlsafe_b64encode
from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa

from tabulary.access.integrity import admin_role, has_admin
from tabulary.core.errors import Forbidden, InvalidPayload
from tabulary.database import versions
from tabulary.database.connection import Connection
from tabulary.items.platform import Platform
from tabulary.schema.overview import Schema
from tabulary.services.settings import OWNER_FIELDS

LIFETIME = 24 * 60 * 60
"""Seconds for which a token is good."""

REFUSED = (
    "This setup link is wrong, used or expired. Whoever runs the server makes a new one: tabulary security setup-link"
)
_LOCK = "setup"
_TOPIC = "setup"
_STATE = sa.table(versions.TABLE, sa.column("topic"), sa.column("version"))


async def make_token(platform: Platform) -> str | None:
    """A new token of 256 bits that makes one administrator within :data:`LIFETIME`; the ones before it end.

    None when there is an administrator, active or not.
    """
    await platform.database.versions.install()  # a database of the reference may lack the table
    token = secrets.token_urlsafe(32)
    row = f"{int(time.time()) + LIFETIME:08x}.{_digest(token)}"

    async def keep(connection: Connection) -> bool:
        await connection.dialect.lock(connection, _LOCK)
        await connection.run(sa.delete(_STATE).where(_STATE.c.topic == _TOPIC))
        if await has_admin(connection):
            return False
        await connection.run(sa.insert(_STATE).values(topic=_TOPIC, version=row))
        return True

    return token if await platform.database.run_in_transaction(keep) else None


async def set_up(platform: Platform, schema: Schema, given: Mapping[str, Any]) -> None:
    """Make the first administrator and store who owns the project, all or nothing. Nothing is reported to anyone.

    Args:
        given: ``token`` of the link, ``project_owner`` (the address), ``password``, and if wanted ``first_name``,
            ``last_name``, ``language``, ``project_name`` and what else is known of the owner.

    Raises :class:`Forbidden` when there is an administrator or without a good token, and :class:`InvalidPayload`
    without address or password. After any error the token is as good as before.
    """
    async with platform.database.connection() as connection:
        await _check(connection, given.get("token"))  # before anything is told of the rest, and without a lock
    for name in ("project_owner", "password"):
        if not isinstance(given.get(name), str) or not given[name]:
            raise InvalidPayload(f'"{name}" is required')
    user = {name: given.get(name) for name in ("password", "first_name", "last_name")}
    user |= {"email": given["project_owner"], "status": "active"}
    project = {name: given.get(name) for name in OWNER_FIELDS if name in given}
    if given.get("language"):
        user["language"] = project["default_language"] = given["language"]
    if given.get("project_name"):
        project["project_name"] = given["project_name"]

    async def install(connection: Connection) -> None:
        def service(collection: str) -> Any:
            return platform.service(collection, schema=schema, connection=connection)

        # two visitors of a new server at once: the second one is too late
        await connection.dialect.lock(connection, _LOCK)
        await _check(connection, given.get("token"))
        await connection.run(sa.delete(_STATE).where(_STATE.c.topic == _TOPIC))
        role = await admin_role(connection) or await _make_role(service)
        await service("directus_users").create_one({**user, "role": role})
        await service("directus_settings").upsert_singleton(project)

    await platform.database.run_in_transaction(install)


async def _make_role(service: Any) -> Any:
    role = await service("directus_roles").create_one({"name": "Administrator", "icon": "verified"})
    rights = {"name": "Administrator", "icon": "verified", "admin_access": True, "app_access": True}
    policy = await service("directus_policies").create_one(rights)
    await service("directus_access").create_one({"role": role, "policy": policy, "sort": 1})
    return role


async def _check(connection: Connection, token: Any) -> None:
    """Raise :class:`Forbidden` unless the token makes an administrator at this moment."""
    if await has_admin(connection):
        raise Forbidden
    statement = sa.select(_STATE.c.version).where(_STATE.c.topic == _TOPIC)
    rows = await connection.select(connection.dialect.latest(statement))
    until, _, digest = (rows[0]["version"] if rows else "0.").partition(".")
    # the comparison comes first and takes its time in any case
    fits = secrets.compare_digest(_digest(token if isinstance(token, str) else ""), digest)
    if not fits or time.time() >= int(until, 16):
        raise Forbidden(REFUSED)


def _digest(token: str) -> str:
    """128 bits of SHA-256: enough, as the token is random, and short enough for the column."""
    return urlsafe_b64encode(hashlib.sha256(token.encode("utf-8", "replace")).digest()[:16]).decode().rstrip("=")
