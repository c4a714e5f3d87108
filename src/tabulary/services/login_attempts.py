"""Guessing passwords has an end: attempts are counted for each user, and one too many suspends (spec users §3.4).

The count has no window of time; a login that succeeds ends it. With ``RATE_LIMITER_STORE=redis`` all processes count
together.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa

from tabulary.access.accountability import Accountability
from tabulary.database.connection import Connection
from tabulary.database.versions import IDENTITIES
from tabulary.items.platform import Platform
from tabulary.schema.overview import Schema

MASK = "**********"
SERVICE = "authentication"
"""In whose name the limiter complains."""

_DEFAULT_LIMIT = 25
_USERS = sa.table("directus_users", sa.column("id"), sa.column("status"))
_SETTINGS = sa.table("directus_settings", sa.column("auth_login_attempts"))


class LoginAttempts:
    """The attempts at the accounts of one Tabulary object."""

    def __init__(self, platform: Platform) -> None:
        self._platform = platform

    async def count(self, user: Mapping[str, Any], who: Accountability, schema: Schema) -> None:
        """Count one before the password is looked at, and suspend the user beyond ``auth_login_attempts``.

        Raises :class:`ServiceUnavailable` when the count is out of reach.
        """
        async with self._platform.database.connection() as connection:
            rows = await connection.select(sa.select(_SETTINGS.c.auth_login_attempts).limit(1))
        allowed = rows[0]["auth_login_attempts"] if rows else _DEFAULT_LIMIT
        if allowed is None:
            return
        attempts = await self._platform.limits.hit(SERVICE, _key(user))
        if attempts.hits > int(allowed):
            await self._platform.database.run_in_transaction(lambda c: self._suspend(c, user, who, schema))
            await self.forget(user)

    async def forget(self, user: Mapping[str, Any]) -> None:
        """The user has come in: begin anew."""
        await self._platform.limits.forget(SERVICE, _key(user))

    async def _suspend(
        self, connection: Connection, user: Mapping[str, Any], who: Accountability, schema: Schema
    ) -> None:
        await connection.run(sa.update(_USERS).where(_USERS.c.id == user["id"]).values(status="suspended"))
        connection.outdates((IDENTITIES,))
        activity = await record_activity(self._platform, connection, schema, "update", user["id"], who)
        shown = {k: MASK if v and k in ("password", "tfa_secret") else v for k, v in user.items()}
        revisions = self._platform.service("directus_revisions", schema=schema, connection=connection)
        await revisions.create_one(
            {
                "activity": activity,
                "collection": "directus_users",
                "item": user["id"],
                "data": shown,
                "delta": {"status": "suspended"},
            }
        )


async def record_activity(
    platform: Platform, connection: Connection, schema: Schema, action: str, user: str, who: Accountability
) -> Any:
    """Write down what happened to the account of a user, and from where; the key of the record."""
    service = platform.service("directus_activity", schema=schema, connection=connection)
    return await service.create_one(
        {
            "action": action,
            "user": user,
            "collection": "directus_users",
            "item": user,
            "ip": who.ip,
            "user_agent": who.user_agent,
            "origin": who.origin,
        }
    )


def _key(user: Mapping[str, Any]) -> str:
    return f"login-attempts:{user['id']}"
