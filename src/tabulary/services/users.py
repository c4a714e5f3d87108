"""Users (spec users §1): unique addresses, password policy, protected fields, sessions, and always one admin left.

Errors of these rules are *deferred*: a caller without permission gets 403 first and learns nothing from them (§1.2).
Rules that two writes at once could break together are checked again after the write, under a lock, in its transaction.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import sqlalchemy as sa

from tabulary.access import password_policy
from tabulary.access.integrity import IntegrityFlags, check_remaining_admins
from tabulary.access.keys import is_uuid
from tabulary.access.sessions import delete_sessions_of
from tabulary.core.errors import FailedValidation, InvalidPayload, RecordNotUnique
from tabulary.database.connection import Connection
from tabulary.database.versions import ACCESS
from tabulary.items.keys import check_keys
from tabulary.items.options import Key, MutationOptions
from tabulary.services.access import AccessRuleService, requiring
from tabulary.services.account_tokens import USERS
from tabulary.services.invitations import Invitations
from tabulary.services.password_reset import PasswordReset
from tabulary.services.registration import Registration
from tabulary.services.two_factor import TwoFactor

_SETTINGS = sa.table("directus_settings", sa.column("auth_password_policy"))
# What names a deleted user without a foreign key that would clear it.
_MENTIONS = (
    ("directus_comments", "user_updated"),
    ("directus_notifications", "sender"),
    ("directus_versions", "user_updated"),
)

Check = Callable[[], Awaitable[None]]


class UsersService(AccessRuleService):
    """``directus_users``."""

    # --- writes -----------------------------------------------------------------------------
    async def create_one(self, data: Mapping[str, Any], options: MutationOptions | None = None) -> Key:
        async def check() -> None:
            if "email" in data:
                self.validate_email(data["email"])
                await self._check_unique_emails([data["email"]])
            if "password" in data:
                await self._check_password_policy([data["password"]])

        deferring = await self._deferring(_creation(options, [data]), check)

        async def write(connection: Connection) -> Key:
            inside = self.fork(connection=connection)
            key = await inside.plain(connection).create_one(data, deferring)
            await inside._confirm_unique_emails([data])
            return key

        return await self.platform.database.run_in_transaction(write, self.connection)

    async def create_many(self, data: Sequence[Mapping[str, Any]], options: MutationOptions | None = None) -> list[Key]:
        payloads = [payload for payload in data if isinstance(payload, Mapping)]

        async def check() -> None:
            if emails := [payload["email"] for payload in payloads if payload.get("email")]:
                self.validate_email(emails)
                await self._check_unique_emails(emails)
            await self._check_password_policy([payload["password"] for payload in payloads if payload.get("password")])

        deferring = await self._deferring(_creation(options, payloads), check)

        async def write(connection: Connection) -> list[Key]:
            inside = self.fork(connection=connection)
            keys = await inside.plain(connection).create_many(data, deferring)
            await inside._confirm_unique_emails(payloads)
            return keys

        return await self.platform.database.run_in_transaction(write, self.connection)

    async def update_many(
        self, keys: Sequence[Key], data: Mapping[str, Any], options: MutationOptions | None = None
    ) -> list[Key]:
        check_keys(self.schema.collections[self.collection], keys)

        async def check() -> None:
            await self._check_update(keys, data)

        deferring = await self._deferring(requiring(options or MutationOptions(), _update_flags(data)), check)
        if "provider" in data or "external_identifier" in data:
            data = {**data, "auth_data": None}

        async def write(connection: Connection) -> list[Key]:
            inside = self.fork(connection=connection)
            updated = await inside.plain(connection).update_many(keys, data, deferring)
            await inside._confirm_unique_emails([data])
            await inside._end_sessions(connection, keys, data)
            return updated

        return await self.platform.database.run_in_transaction(write, self.connection)

    async def delete_many(self, keys: Sequence[Key], options: MutationOptions | None = None) -> list[Key]:
        check_keys(self.schema.collections[self.collection], keys)

        async def check() -> None:
            await self._check_remaining_admin_existence(keys)

        deferring = requiring(options or MutationOptions(), IntegrityFlags.REMAINING_ADMINS)
        if deferring.on_require_user_integrity_check is None and keys:
            deferring = await self._deferring(deferring, check)

        async def write(connection: Connection) -> list[Key]:
            inside = self.fork(connection=connection)
            if deferring.pre_mutation_error is None:
                await _forget_mentions(connection, keys)
            deleted = await inside.plain(connection).delete_many(keys, deferring)
            await delete_sessions_of(connection, [str(key) for key in keys])
            return deleted

        return await self.platform.database.run_in_transaction(write, self.connection)

    # --- accounts ---------------------------------------------------------------------------
    async def invite_user(
        self, email: str | Sequence[str], role: str | None, url: str | None = None, subject: str | None = None
    ) -> None:
        """Invite one or many addresses, as :meth:`Invitations.invite`."""
        await self.invitations.invite(email, role, url, subject)

    async def invite_url(self, email: str, url: str | None = None) -> str:
        """The link of an invitation, as :meth:`Invitations.url`."""
        return await self.invitations.url(email, url)

    async def accept_invite(self, token: str, password: str) -> None:
        """Let an invited user in, as :meth:`Invitations.accept`."""
        await self.invitations.accept(token, password)

    async def register_user(self, person: Mapping[str, Any]) -> None:
        """Register somebody, as :meth:`Registration.register`."""
        await Registration(self).register(person)

    async def verify_registration(self, token: str) -> Key:
        """Confirm the address of somebody registered, as :meth:`Registration.verify`."""
        return await Registration(self).verify(token)

    async def request_password_reset(self, email: str, url: str | None = None, subject: str | None = None) -> None:
        """Mail a link for a new password, as :meth:`PasswordReset.request`."""
        await PasswordReset(self).request(email, url, subject)

    async def reset_password(self, token: str, password: str) -> None:
        """Set a new password with the token of such a link, as :meth:`PasswordReset.reset`."""
        await PasswordReset(self).reset(token, password)

    @property
    def invitations(self) -> Invitations:
        """Listing, sending again and revoking invitations."""
        return Invitations(self)

    @property
    def two_factor(self) -> TwoFactor:
        """Second factors: making, enabling and disabling them."""
        return TwoFactor(self)

    # --- what others ask for ----------------------------------------------------------------
    def validate_email(self, value: Any) -> None:
        """Raise :class:`FailedValidation` unless the value, or each of a list, is a valid address (spec §1.4)."""
        rules = self.platform.access.addresses
        for address in value if isinstance(value, list) else [value]:
            if not rules.is_valid(address):
                raise FailedValidation("email", "email")

    async def get_user_by_email(self, email: str) -> dict[str, Any] | None:
        """The raw row of the user with this address in any case: ``id, role, status, password, email, provider``."""
        return await self._raw_user(sa.func.lower(USERS.c.email) == email.lower())

    async def get_user_by_key(self, key: Key) -> dict[str, Any] | None:
        """The same by its key; None for what cannot be one."""
        if not is_uuid(str(key)):
            return None
        return await self._raw_user(USERS.c.id == str(key))

    async def _raw_user(self, condition: sa.ColumnElement[bool]) -> dict[str, Any] | None:
        columns = [USERS.c[name] for name in ("id", "role", "status", "password", "email", "provider")]
        async with self._connected() as connection:
            rows = await connection.select(sa.select(*columns).where(condition))
        return rows[0] if rows else None

    async def clear_user_sessions(self, keys: Sequence[Key], exclude_session: str | None = None) -> None:
        """End all sessions of users, but for the one with the token ``exclude_session``."""
        async with self.platform.database.transaction(self.connection) as connection:
            await delete_sessions_of(connection, [str(key) for key in keys], exclude_session)

    async def clear_caches(self, options: MutationOptions | None = None) -> None:
        """Forget all that is known of access and, unless ``auto_purge_cache`` is False, of earlier answers."""
        await self.platform.database.outdate((ACCESS,), self.connection)
        await self._purge(options or MutationOptions())

    async def check_user_integrity(self, flags: IntegrityFlags) -> None:
        """Check what the writes of the open transaction may have broken (spec §1.3).

        Raises :class:`UnprocessableContent` when no admin is left and :class:`LimitExceeded` for too many users.
        """
        async with self._connected() as connection:
            await self.platform.access.check_integrity(connection, flags)

    # --- rules ------------------------------------------------------------------------------
    async def _deferring(self, options: MutationOptions, check: Check) -> MutationOptions:
        """The options with the first error of ``check``, unless an outer one waits already.

        Any error: that a policy is no pattern is nothing either that a caller without permission should learn.
        """
        try:
            await check()
        except Exception as problem:
            return replace(options, pre_mutation_error=options.pre_mutation_error or problem)
        return options

    async def _check_update(self, keys: Sequence[Key], data: Mapping[str, Any]) -> None:
        if email := data.get("email"):
            if len(keys) > 1:
                raise _not_unique(email)
            self.validate_email(email)
            await self._check_unique_emails([email], keys[0] if keys else None)
        if data.get("password") or isinstance(data.get("password"), list | Mapping):
            await self._check_password_policy([data["password"]])
        if "tfa_secret" in data:
            raise InvalidPayload('You can\'t change the "tfa_secret" value manually')
        for name in ("provider", "external_identifier"):
            if name in data and self.accountability is not None and not self.accountability.admin:
                raise InvalidPayload(f'You can\'t change the "{name}" value manually')

    async def _check_unique_emails(self, emails: Sequence[str], exclude_key: Key | None = None) -> None:
        """Raise :class:`RecordNotUnique` for addresses that repeat or belong to somebody; case does not count."""
        lowered = [email.lower() for email in emails]
        if repeated := [email for index, email in enumerate(lowered) if email in lowered[:index]]:
            raise _not_unique(f"[{','.join(repeated)}]")
        others = sa.select(USERS.c.id).where(sa.func.lower(USERS.c.email).in_(lowered)).limit(1)
        if exclude_key:
            others = others.where(USERS.c.id != str(exclude_key))
        async with self._connected() as connection:
            if await connection.select(others):
                raise _not_unique(f"[{','.join(lowered)}]")

    async def _confirm_unique_emails(self, payloads: Sequence[Mapping[str, Any]]) -> None:
        """Once written, and with the lock held: no other transaction has brought the same address meanwhile."""
        emails = {str(payload["email"]).lower() for payload in payloads if payload.get("email")}
        if not emails or self.connection is None:
            return
        await self.connection.dialect.lock(self.connection, "user_emails")
        lowered = sa.func.lower(USERS.c.email).label("email")
        statement = sa.select(lowered).where(sa.func.lower(USERS.c.email).in_(sorted(emails)))
        rows = await self.connection.select(self.connection.dialect.latest(statement))
        if len(rows) > len({row["email"] for row in rows}):
            raise _not_unique(f"[{','.join(sorted(emails))}]")

    async def _check_password_policy(self, passwords: Sequence[Any]) -> None:
        """Raise :class:`FailedValidation` for a password that the project's policy refuses."""
        if not passwords:
            return
        async with self._connected() as connection:
            rows = await connection.select(sa.select(_SETTINGS.c.auth_password_policy).limit(1))
        policy: str = (rows[0]["auth_password_policy"] if rows else None) or ""
        for password in passwords:
            if policy and not password_policy.allows(policy, _as_text(password)):
                raise FailedValidation("password", "regex", invalid=password)

    async def _check_remaining_admin_existence(self, exclude_keys: Sequence[Key] = ()) -> None:
        """Raise :class:`UnprocessableContent` unless an active admin exists outside of these users (spec §1.3)."""
        async with self._connected() as connection:
            await check_remaining_admins(connection, [str(key) for key in exclude_keys])

    async def _check_remaining_active_admin(self, exclude_keys: Sequence[Key] = ()) -> None:
        """The same question, asked when users lose their status; updates rely on the check after the write."""
        await self._check_remaining_admin_existence(exclude_keys)

    # --- consequences -----------------------------------------------------------------------
    async def _end_sessions(self, connection: Connection, keys: Sequence[Key], data: Mapping[str, Any]) -> None:
        """Another status ends all sessions; a new password or address all but the caller's own (spec §1.4)."""
        users = [str(key) for key in keys]
        if "status" in data and data["status"] != "active":
            await delete_sessions_of(connection, users)
        elif "password" in data or "email" in data:
            own = None if self.accountability is None else self.accountability.session
            await delete_sessions_of(connection, users, own)


