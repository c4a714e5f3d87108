"""The second factor of a login: one-time codes by time (TOTP, spec users §2.1).

A secret is kept only once its owner has shown a code of it. The writes go past the rules of the users service, which
lets nobody set a secret by hand, but not past the caller's permissions.
"""

from __future__ import annotations

from base64 import b32decode, b32encode
from collections.abc import Mapping
from secrets import token_bytes
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode

import pyotp
import sqlalchemy as sa

from tabulary.core.errors import InvalidCredentials, InvalidPayload
from tabulary.items.options import Key

if TYPE_CHECKING:
    from tabulary.services.users import UsersService

_BYTES = 10
"""Length of a secret: 80 bits are the sixteen characters that apps of the reference's users hold."""

_USERS = sa.table(
    "directus_users",
    *map(sa.column, ("id", "email", "external_identifier", "password", "provider", "tfa_secret")),
)
_SETTINGS = sa.table("directus_settings", sa.column("project_name"))


class _Codes(pyotp.TOTP):
    """Codes of secrets of any length: pyotp refuses those of 80 bits, which existing users have."""

    def byte_secret(self) -> bytes:
        text = self.secret.upper().replace(" ", "")
        return b32decode(text + "=" * (-len(text) % 8))


def is_current(secret: str, code: str) -> bool:
    """True for the code of this very half minute; neighbours do not count."""
    try:
        return _Codes(secret).verify(code, valid_window=0)
    except ValueError:
        return False


class TwoFactor:
    """The second factors of users, on behalf of the users service's caller."""

    def __init__(self, users: UsersService) -> None:
        self._users = users

    async def generate(self, key: Key, password: str | None) -> dict[str, str]:
        """A secret that is not kept yet, and the ``otpauth_url`` for an authenticator app.

        Raises :class:`InvalidPayload` without the password or when there is a secret already, and
        :class:`InvalidCredentials` for a wrong password.
        """
        user = await self._user(key)
        if user["provider"] == "default":
            await self._check_password(user, password)
        if user["tfa_secret"]:
            raise InvalidPayload("TFA Secret is already set for this user")
        if user["provider"] == "default" and not user["email"]:
            raise InvalidPayload("User must have a valid email to enable TFA")
        secret = b32encode(token_bytes(_BYTES)).decode("ascii")
        return {"secret": secret, "otpauth_url": await self._url(user, secret)}

    async def enable(self, key: Key, secret: str, code: str) -> None:
        """Keep a secret of which ``code`` is the current one. Needs update permission on ``tfa_secret``.

        Raises :class:`InvalidPayload` for a wrong code or when there is a secret already, and :class:`Forbidden`.
        """
        user = await self._user(key)
        if user["tfa_secret"]:
            raise InvalidPayload("TFA Secret is already set for this user")
        if not is_current(secret, code):
            raise InvalidPayload('"otp" is invalid')
        await self._write(key, secret)

    async def disable(self, key: Key, code: str) -> None:
        """Forget the secret of which ``code`` is the current one. Raises as :meth:`enable`."""
        user = await self._user(key)
        if not user["tfa_secret"]:
            raise InvalidPayload(f'User "{key}" doesn\'t have TFA enabled')
        if not is_current(user["tfa_secret"], code):
            raise InvalidPayload('"otp" is invalid')
        await self._write(key, None)

    async def remove(self, key: Key) -> None:
        """Forget the secret of somebody who has lost it; for admins."""
        await self._write(key, None)

    # --- parts ------------------------------------------------------------------------------
    async def _user(self, key: Key) -> Mapping[str, Any]:
        async with self._users._connected() as connection:
            rows = await connection.select(sa.select(_USERS).where(_USERS.c.id == key))
        if not rows:
            raise InvalidCredentials
        return rows[0]

    async def _check_password(self, user: Mapping[str, Any], password: str | None) -> None:
        if not password:
            raise InvalidPayload('"password" is required')
        if not user["password"] or not await self._users.platform.passwords.verify(user["password"], password):
            raise InvalidCredentials

    async def _write(self, key: Key, secret: str | None) -> None:
        await self._users.plain(self._users.connection).update_one(key, {"tfa_secret": secret})

    async def _url(self, user: Mapping[str, Any], secret: str) -> str:
        async with self._users._connected() as connection:
            rows = await connection.select(sa.select(_SETTINGS.c.project_name).limit(1))
        issuer = (rows[0]["project_name"] if rows else None) or "Tabulary"
        account = user["email"] or user["external_identifier"] or f"user_{user['id']}"
        options = {"secret": secret, "period": 30, "digits": 6, "algorithm": "SHA1", "issuer": issuer}
        return f"otpauth://totp/{quote(issuer)}:{quote(account)}?{urlencode(options, quote_via=quote)}"
