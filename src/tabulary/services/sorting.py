"""Moving one item to the place of another in the manual order of its collection (spec schema-and-platform §4.4).

The order lives in the collection's sort field. All of it is a few statements, however many items there are: items
without a place get one at the end, places that are taken twice are given out anew, and then the items between the old
and the new place move one step. One transaction, and one move at a time in a collection.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from tabulary.access.accountability import Accountability
from tabulary.core.errors import Forbidden, InvalidPayload
from tabulary.core.events import EventContext
from tabulary.database.connection import Connection
from tabulary.database.errors import UNFIT
from tabulary.items.blueprint import Blueprint
from tabulary.items.context import event_names
from tabulary.items.keys import check_keys
from tabulary.items.options import Key
from tabulary.items.platform import Platform
from tabulary.schema.overview import Schema

_ONE: sa.ColumnElement[Any] = sa.literal_column("1")


class SortService:
    """The manual order of one collection, on behalf of someone (or of the system: None)."""

    def __init__(
        self, collection: str, *, platform: Platform, schema: Schema, accountability: Accountability | None = None
    ) -> None:
        """Raises :class:`Forbidden` for an unknown collection."""
        self.collection = collection
        self.platform = platform
        self.schema = schema
        self.accountability = accountability
        self.blueprint: Blueprint = platform.writes.blueprint(schema, collection)

    async def move(self, item: Key, to: Key) -> None:
        """Give ``item`` the place of ``to``.

        Needs update permission on the collection and its sort field; rules about single items do not count here, as
        in the reference. Raises :class:`Forbidden` without it and for keys that are not there, and
        :class:`InvalidPayload` when the collection has no sort field.
        """
        field = self.blueprint.collection.sort_field
        await self._check_permission(field)
        if field is None or field not in self.blueprint.fields:
            raise InvalidPayload(f'Collection "{self.collection}" has no sort field; set one in its settings')
        check_keys(self.blueprint.collection, [item, to])
        order = _Order(self.blueprint, field)

        async def work(connection: Connection) -> None:
            await connection.dialect.lock(connection, f"sort:{self.collection}")
            await order.complete(connection)
            await order.move(connection, item, to)

        await self.platform.database.run_in_transaction(work)
        await self.platform.purge_cache(self.collection)
        meta = {"collection": self.collection, "item": item, "to": to}
        context = EventContext(self.platform.database, self.schema, self.accountability)
        self.platform.hooks.emit_action(event_names(self.blueprint, "sort"), meta, context)

    async def _check_permission(self, field: str | None) -> None:
        if self.accountability is None or self.accountability.admin:
            return
        permissions = await self.platform.access.permissions(self.accountability, self.schema)
        granted = permissions.fields(self.collection, "update")
        if not permissions.allows(self.collection, "update") or not granted & {"*", field}:
            raise Forbidden(f'You don\'t have permission to change the order of collection "{self.collection}".')


class _Order:
    """The statements. Values are the database's own: nothing is computed here that it knows already."""

    def __init__(self, blueprint: Blueprint, field: str) -> None:
        self._primary = blueprint.primary
        self._table = sa.table(blueprint.name, sa.column(self._primary.name), sa.column(field))
        self._key = self._table.c[self._primary.name]
        self._place = self._table.c[field]
        self._field = field
        self._plan = blueprint.fields[field]

    async def complete(self, connection: Connection) -> None:
        """Give every item a place of its own."""
        row = sa.func.row_number().over(order_by=self._key)
        if await self._exists(connection, sa.select(_ONE).select_from(self._table).where(self._place.is_(None))):
            greatest = sa.select(sa.func.coalesce(sa.func.max(self._place), sa.literal_column("0")))
            new = sa.select(self._key.label("k"), (greatest.scalar_subquery() + row).label("n"))
            await self._number(connection, new.where(self._place.is_(None)))
        twice = sa.select(_ONE).select_from(self._table).group_by(self._place).having(sa.func.count() > _ONE)
        if await self._exists(connection, twice):
            row = sa.func.row_number().over(order_by=(self._place, self._key))
            await self._number(connection, sa.select(self._key.label("k"), row.label("n")))

    async def move(self, connection: Connection, item: Key, to: Key) -> None:
        """Raises :class:`Forbidden` for a key that is not there."""
        start, end = [await self._place_of(connection, key) for key in (item, to)]
        if start == end:
            return
        low: sa.BindParameter[Any] = sa.bindparam("low")
        high: sa.BindParameter[Any] = sa.bindparam("high")
        step = self._place + _ONE if end < start else self._place - _ONE
        between = sa.and_(self._place >= low, self._place <= high)
        bounds = {"low": self._value(connection, min(start, end)), "high": self._value(connection, max(start, end))}
        await connection.run(sa.update(self._table).values({self._field: step}).where(between), **bounds)
        placed = sa.update(self._table).values({self._field: sa.bindparam("place")})
        key = connection.dialect.values.write(item, self._primary.column)
        place = self._value(connection, end)
        await connection.run(placed.where(self._key == sa.bindparam("key")), place=place, key=key)

    async def _number(self, connection: Connection, numbers: sa.Select[Any]) -> None:
        new = numbers.subquery("numbered")
        statement = sa.update(self._table).values({self._field: new.c.n}).where(self._key == new.c.k)
        await connection.run(statement)

    async def _place_of(self, connection: Connection, key: Key) -> Any:
        try:
            value = connection.dialect.values.write(key, self._primary.column)
            found = await connection.select(sa.select(self._place).where(self._key == sa.bindparam("key")), key=value)
        except Exception as problem:
            known = connection.dialect.classify(problem)
            if isinstance(problem, ValueError) or (known and known.kind in UNFIT):
                raise Forbidden() from problem
            raise
        if not found:
            raise Forbidden()
        return found[0][self._field]

    def _value(self, connection: Connection, place: Any) -> Any:
        return connection.dialect.values.write(place, self._plan.column)

    @staticmethod
    async def _exists(connection: Connection, select: sa.Select[Any]) -> bool:
        return bool(await connection.select(select.limit(_ONE)))
