"""The data model of one Tabulary object, read once and kept until something changes it (spec §1.9)."""

from __future__ import annotations

import asyncio
from itertools import count

from tabulary.core.settings import Settings
from tabulary.database.connection import Connection
from tabulary.database.engine import Database
from tabulary.database.versions import SCHEMA
from tabulary.schema.model import DataModel, read_data_model
from tabulary.schema.overview import Schema
from tabulary.schema.system import SystemMetadata


class SchemaStore:
    """Hands out the current schema. Any number of callers wait for one reading.

    Every reading gets a number of its own, the ``version`` of its schema; caches that depend on the schema key by it.
    """

    def __init__(self, database: Database, settings: Settings) -> None:
        self._database = database
        self._settings = settings
        self._versions = count(1)
        self._model: DataModel | None = None
        self._reading: asyncio.Task[DataModel] | None = None
        database.versions.subscribe(SCHEMA, self.invalidate)
        self.system = SystemMetadata.load(settings.get("AUTH_PROVIDERS") or ())

    async def current(self) -> Schema:
        """The overview."""
        model = self._model
        return model.schema if model is not None else (await self.model()).schema

    async def model(self) -> DataModel:
        """The overview with the catalog facts and metadata that it was made of."""
        if self._model is not None:
            return self._model
        if self._settings.get("CACHE_SCHEMA", True) is False:
            return await self._read()
        if self._reading is None:
            self._reading = asyncio.ensure_future(self._read())
            self._reading.add_done_callback(self._keep)
        # shielded: a caller that goes away must not take the reading from the others
        return await asyncio.shield(self._reading)

    async def facts(self) -> DataModel:
        """The catalog facts cached with the schema (same object as :meth:`model`)."""
        return await self.model()

    async def fresh(self, connection: Connection) -> DataModel:
        """The data model as an open transaction sees it. Not kept."""
        return await read_data_model(connection, self._settings, self.system, next(self._versions))

    def invalidate(self) -> None:
        """Forget what is known. A reading under way serves those who wait for it, but is not kept."""
        self._model = None
        self._reading = None

    def _keep(self, reading: asyncio.Task[DataModel]) -> None:
        if self._reading is reading:
            self._reading = None
            if not reading.cancelled() and reading.exception() is None:
                self._model = reading.result()

    async def _read(self) -> DataModel:
        async with self._database.connection() as connection:
            return await self.fresh(connection)
