"""Deleting old activity, revisions and flow logs (``RETENTION_*``, spec schema-and-platform §6.2).

In small batches, each a transaction of its own, so that nobody waits for a long lock and a stop in the middle leaves
nothing half done. A revision has no date; it is as old as its activity.
"""

from __future__ import annotations

import asyncio
import logging
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from tabulary.core.settings import Settings
from tabulary.database.connection import Connection
from tabulary.database.dialects.base import Column
from tabulary.items.moments import now
from tabulary.items.platform import Platform
from tabulary.services.schedules import Schedules

logger = logging.getLogger("tabulary.retention")

PAUSE = 0.05
"""Seconds between two batches, for everybody else."""

_ACTIVITY = sa.table("directus_activity", *map(sa.column, ("id", "action", "timestamp")))
_REVISIONS = sa.table("directus_revisions", *map(sa.column, ("id", "activity", "parent")))
_FLOW_RUN = "run"
_LOCK = "retention"


class Retention:
    """The clean-up of one platform."""

    def __init__(self, platform: Platform) -> None:
        self._platform = platform
        self._batch = max(1, int(platform.settings["RETENTION_BATCH"]))

    async def run(self) -> dict[str, int]:
        """Delete what is too old; how many rows of activity, flow logs and revisions went."""
        done: dict[str, int] = {}
        for name, condition in self._kinds():
            done[name] = await self._clean(condition, only_revisions=name == "revisions")
        if any(done.values()):
            logger.info("retention deleted %s", ", ".join(f"{count} {name}" for name, count in done.items()))
        return done

    def _kinds(self) -> list[tuple[str, sa.ColumnElement[bool]]]:
        action, found = _ACTIVITY.c.action, []
        for name, setting, which in (
            ("revisions", "REVISIONS_RETENTION", sa.true()),
            ("activity", "ACTIVITY_RETENTION", action != _FLOW_RUN),
            ("flow logs", "FLOW_LOGS_RETENTION", action == _FLOW_RUN),
        ):
            age = self._platform.settings.duration(setting)
            if age is not None and age > 0:
                found.append((name, sa.and_(which, _ACTIVITY.c.timestamp < self._moment(age))))
        return found

    def _moment(self, age: int) -> Any:
        """So many milliseconds ago, as the database keeps moments."""
        then: datetime = now() - timedelta(milliseconds=age)
        return self._platform.database.dialect.values.write(then, Column("timestamp", "timestamp"))

    async def _clean(self, condition: sa.ColumnElement[bool], only_revisions: bool) -> int:
        total = 0
        while True:
            if only_revisions:
                count = await self._platform.database.run_in_transaction(lambda c: self._revisions(c, condition))
            else:
                count = await self._platform.database.run_in_transaction(lambda c: self._activities(c, condition))
            total += count
            if count < self._batch:
                return total
            await asyncio.sleep(PAUSE)

    async def _revisions(self, connection: Connection, condition: sa.ColumnElement[bool]) -> int:
        await connection.dialect.lock(connection, _LOCK)
        joined = _REVISIONS.join(_ACTIVITY, _REVISIONS.c.activity == _ACTIVITY.c.id)
        return await self._delete(connection, sa.select(_REVISIONS.c.id).select_from(joined).where(condition))

    async def _activities(self, connection: Connection, condition: sa.ColumnElement[bool]) -> int:
        await connection.dialect.lock(connection, _LOCK)
        found = await self._keys(connection, sa.select(_ACTIVITY.c.id).where(condition).order_by(_ACTIVITY.c.id))
        if not found:
            return 0
        chosen = _ACTIVITY.c.id.in_(found)
        while await self._delete(connection, sa.select(_REVISIONS.c.id).where(_REVISIONS.c.activity.in_(found))):
            pass
        await connection.run(sa.delete(_ACTIVITY).where(chosen))
        return len(found)

    async def _delete(self, connection: Connection, revisions: sa.Select[Any]) -> int:
        """Delete a batch of revisions; those that were written below them lose their parent."""
        found = await self._keys(connection, revisions.order_by(_REVISIONS.c.id))
        if found:
            await connection.run(sa.update(_REVISIONS).values(parent=sa.null()).where(_REVISIONS.c.parent.in_(found)))
            await connection.run(sa.delete(_REVISIONS).where(_REVISIONS.c.id.in_(found)))
        return len(found)

    async def _keys(self, connection: Connection, select: sa.Select[Any]) -> list[Any]:
        rows = await connection.select(select.limit(sa.literal_column(str(self._batch))))
        write = connection.dialect.values.write
        return [write(row["id"], Column("id", "integer")) for row in rows]


def schedule_retention(schedules: Schedules, platform: Platform, settings: Settings) -> None:
    """Have old records deleted at their time, with ``RETENTION_ENABLED``."""
    if settings["RETENTION_ENABLED"]:
        schedules.add("retention", str(settings["RETENTION_SCHEDULE"]), Retention(platform).run)
