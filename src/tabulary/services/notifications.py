"""Notifications: rows that a user finds in the inbox, and the mail that tells of each (spec files-… §5.1)."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from tabulary.access.links import own_page
from tabulary.core.errors import TabularyError
from tabulary.core.mail.markdown import html_of
from tabulary.items.options import Key, MutationOptions
from tabulary.services.items import ItemsService
from tabulary.services.represented import accountability_of

logger = logging.getLogger("tabulary.notifications")


class NotificationsService(ItemsService):
    """``directus_notifications``."""

    async def create_one(self, data: Mapping[str, Any], options: MutationOptions | None = None) -> Key:
        """Create a notification and mail it, unless its recipient wants no mail. Mail troubles are only logged."""
        key = await super().create_one(data, options)
        try:
            await self._mail(data)
        except TabularyError as problem:
            logger.warning("no mail for notification %s: %s", key, problem.message)
        return key

    async def _mail(self, data: Mapping[str, Any]) -> None:
        recipient = await self._recipient(data.get("recipient"))
        if recipient is None or not recipient["email"] or not recipient["email_notifications"]:
            return
        content = {"html": html_of(data.get("message"))}
        who = await accountability_of(self.platform, recipient["id"], recipient["role"])
        if who.app:
            content["url"] = own_page(self.platform.settings, f"admin/users/{recipient['id']}")
        await self.platform.mail.send(
            to=[recipient["email"]],
            subject=str(data.get("subject") or ""),
            template="base",
            data=content,
            connection=self.connection,
        )

    async def _recipient(self, given: Any) -> dict[str, Any] | None:
        key = given.get("id") if isinstance(given, Mapping) else given
        if not isinstance(key, str):
            return None
        users = self.platform.service("directus_users", schema=self.schema, connection=self.connection)
        query = {"fields": ["id", "email", "email_notifications", "role"]}
        found: list[dict[str, Any]] = await users.read_many([key], query)
        return found[0] if found else None
