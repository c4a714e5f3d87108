"""Public registration and the confirmation of addresses (spec users §1.4).

Known and unknown addresses get the same answer after the same time: whatever depends on the address happens between
the checks that do not and the end of ``REGISTER_STALL_TIME``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from tabulary.access.links import is_allowed, own_page, with_token
from tabulary.core.errors import Forbidden, InvalidPayload, RecordNotUnique
from tabulary.core.json import decode
from tabulary.core.stalling import at_least
from tabulary.database.connection import Connection
from tabulary.items.evaluate import Operands, evaluate
from tabulary.items.filter import parse_filter
from tabulary.items.options import Key
from tabulary.services.account_mail import post
from tabulary.services.account_tokens import claim, fits, make_token, read_token

if TYPE_CHECKING:
    from tabulary.services.users import UsersService

SUBJECT = "Verify your email address"
STATUS = "unverified"
_NAMES = ("enabled", "verify_email", "role", "email_filter")
_SETTINGS = sa.table(
    "directus_settings",
    *map(
        sa.column,
        (
            "public_registration",
            "public_registration_verify_email",
            "public_registration_role",
            "public_registration_email_filter",
        ),
    ),
)


@dataclass(frozen=True, slots=True)
class _Rules:
    """What the project's settings say of registration; nothing is open without them."""

    enabled: bool = False
    verify_email: bool = True
    role: str | None = None
    email_filter: Any = None

    @classmethod
    async def load(cls, connection: Connection) -> _Rules:
        columns = [column.label(name) for column, name in zip(_SETTINGS.c, _NAMES, strict=True)]
        rows = await connection.select(sa.select(*columns).limit(1))
        if not rows:
            return cls()
        row = rows[0]
        raw = row["email_filter"]
        tree = decode(raw) if isinstance(raw, str | bytes) and raw else raw
        verify = True if row["verify_email"] is None else bool(row["verify_email"])
        return cls(bool(row["enabled"]), verify, row["role"], tree)

    def admit(self, email: str) -> bool:
        """True when the filter for addresses holds, or there is none."""
        if not self.email_filter:
            return True
        values: list[Any] = []
        tree = parse_filter(self.email_filter, values, strict=False)
        return not evaluate(tree, {"email": email}, Operands(values))


class Registration:
    """Registration with a users service. Its caller is anybody; accounts are made by the system."""

    def __init__(self, users: UsersService) -> None:
        self._users = users.fork(accountability=None)
        self._settings = users.platform.settings

    async def register(self, person: Mapping[str, Any]) -> None:
        """Register ``email`` with ``password``, perhaps ``first_name``, ``last_name`` and ``verification_url``.

        Raises :class:`InvalidPayload` for an address to link to that is not allowed, :class:`Forbidden` when
        registration is closed (for this address), and :class:`FailedValidation` for a refused password; never for an
        address that is taken.
        """
        url = person.get("verification_url")
        if url and not is_allowed(url, self._settings["USER_REGISTER_URL_ALLOW_LIST"]):
            raise InvalidPayload(f'URL "{url}" can\'t be used to verify registered users')
        async with self._users._connected() as connection:
            rules = await _Rules.load(connection)
        if not rules.enabled:
            raise Forbidden
        async with at_least(self._settings.duration("REGISTER_STALL_TIME") or 0):
            if not rules.admit(person["email"]):
                raise Forbidden
            await self._users._check_password_policy([person["password"]])
            user = await self._user(person, rules)
            if rules.verify_email and user is not None and user["status"] == STATUS:
                await self._send(user, person, url)

    async def _user(self, person: Mapping[str, Any], rules: _Rules) -> dict[str, Any] | None:
        """The account of the address, made when there is none."""
        known = await self._users.get_user_by_email(person["email"])
        if known is not None:
            # as long as for a new account
            await self._users.platform.passwords.hash(person["password"])
            return known
        account = {name: person[name] for name in ("email", "password", "first_name", "last_name") if name in person}
        account |= {"role": rules.role, "status": STATUS if rules.verify_email else "active"}
        try:
            await self._users.create_one(account)
        except RecordNotUnique as problem:
            if problem.extensions.get("field") != "email":
                raise
        return await self._users.get_user_by_email(person["email"])

    async def _send(self, user: dict[str, Any], person: Mapping[str, Any], url: str | None) -> None:
        lifetime = self._settings.duration("EMAIL_VERIFICATION_TOKEN_TTL")
        token = make_token(self._settings, "pending-registration", user, lifetime)
        names = {name: person.get(name) for name in ("first_name", "last_name")}
        page = url or own_page(self._settings, "users/register/verify-email")
        await post(
            self._users.platform,
            to=user["email"],
            subject=SUBJECT,
            template="user-registration",
            data={"url": with_token(page, token), "email": user["email"], **names},
            connection=self._users.connection,
        )

    async def verify(self, token: str) -> Key:
        """Let a registered user in; its key.

        Raises what :func:`read_token` raises and :class:`InvalidPayload` when there is nothing to confirm (any more).
        """
        claims = read_token(self._settings, "pending-registration", token)

        async def write(connection: Connection) -> Key:
            users = self._users.fork(connection=connection)
            user = await users.get_user_by_email(claims["email"])
            if user is None or user["status"] != STATUS or not fits(claims, user):
                raise InvalidPayload("Invalid verification code")
            if not await claim(connection, user, status="active"):
                raise InvalidPayload("Invalid verification code")
            return await users.update_one(user["id"], {"status": "active"})

        return await self._users.platform.database.run_in_transaction(write, self._users.connection)
