"""Trying a read before and after indexes, on a connection where they can be made."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from tabulary.access.permissions import UNRESTRICTED
from tabulary.database.connection import Connection, Statement
from tabulary.database.trial import Trial, Work
from tabulary.items.conditions import Condition, Resolver
from tabulary.items.filter import parse_rule
from tabulary.items.plan import Node
from tabulary.items.planner import Planner
from tabulary.items.platform import Platform
from tabulary.items.query import Query
from tabulary.items.slots import fill
from tabulary.items.sql import Compiler
from tabulary.schema.overview import Schema
from tabulary.services.advice.samples import Samples
from tabulary.services.advice.uses import Use, searched_columns
from tabulary.services.advice.wanted import Wanted, wanted_by

LONGEST = 30.0
"""Seconds that one read may take in a try."""
_RUNS, _ENOUGH = 6, 1_000.0
"""How often a read is timed at most, and the milliseconds after which it is not run again."""
_NOISE = 5.0
"""Milliseconds that a busy machine may add."""
_SHOWN, _CHILDREN = 25, 5
"""Items of a list, and of each list inside another."""


@dataclass(frozen=True, slots=True)
class Read:
    """A read as the database gets it, and the indexes that it could use."""

    statement: Statement
    values: Sequence[Any]
    wanted: tuple[Wanted, ...]


@dataclass(frozen=True, slots=True)
class Measure:
    """One side of a try: the best time in milliseconds, the work, and the indexes that were used."""

    milliseconds: float
    work: int
    indexes: frozenset[str]


class Reads:
    """Makes reads out of uses, by the same parts that answer requests."""

    def __init__(self, platform: Platform, schema: Schema, samples: Samples) -> None:
        self._platform, self._schema, self._samples = platform, schema, samples

    async def read(self, use: Use) -> Read | None:
        """The read of a use; None when there is nothing in the table to read by.

        Raises :class:`Forbidden` or :class:`InvalidQuery` for a rule that names what there is not.
        """
        base = self._schema.collections[use.collection]
        asked: dict[str, Any] = {"fields": [base.primary], "limit": _SHOWN}
        if use.sort:
            asked["sort"] = list(use.sort)
        if use.alias is not None:
            asked |= {"fields": [base.primary, f"{use.alias}.*"], "deep": {use.alias: {"_limit": _CHILDREN}}}
        if use.search:
            word = await self._samples.word(base, searched_columns(base))
            if word is None:
                return None
            asked["search"] = word
        query = Query.internal(asked, self._platform.settings)
        planner = Planner(self._schema, UNRESTRICTED, self._platform.reader.limits)
        node = planner.root(use.collection, query.root)
        condition = await self._condition(use)
        node = Node(**{name: getattr(node, name) for name in node.__slots__} | {"rows": condition})
        compiler = Compiler(self._schema, self._platform.database.dialect)
        statement = compiler.count(node) if use.counts else compiler.read(node)
        values = fill(compiler.slots.slots, query.values, {}, statement.constants, statement.names, 0)
        return Read(statement, values, tuple(self._wanted(use, condition, node)))

    async def _condition(self, use: Use) -> Condition | None:
        constants: list[Any] = []
        tree = parse_rule(use.filter, constants)
        found = Resolver(self._schema, None, constants).condition(tree, use.collection)
        return None if found is None else await self._samples.filled(found)

    def _wanted(self, use: Use, condition: Condition | None, node: Node) -> list[Wanted]:
        if use.search:
            return [Wanted(use.collection, searched_columns(node.collection), searches=True)]
        if use.alias is not None:
            relation = next(o.member.relation for o in node.outputs if o.key == use.alias)  # type: ignore[union-attr]
            sort = relation.sort_field
            columns = (relation.field, sort) if sort else (relation.field,)
            return [Wanted(relation.collection, columns, 1)]
        return wanted_by(use.collection, condition, () if use.counts else node.order)


async def measured(connection: Connection, read: Read) -> Measure:
    """Run a read a few times. Raises ``TimeoutError`` for one that takes too long."""
    runs: list[Work] = []
    async with asyncio.timeout(LONGEST):
        while len(runs) < _RUNS and sum(run.milliseconds for run in runs) < _ENOUGH:
            runs.append(await connection.dialect.trial.work(connection, read.statement.sql, read.values))
    return Measure(min(run.milliseconds for run in runs), runs[-1].amount, runs[-1].indexes)


async def texts_of(connection: Connection, schema: Schema, wanted: Wanted, concurrently: bool = False) -> list[str]:
    """The statements that make an index. Raises :class:`NoSearchIndex`."""
    ddl = connection.dialect.ddl
    if wanted.searches:
        key = schema.collections[wanted.collection].primary
        return await ddl.search_index_texts(connection, wanted.collection, key, wanted.columns, concurrently)
    return [ddl.index_text(wanted.collection, *wanted.columns, concurrently=concurrently)]


def is_better(trial: Trial, before: Measure, after: Measure) -> bool:
    """True for half the work or less, if there was any to speak of.

    A search index could still cost more time than the work that it saves.
    """
    less = after.work * 2 <= before.work and before.work - after.work >= trial.little
    return less and after.milliseconds <= before.milliseconds * 2 + _NOISE
