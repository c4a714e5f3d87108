"""From plan to SQL: one statement for a whole tree of nodes.

A :class:`Frame` is one SELECT under construction: its table and the LEFT JOINs that its expressions asked for.
Relations in the output are correlated subqueries, conditions live in ``conditions_sql.py``. Every literal is a named
parameter with a :class:`Slot` that says where its value comes from.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import sqlalchemy as sa

from tabulary.database.connection import Statement
from tabulary.database.dialects.base import Column, Dialect
from tabulary.database.dialects.base import Output as SQLOutput
from tabulary.items.conditions import Condition, Target
from tabulary.items.conditions_sql import ConditionCompiler, Frame
from tabulary.items.filter import Value
from tabulary.items.keyset import Term, behind, other_part
from tabulary.items.plan import (
    Aggregate,
    Count,
    Group,
    Grouping,
    JsonValue,
    Member,
    Node,
    Order,
    Output,
    Part,
    Plain,
    ToAny,
    ToMany,
    ToOne,
    Word,
)
from tabulary.items.slots import OFFSET, Slots
from tabulary.schema.overview import Field, Schema

_FUNCTIONS: dict[str, Callable[..., sa.ColumnElement[Any]]] = {
    "sum": sa.func.sum,
    "avg": sa.func.avg,
    "min": sa.func.min,
    "max": sa.func.max,
    "count": sa.func.count,
}


PLACE = "$place"
"""The members that say where an item stands, without their numbers."""


def _literal(limit: int | None) -> sa.ColumnElement[Any] | None:
    """A limit as part of the text: the database's planner has to see it."""
    return None if limit is None else sa.literal_column(str(limit), sa.Integer())


def column_of(field: Field) -> Column:
    return Column(field.field, field.type, field.db_type, field.special, field.precision, field.scale)


def _sorted_as(target: Target) -> Column:
    """What kind of value an item is sorted by."""
    return Column("", "integer") if target.function or target.counted else column_of(target.field)


def _may_be_null(target: Target, node: Node) -> bool:
    if target.steps or target.mask is not None or target.function is not None:
        return True
    return target.counted is None and target.field.nullable and target.field.field != node.collection.primary


