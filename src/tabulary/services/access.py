"""Grants: which policy holds for which role or user (``directus_access``, spec users §4.7–4.9).

:class:`AccessRuleService` is the base of all services whose items decide who may do what.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from tabulary.access.integrity import IntegrityFlags
from tabulary.database.connection import Connection
from tabulary.items.options import Key, MutationOptions
from tabulary.services.items import ItemsService

Payload = Mapping[str, Any]


class AccessRuleService(ItemsService):
    """Items whose changes may leave nobody in charge, or too many.

    Subclasses say by ``for_create``, ``for_update`` and ``for_delete`` what a write has to be checked for.
    """

    def for_create(self, payloads: Sequence[Payload], options: MutationOptions) -> MutationOptions:
        return options

    def for_update(self, data: Payload, options: MutationOptions) -> MutationOptions:
        return options

    def for_delete(self, options: MutationOptions) -> MutationOptions:
        return options

    async def create_one(self, data: Payload, options: MutationOptions | None = None) -> Key:
        return await super().create_one(data, self.for_create([data], options or MutationOptions()))

    async def create_many(self, data: Sequence[Payload], options: MutationOptions | None = None) -> list[Key]:
        required = self.for_create(data, options or MutationOptions())
        return await self.plain(self.connection).create_many(data, required)

    async def update_many(
        self, keys: Sequence[Key], data: Payload, options: MutationOptions | None = None
    ) -> list[Key]:
        return await super().update_many(keys, data, self.for_update(data, options or MutationOptions()))

    async def delete_many(self, keys: Sequence[Key], options: MutationOptions | None = None) -> list[Key]:
        return await super().delete_many(keys, self.for_delete(options or MutationOptions()))

    def plain(self, connection: Connection | None) -> ItemsService:
        """The same items without the rules of this class, for writes that have been checked as a whole."""
        return ItemsService(
            self.collection,
            platform=self.platform,
            schema=self.schema,
            accountability=self.accountability,
            connection=connection,
            nested=self.nested,
        )


def requiring(options: MutationOptions, flags: IntegrityFlags) -> MutationOptions:
    """The options with more integrity checks (spec users §1.3)."""
    return replace(options, user_integrity_check_flags=options.user_integrity_check_flags | flags)


class AccessService(AccessRuleService):
    """``directus_access``. Every change counts users anew: it may give or take admin access."""

    def for_create(self, payloads: Sequence[Payload], options: MutationOptions) -> MutationOptions:
        return requiring(options, IntegrityFlags.USER_LIMITS)

    def for_update(self, data: Payload, options: MutationOptions) -> MutationOptions:
        return requiring(options, IntegrityFlags.ALL)

    def for_delete(self, options: MutationOptions) -> MutationOptions:
        return requiring(options, IntegrityFlags.ALL)
