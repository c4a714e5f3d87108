"""The SQL of reading on from a place: what comes behind an item in an order of several terms.

``(a, b, id)`` behind ``(x, y, z)`` is ``a > x OR (a = x AND (b > y OR (b = y AND id > z)))``, with null where the
database sorts it. So that an index on the first term serves, its nulls and its values are never read by one statement:
each *part* of the list says of the first term either that it is null or where it begins (``a >= x AND …``).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

_Element = sa.ColumnElement[Any]
_Flag = sa.ColumnElement[bool]


@dataclass(frozen=True, slots=True)
class Term:
    """One thing that is sorted by.

    Attributes:
        expression: in SQL.
        bound: its value in the item that was passed; None for null.
        ascending: the direction of the walk, which is not always that of the order.
        nullable: whether it can be null.
        nulls_last: nulls come at the end of the walk.
    """

    expression: _Element
    bound: _Element | None
    ascending: bool
    nullable: bool
    nulls_last: bool

    @property
    def same(self) -> _Flag:
        return self.expression.is_(None) if self.bound is None else self.expression == self.bound

    @property
    def from_here(self) -> _Flag:
        """The same or behind, among nulls or among values."""
        if self.bound is None:
            return self.expression.is_(None)
        return self.expression >= self.bound if self.ascending else self.expression <= self.bound

    @property
    def behind(self) -> _Flag:
        """Behind, among nulls or among values."""
        if self.bound is None:
            return sa.false()
        return self.expression > self.bound if self.ascending else self.expression < self.bound

    @property
    def behind_anywhere(self) -> _Flag:
        """Behind, nulls and values together."""
        if self.bound is None:
            return sa.false() if self.nulls_last else self.expression.is_not(None)
        if self.nullable and self.nulls_last:
            return sa.or_(self.behind, self.expression.is_(None))
        return self.behind


def behind(terms: Sequence[Term], compares_rows: bool) -> _Flag:
    """The rows behind an item whose first term is null as the item's is, or is not as the item's is not.

    ``compares_rows``: the database finds the beginning of a row comparison in an index.
    """
    first, *rest = terms
    if not rest:
        return first.behind
    bounds = [term.bound for term in terms if term.bound is not None]
    if (
        compares_rows
        and len(bounds) == len(terms)
        and all(term.ascending == first.ascending for term in rest)
        and not any(term.nullable for term in rest)
    ):
        here: _Element = sa.tuple_(*(term.expression for term in terms))
        there: _Element = sa.tuple_(*bounds)
        return here > there if first.ascending else here < there
    return sa.and_(first.from_here, sa.or_(first.behind, sa.and_(first.same, _behind(rest))))


def _behind(terms: Sequence[Term]) -> _Flag:
    first, *rest = terms
    if not rest:
        return first.behind_anywhere
    return sa.or_(first.behind_anywhere, sa.and_(first.same, _behind(rest)))


def other_part(first: Term) -> _Flag | None:
    """What the first term is in the part of the walk after the one that the item is in; None when there is none."""
    if not first.nullable or (first.bound is None) == first.nulls_last:
        return None
    return first.expression.is_not(None) if first.bound is None else first.expression.is_(None)