class Compiler:
    """Compiles plans for one dialect and schema."""

    def __init__(self, schema: Schema, dialect: Dialect) -> None:
        self.schema, self.dialect = schema, dialect
        self.expressions = dialect.expressions
        self.slots = Slots(dialect)
        self.conditions = ConditionCompiler(schema, dialect, self.slots)

    def read(self, node: Node) -> Statement:
        """The statement that answers a plan: JSON text, whole or an item a row (``expressions.single_value``)."""
        frame = self.conditions.frame(node.collection)
        if node.grouping is not None:
            return self._grouped(node, frame, node.grouping)
        pairs = [(output.key, self._output(output, frame)) for output in node.outputs]
        order = [self._order(entry, frame) for entry in node.order]
        select = self._rows(node, frame).limit(_literal(node.limit))
        if node.late_offset:
            select = select.offset(sa.bindparam(OFFSET, type_=sa.Integer()))
        return self.dialect.compile(self.expressions.rows(pairs, select, order))

    def page(self, node: Node, bounds: Sequence[int | None] | None, backward: bool, other: bool) -> Statement:
        """As :meth:`read`, from a place on, each item with its own place (``PLACE`` and the number of the term).

        Args:
            node: the plan, with an order in which no two items are equal.
            bounds: the place: where among the query's values each term's is, None for null; no place is the beginning.
            backward: walk towards the beginning; the items come in the order of the walk.
            other: the part of the list behind that of the place (:func:`tabulary.items.keyset.other_part`).
        """
        frame = self.conditions.frame(node.collection)
        pairs = [(output.key, self._output(output, frame)) for output in node.outputs]
        terms = []
        for place, entry in enumerate(node.order):
            of = _sorted_as(entry.target)
            value = self.conditions.value(entry.target, frame)
            pairs.append((f"{PLACE}{place}", SQLOutput(self.expressions.exact(value, of))))
            bound = None if bounds is None or (index := bounds[place]) is None else self._bound(index, of)
            ascending, greatest = entry.descending == backward, self.expressions.nulls_are_greatest
            terms.append(Term(value, bound, ascending, _may_be_null(entry.target, node), ascending == greatest))
        order = [term.expression if term.ascending else term.expression.desc() for term in terms]
        more = []
        if bounds is not None:
            part = other_part(terms[0]) if other else behind(terms, self.expressions.compares_rows)
            more.append(sa.false() if part is None else part)
        select = self._rows(node, frame, *more).limit(_literal(node.limit))
        if node.late_offset:
            select = select.offset(sa.bindparam(OFFSET, type_=sa.Integer()))
        return self.dialect.compile(self.expressions.rows(pairs, select, order))

    def _bound(self, index: int, of: Column) -> sa.ColumnElement[Any]:
        parameter = self.slots.bind(Value(index), self.expressions.exact_caster(of))
        assert parameter is not None
        return self.expressions.exact_value(parameter, of)

    def row(self, node: Node) -> str | None:
        """The JSON object of a table's only row, without conditions: for a CTE that stands in the table's place.

        None when that needs values.
        """
        frame = self.conditions.frame(node.collection)
        pairs = [(output.key, self._output(output, frame)) for output in node.outputs]
        shown = self.expressions.to_one(pairs, self._rows(node, frame))
        return self.dialect.inlined(sa.select(shown.expression))

    def keys(self, node: Node) -> Statement:
        """The primary keys that a plan selects, a row each, in order."""
        frame = self.conditions.frame(node.collection)
        order = [self._order(entry, frame) for entry in node.order]
        select = self._rows(node, frame).limit(_literal(node.limit)).order_by(*order).add_columns(frame.key)
        if node.late_offset:
            select = select.offset(sa.bindparam(OFFSET, type_=sa.Integer()))
        return self.dialect.compile(select)

    def count(self, node: Node, cap: int | None = None) -> Statement:
        """How many items a plan selects, without its limit; with ``cap`` counting ends there."""
        frame = self.conditions.frame(node.collection)
        if cap is not None:
            some = self._rows(node, frame).add_columns(sa.literal_column("1").label("one"))
            return self.dialect.compile(
                sa.select(sa.func.count()).select_from(
                    some.limit(sa.literal_column(str(cap), sa.Integer())).subquery("some")
                )
            )
        return self.dialect.compile(self._rows(node, frame).add_columns(sa.func.count()))

    def all_rows(self, node: Node) -> Statement:
        """A row for each item that a plan selects, without its limit: for the database's own guess at their number."""
        frame = self.conditions.frame(node.collection)
        return self.dialect.compile(self._rows(node, frame).add_columns(sa.literal_column("1").label("one")))

    def flags(self, node: Node, keys: Sequence[Condition | None]) -> Statement:
        """For item access: one row a visible item, with the key and one 0/1 flag a condition."""
        frame = self.conditions.frame(node.collection)
        flags = [
            sa.literal_column("1")
            if c is None
            else sa.case((self.conditions.where(c, frame), sa.literal_column("1")), else_=sa.literal_column("0"))
            for c in keys
        ]
        return self.dialect.compile(
            self._rows(node, frame).add_columns(frame.key, *(f.label(f"f{i}") for i, f in enumerate(flags)))
        )

    # --- rows -------------------------------------------------------------------------------
    def _rows(self, node: Node, frame: Frame, *more: sa.ColumnElement[bool]) -> sa.Select[Any]:
        """FROM and WHERE of a node: item rule, filter and search. Compiled last, when all joins are known."""
        conditions = [self.conditions.where(c, frame) for c in (node.rows, node.filter) if c is not None]
        if node.search is not None:
            conditions.append(self.conditions.search(node, frame))
        return sa.select().select_from(frame.source()).where(*more, *conditions)

    def _order(self, entry: Order, frame: Frame) -> sa.ColumnElement[Any]:
        value = self.conditions.order(entry.target, entry.descending, frame)
        return value.desc() if entry.descending else value

    # --- outputs ----------------------------------------------------------------------------
    def _output(self, output: Output, frame: Frame) -> SQLOutput:
        value = self._member(output.member, frame)
        if output.mask is None:
            return value
        return self.expressions.masked(self.conditions.where(output.mask, frame), value)

    def _member(self, member: Member, frame: Frame) -> SQLOutput:
        if isinstance(member, Plain):
            return self._plain(member, frame)
        if isinstance(member, Word):
            return SQLOutput(sa.null() if member.text is None else sa.cast(self.slots.constant(member.text), sa.Text()))
        if isinstance(member, Group):
            return self.expressions.object([(output.key, self._output(output, frame)) for output in member.outputs])
        if isinstance(member, Part):
            return self._part(member, frame)
        if isinstance(member, JsonValue):
            return self.expressions.json_path(frame.column(member.field.field), member.path)
        if isinstance(member, Count):
            count = self.conditions.count(member.child, frame)
            return self.expressions.number(count, "whole" if member.whole else "count")
        if isinstance(member, ToOne):
            child = self.conditions.frame(member.node.collection)
            link = child.key == frame.column(member.relation.field)
            return self._object(member.node, child, frame, link)
        if isinstance(member, ToMany):
            return self._list(member, frame)
        return self._any(member, frame)

    def _plain(self, member: Plain, frame: Frame) -> SQLOutput:
        column, of = frame.column(member.field.field), column_of(member.field)
        if member.form == "number":
            return SQLOutput(column)
        value = self.expressions.read(column, of)
        return SQLOutput(sa.cast(value.expression, sa.Text())) if member.form == "text" and not value.is_json else value

    def _part(self, member: Part, frame: Frame) -> SQLOutput:
        column, of = frame.column(member.field.field), column_of(member.field)
        if member.function == "count":
            return self.expressions.number(self.expressions.json_length(column, of), "length")
        part = self.expressions.date_part(member.function, column, of)
        return self.expressions.number(part, "whole" if member.whole else "part")

    def _object(self, node: Node, child: Frame, parent: Frame, link: sa.ColumnElement[bool]) -> SQLOutput:
        pairs = [(output.key, self._output(output, child)) for output in node.outputs]
        return self.expressions.to_one(pairs, self._rows(node, child, link).correlate(parent.alias))

    def _list(self, member: ToMany, parent: Frame) -> SQLOutput:
        node = member.node
        child = self.conditions.frame(node.collection)
        pairs = [(output.key, self._output(output, child)) for output in node.outputs]
        order = [self._order(entry, child) for entry in node.order]
        link = child.column(member.relation.field) == parent.key
        select = self._rows(node, child, link).correlate(parent.alias)
        return self.expressions.to_many(pairs[0][1] if member.keys else pairs, select, order, node.limit, node.offset)

    def _any(self, member: ToAny, parent: Frame) -> SQLOutput:
        """The item of a M2A relation: by the name in the collection column, one of the targets, or null."""
        stored = parent.column(member.relation.field)
        kind = parent.column(str(member.relation.one_collection_field))
        cases: list[tuple[Any, Any]] = []
        for name, node, keys in member.nodes:
            child = self.conditions.frame(node.collection)
            key = column_of(node.collection.primary_field)
            link = child.key == self.expressions.key_of_text(stored, key)
            if keys:
                value = self._output(node.outputs[0], child)
                rows = self._rows(node, child, link).correlate(parent.alias).add_columns(value.expression)
                found = self.expressions.as_json(SQLOutput(rows.scalar_subquery(), value.is_json))
            else:
                found = self._object(node, child, parent, link).expression
            cases.append((kind == self.slots.constant(name), found))
        return SQLOutput(sa.case(*cases) if cases else sa.null(), is_json=True)

    # --- aggregation ------------------------------------------------------------------------
    def _grouped(self, node: Node, frame: Frame, grouping: Grouping) -> Statement:
        groups = [self.conditions.value(target, frame) for _, target in grouping.groups]
        pairs: list[tuple[str, SQLOutput]] = []
        for (key, target), expression in zip(grouping.groups, groups, strict=True):
            output = (
                self.expressions.number(expression, "part")
                if target.function
                else self.expressions.read(expression, column_of(target.field))
            )
            pairs.append((key, output))
        members: dict[str, list[tuple[str, SQLOutput]] | SQLOutput] = {}
        raw: list[sa.ColumnElement[Any]] = []
        for aggregate in grouping.aggregates:
            expression, output = self._aggregate(aggregate, frame)
            raw.append(expression)
            if aggregate.target is None:
                members.setdefault(aggregate.operation, output)
            else:
                inner = members.get(aggregate.operation)
                if not isinstance(inner, list):
                    inner = members[aggregate.operation] = []
                inner.append((aggregate.key, output))
        for operation, member in members.items():
            if operation != "countAll" or grouping.complete:
                pairs.append((operation, self.expressions.object(member) if isinstance(member, list) else member))
        order = []
        for place, descending in grouping.order:
            expression = groups[place] if isinstance(place, int) else raw[int(place[1:])]
            order.append(expression.desc() if descending else expression)
        select = self._rows(node, frame).group_by(*groups).limit(_literal(node.limit))
        if node.late_offset:
            select = select.offset(sa.bindparam(OFFSET, type_=sa.Integer()))
        if not groups and not pairs:  # nothing to show, but of one row: without an aggregate it would be one for each
            select = sa.select().select_from(select.add_columns(sa.func.count().label("n")).subquery("one"))
        return self.dialect.compile(self.expressions.rows(pairs, select, order))

    def _aggregate(self, aggregate: Aggregate, frame: Frame) -> tuple[sa.ColumnElement[Any], SQLOutput]:
        if aggregate.target is None:
            expression: sa.ColumnElement[Any] = sa.func.count()
            return expression, self.expressions.number(expression, "count")
        name = aggregate.operation.removesuffix("Distinct")
        value, of = self.conditions.value(aggregate.target, frame), column_of(aggregate.target.field)
        expression = _FUNCTIONS[name](sa.distinct(value) if aggregate.operation.endswith("Distinct") else value)
        if name in ("min", "max"):
            if of.type == "uuid":
                expression = _FUNCTIONS[name](self.expressions.text(value))
            return expression, self.expressions.read(expression, of)
        return expression, self.expressions.number(expression, name, of)
