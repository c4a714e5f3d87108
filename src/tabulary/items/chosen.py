"""Planning a selection (:mod:`tabulary.items.selection`): each pick becomes an output, in the order of choice."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from tabulary.items.plan import Count, Group, Member, Output, Part, Plain, ToAny, ToMany, ToOne, Word
from tabulary.items.query import Level
from tabulary.items.selection import Pick
from tabulary.schema.overview import Collection

if TYPE_CHECKING:
    from tabulary.items.planner import Path, Planner


def chosen_outputs(planner: Planner, base: Collection, picks: Sequence[Pick], level: Level, path: Path) -> list[Output]:
    """The outputs of a selection. Raises :class:`Forbidden` for fields that do not exist or may not be read."""
    return [_output(planner, base, pick, level, path) for pick in picks]


def chosen_fields(picks: Sequence[Pick]) -> set[str]:
    """The fields that a selection takes values of."""
    return {pick.name for pick in picks if pick.form != "word"}


def _output(planner: Planner, base: Collection, pick: Pick, level: Level, path: Path) -> Output:
    if pick.form == "word":
        return Output(pick.key, Word(pick.name or None))
    field = planner.resolver.field(base, pick.name, path)
    mask = planner.guards.mask(base.collection, pick.name) if planner.guards else None
    if pick.form == "parts":
        parts = [Output(part.key, _part(planner, base, pick.name, part, path), mask) for part in pick.picks]
        return Output(pick.key, Group(tuple(parts)))
    found = planner.schema.relation(base.collection, pick.name)
    if pick.form == "related" and found is not None:
        return Output(pick.key, _related(planner, base, pick, level, (*path, pick.key)), mask)
    if pick.form == "any" and found is not None:
        return Output(pick.key, _any(planner, base, pick, level, (*path, pick.key)), mask)
    if field.alias:
        return Output(pick.key, Word(None))
    return Output(pick.key, Plain(field, pick.form), mask)


def _part(planner: Planner, base: Collection, name: str, part: Pick, path: Path) -> Member:
    if part.form == "word":
        return Word(part.name)
    member = planner.function(base, base.fields[name], part.name, "", path)
    return replace(member, whole=True) if isinstance(member, Part | Count) else member


def _related(planner: Planner, base: Collection, pick: Pick, level: Level, path: Path) -> Member:
    found = planner.schema.relation(base.collection, pick.name)
    assert found is not None
    kind, relation = found
    target = relation.collection if kind == "o2m" else str(relation.related_collection)
    child = planner.resolver.collection(target, path)
    below = level.of_relation(pick.key) or Level(limit=planner.limits.default_limit)
    below = replace(below, select=pick.picks)
    if kind == "o2m":
        node = planner.node(child, below, (), path, relation, relation.sort_field)
        return ToMany(relation, node, keys=False)
    return ToOne(relation, planner.node(child, replace(below, limit=None, offset=0), (), path, relation))


def _any(planner: Planner, base: Collection, pick: Pick, level: Level, path: Path) -> ToAny:
    found = planner.schema.relation(base.collection, pick.name)
    assert found is not None
    nodes = []
    for name, picks in pick.scopes:
        child = planner.resolver.collection(name, path)
        below = level.of_relation(f"{pick.key}:{name}") or Level()
        below = replace(below, select=picks, limit=None, offset=0)
        nodes.append((name, planner.node(child, below, (), (*path[:-1], f"{pick.key}:{name}"), found[1]), False))
    return ToAny(found[1], tuple(nodes))
