"""New passwords for who has forgotten the old one: a link by mail that works once (spec users §1.4).

The link dies with any change of the password and after a day. Whether an address is known shows neither in the answer
nor in its time; nobody's mailbox is flooded (``RATE_LIMITER_PASSWORD_RESET_…``, by address).
"""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import TYPE_CHECKING

from tabulary.access.accountability import Accountability
from tabulary.access.links import is_allowed, own_page, with_token
from tabulary.core.errors import Forbidden, InvalidPayload
from tabulary.core.stalling import at_least
from tabulary.database.connection import Connection
from tabulary.services.account_mail import post
from tabulary.services.account_tokens import claim, fits, make_token, read_token

if TYPE_CHECKING:
    from tabulary.services.users import UsersService

logger = logging.getLogger("tabulary.users")

SUBJECT = "Password Reset Request"
LIFETIME = 24 * 3_600_000
STALL_TIME = 500
"""Milliseconds that a request takes at least."""


class PasswordReset:
    """Password resets with a users service."""

    def __init__(self, users: UsersService) -> None:
        self._users = users
        self._settings = users.platform.settings

    async def request(self, email: str, url: str | None, subject: str | None) -> None:
        """Mail a link to the owner of an address.

        Raises :class:`InvalidPayload` for an address to link to that is not allowed and, after a while,
        :class:`Forbidden` when nobody active has the address and a password of ours.
        """
        if url and not is_allowed(url, self._settings["PASSWORD_RESET_URL_ALLOW_LIST"]):
            raise InvalidPayload(f'URL "{url}" can\'t be used to reset passwords')
        async with at_least(STALL_TIME):
            user = await self._users.get_user_by_email(email)
            if user is None or user["status"] != "active" or user["provider"] != "default":
                raise Forbidden
            limit = self._users.platform.limits.limit("PASSWORD_RESET")
            if limit is not None and await limit.excess(user["id"]) is not None:
                logger.warning("too many password resets for user %s; no mail was sent", user["id"])
                return
            token = make_token(self._settings, "password-reset", user, LIFETIME)
            await post(
                self._users.platform,
                to=user["email"],
                subject=subject or SUBJECT,
                template="password-reset",
                data={
                    "url": with_token(url or own_page(self._settings, "admin/reset-password"), token),
                    "email": user["email"],
                },
                connection=self._users.connection,
            )

    async def reset(self, token: str, password: str) -> None:
        """Set a new password with the token of a mail; all sessions of the user end.

        Raises what :func:`read_token` raises, :class:`Forbidden` for a token that was used or has become worthless,
        and :class:`FailedValidation` for a password that the policy refuses.
        """
        claims = read_token(self._settings, "password-reset", token)
        if not claims.get("hash"):
            raise Forbidden
        who = replace(self._users.accountability or Accountability(), admin=True, session=None)

        async def write(connection: Connection) -> None:
            users = self._users.fork(connection=connection, accountability=who)
            user = await users.get_user_by_email(claims["email"])
            if user is None or user["status"] != "active" or not fits(claims, user):
                raise Forbidden
            if not await claim(connection, user, password="" if user["password"] is None else None):
                raise Forbidden
            await users.update_one(user["id"], {"password": password, "status": "active"})

        await self._users.platform.database.run_in_transaction(write, self._users.connection)
