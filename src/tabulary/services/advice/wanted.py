"""The indexes that a read could use, by its condition and order: columns for each place where rows are sought.

A conjunction wants one index with what is compared for equality first, then the order or else one range; every branch
of an alternative wants an index of its own; a path through relations wants one at each end.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from tabulary.database.catalog import IndexFacts
from tabulary.items.conditions import AllOf, AnyOf, Compare, Condition, Member, Step
from tabulary.items.plan import Order

_EQUAL = frozenset({"_eq", "_in"})
_RANGE = frozenset({"_lt", "_lte", "_gt", "_gte", "_between", "<", "<=", ">", ">="})
_MOST_EQUAL = 3
"""Columns compared for equality in one index; more narrow little."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """An index of a table. Of its columns the first ``equal`` may stand in any order."""

    collection: str
    columns: tuple[str, ...]
    equal: int = 0
    searches: bool = False

    def covered_by(self, indexes: Iterable[IndexFacts]) -> bool:
        """True when one of these indexes does the same, or finds single rows by one of the columns."""
        first = set(self.columns[: self.equal])
        for index in indexes:
            if index.unique and len(index.columns) == 1 and index.columns[0] in first:
                return True
            enough = index.columns[: len(self.columns)]
            if set(enough[: self.equal]) == first and enough[self.equal :] == self.columns[self.equal :]:
                return True
        return False


def wanted_by(base: str, condition: Condition | None, order: Sequence[Order]) -> list[Wanted]:
    """The indexes that a read of ``base`` could use, without repetition."""
    found: dict[Wanted, None] = {}
    ordered = _ordered(order)
    if condition is None:
        if ordered:
            found[Wanted(base, ordered)] = None
        return list(found)
    for wanted in _of(condition, base, ordered):
        found[wanted] = None
    return list(found)


def _ordered(order: Sequence[Order]) -> tuple[str, ...]:
    """The first columns of an order that one index can give: the table's own, all in one direction."""
    names: list[str] = []
    for entry in order:
        target = entry.target
        plain = not target.steps and target.function is None and target.counted is None and target.mask is None
        if not plain or entry.descending is not order[0].descending:
            break
        if target.field.field == target.collection.primary:
            break  # keys have an index, and where they come last they hardly matter
        names.append(target.field.field)
    return tuple(names)


def _of(condition: Condition, base: str, ordered: tuple[str, ...]) -> Iterator[Wanted]:
    if isinstance(condition, AnyOf):
        for child in condition.children:
            yield from _of(child, base, ())
        return
    if isinstance(condition, Member):
        yield from _along(condition.steps)
        yield _far_end(condition.child)
        yield from _of(condition.condition, condition.child.collection, ())
        return
    comparisons: list[Compare] = []
    for part in _parts(condition):
        if isinstance(part, Compare):
            comparisons.append(part)
        else:
            yield from _of(part, base, ())
    for compare in comparisons:
        yield from _along(compare.target.steps)
        if compare.target.counted is not None:
            yield _far_end(compare.target.counted)
    places: dict[tuple[tuple[str, ...], ...], list[Compare]] = {}
    for compare in comparisons:
        if compare.target.function is None and compare.target.counted is None:
            places.setdefault(tuple(map(_name, compare.target.steps)), []).append(compare)
    for steps, here in places.items():
        collection = here[0].target.collection.collection if steps else base
        yield from _together(collection, here, () if steps else ordered)


def _parts(condition: Condition) -> Iterator[Condition]:
    if isinstance(condition, AllOf):
        for child in condition.children:
            yield from _parts(child)
    else:
        yield condition


def _together(collection: str, compared: Sequence[Compare], ordered: tuple[str, ...]) -> Iterator[Wanted]:
    """The index of a conjunction of comparisons with one table's columns."""
    equal = list(dict.fromkeys(c.target.field.field for c in compared if _is_equality(c)))[:_MOST_EQUAL]
    ranges = [c.target.field.field for c in compared if c.operator in _RANGE and c.target.field.field not in equal]
    rest = tuple(name for name in ordered if name not in equal)
    if equal:
        yield Wanted(collection, (*equal, *(rest or ranges[:1])), len(equal))
        if rest and ranges and rest[0] != ranges[0]:
            yield Wanted(collection, (*equal, ranges[0]), len(equal))
    elif ranges:
        yield Wanted(collection, (ranges[0],))
        if rest and rest[0] != ranges[0]:
            yield Wanted(collection, rest)
    elif rest:
        yield Wanted(collection, rest)


def _is_equality(compare: Compare) -> bool:
    return compare.operator in _EQUAL or (compare.operator == "_null" and compare.operand is True)


def _along(steps: Iterable[Step]) -> Iterator[Wanted]:
    """What a path goes through: the foreign keys on it, whichever way it goes."""
    for step in steps:
        if step.kind != "a2o":
            yield _far_end(step)


def _name(step: Step) -> tuple[str, ...]:
    return step.kind, step.relation.collection, step.relation.field, step.collection


def _far_end(step: Step) -> Wanted:
    return Wanted(step.relation.collection, (step.relation.field,), 1)
