"""Inviting users: an account with the status ``invited`` and a mail with a link to set its password (spec users §1.4).

An invitation *is* its account, so that listing, sending again and revoking are reading, mailing and deleting it, each
with the caller's own permissions. Nobody has a link mailed who may not create such a user, and no link leads to a
place that ``USER_INVITE_URL_ALLOW_LIST`` does not name. A link works once and only for the account it was made for.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from tabulary.access.links import is_allowed, own_page, with_token
from tabulary.core.errors import Forbidden, InvalidInvite, InvalidPayload
from tabulary.database.connection import Connection
from tabulary.items.blueprint import CREATE
from tabulary.items.keys import check_keys
from tabulary.items.options import Key, MutationOptions
from tabulary.items.query import Query
from tabulary.items.validation import process_payload
from tabulary.services.account_mail import post
from tabulary.services.account_tokens import claim, fits, make_token, read_token

if TYPE_CHECKING:
    from tabulary.services.users import UsersService

SUBJECT = "You've been invited"
STATUS = "invited"
_FIELDS = ("id", "email", "first_name", "last_name", "role", "status")


class Invitations:
    """The invitations of a users service, on behalf of its caller."""

    def __init__(self, users: UsersService) -> None:
        self._users = users
        self._settings = users.platform.settings

    async def invite(self, email: str | Sequence[str], role: str | None, url: str | None, subject: str | None) -> None:
        """Invite addresses one after the other; a text may name several, parted by commas.

        Who is invited already gets another mail, and the new role; all others stay as they are. Raises
        :class:`Forbidden` for who may not create users, :class:`InvalidPayload` for an address to link to that is not
        allowed, and what creating a user raises.
        """
        addresses = email.split(",") if isinstance(email, str) else email
        for address in addresses:
            await self._invite(address.strip(), role, url, subject)

    async def _invite(self, email: str, role: str | None, url: str | None, subject: str | None) -> None:
        payload = {"email": email, "role": role, "status": STATUS}
        user = await self._users.get_user_by_email(email)
        if user is None:
            options = MutationOptions(pre_mutation_error=self._bad_url(url))
            await self._users.create_one(payload, options)
            user = await self._users.get_user_by_email(email)
        else:
            await self._check_may_create(payload)
            if user["status"] != STATUS:
                return
            if (problem := self._bad_url(url)) is not None:
                raise problem
            if user["role"] != role:
                await self._users.update_one(user["id"], {"role": role})
        if user is not None:
            await self._send(user, url, subject)

    # --- what becomes of them ---------------------------------------------------------------
    async def pending(self, query: Query) -> list[dict[str, Any]]:
        """Who has been invited and not yet come, as far as the caller may read users."""
        if query.root.fields is None:
            query = query.with_fields(*_FIELDS)
        return await self._users.read_by_query(query.with_key("status", [STATUS], many=True))

    async def send_again(self, key: Key, url: str | None = None, subject: str | None = None) -> None:
        """Mail the link of an invitation once more. Raises as :meth:`invite`, and :class:`InvalidInvite`."""
        user = await self._invited(key)
        await self._check_may_send(user, url)
        await self._send(user, url, subject)

    async def revoke(self, key: Key) -> None:
        """Delete an invited user; all links sent so far are dead, also when the address is invited again later.

        Raises :class:`Forbidden` for who may not delete the user and :class:`InvalidInvite` when it is none (any more).
        """

        check_keys(self._users.blueprint.collection, [key])

        async def write(connection: Connection) -> None:
            users = self._users.fork(connection=connection)
            await users.delete_one(key, MutationOptions(pre_mutation_error=await _not_invited(users, key)))

        await self._users.platform.database.run_in_transaction(write, self._users.connection)

    async def accept(self, token: str, password: str) -> None:
        """Set the password of an invited user and let it in.

        Raises what :func:`read_token` raises, :class:`InvalidInvite` when the invitation was used or revoked,
        and :class:`FailedValidation` for a password that the policy refuses.
        """
        claims = read_token(self._settings, "invite", token)

        async def write(connection: Connection) -> None:
            trusted = self._users.fork(connection=connection, accountability=None)
            user = await trusted.get_user_by_email(claims["email"])
            if user is None or user["status"] != STATUS or not fits(claims, user):
                raise InvalidInvite
            if not await claim(connection, user, status="active"):
                raise InvalidInvite
            await trusted.update_one(user["id"], {"password": password, "status": "active"})

        await self._users.platform.database.run_in_transaction(write, self._users.connection)

    async def url(self, email: str, url: str | None = None) -> str:
        """The link of an invitation, for other ways than mail. Raises as :meth:`send_again`."""
        user = await self._users.get_user_by_email(email)
        if user is None or user["status"] != STATUS:
            await self._check_may_create({"email": email, "status": STATUS})
            raise InvalidInvite
        await self._check_may_send(user, url)
        return self._link(user, url)

    # --- parts ------------------------------------------------------------------------------
    async def _check_may_send(self, user: dict[str, Any], url: str | None) -> None:
        await self._check_may_create({"email": user["email"], "role": user["role"], "status": STATUS})
        if (problem := self._bad_url(url)) is not None:
            raise problem

    async def _check_may_create(self, payload: dict[str, Any]) -> None:
        """Raise what creating this very user would raise of permissions and validation."""
        users = self._users
        who, blueprint = users.accountability, users.blueprint
        await process_payload(
            users.platform, users.schema, blueprint, CREATE, payload, who, connection=users.connection
        )

    async def _invited(self, key: Key) -> dict[str, Any]:
        """The raw row of an invited user whom the caller may see."""
        shown = await self._users.read_one(key, {"fields": ["id"]})
        user = await self._users.get_user_by_key(shown["id"])
        if user is None:
            raise Forbidden
        if user["status"] != STATUS:
            raise InvalidInvite
        return user

    def _bad_url(self, url: str | None) -> InvalidPayload | None:
        if not url or is_allowed(url, self._settings["USER_INVITE_URL_ALLOW_LIST"]):
            return None
        return InvalidPayload(f'URL "{url}" can\'t be used to invite users')

    def _link(self, user: dict[str, Any], url: str | None) -> str:
        """To ``url`` or to our own page for it."""
        token = make_token(self._settings, "invite", user, self._settings.duration("USER_INVITE_TOKEN_TTL"))
        return with_token(url or own_page(self._settings, "admin/accept-invite"), token)

    async def _send(self, user: dict[str, Any], url: str | None, subject: str | None) -> None:
        await post(
            self._users.platform,
            to=user["email"],
            subject=subject or SUBJECT,
            template="user-invitation",
            data={"url": self._link(user, url), "email": user["email"]},
            connection=self._users.connection,
        )


async def _not_invited(users: UsersService, key: Key) -> InvalidInvite | None:
    user = await users.get_user_by_key(key)
    return None if user is not None and user["status"] == STATUS else InvalidInvite()
