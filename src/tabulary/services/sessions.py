"""Who is logged in where: the sessions of users, for them and for admins to see and to end.

A session's token is the key to the account and never shown; its ``id`` here is a digest of it. Refresh tokens of apps
and session cookies of browsers are the same kind of session.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any

import sqlalchemy as sa

from tabulary.access.accountability import Accountability
from tabulary.access.keys import is_uuid
from tabulary.access.sessions import SESSIONS, bound, delete_sessions, instant
from tabulary.core.errors import Forbidden, InvalidCredentials
from tabulary.database.connection import Connection
from tabulary.items.platform import Platform

_SHOWN = ("ip", "user_agent", "origin")
Row = dict[str, Any]


class SessionsService:
    """Sessions, on behalf of ``who``: the own ones, or anybody's for an admin."""

    def __init__(self, platform: Platform, who: Accountability) -> None:
        self._platform = platform
        self._who = who

    async def read(self, user: str | None = None) -> list[Row]:
        """The running sessions of the caller or, for admins, of ``user``; the newest end is first.

        Raises :class:`InvalidCredentials` for callers who are no user and :class:`Forbidden` for others' sessions.
        """
        owner = self._owner(user)
        async with self._platform.database.connection() as connection:
            rows = await _running(connection, SESSIONS.c.user == owner)
        shown = [self._shown(row) for row in rows]
        return sorted(shown, key=lambda session: str(session["expires"]), reverse=True)

    async def end(self, key: str) -> None:
        """End one session. Raises :class:`Forbidden` when the caller has none with this id."""
        if self._who.user is None:
            raise InvalidCredentials
        mine = sa.true() if self._who.admin else SESSIONS.c.user == self._who.user
        if not await self._delete(mine, lambda row: session_id(row["token"]) == key):
            raise Forbidden

    async def end_all(self, user: str | None = None) -> None:
        """End all sessions of the caller but the one at work or, for admins, all of ``user``."""
        own = self._who.session if user in (None, self._who.user) else None
        await self._delete(SESSIONS.c.user == self._owner(user), lambda row: row["token"] != own)

    def _owner(self, user: str | None) -> str:
        if self._who.user is None:
            raise InvalidCredentials
        if user is None or user == self._who.user:
            return self._who.user
        if not self._who.admin or not is_uuid(user):
            raise Forbidden
        return user

    async def _delete(self, of: sa.ColumnElement[bool], chosen: Callable[[Row], bool]) -> int:
        async def write(connection: Connection) -> int:
            tokens = [row["token"] for row in await _running(connection, of) if chosen(row)]
            if not tokens:
                return 0
            return await delete_sessions(connection, SESSIONS.c.token.in_(tokens))

        return await self._platform.database.run_in_transaction(write)

    def _shown(self, row: Row) -> Row:
        expires = datetime.fromtimestamp(instant(row["expires"]), UTC).isoformat(timespec="milliseconds")
        return {
            "id": session_id(row["token"]),
            "current": row["token"] == self._who.session,
            "expires": expires.replace("+00:00", "Z"),
            **{name: row[name] for name in _SHOWN},
        }


def session_id(token: str) -> str:
    """By what a session is known to people: nothing that logs anybody in."""
    return sha256(token.encode()).hexdigest()[:32]


async def _running(connection: Connection, of: sa.ColumnElement[bool]) -> list[Row]:
    columns = [SESSIONS.c[name] for name in ("token", "expires", *_SHOWN)]
    now = bound(connection, datetime.now(UTC))
    # what has a successor only waits for late requests
    running = sa.and_(of, SESSIONS.c.user.is_not(None), SESSIONS.c.expires >= now, SESSIONS.c.next_token.is_(None))
    return await connection.select(sa.select(*columns).where(running))
