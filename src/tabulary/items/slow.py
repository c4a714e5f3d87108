"""The log of slow reads: the statement, how long it took, and the database's plan for it. Values stay out of it."""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Sequence
from typing import Any

from tabulary.database.engine import Database

logger = logging.getLogger("tabulary.slow")

_LITERAL = re.compile(r"'(?:[^']|'')*'")
_NUMBER = re.compile(r"(?<=[\s({=<>,])-?\d+(?:\.\d+)?(?=[\s)},:]|$)")
_CONDITION = re.compile(r"^(.*?(?:Cond|Filter|Key): )(.*)$", re.MULTILINE)


class SlowLog:
    """Reads above ``threshold`` milliseconds (``DB_SLOW_QUERY_THRESHOLD``), one plan at a time.

    Asking for plans must not become a load of its own: while one is asked for, other slow reads are logged without.
    """

    def __init__(self, database: Database, threshold: float) -> None:
        self._database = database
        self._seconds = threshold / 1000
        self._explaining: asyncio.Task[None] | None = None

    def note(self, sql: str, values: Sequence[Any], seconds: float) -> None:
        """A read has ended after so long."""
        if seconds < self._seconds:
            return
        if self._explaining is None or self._explaining.done():
            self._explaining = asyncio.ensure_future(self._explain(sql, values, seconds))
        else:
            _log(sql, seconds, "")

    async def _explain(self, sql: str, values: Sequence[Any], seconds: float) -> None:
        try:
            async with self._database.connection() as connection:
                plan = without_values(await connection.dialect.plan(connection, sql, values))
        except Exception as problem:
            plan = f"no plan: {type(problem).__name__}"
        _log(sql, seconds, plan)

    async def close(self) -> None:
        """Wait for the plan that is asked for."""
        if self._explaining is not None:
            await asyncio.wait([self._explaining])


def without_values(plan: str) -> str:
    """A plan without the values that its conditions name: they are people's data."""
    plan = _LITERAL.sub("?", plan)
    return _CONDITION.sub(lambda found: found[1] + _NUMBER.sub("?", found[2]), plan)


def _log(sql: str, seconds: float, plan: str) -> None:
    logger.warning("a read took %.0f ms: %s%s", seconds * 1000, sql, f"\n{plan}" if plan else "")
