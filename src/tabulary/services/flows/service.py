"""The flows as items."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tabulary.database.connection import Connection
from tabulary.items.options import Key, MutationOptions
from tabulary.services.items import ItemsService


class FlowsService(ItemsService):
    """``directus_flows``."""

    async def delete_many(self, keys: Sequence[Key], options: MutationOptions | None = None) -> list[Key]:
        """Delete flows with their operations, which have to let go of one another first."""

        async def work(connection: Connection) -> list[Key]:
            inside: Any = self.fork(connection=connection)
            await inside._check_items("delete", list(keys), [])
            operations = self.platform.service("directus_operations", schema=self.schema, connection=connection)
            linked = {"filter": {"flow": {"_in": list(keys)}}, "limit": -1}
            quiet = MutationOptions(emit_events=False, bypass_limits=True)
            await operations.update_by_query(linked, {"resolve": None, "reject": None}, quiet)
            return await super(FlowsService, inside).delete_many(keys, options)

        return await self.platform.database.run_in_transaction(work, self.connection)
