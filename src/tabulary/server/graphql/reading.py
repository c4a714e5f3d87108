"""Reads for GraphQL: a query with picks in, JSON text in the picks' shape out.

Where the service answers in SQL the picks travel with the query and the database shapes the answer; where it does
not, its items are shaped in memory.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from tabulary.core import json
from tabulary.items.query import Query
from tabulary.items.selection import Pick, as_number, shaped

Picks = tuple[Pick, ...]


async def read_list(service: Any, query: Query, picks: Picks) -> str:
    """The items of a query. Raises what the service raises."""
    if service.answers_in_sql:
        text: str = await service.read_json_by_query(query.with_selection(picks))
        return text
    return _encoded(shaped(await service.read_by_query(query), picks))


async def read_one(service: Any, key: Any, query: Query, picks: Picks) -> str:
    """One item. Raises :class:`Forbidden` when there is none to see."""
    if service.answers_in_sql and not query.version:
        text: str = await service.read_json_one(key, query.with_selection(picks))
        return text
    return _encoded(shaped(await service.read_one(key, query), picks))


async def read_many(service: Any, keys: Sequence[Any], query: Query, picks: Picks) -> str:
    """The items with these keys, as far as the query lets them through."""
    if not keys:
        return "[]"
    if service.answers_in_sql:
        text: str = await service.read_json_many(keys, query.with_selection(picks))
        return text
    return _encoded(shaped(await service.read_many(keys, query), picks))


async def read_singleton(service: Any, query: Query, picks: Picks) -> str:
    """The only item, or what its fields are by default."""
    if service.answers_in_sql and not query.version:
        text: str = (await service.read_json_by_query(query.with_limit(1).with_selection(picks))).strip()
        if text != "[]":
            return text[1:-1]
    return _encoded(shaped(await service.read_singleton(query), picks))


async def read_groups(service: Any, query: Query, picks: Picks) -> str:
    """The rows of an aggregation (spec §1.10)."""
    functions = {name for name, _ in query.root.aggregate}
    grouped = bool(functions or query.root.group)
    plain = query.with_fields(service.blueprint.collection.primary)
    rows = await service.read_by_query(query.with_selection(()) if grouped else plain)
    return _encoded([_group(row, picks, functions, grouped) for row in rows])


def _group(row: Mapping[str, Any], picks: Iterable[Pick], functions: set[str], grouped: bool) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for pick in picks:
        if pick.form == "word":
            found[pick.key] = pick.name
        elif pick.name == "group":
            found[pick.key] = {k: v for k, v in row.items() if k not in functions} if grouped else None
        elif pick.form == "related":
            values = row.get(pick.name) or {}
            found[pick.key] = {p.key: p.name if p.form == "word" else as_number(values.get(p.name)) for p in pick.picks}
        else:
            found[pick.key] = as_number(row.get(pick.name))
    return found


def _encoded(value: Any) -> str:
    return json.encode(value).decode()
