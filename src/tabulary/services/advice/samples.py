"""Values for what a rule leaves open, out of the tables themselves: so a try reads what a real caller might read."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import sqlalchemy as sa

from tabulary.database.connection import Connection
from tabulary.items.conditions import AllOf, AnyOf, Condition, Constant, Member, Target
from tabulary.items.filter import Variable
from tabulary.items.slow import SAMPLE
from tabulary.schema.overview import Collection, Schema

_WORD = re.compile(r"[^\W_]{4,}")


class Samples:
    """Values from the middle of the tables of a connection."""

    def __init__(self, schema: Schema, connection: Connection, rows: dict[str, int]) -> None:
        self._schema, self._connection, self._rows = schema, connection, rows
        self._known: dict[tuple[str, str], Any] = {}

    async def filled(self, condition: Condition) -> Condition:
        """A condition in which variables and ``$SAMPLE`` have become values."""
        if isinstance(condition, AllOf | AnyOf):
            return replace(condition, children=tuple([await self.filled(child) for child in condition.children]))
        if isinstance(condition, Member):
            return replace(condition, condition=await self.filled(condition.condition))
        operand = condition.operand
        if isinstance(operand, tuple):
            return replace(condition, operand=tuple([await self._value(o, condition.target) for o in operand]))
        return replace(condition, operand=await self._value(operand, condition.target))

    async def _value(self, operand: Any, target: Target) -> Any:
        if not isinstance(operand, Variable) and operand != Constant(SAMPLE):
            return operand
        if target.function is not None or target.counted is not None:
            return Constant(1)
        return Constant(await self.value(target.collection, target.field.field))

    async def value(self, base: Collection, column: str) -> Any:
        """What a row in the middle has in a column, of those that have something; None for an empty column."""
        place = (base.collection, column)
        if place not in self._known:
            self._known[place] = await self._read(base, column)
        return self._known[place]

    async def _read(self, base: Collection, column: str) -> Any:
        table = sa.table(base.collection, sa.column(column), sa.column(base.primary))
        rows = self._rows.get(base.collection, 0)
        query = sa.select(table.c[column].label("value")).where(table.c[column].is_not(None))
        for offset in (rows // 2, 0):  # too far for a column that is empty in most rows
            found = await self._connection.select(query.order_by(table.c[base.primary]).offset(offset).limit(1))
            if found:
                return found[0]["value"]
        return None

    async def word(self, base: Collection, columns: tuple[str, ...]) -> str | None:
        """A word that a search finds: the longest of a row in the middle."""
        words: list[str] = []
        for column in columns:
            words += _WORD.findall(str(await self.value(base, column) or ""))
        return max(words, key=lambda word: (not word.isdigit(), len(word)), default=None)
