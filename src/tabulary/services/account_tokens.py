"""Signed tokens that act for the reader of a mailbox, and how each of them works only once (spec users §1.4).

A token names the address, its purpose (``scope``) and, in those that we make, the account's key and the fingerprint of
its password at that time: it is worthless for another account of the same address and after any change of the password.
Tokens of the reference lack some of that and are honoured as they are. That two requests with one token cannot both
pass is decided by the database: the first thing a use does is an update that only one of them can make.
"""

from __future__ import annotations

from typing import Any, Literal

import sqlalchemy as sa

from tabulary.access.links import fingerprint
from tabulary.core.errors import Forbidden
from tabulary.core.settings import Settings
from tabulary.core.tokens import sign, verify
from tabulary.database.connection import Connection
from tabulary.database.versions import IDENTITIES

Scope = Literal["invite", "pending-registration", "password-reset"]

USERS = sa.table(
    "directus_users", *map(sa.column, ("id", "role", "status", "password", "email", "provider", "tfa_secret"))
)


def make_token(settings: Settings, scope: Scope, user: dict[str, Any], lifetime: int | None) -> str:
    """A token for ``user`` (a row with ``id``, ``email`` and ``password``) that lives for some milliseconds."""
    claims = {"email": user["email"], "scope": scope, "id": user["id"], "hash": fingerprint(user["password"])}
    return sign(claims, settings["SECRET"], lifetime)


def read_token(settings: Settings, scope: Scope, token: str) -> dict[str, Any]:
    """The claims of a token for this purpose.

    Raises :class:`TokenExpired`, :class:`InvalidToken`, and :class:`Forbidden` for one with another purpose.
    """
    claims = verify(token, settings["SECRET"])
    if claims.get("scope") != scope or not isinstance(claims.get("email"), str):
        raise Forbidden
    return claims


def fits(claims: dict[str, Any], user: dict[str, Any]) -> bool:
    """True when a token was made for this very account, with the password that it still has."""
    return claims.get("id") in (None, user["id"]) and claims.get("hash") in (None, fingerprint(user["password"]))


async def claim(connection: Connection, user: dict[str, Any], **changes: Any) -> bool:
    """Make the first write of a token's use: ``changes``, if status and password are still those of ``user``.

    False when another request was faster. The row stays locked until the transaction ends.
    """
    password = USERS.c.password.is_(None) if user["password"] is None else USERS.c.password == user["password"]
    unchanged = sa.and_(USERS.c.id == user["id"], USERS.c.status == user["status"], password)
    claimed = bool(await connection.run(sa.update(USERS).where(unchanged).values(**changes)))
    connection.outdates((IDENTITIES,) if claimed else ())
    return claimed
