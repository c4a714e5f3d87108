"""Rows of ``directus_sessions``: refresh tokens and the sessions behind session cookies (spec users §3.5, §3.8)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import sqlalchemy as sa

from tabulary.access.accountability import Accountability
from tabulary.database.connection import Connection
from tabulary.database.dialects.base import Column
from tabulary.database.versions import SESSIONS as TOPIC

SESSIONS = sa.table(
    "directus_sessions",
    *map(sa.column, ("token", "user", "expires", "ip", "user_agent", "share", "origin", "next_token")),
)
_MOMENT = Column("expires", "timestamp", "timestamp with time zone")


@dataclass(frozen=True, slots=True)
class Session:
    """One session. ``expires`` in seconds since 1970."""

    token: str
    expires: float
    user: str | None = None
    share: str | None = None
    next_token: str | None = None


def bound(connection: Connection, moment: datetime) -> Any:
    """A moment as this database takes it for a timestamp column."""
    return connection.dialect.expressions.caster(_MOMENT)(moment)


def instant(value: Any) -> float:
    """A timestamp as a driver returns it (milliseconds, or text that is UTC unless it says otherwise), in seconds."""
    if isinstance(value, int | float):
        return value / 1000
    found = datetime.fromisoformat(value)
    return (found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp()


async def find_session(connection: Connection, token: str) -> Session | None:
    """The session with this token, unless it has expired."""
    columns = [SESSIONS.c[name] for name in ("token", "expires", "user", "share", "next_token")]
    valid = sa.and_(SESSIONS.c.token == token, SESSIONS.c.expires >= bound(connection, datetime.now(UTC)))
    rows = await connection.select(sa.select(*columns).where(valid))
    return Session(**{**rows[0], "expires": instant(rows[0]["expires"])}) if rows else None


async def insert_session(
    connection: Connection,
    token: str,
    milliseconds: int,
    who: Accountability,
    user: str | None,
    share: str | None = None,
) -> None:
    """Begin a session that lives for some milliseconds."""
    await connection.run(
        sa.insert(SESSIONS).values(
            token=token,
            user=user,
            share=share,
            expires=bound(connection, _after(milliseconds)),
            ip=who.ip,
            user_agent=who.user_agent,
            origin=who.origin,
        )
    )


async def rotate_session(connection: Connection, old: str, new: str, milliseconds: int) -> bool:
    """Give a session its next token in place; False when somebody else was faster."""
    values = {"token": new, "expires": bound(connection, _after(milliseconds))}
    return await _ended(connection, sa.update(SESSIONS).where(SESSIONS.c.token == old).values(**values))


async def succeed_session(connection: Connection, old: str, new: str, grace: int) -> bool:
    """Name the successor of a session, which itself ends after ``grace``; False when it has a successor already."""
    free = sa.and_(SESSIONS.c.token == old, SESSIONS.c.next_token.is_(None))
    values = {"next_token": new, "expires": bound(connection, _after(grace))}
    return await _ended(connection, sa.update(SESSIONS).where(free).values(**values))


async def extend_session(connection: Connection, token: str, milliseconds: int) -> None:
    """Let a session live for some milliseconds from now."""
    expires = bound(connection, _after(milliseconds))
    await connection.run(sa.update(SESSIONS).where(SESSIONS.c.token == token).values(expires=expires))


async def delete_session(connection: Connection, token: str) -> None:
    await delete_sessions(connection, SESSIONS.c.token == token)


async def delete_sessions(connection: Connection, *which: sa.ColumnElement[bool]) -> int:
    """End the sessions that fit, in an open transaction; how many there were."""
    count = await connection.run(sa.delete(SESSIONS).where(*which))
    connection.outdates((TOPIC,) if count else ())
    return count


async def delete_expired_sessions(connection: Connection, *owner: sa.ColumnElement[bool]) -> None:
    """Delete what has expired, of everybody or of the ``owner``."""
    expired = SESSIONS.c.expires < bound(connection, datetime.now(UTC))
    await connection.run(sa.delete(SESSIONS).where(expired, *owner))


async def delete_sessions_of(connection: Connection, users: Sequence[str], keep: str | None = None) -> None:
    """End all sessions of some users, but for the one with the token ``keep``."""
    others = sa.true() if keep is None else SESSIONS.c.token != keep
    await delete_sessions(connection, SESSIONS.c.user.in_(list(users)), others)


async def delete_sessions_of_shares(connection: Connection, shares: Sequence[str]) -> None:
    """End all sessions of visitors who came with these shares."""
    await delete_sessions(connection, SESSIONS.c.share.in_(list(shares)))


async def _ended(connection: Connection, change: sa.Update) -> bool:
    """Run what ends a session; whether it was there."""
    found = bool(await connection.run(change))
    connection.outdates((TOPIC,) if found else ())
    return found


def _after(milliseconds: int) -> datetime:
    return datetime.now(UTC) + timedelta(milliseconds=milliseconds)