def _creation(options: MutationOptions | None, payloads: Sequence[Mapping[str, Any]]) -> MutationOptions:
    active = any(payload.get("status", "active") == "active" for payload in payloads)
    return requiring(options or MutationOptions(), IntegrityFlags.USER_LIMITS if active else IntegrityFlags.NONE)


def _update_flags(data: Mapping[str, Any]) -> IntegrityFlags:
    flags = IntegrityFlags.ALL if "role" in data else IntegrityFlags.NONE
    if "status" in data:
        flags |= IntegrityFlags.USER_LIMITS if data["status"] == "active" else IntegrityFlags.ALL
    return flags


async def _forget_mentions(connection: Connection, keys: Sequence[Key]) -> None:
    for collection, field in _MENTIONS:
        table = sa.table(collection, sa.column(field))
        mentioned = table.c[field].in_([str(key) for key in keys])
        await connection.run(sa.update(table).where(mentioned).values({field: None}))


def _not_unique(value: Any) -> RecordNotUnique:
    message = f'Value "{value}" for field "email" in collection "directus_users" has to be unique.'
    return RecordNotUnique(message, "directus_users", "email", value=value)


def _as_text(value: Any) -> str:
    """How JavaScript would say it: a policy is tested against the text of whatever was sent."""
    if value is None or isinstance(value, bool):
        return "null" if value is None else str(value).lower()
    if isinstance(value, Mapping):
        return "[object Object]"
    return ",".join(_as_text(entry) for entry in value) if isinstance(value, list) else str(value)
