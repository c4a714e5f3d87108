"""Resolved conditions as SQL: joins for to-one paths, ``IN`` subqueries for to-many ones, masks as ``CASE``.

A condition that walks a to-many path is evaluated as a whole in a subquery (``pk IN (SELECT pk … LEFT JOIN …)``):
rows never multiply and all conditions on one path speak of the same child (spec items-and-query §4.6).
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import count
from typing import Any

import sqlalchemy as sa
from sqlalchemy.sql.elements import quoted_name

from tabulary.database.dialects.base import Column, Dialect
from tabulary.database.dialects.values import well_known_text
from tabulary.items.conditions import AllOf, AnyOf, Bound, Compare, Condition, Member, Step, Target
from tabulary.items.plan import Node
from tabulary.items.slots import Slots
from tabulary.schema.overview import Collection, Field, Schema

_Element = sa.ColumnElement[Any]
_Flag = sa.ColumnElement[bool]
_COMPARISONS: dict[str, Callable[[_Element, _Element], _Flag]] = {
    "_eq": lambda a, b: a == b,
    "_neq": lambda a, b: a != b,
    "_lt": lambda a, b: a < b,
    "_lte": lambda a, b: a <= b,
    "_gt": lambda a, b: a > b,
    "_gte": lambda a, b: a >= b,
    "<": lambda a, b: a < b,
    "<=": lambda a, b: a <= b,
    ">": lambda a, b: a > b,
    ">=": lambda a, b: a >= b,
}
_PATTERNS = {"contains": "%{}%", "starts_with": "{}%", "ends_with": "%{}"}
_NUMBER = Column("", "float")


class Frame:
    """One SELECT under construction: the table, and the joins that its expressions asked for."""

    def __init__(self, collection: Collection, alias: sa.FromClause, names: count[int]) -> None:
        self.collection, self.alias, self.names = collection, alias, names
        self.joins: dict[tuple[Any, ...], list[tuple[Step, sa.FromClause]]] = {}
        self.steps: list[tuple[sa.FromClause, _Flag]] = []

    @property
    def key(self) -> _Element:
        return self.column(self.collection.primary)

    def column(self, name: str, alias: sa.FromClause | None = None) -> _Element:
        found: _Element = (self.alias if alias is None else alias).c[name]
        return found

    def source(self) -> sa.FromClause:
        source = self.alias
        for alias, on in self.steps:
            source = source.outerjoin(alias, on)
        return source


class ConditionCompiler:
    """Compiles the conditions of one statement. Aliases are numbered through the whole statement."""

    def __init__(self, schema: Schema, dialect: Dialect, slots: Slots) -> None:
        self.schema, self.dialect, self.slots = schema, dialect, slots
        self.expressions = dialect.expressions
        self.names = count()

    def frame(self, collection: Collection) -> Frame:
        return Frame(collection, self._alias(collection), self.names)

    def _alias(self, collection: Collection) -> sa.FromClause:
        columns: list[sa.ColumnClause[Any]] = [
            sa.column(quoted_name(f.field, quote=True)) for f in collection.fields.values() if not f.alias
        ]
        return sa.table(quoted_name(collection.collection, quote=True), *columns).alias(f"t{next(self.names)}")

    # --- conditions -------------------------------------------------------------------------
    def where(self, condition: Condition, frame: Frame, prefix: tuple[Step, ...] = ()) -> _Flag:
        """The condition as SQL in a frame, ``prefix`` steps away from the frame's table."""
        if to_many(condition):
            return self._in_subquery(condition, frame, prefix)
        return self._here(condition, frame, prefix)

    def _in_subquery(self, condition: Condition, frame: Frame, prefix: tuple[Step, ...]) -> _Flag:
        outer = self._join(frame, prefix)
        collection = self.schema.collections[prefix[-1].collection] if prefix else frame.collection
        inner = self.frame(collection)
        where = self._here(condition, inner, ())
        keys = sa.select(inner.key).select_from(inner.source()).where(where).correlate(None)
        return frame.column(collection.primary, outer).in_(keys)

    def _here(self, condition: Condition, frame: Frame, prefix: tuple[Step, ...]) -> _Flag:
        if isinstance(condition, AllOf):
            return sa.and_(sa.true(), *(self._here(c, frame, prefix) for c in condition.children))
        if isinstance(condition, AnyOf):
            return sa.or_(sa.false(), *(self._here(c, frame, prefix) for c in condition.children))
        if isinstance(condition, Member):
            return self._member(condition, frame, prefix)
        return self._compare(condition, frame, prefix)

    def _member(self, condition: Member, frame: Frame, prefix: tuple[Step, ...]) -> _Flag:
        outer = self._join(frame, (*prefix, *condition.steps))
        child = self.frame(self.schema.collections[condition.child.collection])
        foreign = child.column(condition.child.relation.field)
        where = self.where(condition.condition, child)
        keys = sa.select(foreign).select_from(child.source()).where(foreign.is_not(None), where).correlate(None)
        parent = self.schema.collections[str(condition.child.relation.related_collection)]
        key = frame.column(parent.primary, outer)
        found = key.not_in(keys) if condition.negated else key.in_(keys)
        if condition.child.mask is None:
            return found
        return sa.and_(self.where(condition.child.mask, frame, (*prefix, *condition.steps)), found)

    def _compare(self, condition: Compare, frame: Frame, prefix: tuple[Step, ...]) -> _Flag:
        target, operator, operand = condition.target, condition.operator, condition.operand
        value = self.value(target, frame, prefix)
        if isinstance(operand, bool):
            return self._flag(value, operator, operand, target)
        numeric = target.function is not None or target.counted is not None
        of = _NUMBER if numeric else _column(target.field)
        if isinstance(operand, tuple):
            return self._listed(value, operator, operand, of)
        if operator.endswith(("intersects", "intersects_bbox")):
            return self._intersects(value, operator, operand)
        name = operator.removeprefix("_").removeprefix("n").removeprefix("i")
        if operator not in _COMPARISONS and name in _PATTERNS:
            return self._matching(value, operator, operand, _PATTERNS[name], of)
        bound = self.slots.bind(operand, self.expressions.caster(of))
        if bound is None:
            return self._with_null(value, operator)
        return _COMPARISONS[operator](value, bound)

    @staticmethod
    def _with_null(value: _Element, operator: str) -> _Flag:
        if operator == "_eq":
            return value.is_(None)
        if operator == "_neq":
            return value.is_not(None)
        return sa.false()

    def _flag(self, value: _Element, operator: str, operand: bool, target: Target) -> _Flag:
        wanted = operand if operator in ("_null", "_empty") else not operand
        if operator in ("_null", "_nnull") or target.field.type not in (
            "string",
            "text",
            "csv",
            "hash",
            "binary",
            "unknown",
        ):
            return value.is_(None) if wanted else value.is_not(None)
        empty = self.slots.constant("")
        return sa.or_(value.is_(None), value == empty) if wanted else sa.and_(value.is_not(None), value != empty)

    def _listed(self, value: _Element, operator: str, operands: tuple[Bound, ...], of: Column) -> _Flag:
        bound = self.slots.bind_all(operands, self.expressions.caster(of))
        if operator in ("_between", "_nbetween"):
            if len(bound) != 2 or bound[0] is None or bound[1] is None:
                return sa.false() if len(bound) == 2 else sa.true()
            inside = value.between(bound[0], bound[1])
            return inside if operator == "_between" else sa.not_(inside)
        present = [b for b in bound if b is not None]
        if operator == "_in":
            return value.in_(present) if present else sa.false()
        if len(present) < len(bound):
            return sa.false()
        return value.not_in(present) if present else sa.true()

    def _matching(self, value: _Element, operator: str, operand: Bound, pattern: str, of: Column) -> _Flag:
        negated = operator.startswith("_n") and operator != "_n"
        caseless = operator.removeprefix("_").removeprefix("n").startswith("i")

        def wrap(raw: Any) -> str:
            text = "null" if raw is None else "true" if raw is True else "false" if raw is False else str(raw)
            return pattern.format(text.lower() if caseless else text)

        bound = self.slots.bind(operand, wrap)
        if bound is None:
            bound = self.slots.constant(wrap(None))
        if of.type not in ("string", "text", "csv", "hash"):
            value = self.expressions.text(value)
        found = self.expressions.like(sa.func.lower(value) if caseless else value, bound)
        return sa.not_(found) if negated else found

    def _intersects(self, value: _Element, operator: str, operand: Bound) -> _Flag:
        bound = self.slots.bind(operand, well_known_text)
        if bound is None:
            return sa.false()
        found = self.expressions.intersects(value, bound, operator.endswith("bbox"))
        return sa.not_(found) if operator.startswith("_n") else found

    # --- values -----------------------------------------------------------------------------
    def value(self, target: Target, frame: Frame, prefix: tuple[Step, ...] = ()) -> _Element:
        """A target's value in a frame, masked for the caller."""
        place = (*prefix, *target.steps)
        alias = self._join(frame, place)
        if target.counted is not None:
            value: _Element = self.count(target.counted, frame, alias)
        else:
            value = frame.column(target.field.field, alias)
            if target.function is not None:
                of = _column(target.field)
                part = target.function
                value = (
                    self.expressions.json_length(value, of)
                    if part == "count"
                    else self.expressions.date_part(part, value, of)
                )
        if target.mask is None:
            return value
        return sa.case((self.where(target.mask, frame, place), value))

    def count(self, child: Step, frame: Frame, alias: sa.FromClause | None = None) -> _Element:
        """How many children a row has (those that the caller may see)."""
        inner = self.frame(self.schema.collections[child.collection])
        outer = frame.alias if alias is None else alias
        parent = self.schema.collections[str(child.relation.related_collection)]
        link = inner.column(child.relation.field) == frame.column(parent.primary, outer)
        conditions = [link] if child.rows is None else [link, self.where(child.rows, inner)]
        select = sa.select(sa.func.count()).select_from(inner.source()).where(*conditions)
        return select.correlate(outer).scalar_subquery()

    def order(self, target: Target, descending: bool, frame: Frame) -> _Element:
        """What to sort by; through a to-many path the best child's value."""
        if not target.to_many:
            return self.value(target, frame)
        inner = self.frame(frame.collection)
        value = self.value(target, inner)
        select = sa.select(value).select_from(inner.source()).where(inner.key == frame.key)
        return select.order_by(value.desc() if descending else value).limit(1).correlate(frame.alias).scalar_subquery()

    def search(self, node: Node, frame: Frame) -> _Flag:
        """Any searchable field meets the term (spec §3.4); a masked field only where it may be seen."""
        assert node.search is not None
        texts: list[_Flag] = []
        others: list[_Flag] = []
        for field, mask in node.searchable:
            column: _Element = frame.column(field.field)
            is_text = field.type in ("string", "text")
            if is_text:
                bound = self.slots.bind(node.search.value, lambda term: f"%{str(term).lower()}%")
                assert bound is not None
                condition = self.expressions.like(sa.func.lower(column), bound)
            else:
                bound = self.slots.bind(node.search.value, self.expressions.caster(_column(field)))
                condition = column == bound
            visible = condition if mask is None else sa.and_(self.where(mask, frame), condition)
            (texts if is_text else others).append(visible)
        if (indexed := self._in_search_index(node, frame)) is not None:
            texts = [sa.and_(indexed, sa.or_(*texts))]
        return sa.or_(sa.false(), *texts, *others)

    def _in_search_index(self, node: Node, frame: Frame) -> _Flag | None:
        """Whether a row's texts may have the term, as an index knows; None where there is nothing to ask.

        It leaves nothing out that a comparison would find, so that both together find what the comparisons alone do.
        """
        search = node.search
        names = {field.field for field, _ in node.searchable if field.type in ("string", "text")}
        if search is None or search.run < 3 or not names or not names <= set(node.collection.search_index):
            return None
        term = self.slots.bind(search.value, self.expressions.search_term)
        keys = None if term is None else self.expressions.search_keys(node.collection.collection, term)
        return None if keys is None else frame.key.in_(keys.correlate(None))

    # --- joins ------------------------------------------------------------------------------
    def _join(self, frame: Frame, steps: tuple[Step, ...]) -> sa.FromClause:
        """The alias at the end of a path, joined on the way where it is not yet.

        A join is shared only by steps with the same mask: a rule may follow a relation where the caller's own filter
        must not.
        """
        alias = frame.alias
        here = frame.collection
        for place, step in enumerate(steps):
            key = (alias, step.kind, step.relation.collection, step.relation.field, step.collection)
            target = self.schema.collections[step.collection]
            known = frame.joins.setdefault(key, [])
            found = next((alias for other, alias in known if other == step), None)
            if found is None:
                found = self._alias(target)
                known.append((step, found))
                on = self._on(step, here, alias, target, found)
                if step.mask is not None:
                    on = sa.and_(on, self.where(step.mask, frame, steps[:place]))
                if step.rows is not None:
                    on = sa.and_(on, self._visible(step.rows, target, found))
                frame.steps.append((found, on))
            alias, here = found, target
        return alias

    def _visible(self, rows: Condition, collection: Collection, alias: sa.FromClause) -> _Flag:
        """An item rule inside a join. What needs joins itself looks the keys up, for they would come too late."""
        here = Frame(collection, alias, self.names)
        found = self.where(rows, here)
        if not here.steps:
            return found
        inner = self.frame(collection)
        where = self.where(rows, inner)
        keys = sa.select(inner.key).select_from(inner.source()).where(where).correlate(None)
        return here.key.in_(keys)

    def _on(
        self, step: Step, here: Collection, alias: sa.FromClause, target: Collection, found: sa.FromClause
    ) -> _Flag:
        relation = step.relation
        if step.kind == "o2m" and relation.is_any:
            kind = found.c[str(relation.one_collection_field)] == self.slots.constant(here.collection)
            return sa.and_(kind, found.c[relation.field] == self.expressions.text(alias.c[here.primary]))
        if step.kind == "o2m":
            return found.c[relation.field] == alias.c[here.primary]
        if step.kind == "m2o":
            return found.c[target.primary] == alias.c[relation.field]
        stored = alias.c[relation.field]
        key = self.expressions.key_of_text(stored, _column(target.primary_field))
        kind = alias.c[str(relation.one_collection_field)]
        return sa.and_(kind == self.slots.constant(target.collection), found.c[target.primary] == key)


def to_many(condition: Condition) -> bool:
    """True when a comparison walks a to-many path (quantifiers and counts bring their own subquery)."""
    if isinstance(condition, Compare):
        return condition.target.to_many
    if isinstance(condition, Member):
        return any(step.to_many for step in condition.steps)
    return any(to_many(child) for child in condition.children)


def _column(field: Field) -> Column:
    return Column(field.field, field.type, field.db_type, field.special, field.precision, field.scale)
