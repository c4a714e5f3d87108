"""The few statements that writes are made of, compiled once for each collection and set of columns.

Multi-row statements exist only in sizes that are powers of two, so that a list of any length runs through a handful of
compiled statements and memory stays flat.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final, TypeVar

import sqlalchemy as sa

from tabulary.database.dialects.base import Dialect
from tabulary.items.blueprint import FieldPlan, WriteCache

T = TypeVar("T")
ACTIVITY, REVISIONS = "directus_activity", "directus_revisions"
NOTHING: Final[Mapping[str, Any]] = MappingProxyType({})
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
class Chain:
    """Statements that go through as one (:meth:`Connection.fetch_chain`); each takes its part of the same parameters.

    A single one where the database has writable CTEs.
    """

    steps: tuple[Prepared, ...]

    def bound(self, parameters: Sequence[Any]) -> list[tuple[str, Sequence[Any]]]:
        return [(step.sql, step.values(parameters)) for step in self.steps]


@dataclass(frozen=True, slots=True)
class Statements:
    """Writes of one table."""

    cache: WriteCache
    dialect: Dialect
    table: str

    def insert(self, plans: Sequence[FieldPlan], rows: int, returning: str | None) -> Prepared:
        """Parameters: row by row, each in the order of ``plans``."""

        def build(p: _Parameters) -> sa.ClauseElement:
            values = [p.all_of(plans) for _ in range(rows)]
            statement = _insert(self.table, *values)
            return statement.returning(sa.column(returning)) if returning else statement

        return self._prepared(("insert", rows, returning, *(p.name for p in plans)), build)

    def chained(
        self,
        item: Sequence[FieldPlan] | None,
        returning: str | None,
        activity: Sequence[FieldPlan],
        revision: Sequence[FieldPlan],
    ) -> Chain:
        """The INSERTs of an item (unless None), its activity and its revision (unless empty).

        Parameters: item, activity, revision. ``returning`` names a key that the database makes: as text it becomes the
        ``item`` of the other two. The answer is the last row's key and, with ``returning``, the item's.
        """  # fmt: skip

        def build(p: _Parameters) -> Iterator[sa.ClauseElement]:
            new = None if item is None else _insert(self.table, p.all_of(item))
            made = new is not None and returning is not None
            if (steps := self.dialect.steps) is not None:
                if new is not None:
                    yield new
                yield from _trail_in_steps(p, activity, revision, steps.last_key, made)
            elif new is None:
                yield _trail(p, activity, revision).returning(sa.column("id"))
            elif returning is None:
                yield _trail(p, activity, revision).returning(sa.column("id")).add_cte(new.cte("new_item"))
            else:
                item_made = new.returning(sa.column(returning)).cte("new_item")
                key = sa.select(item_made.c[returning]).scalar_subquery()
                last = _trail(p, activity, revision, {"item": sa.cast(key, sa.Text())})
                yield last.returning(sa.column("id"), key.label("key"))

        names = tuple(None if plans is None else tuple(p.name for p in plans) for plans in (item, activity, revision))
        return self._chain(("chained", returning, *names), build)

    def chained_update(
        self,
        plans: Sequence[FieldPlan],
        primary: FieldPlan,
        state: str,
        activity: Sequence[FieldPlan],
        revision: Sequence[FieldPlan],
    ) -> Chain:
        """The UPDATE of one item, its activity and its revision (unless empty).

        Parameters: the new values, the key, activity, revision. ``state`` is SQL that shows the table's only row as
        JSON (``Compiler.row``): the changed row stands there under the table's name. The answer is the last row's key.
        """

        def build(p: _Parameters) -> Iterator[sa.ClauseElement]:
            values = p.all_of(plans)
            this = sa.column(primary.name) == p.next(primary)
            changed = sa.update(self._table(plans)).where(this).values(values)
            shown: dict[str, Any] = {"data": sa.literal_column(f"({state})")} if revision else {}
            if (steps := self.dialect.steps) is None:
                last: sa.UpdateBase = _trail(p, activity, revision, {}, shown).returning(sa.column("id"))
                yield last.add_cte(changed.returning(sa.literal_column("*")).cte(self.table))
                return
            yield changed
            *first, last = _trail_in_steps(p, activity, revision, steps.last_key, False, shown)
            yield from first
            table = sa.table(self.table, schema=steps.schema)  # or the CTE would read itself
            row: sa.Select[Any] = sa.select(sa.literal_column("*")).select_from(table).where(this)
            yield last.add_cte(row.cte(self.table)) if revision else last

        names = (tuple(plan.name for plan in some) for some in (plans, activity, revision))
        return self._chain(("chained_update", primary.name, state, *names), build)

    def update(self, plans: Sequence[FieldPlan], primary: FieldPlan, keys: int) -> Prepared:
        """Parameters: the new values in the order of ``plans``, then the keys."""

        def build(p: _Parameters) -> sa.ClauseElement:
            values = p.all_of(plans)
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
        return self._chain(key, lambda parameters: [build(parameters)]).steps[0]

    def _chain(self, key: tuple[Any, ...], build: Callable[[_Parameters], Iterable[sa.ClauseElement]]) -> Chain:
        return self.cache.statement((self.table, *key), lambda: self._compile(build))

    def _compile(self, build: Callable[[_Parameters], Iterable[sa.ClauseElement]]) -> Chain:
        parameters = _Parameters(self.dialect)
        steps = [self.dialect.compile(step) for step in list(build(parameters))]
        orders = [tuple(int(name[1:]) for name in step.names) for step in steps]
        as_they_are = tuple(range(parameters.count))
        return Chain(
            tuple(
                Prepared(step.sql, None if order == as_they_are else order)
                for step, order in zip(steps, orders, strict=True)
            )
        )


@dataclass
class _Parameters:
    """Numbers the parameters of a statement while it is built."""

    dialect: Dialect
    count: int = 0

    def next(self, plan: FieldPlan) -> sa.ColumnElement[Any]:
        parameter: sa.BindParameter[Any] = sa.bindparam(f"p{self.count}")
        self.count += 1
        return self.dialect.values.expression(parameter, plan.column)

    def all_of(self, plans: Sequence[FieldPlan]) -> dict[str, sa.ColumnElement[Any]]:
        return {plan.name: self.next(plan) for plan in plans}

    def any_of(self, plan: FieldPlan, number: int) -> sa.ColumnElement[bool]:
        column: sa.ColumnElement[Any] = sa.column(plan.name)
        values = [self.next(plan) for _ in range(number)]
        return column == values[0] if number == 1 else column.in_(values)


def _trail(
    p: _Parameters,
    activity: Sequence[FieldPlan],
    revision: Sequence[FieldPlan],
    shared: Mapping[str, Any] = NOTHING,
    shown: Mapping[str, Any] = NOTHING,
) -> sa.Insert:
    """The INSERT of an activity, or of a revision with its activity before it; ``shared`` columns are in both."""
    last = _insert(ACTIVITY, {**p.all_of(activity), **shared})
    if not revision:
        return last
    first = last.returning(sa.column("id")).cte("new_activity")
    number = sa.select(first.c.id).scalar_subquery()
    return _insert(REVISIONS, {**p.all_of(revision), **shared, "activity": number, **shown})


def _trail_in_steps(
    p: _Parameters,
    activity: Sequence[FieldPlan],
    revision: Sequence[FieldPlan],
    last_key: sa.ColumnElement[int],
    counted: bool,
    shown: Mapping[str, Any] = NOTHING,
) -> Iterator[sa.Insert]:
    """The same as one INSERT after the other. ``counted``: they follow that of an item whose key they have to keep."""
    item: dict[str, Any] = {"item": sa.cast(last_key, sa.Text())} if counted else {}
    answer: list[sa.ColumnElement[Any]] = [sa.column("id")]
    if counted:
        answer.append(sa.cast(sa.column("item"), sa.Integer()).label("key"))
    first = _insert(ACTIVITY, {**p.all_of(activity), **item})
    if not revision:
        yield first.returning(*answer)
        return
    yield first
    if counted:
        made = sa.table(ACTIVITY, sa.column("id"), sa.column("item"))
        item = {"item": sa.select(made.c.item).where(made.c.id == last_key).scalar_subquery()}
    yield _insert(REVISIONS, {**p.all_of(revision), **item, "activity": last_key, **shown}).returning(*answer)


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
