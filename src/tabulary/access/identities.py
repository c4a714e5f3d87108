"""Whose token it is: static tokens, JWTs and sessions, resolved once and remembered (spec users §3.2).

A remembered answer holds until the token or its session expires or any user, session, role or grant changes
(``identity_version`` and ``session_version`` of the access store). Tokens that fail are never remembered.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, replace
from hmac import compare_digest
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from tabulary.access.accountability import Accountability
from tabulary.access.keys import is_uuid
from tabulary.access.sessions import Session, find_session
from tabulary.access.store import AccessStore
from tabulary.core.errors import InvalidCredentials, InvalidToken
from tabulary.core.tokens import is_signed, verify

if TYPE_CHECKING:
    from tabulary.core.settings import Settings
    from tabulary.database.engine import Database

_USERS = sa.table("directus_users", *map(sa.column, ("id", "role", "token", "status", "tfa_secret")))
_CAPACITY = 10_000
_MAX_TOKEN = 8_192


@dataclass(frozen=True, slots=True)
class Identity:
    """Who a token stands for, from one ip. ``expires`` in seconds since 1970."""

    user: str | None = None
    role: str | None = None
    roles: tuple[str, ...] = ()
    admin: bool = False
    app: bool = False
    share: str | None = None
    session: str | None = None
    expires: float = math.inf
    lacks_tfa: bool = False


class Identities:
    """Resolves tokens for one Tabulary object."""

    def __init__(self, database: Database, access: AccessStore, settings: Settings) -> None:
        self._database = database
        self._access = access
        self._settings = settings
        self._known: dict[tuple[str, str | None], tuple[Identity, int]] = {}
        self._version = access.identity_version

    async def resolve(self, token: str, ip: str | None) -> Identity:
        """The identity behind a token.

        Raises :class:`InvalidCredentials` (unknown, inactive, session over), :class:`InvalidToken` (a JWT that is not
        ours or lacks claims) or :class:`TokenExpired`.
        """
        version, sessions = self._access.identity_version, self._access.session_version
        if version != self._version:
            self._known, self._version = {}, version
        found = self._known.get((token, ip))
        if found is not None:
            identity, seen = found
            if (identity.session is None or seen == sessions) and identity.expires > time.time():
                return identity
        identity = await self._look_up(token, ip)
        if version == self._access.identity_version:
            if len(self._known) >= _CAPACITY:
                self._known = {}
            self._known[token, ip] = identity, sessions
        return identity

    async def _look_up(self, token: str, ip: str | None) -> Identity:
        if len(token) > _MAX_TOKEN or "\0" in token:
            raise InvalidCredentials
        if is_signed(token):
            return await self._of_claims(verify(token, self._settings["SECRET"]), ip)
        return await self._of_static_token(token, ip)

    async def _of_static_token(self, token: str, ip: str | None) -> Identity:
        statement = sa.select(_USERS.c.id, _USERS.c.role, _USERS.c.token).where(
            _USERS.c.token == token, _USERS.c.status == "active"
        )
        async with self._database.connection() as connection:
            rows = await connection.select(statement)
        # Some collations ignore case; tokens do not.
        if not rows or not compare_digest(rows[0]["token"].encode(), token.encode()):
            raise InvalidCredentials
        return await self._identity(rows[0]["id"], rows[0]["role"], ip)

    async def _of_claims(self, claims: dict[str, Any], ip: str | None) -> Identity:
        """The bearer of a JWT. Its role is believed (until the next refresh), its access flags are not (spec §3.2)."""
        if not {"role", "app_access", "admin_access"} <= claims.keys():
            raise InvalidToken
        user, role, share = (_text(claims.get(name)) for name in ("id", "role", "share"))
        expires, token = float(claims.get("exp", math.inf)), None
        if "session" in claims:
            session = await self._session(_text(claims["session"]), user, share)
            expires, token = min(expires, session.expires), session.token
        identity = await self._identity(user, role, ip, share, token, expires)
        return identity if user is None else replace(identity, lacks_tfa=await self._lacks_tfa(user, identity, ip))

    async def _lacks_tfa(self, user: str, identity: Identity, ip: str | None) -> bool:
        """Whether a user has to set up a second factor first. Raises :class:`InvalidCredentials` for inactive users."""
        if not is_uuid(user):
            raise InvalidCredentials
        statement = sa.select(_USERS.c.tfa_secret).where(_USERS.c.id == user, _USERS.c.status == "active")
        async with self._database.connection() as connection:
            rows = await connection.select(statement)
        if not rows:
            raise InvalidCredentials
        if rows[0]["tfa_secret"]:
            return False
        return await self._access.enforces_tfa(Accountability(user, identity.role, identity.roles, ip=ip))

    async def _session(self, token: str | None, user: str | None, share: str | None) -> Session:
        async with self._database.connection() as connection:
            session = await find_session(connection, token) if token else None
        if session is None or session.user not in (user, None) or session.share not in (share, None):
            raise InvalidCredentials
        return session

    async def _identity(
        self,
        user: str | None,
        role: str | None,
        ip: str | None,
        share: str | None = None,
        session: str | None = None,
        expires: float = math.inf,
    ) -> Identity:
        roles = await self._access.role_tree(role)
        rights = await self._access.rights(user, roles, ip)
        return Identity(user, role, roles, rights.admin, rights.app, share, session, expires)


def _text(claim: Any) -> str | None:
    """A claim that is text or absent; anything else is no token of ours."""
    if claim is None or isinstance(claim, str):
        return claim
    raise InvalidToken
