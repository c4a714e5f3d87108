"""Flows that run at certain times. Of all processes on one database one runs each flow each time (spec §4.2)."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine, Iterable
from datetime import UTC, datetime
from typing import Any, Final

import sqlalchemy as sa

from tabulary.core.errors import ConfigurationError
from tabulary.database.connection import Connection
from tabulary.database.versions import TABLE
from tabulary.items.platform import Platform
from tabulary.services.flows.model import Flow
from tabulary.services.schedules import next_time

logger = logging.getLogger("tabulary.flows")

_CLOCK: Final = sa.table(TABLE, sa.column("topic"), sa.column("version"))
"""Beside the versions of what processes remember: when each flow was last due, under its id without dashes."""
_LOCK: Final = "flow schedules"


class FlowSchedules:
    """The clocks of one process.

    Args:
        platform: whose flows they are.
        run: runs a flow.
    """

    def __init__(self, platform: Platform, run: Callable[[Flow], Coroutine[Any, Any, None]]) -> None:
        self._platform = platform
        self._run = run
        self._flows: dict[str, Flow] = {}
        self._clocks: dict[str, tuple[Flow, asyncio.Task[None]]] = {}
        self._started = False

    def set(self, flows: Iterable[Flow]) -> None:
        """Keep time for these flows from now on. One whose times cannot be understood never runs; the log says so."""
        self._flows = {flow.id: flow for flow in flows}
        if self._started:
            self._arrange()

    def start(self) -> None:
        self._started = True
        self._arrange()

    async def stop(self) -> None:
        self._started = False
        clocks, self._clocks = [task for _, task in self._clocks.values()], {}
        for clock in clocks:
            clock.cancel()
        await asyncio.gather(*clocks, return_exceptions=True)

    def _arrange(self) -> None:
        """Leave the clocks of flows alone that have not changed: a change of another must not lose their time."""
        for key, (flow, task) in list(self._clocks.items()):
            if self._flows.get(key) != flow:
                task.cancel()
                del self._clocks[key]
        for key, flow in self._flows.items():
            if key in self._clocks:
                continue
            try:
                next_time(str(flow.option("cron")), datetime.now().astimezone())
            except ConfigurationError as problem:
                logger.warning('the flow "%s" is never run: %s', flow.name, problem)
            else:
                self._clocks[key] = flow, asyncio.ensure_future(self._keep_time(flow))

    async def _keep_time(self, flow: Flow) -> None:
        expression = str(flow.option("cron"))
        while True:
            now = datetime.now().astimezone()
            due = next_time(expression, now)
            await asyncio.sleep(max(0.0, (due - now).total_seconds()))
            try:
                if await self._is_mine(flow, due):
                    # its own task: a change of the flow while it runs ends the clock, not the run
                    self._platform.jobs.start(self._run(flow))
            except Exception:
                logger.exception('the flow "%s" could not be started', flow.name)

    async def _is_mine(self, flow: Flow, due: datetime) -> bool:
        """Whether this process is the first one to come for this moment."""
        topic, moment = flow.id.replace("-", ""), due.astimezone(UTC).isoformat(timespec="seconds")
        row = _CLOCK.c.topic == sa.bindparam("flow")

        async def claim(connection: Connection) -> bool:
            await connection.dialect.lock(connection, _LOCK)
            found = await connection.select(sa.select(_CLOCK.c.version).where(row), flow=topic)
            if not found:
                await connection.run(sa.insert(_CLOCK).values(topic=topic, version=moment))
                return True
            if found[0]["version"] >= moment:
                return False
            await connection.run(sa.update(_CLOCK).values(version=sa.bindparam("m")).where(row), flow=topic, m=moment)
            return True

        return await self._platform.database.run_in_transaction(claim)
