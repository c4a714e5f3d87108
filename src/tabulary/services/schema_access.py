"""What the services of the data model share: the model at hand and the caller's rights to see parts of it."""

from __future__ import annotations

from tabulary.access.accountability import Accountability
from tabulary.access.permissions import PermissionSet
from tabulary.database.connection import Connection
from tabulary.items.platform import Platform
from tabulary.schema.model import DataModel
from tabulary.schema.overview import Schema


class DataModelService:
    """Works on the data model for one caller. Inside a transaction it sees what the transaction has changed."""

    def __init__(
        self,
        *,
        platform: Platform,
        schema: Schema,
        accountability: Accountability | None = None,
        connection: Connection | None = None,
    ) -> None:
        self.platform = platform
        self.schema = schema
        self.accountability = accountability
        self.connection = connection

    async def _model(self) -> DataModel:
        """The cached data model, or a fresh one inside an open transaction."""
        if self.connection is not None and self.connection.in_transaction:
            return await self.platform.schemas.fresh(self.connection)
        return await self.platform.schemas.model()

    async def _permissions(self) -> PermissionSet:
        """What the caller may do."""
        return await self.platform.access.permissions(self.accountability, self.schema)
