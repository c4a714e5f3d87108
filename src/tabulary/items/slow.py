"""The log of slow reads: the statement, how long it took, and the database's plan for it. Values stay out of it."""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Mapping, Sequence
from typing import Any

from tabulary.database.engine import Database
from tabulary.items.filter import Filter, Leaf, Null, Operand, Or, Quantified, Variable
from tabulary.items.query import Level

logger = logging.getLogger("tabulary.slow")

SAMPLE = "$SAMPLE"
"""Stands for a value that is not told."""

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

    def note(self, sql: str, values: Sequence[Any], seconds: float, collection: str, level: Level) -> None:
        """A read of a collection has ended after so long."""
        if seconds < self._seconds:
            return
        if self._explaining is None or self._explaining.done():
            read = read_of(collection, level)
            self._explaining = asyncio.ensure_future(self._explain(sql, values, seconds, read))
        else:
            _log(sql, seconds, "", read_of(collection, level))

    async def _explain(self, sql: str, values: Sequence[Any], seconds: float, read: Mapping[str, Any]) -> None:
        try:
            async with self._database.connection() as connection:
                plan = without_values(await connection.dialect.plan(connection, sql, values))
        except Exception as problem:
            plan = f"no plan: {type(problem).__name__}"
        _log(sql, seconds, plan, read)

    async def close(self) -> None:
        """Wait for the plan that is asked for."""
        if self._explaining is not None:
            await asyncio.wait([self._explaining])


def without_values(plan: str) -> str:
    """A plan without the values that its conditions name: they are people's data."""
    plan = _LITERAL.sub("?", plan)
    return _CONDITION.sub(lambda found: found[1] + _NUMBER.sub("?", found[2]), plan)


def read_of(collection: str, level: Level) -> dict[str, Any]:
    """What a read asks for, without values: ``tabulary advise --from-log`` takes it up."""
    return {
        "collection": collection,
        "filter": _told(level.filter),
        "sort": list(level.sort),
        "search": level.search is not None,
    }


def _told(tree: Filter) -> dict[str, Any]:
    """A filter as JSON, with ``$SAMPLE`` for its values."""
    if isinstance(tree, Leaf):
        operand = tree.operand
        if not isinstance(operand, bool):
            operands = [_operand(o) for o in (operand if isinstance(operand, tuple) else (operand,))]
            return _nested(tree.path, {tree.operator: operands if isinstance(operand, tuple) else operands[0]})
        return _nested(tree.path, {tree.operator: operand})
    if isinstance(tree, Quantified):
        return _nested(tree.path, {tree.quantifier: _told(tree.filter)})
    children = [_told(child) for child in tree.children]
    return {"_or" if isinstance(tree, Or) else "_and": children} if children else {}


def _operand(operand: Operand) -> str | None:
    if isinstance(operand, Variable):
        return operand.text
    return None if isinstance(operand, Null) else SAMPLE


def _nested(path: Sequence[str], inner: dict[str, Any]) -> dict[str, Any]:
    for name in reversed(path):
        inner = {name: inner}
    return inner


def _log(sql: str, seconds: float, plan: str, read: Mapping[str, Any]) -> None:
    shown = f"\n{plan}" if plan else ""
    logger.warning("a read took %.0f ms: %s%s", seconds * 1000, sql, shown, extra={"read": read})
