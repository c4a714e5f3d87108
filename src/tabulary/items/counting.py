"""The counts in ``meta``: exact, capped (``count=capped``) or by the database's own guess (``count=estimated``).

A guess comes from statistics of whole tables. Whoever may see some items only could learn from it about the others, for
instance where the values of hidden items lie; they get a capped count instead.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from tabulary.access.accountability import Accountability
from tabulary.access.permissions import PermissionSet
from tabulary.database.connection import Connection, Statement
from tabulary.items.filter import EMPTY, Filter, Leaf, Quantified
from tabulary.items.planner import Planner
from tabulary.items.query import Query
from tabulary.items.reader import Reader, counted_node
from tabulary.items.sql import Compiler
from tabulary.schema.overview import Collection, Schema

_CLEARLY_MORE = 2
"""A guess is believed when it is so many times what would be counted exactly."""


async def counts(
    reader: Reader,
    schema: Schema,
    collection: str,
    accountability: Accountability | None,
    query: Query,
    narrowed: Callable[[Query], Awaitable[Query]] | None = None,
) -> dict[str, Any] | None:
    """What ``meta`` says for a query, or None when it asks for no counts (spec items-and-query §2.2).

    With a cap its number is there as ``count_cap``, and ``count_estimated`` names those counts that are guesses.
    ``narrowed``: what a collection's own rules make of each query. Raises :class:`Forbidden` as reads do.
    """
    if not query.meta:
        return None
    counted: dict[str, Any] = {}
    guessed: list[str] = []
    for name in query.meta:
        asked = query if name == "filter_count" else Query(count_cap=query.count_cap, estimates=query.estimates)
        if narrowed is not None:
            asked = await narrowed(asked)
        guess = await _guess(reader, schema, collection, accountability, asked) if asked.estimates else None
        if guess is not None:
            guessed.append(name)
        counted[name] = guess or await reader.count(schema, collection, accountability, asked)
    if query.count_cap is not None:
        counted["count_cap"] = query.count_cap
    return {**counted, "count_estimated": guessed} if query.estimates else counted


async def _guess(
    reader: Reader, schema: Schema, collection: str, accountability: Accountability | None, query: Query
) -> int | None:
    """About how many items a query selects; None when they are few, or there is no guess, or not for this caller."""
    permissions = await reader.access.permissions(accountability, schema, None)
    base = schema.collections.get(collection)
    if base is None or not _sees_all(permissions, base, query.root.filter):
        return None
    whole = None if query.root.search or query.root.filter != EMPTY else collection

    def compile_(compiler: Compiler, planner: Planner) -> Statement:
        return compiler.all_rows(counted_node(planner, collection, query))

    async def fetch(connection: Connection, sql: str, values: list[Any]) -> int | None:
        return await connection.dialect.estimate(connection, sql, values, whole)

    guess = await reader.run("guess", schema, collection, query, accountability, None, compile_, fetch)
    return None if guess is None or guess < _CLEARLY_MORE * (query.count_cap or 0) else int(guess)


def _sees_all(permissions: PermissionSet, base: Collection, tree: Filter) -> bool:
    """True when every item that the statistics of the filter's columns were made of is one that the caller may see."""
    if permissions.unrestricted:
        return True
    rows = permissions.of_action(base.collection, "read")
    return not any(row.permissions for row in rows) and not _leaves_collection(tree, base)


def _leaves_collection(tree: Filter, base: Collection) -> bool:
    if isinstance(tree, Leaf):
        field = base.fields.get(tree.path[0])
        return len(tree.path) > 1 or field is None or field.alias
    return isinstance(tree, Quantified) or any(_leaves_collection(child, base) for child in tree.children)
