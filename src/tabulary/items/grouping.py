"""Aggregation: ``aggregate`` and ``groupBy`` resolved (spec items-and-query §3.7)."""

from __future__ import annotations

from collections.abc import Sequence

from tabulary.core.errors import Forbidden, InvalidQuery
from tabulary.items.conditions import Resolver, Target, field_reason
from tabulary.items.paths import function_of, result_key
from tabulary.items.plan import Aggregate, Grouping
from tabulary.items.query import Level
from tabulary.schema.overview import Collection

_NUMBERS = frozenset({"integer", "bigInteger", "decimal", "float"})
_ARITHMETIC = frozenset({"sum", "sumDistinct", "avg", "avgDistinct"})
_COMPARING = frozenset({"min", "max", "countDistinct"})


def plan_grouping(resolver: Resolver, base: Collection, level: Level) -> Grouping:
    """The aggregation of a level. Raises :class:`Forbidden` for names and :class:`InvalidQuery` for types."""
    groups = tuple(_group(resolver, base, name) for name in level.group)
    aggregates = tuple(
        _aggregate(resolver, base, operation, name) for operation, names in level.aggregate for name in names
    )
    order = tuple(_order(level.sort, level.group, groups, aggregates, resolver, base))
    return Grouping(groups, aggregates, order, complete=level.select is not None)


def _group(resolver: Resolver, base: Collection, name: str) -> tuple[str, Target]:
    if "." in name.partition("(")[0] or "." in name:
        raise InvalidQuery(f'Grouping by "{name}" is not possible: only fields of the collection itself')
    target = resolver.target((name,), base)
    function, field, arguments = function_of(name)
    if target.steps or target.counted:
        raise InvalidQuery(f'Grouping by "{name}" is not possible: it is a relation to many')
    if target.field.type == "json" or target.field.concealed:
        raise InvalidQuery(f'Grouping by "{name}" is not possible: its type is "{target.field.type}"')
    return (name if function is None else result_key(function, field, arguments)), target


def _aggregate(resolver: Resolver, base: Collection, operation: str, name: str) -> Aggregate:
    if operation == "countAll" and name != "*":
        raise InvalidQuery(f'"countAll" counts items and takes "*", not "{name}"')
    if name == "*":
        if operation not in ("count", "countAll"):
            raise InvalidQuery(f'"{operation}" takes a field, not "*"')
        return Aggregate(operation, None, "*")
    target = resolver.target((name,), base) if name in base.fields else None
    if target is None:
        raise Forbidden(field_reason(base.collection, [name], ()))
    kind = target.field.type
    if target.steps or target.field.alias:
        raise InvalidQuery(f'"{operation}" does not take "{name}", a relation to many')
    if operation in _ARITHMETIC and kind not in _NUMBERS:
        raise InvalidQuery(f'"{operation}" does not take "{name}", a field of type "{kind}"')
    if operation in _COMPARING and (kind == "json" or (kind == "boolean" and operation != "countDistinct")):
        raise InvalidQuery(f'"{operation}" does not take "{name}", a field of type "{kind}"')
    return Aggregate(operation, target, name)


def _order(
    sort: Sequence[str],
    names: Sequence[str],
    groups: Sequence[tuple[str, Target]],
    aggregates: Sequence[Aggregate],
    resolver: Resolver,
    base: Collection,
) -> list[tuple[int | str, bool]]:
    """Which group or aggregate each sort entry means; with groups but no sort the first group."""
    if not groups:
        return []
    if not sort:
        return [(0, False)]
    found: list[tuple[int | str, bool]] = []
    for entry in sort:
        name, descending = entry.removeprefix("-"), entry.startswith("-")
        if name in names:
            found.append((list(names).index(name), descending))
            continue
        operation, _, field = name.partition(".")
        place = next(
            (i for i, a in enumerate(aggregates) if a.operation == operation and a.key == (field or "*")), None
        )
        if place is None:
            resolver.target((name,), base)
            raise InvalidQuery(f'Sorting by "{name}" is not possible: it is neither grouped nor aggregated')
        found.append((f"a{place}", descending))
    return found
