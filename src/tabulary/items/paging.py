"""Reading a list page by page from where the last page ended, so that the thousandth costs what the first did.

A page is one statement that also says where each item stands; at the border between nulls and values of the first sort
field it is two (:mod:`tabulary.items.keyset`). Items that nobody changes are neither skipped nor shown twice, whatever
happens to others meanwhile.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from tabulary.access.accountability import Accountability
from tabulary.core.errors import InvalidQuery
from tabulary.core.json import decode
from tabulary.database.connection import Connection, Statement
from tabulary.items.cursor import Cursor
from tabulary.items.plan import Node
from tabulary.items.planner import Planner
from tabulary.items.query import Level, Query
from tabulary.items.reader import KEY, Reader, with_key
from tabulary.items.sql import PLACE, Compiler
from tabulary.schema.overview import Field, Schema

_UNORDERED = frozenset({"json", "binary", "alias", "unknown", "hash"})


@dataclass(frozen=True, slots=True)
class Page:
    """Some items of a list.

    Attributes:
        items: in the list's order.
        next: the cursor of the page after this one; None at the end.
        previous: the cursor of the page before; None at the beginning.
    """

    items: list[dict[str, Any]]
    next: str | None
    previous: str | None


async def read_page(
    reader: Reader,
    schema: Schema,
    collection: str,
    query: Query,
    accountability: Accountability | None = None,
    connection: Connection | None = None,
) -> Page:
    """The page of a query: at its ``cursor``, or at its offset without one. ``limit`` is the size.

    The order is that of ``sort`` with the primary key at the end, in the direction of the last field.

    Raises :class:`Forbidden` for what the caller may not see and :class:`InvalidQuery` for a cursor of another list and
    for orders that have no places.
    """
    permissions = await reader.access.permissions(accountability, schema, connection)
    planner = Planner(schema, permissions, reader.limits, query.backlink)
    sort = _sort(planner, collection, query.root)
    cursor = Cursor.parse(query.cursor, collection, sort) if query.cursor else None
    walk = _Walk(reader, schema, collection, query, sort, cursor, accountability, connection)
    found, size = await walk.rows(), query.root.limit
    more = size is not None and len(found) > size
    rows = found[:size]
    backward = cursor is not None and cursor.backward
    if backward:
        rows.reverse()
    before, after = (more, True) if backward else (cursor is not None or query.offset > 0, more)
    places = [tuple(row.pop(f"{PLACE}{n}") for n in range(len(sort))) for row in rows]
    return Page(
        [row[KEY] if row.keys() == {KEY} else row for row in rows],
        Cursor(places[-1]).text(collection, sort) if after and places else None,
        Cursor(places[0], backward=True).text(collection, sort) if before and places else None,
    )


@dataclass(frozen=True, slots=True)
class _Walk:
    """One page on its way: the statements that it takes."""

    reader: Reader
    schema: Schema
    collection: str
    query: Query
    sort: tuple[str, ...]
    cursor: Cursor | None
    accountability: Accountability | None
    connection: Connection | None

    async def rows(self) -> list[dict[str, Any]]:
        """One item more than the page has, if there is one, each with its place."""
        found = await self._part(other=False)
        size = self.query.root.limit
        if self.cursor is not None and (size is None or len(found) <= size):
            found += await self._part(other=True)
        return found

    async def _part(self, other: bool) -> list[dict[str, Any]]:
        cursor, query, size = self.cursor, self.query, self.query.root.limit
        root = replace(query.root, sort=self.sort, limit=None if size is None else size + 1)
        offset = query.offset if cursor is None else 0
        root = replace(root, offset=1 if offset else 0)
        first = len(query.values)
        values = () if cursor is None else cursor.values

        def compile_(compiler: Compiler, planner: Planner) -> Statement:
            node = _checked(planner.root(self.collection, root))
            bounds = None if cursor is None else [None if v is None else first + n for n, v in enumerate(values)]
            return compiler.page(with_key(node), bounds, cursor is not None and cursor.backward, other)

        nulls = "".join("0" if value is None else "1" for value in values)
        kind = f"page:{'' if cursor is None else '-' if cursor.backward else '+'}:{nulls}:{other}:{first}"
        asked = replace(query, root=root, offset=offset, values=(*query.values, *values))
        text = await self.reader.run(
            kind, self.schema, self.collection, asked, self.accountability, self.connection, compile_,
            self.reader.fetch_json,
        )  # fmt: skip
        found: list[dict[str, Any]] = decode(text) if text else []
        return found


def _sort(planner: Planner, collection: str, level: Level) -> tuple[str, ...]:
    """The whole order of a list, down to the primary key."""
    base = planner.resolver.collection(collection, ())
    names = level.sort or tuple(entry.target.field.field for entry in planner._order(base, level, (), None))
    found: list[str] = []
    for name in names:
        found.append(name)
        if name.removeprefix("-") == base.primary:
            return tuple(found)
    descending = bool(found) and found[-1].startswith("-")
    return (*found, f"-{base.primary}" if descending else base.primary)


def _checked(node: Node) -> Node:
    """The plan, when every item has a place in its order that the caller may know. Raises :class:`InvalidQuery`."""
    if node.order[-1].target.mask is not None:
        raise InvalidQuery('A cursor needs the primary key, which you may not see of every item; use "page" instead')
    for entry in node.order:
        target = entry.target
        if target.to_many:
            raise InvalidQuery('A cursor can\'t sort by what lies behind a relation to many; use "page" instead')
        if target.function is None and target.counted is None and _has_no_order(target.field):
            raise InvalidQuery(f'A cursor can\'t sort by "{target.field.field}", a field of type "{target.field.type}"')
    return node


def has_places(planner: Planner, collection: str, query: Query) -> bool:
    """Whether a query's order has places that cursors can hold. Raises :class:`Forbidden` as reads do."""
    node = planner.root(collection, replace(query.root, sort=_sort(planner, collection, query.root)))
    try:
        _checked(node)
    except InvalidQuery:
        return False
    return True


def _has_no_order(field: Field) -> bool:
    return field.concealed or field.type in _UNORDERED or field.type.startswith("geometry")


def cursors(page: Page) -> dict[str, str | None]:
    """What ``meta`` says of a page."""
    return {"next": page.next, "previous": page.previous}


__all__ = ["Page", "cursors", "has_places", "read_page"]
