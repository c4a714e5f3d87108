"""Filters judged in memory, for certain or not at all.

Subscriptions ask two questions that the database cannot be asked cheaply, or not any more: can this change concern that
subscriber (asked of thousands of subscribers a change), and might they have seen this item (asked after it is gone). A
verdict is True or False only where the database would say the same whatever its collation; else it is None, which the
first question takes for yes and the second for no. :func:`judge` does once what does not depend on the item.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final

from tabulary.items.evaluate import Operands
from tabulary.items.filter import And, Filter, Leaf, Or, leaves
from tabulary.schema.overview import Field, Schema

Verdict = bool | None
Judge = Callable[[Mapping[str, Any]], Verdict]
"""Judges an item as REST shows it, with what :func:`needed` names."""
_Test = Callable[[Any], Verdict]

_NUMBERS: Final = frozenset({"integer", "bigInteger", "float", "decimal"})
_TEXTS: Final = frozenset({"string", "text"})
_ORDER: Final = {"_lt": operator.lt, "_lte": operator.le, "_gt": operator.gt, "_gte": operator.ge}


def judge(tree: Filter, operands: Operands, schema: Schema, collection: str) -> Judge:
    """What tells whether items satisfy a filter."""
    if isinstance(tree, Leaf):
        return _leaf(tree, operands, schema, collection)
    if isinstance(tree, And):
        return every([judge(child, operands, schema, collection) for child in tree.children])
    if isinstance(tree, Or):
        return some([judge(child, operands, schema, collection) for child in tree.children])
    return _in_doubt


def needed(tree: Filter, schema: Schema, collection: str) -> Iterator[str]:
    """The fields that judges of a filter look at, as names for ``fields``."""
    for leaf in leaves(tree):
        if _field(leaf.path, schema, collection) is not None:
            yield ".".join(leaf.path)


def every(judges: Sequence[Judge]) -> Judge:
    """False when one says False, True when all say True."""
    if len(judges) == 1:
        return judges[0]

    def all_of(item: Mapping[str, Any]) -> Verdict:
        verdict: Verdict = True
        for ask in judges:
            found = ask(item)
            if found is False:
                return False
            if found is None:
                verdict = None
        return verdict

    return all_of


def some(judges: Sequence[Judge]) -> Judge:
    """True when one says True, False when all say False."""
    if len(judges) == 1:
        return judges[0]

    def any_of(item: Mapping[str, Any]) -> Verdict:
        verdict: Verdict = False
        for ask in judges:
            found = ask(item)
            if found is True:
                return True
            if found is None:
                verdict = None
        return verdict

    return any_of


def _in_doubt(_item: Any) -> Verdict:
    return None


def _field(path: tuple[str, ...], schema: Schema, collection: str) -> Field | None:
    """The column at the end of a path of to-one relations; None for anything else."""
    for name in path[:-1]:
        found = schema.relation(collection, name)
        if found is None or found[0] != "m2o":
            return None
        collection = str(found[1].related_collection)
    entry = schema.collections[collection].fields.get(path[-1])
    return None if entry is None or entry.alias or entry.concealed else entry


def _leaf(leaf: Leaf, operands: Operands, schema: Schema, collection: str) -> Judge:
    field = _field(leaf.path, schema, collection)
    test = _test(leaf, field, operands) if field is not None else None
    if test is None:
        return _in_doubt
    *steps, last = leaf.path

    def ask(item: Mapping[str, Any]) -> Verdict:
        place: Any = item
        for name in steps:
            if place is None:
                return test(None)
            if not isinstance(place, Mapping) or name not in place:
                return None
            place = place[name]
        if place is None:
            return test(None)
        return test(place[last]) if isinstance(place, Mapping) and last in place else None

    return ask


def _test(leaf: Leaf, field: Field, operands: Operands) -> _Test | None:
    """The comparison of one leaf; None for those that only the database can make."""
    name = leaf.operator
    if name in ("_null", "_nnull"):
        wants_null = (name == "_null") == bool(leaf.operand)
        return lambda value: (value is None) == wants_null
    bound = operands.of(leaf.operand)
    if name in ("_eq", "_neq"):
        return _equals(field, [bound], negative=name == "_neq")
    if name in ("_in", "_nin"):
        return _equals(field, bound if isinstance(bound, list) else [bound], negative=name == "_nin")
    limit = _number(bound)
    if name not in _ORDER or field.type not in _NUMBERS or limit is None:
        return None
    holds = _ORDER[name]

    def compare(value: Any) -> Verdict:
        number = _number(value)
        return (False if value is None else None) if number is None else bool(holds(number, limit))

    return compare


def _equals(field: Field, bounds: Sequence[Any], negative: bool) -> _Test | None:
    """Equality with any of some values."""
    if any(bound is None for bound in bounds):
        return None
    one = _one_of(field, bounds)
    if one is None:
        return None

    def test(value: Any) -> Verdict:
        if value is None:
            return None if negative else False
        found = one(value)
        return found if found is None or not negative else not found

    return test


def _one_of(field: Field, bounds: Sequence[Any]) -> _Test | None:
    if field.type in _NUMBERS:
        numbers = {_number(bound) for bound in bounds}
        if None in numbers:
            return None
        return lambda value: None if (number := _number(value)) is None else number in numbers
    if field.type == "boolean":
        if not all(isinstance(bound, bool) for bound in bounds):
            return None
        return lambda value: value in bounds if isinstance(value, bool) else None
    if not all(isinstance(bound, str) for bound in bounds):
        return None
    if field.type == "uuid":
        keys = {bound.lower() for bound in bounds}
        return lambda value: value.lower() in keys if isinstance(value, str) else None
    return _texts(bounds) if field.type in _TEXTS else None


def _texts(bounds: Sequence[str]) -> _Test:
    """Collations differ in case, accents and trailing blanks: only what no collation takes for equal is different."""
    exact, folded = frozenset(bounds), {bound.lower().strip() for bound in bounds}
    plain = all(bound.isascii() for bound in bounds)

    def test(value: Any) -> Verdict:
        if not isinstance(value, str):
            return None
        if value in exact:
            return True
        return False if plain and value.isascii() and value.lower().strip() not in folded else None

    return test


def _number(value: Any) -> float | int | None:
    if isinstance(value, bool):
        return None
    if isinstance(value, int | float):
        return value
    try:
        return int(value) if isinstance(value, str) else None
    except ValueError:
        return None
