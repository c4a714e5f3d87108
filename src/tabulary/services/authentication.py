"""Logging in and out with address and password, and keeping sessions alive (spec users §3.3–3.5).

Every way out of a login takes at least ``LOGIN_STALL_TIME``, and the work for an unknown address is that for a known
one, so that the time tells nothing.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa

from tabulary.access.accountability import Accountability
from tabulary.access.sessions import (
    SESSIONS,
    Session,
    bound,
    delete_expired_sessions,
    delete_session,
    extend_session,
    find_session,
    insert_session,
    rotate_session,
    succeed_session,
)
from tabulary.core.errors import (
    InvalidCredentials,
    InvalidOtp,
    InvalidProviderConfig,
    TabularyError,
    UserSuspended,
)
from tabulary.core.events import EventContext
from tabulary.core.stalling import Stopwatch, at_least
from tabulary.core.tokens import random_token
from tabulary.database.connection import Connection
from tabulary.items.platform import Platform
from tabulary.schema.overview import Schema
from tabulary.services.login_attempts import LoginAttempts, record_activity
from tabulary.services.shares import find_open_share, time_left
from tabulary.services.tokens import Mode, Tokens, share_claims, signed_tokens
from tabulary.services.two_factor import is_current

DEFAULT_PROVIDER = "default"

_COLUMNS = (
    "id", "first_name", "last_name", "email", "password", "status", "role", "tfa_secret", "provider",
    "external_identifier", "auth_data",
)  # fmt: skip
_USERS = sa.table("directus_users", *map(sa.column, (*_COLUMNS, "last_access")))

User = Mapping[str, Any]


class AuthenticationService:
    """See the module."""

    def __init__(self, platform: Platform) -> None:
        self._platform = platform
        self._settings = platform.settings
        self._attempts = LoginAttempts(platform)

    # --- in ---------------------------------------------------------------------------------
    async def login(
        self, payload: Mapping[str, Any], who: Accountability, schema: Schema, mode: Mode = "json"
    ) -> Tokens:
        """Log a user in with ``email``, ``password`` and perhaps ``otp``. ``who`` is the caller as yet unknown.

        Raises :class:`InvalidCredentials` for anything that does not fit and :class:`InvalidOtp`.
        """
        async with self.stalled():
            user: User | None = None
            try:
                user = await self._user(sa.func.lower(_USERS.c.email) == str(payload["email"]).lower())
                if user is None:
                    await self._platform.passwords.waste(str(payload["password"]))
                    raise InvalidCredentials
                payload = await self._filtered("auth.login", dict(payload), user, schema)
                await self._verify(user, payload, who, schema)
                tokens = await self._begin(user, who, schema, mode)
            except TabularyError as problem:
                self._announce(payload, user, schema, "fail", error=problem)
                raise
            self._announce(payload, user, schema, "success")
            await self._attempts.forget(user)
            return tokens

    async def _verify(self, user: User, payload: Mapping[str, Any], who: Accountability, schema: Schema) -> None:
        if user["status"] != "active" or user["provider"] != DEFAULT_PROVIDER:
            await self._platform.passwords.waste(str(payload.get("password")))
            raise InvalidCredentials
        await self._attempts.count(user, who, schema)
        password = payload.get("password")
        if not user["password"] or not isinstance(password, str):
            await self._platform.passwords.waste(str(password))
            raise InvalidCredentials
        if not await self._platform.passwords.verify(user["password"], password):
            raise InvalidCredentials
        otp = payload.get("otp")
        if user["tfa_secret"] and not (otp and is_current(user["tfa_secret"], str(otp))):
            raise InvalidOtp

    async def _begin(self, user: User, who: Accountability, schema: Schema, mode: Mode) -> Tokens:
        refresh_token = random_token()
        claims = await self._claims(user, who)
        if not user["tfa_secret"] and await self._role_enforces_tfa(user["role"]):
            claims["enforce_tfa"] = True
        tokens = await self._signed(claims, refresh_token, user, schema, mode, "login")

        async def write(connection: Connection) -> None:
            await insert_session(connection, refresh_token, self._duration("REFRESH_TOKEN_TTL"), who, user["id"])
            await delete_expired_sessions(connection)
            await record_activity(self._platform, connection, schema, "login", user["id"], who)
            await _touch(connection, user["id"])

        await self._platform.database.run_in_transaction(write)
        return tokens

    # --- on ---------------------------------------------------------------------------------
    async def refresh(self, token: str, who: Accountability, schema: Schema, mode: Mode = "json") -> Tokens:
        """New tokens for the refresh token (or, in session mode, the session) ``token``.

        Raises :class:`InvalidCredentials` when it is unknown or over, :class:`UserSuspended`,
        :class:`InvalidProviderConfig`.
        """
        watch = Stopwatch()
        async with self._platform.database.connection() as connection:
            session = await find_session(connection, token)
        if session is None or (session.user is None and session.share is None):
            raise InvalidCredentials
        user = await self._user(_USERS.c.id == session.user) if session.user else None
        if session.user and (user is None or user["status"] != "active"):
            await self._refuse(session, user, watch)
        _check_provider(user)
        longest = await self._time_left(session.share) if session.share else math.inf
        claims = await self._claims(user, who, session.share)
        fresh = await self._platform.database.run_in_transaction(lambda c: self._rotate(c, session, who, mode))
        return await self._signed(claims, fresh, user, schema, mode, "refresh", longest)

    async def _rotate(self, connection: Connection, session: Session, who: Accountability, mode: Mode) -> str:
        """The token that follows. A session's old one lives on for a grace period: parallel requests survive."""
        fresh = random_token()
        if mode != "session":
            if not await rotate_session(connection, session.token, fresh, self._duration("REFRESH_TOKEN_TTL")):
                raise InvalidCredentials
        elif session.next_token is None and await succeed_session(
            connection, session.token, fresh, self._duration("SESSION_REFRESH_GRACE_PERIOD")
        ):
            await insert_session(
                connection, fresh, self._duration("SESSION_COOKIE_TTL"), who, session.user, session.share
            )
        else:
            latest = await find_session(connection, session.token)
            if latest is None or latest.next_token is None:
                raise InvalidCredentials
            fresh = latest.next_token
            await extend_session(connection, fresh, self._duration("SESSION_COOKIE_TTL"))
        if session.user:
            await _touch(connection, session.user)
        await delete_expired_sessions(connection, SESSIONS.c.user == session.user, SESSIONS.c.share == session.share)
        return fresh

    async def _refuse(self, session: Session, user: User | None, watch: Stopwatch) -> None:
        async with self._platform.database.transaction() as connection:
            await delete_session(connection, session.token)
        await watch.reach(self._duration("LOGIN_STALL_TIME"))
        raise UserSuspended if user is not None and user["status"] == "suspended" else InvalidCredentials

    # --- out --------------------------------------------------------------------------------
    async def logout(self, token: str, who: Accountability, schema: Schema) -> None:
        """End the session of a user. Unknown tokens and sessions of shares are passed over in silence.

        Raises :class:`InvalidProviderConfig` for a user of a provider that is not configured.
        """

        async def write(connection: Connection) -> None:
            session = await find_session(connection, token)
            if session is not None and session.user is not None:
                _check_provider(await self._user(_USERS.c.id == session.user, connection))
                await record_activity(self._platform, connection, schema, "logout", session.user, who)
                await delete_session(connection, token)

        await self._platform.database.run_in_transaction(write)

    # --- parts ------------------------------------------------------------------------------
    def stalled(self) -> AbstractAsyncContextManager[None]:
        """Make what happens inside, also a failure, take at least ``LOGIN_STALL_TIME``."""
        return at_least(self._duration("LOGIN_STALL_TIME"))

    async def _user(self, condition: sa.ColumnElement[bool], connection: Connection | None = None) -> User | None:
        async with self._platform.access.connected(connection) as opened:
            rows = await opened.select(sa.select(*(_USERS.c[name] for name in _COLUMNS)).where(condition))
        return rows[0] if rows else None

    async def _time_left(self, share: str) -> float:
        """Milliseconds that a share still lasts. Raises :class:`InvalidCredentials` when it is over."""
        async with self._platform.database.connection() as connection:
            found = await find_open_share(connection, share)
        if found is None:
            raise InvalidCredentials
        return time_left(found)

    async def _claims(self, user: User | None, who: Accountability, share: str | None = None) -> dict[str, Any]:
        if user is None:
            return share_claims(str(share))
        access = self._platform.access
        rights = await access.rights(user["id"], await access.role_tree(user["role"]), who.ip)
        return {"id": user["id"], "role": user["role"], "app_access": rights.app, "admin_access": rights.admin}

    async def _role_enforces_tfa(self, role: str | None) -> bool:
        """Only policies of the user's own role count here, neither inherited nor personal ones (spec §3.3)."""
        snapshot = await self._platform.access.snapshot()
        return role is not None and snapshot.enforces_tfa(snapshot.grants.get(role, ()))

    async def _signed(
        self,
        claims: dict[str, Any],
        token: str,
        user: User | None,
        schema: Schema,
        mode: Mode,
        kind: str,
        longest: float = math.inf,
    ) -> Tokens:
        if mode == "session":
            claims["session"] = token
        if user is not None:
            claims = await self._filtered("auth.jwt", claims, user, schema, type=kind)
        return signed_tokens(self._settings, claims, token, mode, longest)

    async def _filtered(
        self, event: str, payload: dict[str, Any], user: User, schema: Schema, **meta: Any
    ) -> dict[str, Any]:
        context = EventContext(self._platform.database, schema)
        meta = {"status": "pending", "user": user["id"], "provider": DEFAULT_PROVIDER, **meta}
        filtered: dict[str, Any] = await self._platform.hooks.emit_filter(event, payload, meta, context)
        return filtered

    def _announce(
        self, payload: Mapping[str, Any], user: User | None, schema: Schema, status: str, **more: Any
    ) -> None:
        meta = {"payload": payload, "status": status, "user": user and user["id"], "provider": DEFAULT_PROVIDER, **more}
        self._platform.hooks.emit_action("auth.login", meta, EventContext(self._platform.database, schema))

    def _duration(self, name: str) -> int:
        return self._settings.duration(name) or 0


def _check_provider(user: User | None) -> None:
    if user is not None and user["provider"] != DEFAULT_PROVIDER:
        raise InvalidProviderConfig(user["provider"])


async def _touch(connection: Connection, user: str) -> None:
    now = bound(connection, datetime.now(UTC))
    await connection.run(sa.update(_USERS).where(_USERS.c.id == user).values(last_access=now))
