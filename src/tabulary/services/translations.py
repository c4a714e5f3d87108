"""The project's own texts (``directus_translations``): one value for each key and language."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tabulary.core.errors import InvalidPayload
from tabulary.database.connection import Connection
from tabulary.items.options import Key, MutationOptions
from tabulary.services.items import ItemsService

_TAKEN = "There is a translation of this key into this language already"


class TranslationsService(ItemsService):
    """``directus_translations``. No database constraint keeps key and language unique, so writes take turns."""

    async def create_one(self, data: Mapping[str, Any], options: MutationOptions | None = None) -> Key:
        """Raises :class:`InvalidPayload` when key and language are taken."""

        async def work(connection: Connection) -> Key:
            inside = self._inside(connection)
            if data.get("key") is not None and data.get("language") is not None:
                await inside._check_free(connection, data["key"], data["language"])
            return await super(TranslationsService, inside).create_one(data, options)

        return await self.platform.database.run_in_transaction(work, self.connection)

    async def update_many(
        self, keys: Sequence[Key], data: Mapping[str, Any], options: MutationOptions | None = None
    ) -> list[Key]:
        """Change items, the key or the language but not both at once (as the reference has it).

        Raises :class:`InvalidPayload` for both, and when an item would get a key and language that are taken.
        """
        if data.get("key") is not None and data.get("language") is not None:
            raise InvalidPayload("Change the key or the language of a translation, not both at once")

        async def work(connection: Connection) -> list[Key]:
            inside = self._inside(connection)
            updated = await super(TranslationsService, inside).update_many(keys, data, options)
            if "key" in data or "language" in data:
                await inside._check_own(connection, keys)
            return updated

        return await self.platform.database.run_in_transaction(work, self.connection)

    def _inside(self, connection: Connection) -> TranslationsService:
        return self.fork(connection=connection)

    async def _check_own(self, connection: Connection, keys: Sequence[Key]) -> None:
        """Every one of the written items must be alone with its key and language."""
        await connection.dialect.lock(connection, self.collection)
        system = self.fork(connection=connection, accountability=None)
        for row in await system.read_many(keys, {"fields": ["key", "language"], "limit": -1}):
            if len(await self._found(connection, row["key"], row["language"])) > 1:
                raise InvalidPayload(_TAKEN)

    async def _check_free(self, connection: Connection, key: Any, language: Any) -> None:
        await connection.dialect.lock(connection, self.collection)
        if await self._found(connection, key, language):
            raise InvalidPayload(_TAKEN)

    async def _found(self, connection: Connection, key: Any, language: Any) -> list[Any]:
        system = self.fork(connection=connection, accountability=None)
        same = {"_and": [{"key": {"_eq": key}}, {"language": {"_eq": language}}]}
        return await system.get_keys_by_query({"filter": same, "limit": 2})
