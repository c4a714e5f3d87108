"""Shares: one item for whoever has the link and perhaps a password (``directus_shares``, spec users §5).

Sharing needs the share permission on the item, also when a share is later pointed at another one. What a visitor then
sees is bounded by the rights of the creator, so that only admins may write another name there.
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from html import escape
from typing import Any

import sqlalchemy as sa

from tabulary.access.accountability import Accountability
from tabulary.access.keys import is_uuid
from tabulary.access.links import own_page
from tabulary.access.sessions import (
    bound,
    delete_expired_sessions,
    delete_sessions_of_shares,
    insert_session,
    instant,
)
from tabulary.core.errors import Forbidden, InvalidCredentials, InvalidPayload
from tabulary.core.tokens import random_token
from tabulary.database.connection import Connection
from tabulary.items.keys import check_keys
from tabulary.items.options import Key, MutationOptions
from tabulary.services.access import AccessRuleService, Payload
from tabulary.services.account_mail import post
from tabulary.services.tokens import Mode, Tokens, share_claims, signed_tokens

_SHARES = sa.table(
    "directus_shares",
    *map(sa.column, ("id", "collection", "item", "password", "times_used", "max_uses", "date_start", "date_end")),
)
_INFO = ("id", "collection", "item", "password", "max_uses", "times_used", "date_start", "date_end")
_OF_VISITS = frozenset({"password", "date_start", "date_end"})
"""Who came under other conditions has to come again."""

_SENDER = ("first_name", "last_name", "email")


class SharesService(AccessRuleService):
    """``directus_shares``."""

    # --- writes -----------------------------------------------------------------------------
    async def create_one(self, data: Payload, options: MutationOptions | None = None) -> Key:
        await self._check_shareable(data)
        return await super().create_one(data, options)

    async def create_many(self, data: Sequence[Payload], options: MutationOptions | None = None) -> list[Key]:
        for payload in data if isinstance(data, list | tuple) else ():
            await self._check_shareable(payload)
        return await super().create_many(data, options)

    async def update_many(
        self, keys: Sequence[Key], data: Payload, options: MutationOptions | None = None
    ) -> list[Key]:
        check_keys(self.blueprint.collection, keys)
        options = options or MutationOptions()
        if "user_created" in data and self._is_bounded:
            problem = InvalidPayload("You can't change who has created a share")
            options = replace(options, pre_mutation_error=options.pre_mutation_error or problem)
        if ("collection" in data or "item" in data) and self._is_bounded:
            for share in await self._targets(keys):
                await self._check_shareable({**share, **data})

        async def write(connection: Connection) -> list[Key]:
            updated = await super(SharesService, self.fork(connection=connection)).update_many(keys, data, options)
            if not _OF_VISITS.isdisjoint(data):
                await delete_sessions_of_shares(connection, [str(key) for key in keys])
            return updated

        return await self.platform.database.run_in_transaction(write, self.connection)

    @property
    def _is_bounded(self) -> bool:
        """True when the caller may share some items only."""
        return self.accountability is not None and not self.accountability.admin

    async def _check_shareable(self, payload: Any) -> None:
        """Raise :class:`Forbidden` unless the caller may share the item that a share names."""
        collection = payload.get("collection") if isinstance(payload, Mapping) else None
        if not isinstance(collection, str) or collection not in self.schema.collections:
            raise Forbidden
        who, item = self.accountability, payload.get("item")
        if who is None or who.admin:
            return
        keys = [] if item is None else [item]
        check_keys(self.schema.collections[collection], keys)
        await self.platform.reader.check_items(self.schema, collection, "share", keys, [], who, self.connection)

    async def _targets(self, keys: Sequence[Key]) -> list[dict[str, Any]]:
        statement = sa.select(_SHARES.c.collection, _SHARES.c.item).where(_SHARES.c.id.in_([str(key) for key in keys]))
        async with self._connected() as connection:
            return await connection.select(statement)

    # --- visitors ---------------------------------------------------------------------------
    async def info(self, share: str) -> dict[str, Any]:
        """What anybody may know of a share. Raises :class:`Forbidden` outside of its time."""
        async with self._connected() as connection:
            if await find_open_share(connection, share) is None:
                raise Forbidden
        trusted = self.fork(accountability=None)
        return await trusted.read_one(share, {"fields": list(_INFO)})

    async def login(self, share: str, password: str | None, mode: Mode = "json") -> Tokens:
        """Tokens for a visitor. Every login counts as a use.

        Raises :class:`InvalidCredentials` for a share that is unknown, over or used up, and for a wrong password.
        """
        async with self._connected() as connection:
            row = await find_open_share(connection, share)
        if row is None:
            raise InvalidCredentials
        if row["password"] and not (password and await self.platform.passwords.verify(row["password"], password)):
            raise InvalidCredentials
        settings, token = self.platform.settings, random_token()

        async def write(connection: Connection) -> None:
            uses = {"times_used": sa.func.coalesce(_SHARES.c.times_used, 0) + 1}
            if not await connection.run(sa.update(_SHARES).where(_is_usable(share)).values(uses)):
                raise InvalidCredentials
            lifetime = settings.duration("REFRESH_TOKEN_TTL") or 0
            await insert_session(connection, token, lifetime, Accountability(), None, share)
            await delete_expired_sessions(connection)

        await self.platform.database.run_in_transaction(write, self.connection)
        claims = share_claims(share) | ({"session": token} if mode == "session" else {})
        return signed_tokens(settings, claims, token, mode, time_left(row))

    async def invite(self, share: str, emails: Sequence[Any]) -> None:
        """Mail the link of a share that the caller may see.

        Raises :class:`Forbidden`, and :class:`InvalidPayload` for what is no address; then nobody gets a mail.
        """
        if self.accountability is None or self.accountability.user is None:
            raise Forbidden
        shown = await self.read_one(share, {"fields": ["id"]})
        for index, email in enumerate(emails):
            if not self.platform.access.addresses.is_valid(email):
                raise InvalidPayload(f'"emails[{index}]" must be a valid email')
        sender = await self._sender(self.accountability.user)
        link = own_page(self.platform.settings, f"admin/shared/{shown['id']}")
        for email in emails:
            await post(
                self.platform,
                to=email,
                subject=f"{sender} has shared an item with you",
                template="base",
                data={"html": f"<p>{escape(sender)} has shared an item with you.</p>", "url": link},
                connection=self.connection,
            )

    async def _sender(self, user: str) -> str:
        people = self.platform.service("directus_users", schema=self.schema, connection=self.connection)
        found = await people.read_many([user], {"fields": list(_SENDER)})
        person = found[0] if found else {}
        names = [person.get("first_name"), person.get("last_name")]
        full = " ".join(name for name in names if name) if names[0] else ""
        return full or person.get("email") or "Unknown User"


async def find_open_share(connection: Connection, share: str) -> dict[str, Any] | None:
    """``password`` and ``date_end`` of a share when there is one and now is within its time."""
    if not is_uuid(share):
        return None
    now = bound(connection, datetime.now(UTC))
    begun = sa.or_(_SHARES.c.date_start.is_(None), _SHARES.c.date_start <= now)
    going = sa.or_(_SHARES.c.date_end.is_(None), _SHARES.c.date_end >= now)
    statement = sa.select(_SHARES.c.password, _SHARES.c.date_end).where(_SHARES.c.id == share, begun, going)
    rows = await connection.select(statement)
    return rows[0] if rows else None


def time_left(share: Mapping[str, Any]) -> float:
    """Milliseconds until a share is over: tokens for it live no longer."""
    end = share["date_end"]
    return math.inf if end is None else max(0.0, (instant(end) - time.time()) * 1000)


def _is_usable(share: str) -> sa.ColumnElement[bool]:
    """Used less than it may be; as in the reference one use more than ``max_uses`` says."""
    left = sa.or_(_SHARES.c.max_uses.is_(None), _SHARES.c.max_uses >= sa.func.coalesce(_SHARES.c.times_used, 0))
    return sa.and_(_SHARES.c.id == share, left)
