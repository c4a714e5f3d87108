"""Work at certain times, as cron expressions say, while a server runs.

Every process runs its own clock; the jobs themselves see to it that two of them at once do no harm (retention: a lock
a batch). Expressions have five fields, or six with seconds first.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from datetime import datetime

from tabulary.core.errors import ConfigurationError

logger = logging.getLogger("tabulary.schedules")

Job = Callable[[], Awaitable[object]]


class Schedules:
    """The timed jobs of one server. A job that fails is logged and tried again at its next time."""

    def __init__(self) -> None:
        self._jobs: list[tuple[str, str, Job]] = []
        self._clocks: list[asyncio.Task[None]] = []

    def add(self, name: str, expression: str, job: Job) -> None:
        """Run ``job`` at the times of a cron expression.

        Raises :class:`ConfigurationError` for one that cannot be understood.
        """
        next_time(expression, datetime.now().astimezone())
        self._jobs.append((name, expression, job))

    def start(self) -> None:
        self._clocks = [asyncio.ensure_future(self._run(*entry)) for entry in self._jobs]

    async def stop(self) -> None:
        """End the clocks; a job under way is cancelled where it waits."""
        clocks, self._clocks = self._clocks, []
        for clock in clocks:
            clock.cancel()
        await asyncio.gather(*clocks, return_exceptions=True)

    @staticmethod
    async def _run(name: str, expression: str, job: Job) -> None:
        while True:
            now = datetime.now().astimezone()
            await asyncio.sleep(max(0.0, (next_time(expression, now) - now).total_seconds()))
            try:
                await job()
            except Exception:
                logger.exception("the scheduled job %s failed", name)


def next_time(expression: str, after: datetime) -> datetime:
    """The next moment of a cron expression. Raises :class:`ConfigurationError` for one that makes no sense."""
    from croniter import CroniterError, croniter  # here, because only servers with timed jobs need it

    try:
        found: datetime = croniter(expression, after, second_at_beginning=True).get_next(datetime)
    except (CroniterError, AttributeError) as problem:
        raise ConfigurationError(f'"{expression}" is not a cron expression: {problem}') from None
    return found
