"""Comments on items, and the people mentioned in them (spec files-graphql-realtime-flows §5.2)."""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any
from urllib.parse import quote

from tabulary.access.accountability import Accountability
from tabulary.access.links import own_page
from tabulary.core.errors import Forbidden, InvalidPayload
from tabulary.items.keys import check_keys
from tabulary.items.options import Key, MutationOptions
from tabulary.services.items import ItemsService
from tabulary.services.represented import accountability_of

logger = logging.getLogger("tabulary.comments")

_MENTION = re.compile(r"@([0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12})", re.IGNORECASE)
_UNNAMED = "User"
_REQUIRED = ("comment", "collection", "item")


class CommentsService(ItemsService):
    """``directus_comments``. Comments are made and changed by people: anonymous callers and shares are refused."""

    async def create_one(self, data: Mapping[str, Any], options: MutationOptions | None = None) -> Key:
        """Create a comment on an item that the caller can read, and notify everybody mentioned in it.

        Raises :class:`InvalidPayload` without text, collection or item, and :class:`Forbidden` for an item out of
        sight. A mention of nobody raises it too; the comment stands then.
        """
        self._require_user()
        for name in _REQUIRED:
            if not data.get(name):
                raise InvalidPayload(f'"{name}" is required')
        collection, item = data["collection"], data["item"]
        if not isinstance(collection, str) or collection not in self.schema.collections:
            raise Forbidden
        await self._check_visible(collection, item, self.accountability)
        key = await super().create_one(data, options)
        for user in dict.fromkeys(match.lower() for match in _MENTION.findall(str(data["comment"]))):
            await self._notify(user, data)
        return key

    async def update_many(
        self, keys: Sequence[Key], data: Mapping[str, Any], options: MutationOptions | None = None
    ) -> list[Key]:
        self._require_user()
        return await super().update_many(keys, data, options)

    async def delete_many(self, keys: Sequence[Key], options: MutationOptions | None = None) -> list[Key]:
        self._require_user()
        return await super().delete_many(keys, options)

    def _require_user(self) -> None:
        if self.accountability is not None and self.accountability.user is None:
            raise Forbidden

    async def _check_visible(self, collection: str, item: Key, who: Accountability | None) -> None:
        """Raise :class:`Forbidden` unless somebody may read the item. Admins may comment on what is not there."""
        if who is None or who.admin:
            return
        check_keys(self.schema.collections[collection], [item])
        await self.platform.reader.check_items(self.schema, collection, "read", [item], [], who, self.connection)

    # --- mentions ---------------------------------------------------------------------------
    async def _notify(self, user: str, data: Mapping[str, Any]) -> None:
        """Tell somebody of a comment they are mentioned in, as far as they may know what it is about."""
        found = await self._users([user], None)
        if user not in found:
            raise Forbidden
        who = await accountability_of(self.platform, user, found[user]["role"])
        try:
            await self._check_visible(data["collection"], data["item"], who)
            mentioned = [match.lower() for match in _MENTION.findall(str(data["comment"]))]
            visible = await self._users(mentioned, who)
        except Forbidden as problem:
            logger.info("no notification of a mention for user %s: %s", user, problem.message)
            return
        author = None if self.accountability is None else self.accountability.user
        notifications = self.platform.service("directus_notifications", schema=self.schema, connection=self.connection)
        await notifications.create_one(
            {
                "recipient": user,
                "sender": author,
                "subject": f"You were mentioned in {data['collection']}",
                "message": await self._message(found[user], author, data, visible),
                "collection": data["collection"],
                "item": str(data["item"]),
            }
        )

    async def _message(
        self,
        recipient: Mapping[str, Any],
        author: str | None,
        data: Mapping[str, Any],
        visible: Mapping[str, Mapping[str, Any]],
    ) -> str:
        authors = await self._users([author], None) if author else {}
        writer = _name(authors.get(author or ""))
        quoted = _MENTION.sub(lambda m: f"<em>{_name(visible.get(m[1].lower()))}</em>", str(data["comment"]))
        quotation = "\n".join(f"> {line}" for line in quoted.splitlines())
        place = f"admin/content/{quote(data['collection'])}/{quote(str(data['item']), safe='')}"
        link = own_page(self.platform.settings, place)
        return (
            f"Hello {_name(recipient)},\n\n{writer} mentioned you in a comment:\n\n{quotation}\n\n"
            f"[Open the comment]({link})\n"
        )

    async def _users(self, keys: Sequence[str], who: Accountability | None) -> dict[str, dict[str, Any]]:
        """Names of users by id, as ``who`` may see them (None: everybody). Raises :class:`Forbidden`."""
        users = self.platform.service(
            "directus_users", schema=self.schema, accountability=who, connection=self.connection
        )
        fields = ["id", "first_name", "last_name", "email", *([] if who else ["role"])]
        return {row["id"]: row for row in await users.read_many(keys, {"fields": fields, "limit": -1})}


def _name(user: Mapping[str, Any] | None) -> str:
    """What somebody is called, safe inside of markup."""
    if user is None:
        return _UNNAMED
    full = " ".join(filter(None, (user.get("first_name"), user.get("last_name"))))
    return escape(full or user.get("email") or _UNNAMED)
