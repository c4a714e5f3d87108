"""The few statements that writes are made of, compiled once for each collection and set of columns.

Multi-row statements exist only in sizes that are powers of two, so that a list of any length runs through a handful of
compiled statements and memory stays flat.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import sqlalchemy as sa

from tabulary.database.dialects.base import Dialect
from tabulary.items.blueprint import FieldPlan, WriteCache

T = TypeVar("T")
ACTIVITY, REVISIONS = "directus_activity", "directus_revisions"
MAX_ROWS = 256
MAX_PARAMETERS = 16_000
"""Half of what the strictest database takes in one statement."""


@dataclass(frozen=True, slots=True)
class Prepared:
    """Compiled SQL; ``order`` tells which of our parameters the driver wants at each place (None: ours as they are)."""

    sql: str
    order: tuple[int, ...] | None

    def values(self, parameters: Sequence[Any]) -> Sequence[Any]:
        return parameters if self.order is None else [parameters[i] for i in self.order]


@dataclass(frozen=True, slots=True)
class Statements:
    """Writes of one table."""

    cache: WriteCache
    dialect: Dialect
    table: str

    def insert(self, plans: Sequence[FieldPlan], rows: int, returning: str | None) -> Prepared:
        """Parameters: row by row, each in the order of ``plans``."""

        def build(p: _Parameters) -> sa.ClauseElement:
            values = [{plan.name: p.next(plan) for plan in plans} for _ in range(rows)]
            statement = _insert(self.table, *values)
            return statement.returning(sa.column(returning)) if returning else statement

        return self._prepared(("insert", rows, returning, *(p.name for p in plans)), build)

    def chained(
        self,
        item: Sequence[FieldPlan] | None,
        returning: str | None,
        activity: Sequence[FieldPlan],
        revision: Sequence[FieldPlan],
    ) -> Prepared:
        """The INSERTs of an item (unless None), its activity and its revision (unless empty) as one statement.

        Parameters: item, activity, revision. ``returning`` names a key that the database makes: as text it becomes the
        ``item`` of the other two. The answer is the last row's key and, with ``returning``, the item's.
        """  # fmt: skip

        def build(p: _Parameters) -> sa.ClauseElement:
            shared: dict[str, Any] = {}
            answer: list[sa.ColumnElement[Any]] = [sa.column("id")]
            new = None
            if item is not None:
                new = _insert(self.table, {plan.name: p.next(plan) for plan in item})
            if new is not None and returning:
                made = new.returning(sa.column(returning)).cte("new_item")
                key = sa.select(made.c[returning]).scalar_subquery()
                shared["item"] = sa.cast(key, sa.Text())
                answer.append(key.label("key"))
            last = _trail(p, activity, revision, shared).returning(*answer)
            return last.add_cte(new.cte("new_item")) if new is not None and not returning else last

        names = tuple(None if plans is None else tuple(p.name for p in plans) for plans in (item, activity, revision))
        return self._prepared(("chained", returning, *names), build)

    def chained_update(
        self,
        plans: Sequence[FieldPlan],
        primary: FieldPlan,
        state: str,
        activity: Sequence[FieldPlan],
        revision: Sequence[FieldPlan],
    ) -> Prepared:
        """The UPDATE of one item, its activity and its revision (unless empty) as one statement.

        Parameters: the new values, the key, activity, revision. ``state`` is SQL that shows the table's only row as
        JSON (``Compiler.row``): the changed row stands there under the table's name. The answer is the last row's key.
        """

        def build(p: _Parameters) -> sa.ClauseElement:
            values = {plan.name: p.next(plan) for plan in plans}
            changed = sa.update(self._table(plans)).where(p.any_of(primary, 1)).values(values)
            shown: dict[str, Any] = {"data": sa.literal_column(f"({state})")} if revision else {}
            last: sa.UpdateBase = _trail(p, activity, revision, {}, shown).returning(sa.column("id"))
            return last.add_cte(changed.returning(sa.literal_column("*")).cte(self.table))

        names = (tuple(plan.name for plan in some) for some in (plans, activity, revision))
        return self._prepared(("chained_update", primary.name, state, *names), build)

    def update(self, plans: Sequence[FieldPlan], primary: FieldPlan, keys: int) -> Prepared:
        """Parameters: the new values in the order of ``plans``, then the keys."""

        def build(p: _Parameters) -> sa.ClauseElement:
            values = {plan.name: p.next(plan) for plan in plans}
            return sa.update(self._table(plans)).where(p.any_of(primary, keys)).values(values)

        return self._prepared(("update", keys, primary.name, *(p.name for p in plans)), build)

    def delete(self, primary: FieldPlan, keys: int) -> Prepared:
        """Parameters: the keys."""
        return self._prepared(
            ("delete", keys, primary.name), lambda p: sa.delete(self._table(())).where(p.any_of(primary, keys))
        )

    def select(self, columns: Sequence[str], where: FieldPlan, values: int) -> Prepared:
        """``columns`` of the rows whose ``where`` is one of so many values, in the order of the first column."""

        def build(p: _Parameters) -> sa.ClauseElement:
            names: list[sa.ColumnElement[Any]] = [sa.column(c) for c in columns]
            found = sa.select(*names).select_from(self._table(()))
            return found.where(p.any_of(where, values)).order_by(sa.column(columns[0]))

        return self._prepared(("select", values, where.name, *columns), build)

    def maximum(self, column: str, where: FieldPlan | None = None) -> Prepared:
        """The greatest value of a column, of all rows or of those where ``where`` equals a value."""

        def build(p: _Parameters) -> sa.ClauseElement:
            found: sa.Select[Any] = sa.select(sa.func.max(sa.column(column))).select_from(self._table(()))
            return found if where is None else found.where(p.any_of(where, 1))

        return self._prepared(("maximum", column, where and where.name), build)

    def _table(self, plans: Sequence[FieldPlan]) -> sa.TableClause:
        return sa.table(self.table, *(sa.column(plan.name) for plan in plans))

    def _prepared(self, key: tuple[Any, ...], build: Callable[[_Parameters], sa.ClauseElement]) -> Prepared:
        return self.cache.statement((self.table, *key), lambda: self._compile(build))

    def _compile(self, build: Callable[[_Parameters], sa.ClauseElement]) -> Prepared:
        parameters = _Parameters(self.dialect)
        statement = self.dialect.compile(build(parameters))
        order = tuple(int(name[1:]) for name in statement.names)
        return Prepared(statement.sql, None if order == tuple(range(parameters.count)) else order)


@dataclass
class _Parameters:
    """Numbers the parameters of a statement while it is built."""

    dialect: Dialect
    count: int = 0

    def next(self, plan: FieldPlan) -> sa.ColumnElement[Any]:
        parameter: sa.BindParameter[Any] = sa.bindparam(f"p{self.count}")
        self.count += 1
        return self.dialect.values.expression(parameter, plan.column)

    def any_of(self, plan: FieldPlan, number: int) -> sa.ColumnElement[bool]:
        column: sa.ColumnElement[Any] = sa.column(plan.name)
        values = [self.next(plan) for _ in range(number)]
        return column == values[0] if number == 1 else column.in_(values)


def _trail(
    p: _Parameters,
    activity: Sequence[FieldPlan],
    revision: Sequence[FieldPlan],
    shared: dict[str, Any],
    shown: Mapping[str, Any] | None = None,
) -> sa.Insert:
    """The INSERT of an activity, or of a revision with its activity before it; ``shared`` columns are in both."""
    last = _insert(ACTIVITY, {plan.name: p.next(plan) for plan in activity} | shared)
    if not revision:
        return last
    first = last.returning(sa.column("id")).cte("new_activity")
    number = {"activity": sa.select(first.c.id).scalar_subquery()}
    return _insert(REVISIONS, {plan.name: p.next(plan) for plan in revision} | shared | number | dict(shown or {}))


def _insert(table: str, *rows: Mapping[str, Any]) -> sa.Insert:
    """An INSERT of rows with the same columns, which may be none."""
    statement = sa.insert(sa.table(table, *(sa.column(name) for name in rows[0])))
    return statement.values(list(rows)) if len(rows) > 1 else statement.values(rows[0]) if rows[0] else statement


def in_powers(items: Sequence[T], width: int = 1) -> Iterator[Sequence[T]]:
    """The items in slices whose lengths are powers of two, none with more than :data:`MAX_PARAMETERS` values."""
    largest = MAX_ROWS
    while largest > 1 and largest * width > MAX_PARAMETERS:
        largest //= 2
    start = 0
    while start < len(items):
        size = min(largest, 1 << ((len(items) - start).bit_length() - 1))
        yield items[start : start + size]
        start += size


def padded(values: Sequence[Any]) -> Iterator[list[Any]]:
    """Values for an IN list, in slices filled up to a power of two by repeating the last one."""
    for start in range(0, len(values), MAX_ROWS):
        part = list(values[start : start + MAX_ROWS])
        yield part + part[-1:] * ((1 << (len(part) - 1).bit_length()) - len(part))
