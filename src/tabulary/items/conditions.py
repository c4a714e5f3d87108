"""Filters resolved against the schema: names have become fields and relations, permissions have become masks.

:class:`Resolver` is where unknown and forbidden names end (spec items-and-query §7.1) and where an operator that a
type does not take is refused (§4.4). Its result knows nothing of SQL or values.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from tabulary.core.errors import Forbidden, InvalidQuery
from tabulary.items.filter import Filter, Leaf, Null, Operand, Or, Quantified, Value, Variable
from tabulary.items.operators import NUMBER_OPERATORS, ORDER_OPERATORS, operators_of
from tabulary.items.paths import FUNCTION_TYPES, function_of
from tabulary.schema.overview import Collection, Field, Kind, Relation, Schema

if TYPE_CHECKING:
    from tabulary.items.guards import Guards


@dataclass(frozen=True, slots=True)
class Constant:
    """A value that belongs to a stored rule, not to the request."""

    value: Any


Bound = Value | Null | Variable | Constant


@dataclass(frozen=True, slots=True)
class Step:
    """One hop along a relation to ``collection``. ``mask``: when the caller may follow it (None = always).

    ``rows``: which of many items there the caller may see (None = all). At the end of a to-one hop masks say that.
    """

    kind: Kind
    relation: Relation
    collection: str
    mask: Condition | None = None
    rows: Condition | None = None

    @property
    def to_many(self) -> bool:
        return self.kind == "o2m"


@dataclass(frozen=True, slots=True)
class Target:
    """What is compared or sorted by: a column, a function of one, or the count of a to-many relation."""

    steps: tuple[Step, ...]
    collection: Collection
    field: Field
    function: str | None = None
    counted: Step | None = None
    mask: Condition | None = None

    @property
    def to_many(self) -> bool:
        return any(step.to_many for step in self.steps)


@dataclass(frozen=True, slots=True)
class Compare:
    target: Target
    operator: str
    operand: Bound | tuple[Bound, ...] | bool


@dataclass(frozen=True, slots=True)
class Member:
    """``_some`` / ``_none``: the key is (not) among the parents of the children that satisfy ``condition``."""

    steps: tuple[Step, ...]
    child: Step
    negated: bool
    condition: Condition


@dataclass(frozen=True, slots=True)
class AllOf:
    children: tuple[Condition, ...] = ()


@dataclass(frozen=True, slots=True)
class AnyOf:
    children: tuple[Condition, ...]


Condition = Compare | Member | AllOf | AnyOf
ALWAYS = AllOf()

_FOLLOW = re.compile(r"\$FOLLOW\(\s*(?P<collection>[^,()]+?)\s*,\s*(?P<field>[^,()]+?)\s*(,\s*[^,()]+?\s*)?\)")


def both(*conditions: Condition | None) -> Condition | None:
    """All of the given conditions that say anything; None when none does."""
    said = [c for c in conditions if c is not None and c != ALWAYS]
    return None if not said else said[0] if len(said) == 1 else AllOf(tuple(said))


class Resolver:
    """Resolves names from one collection outwards. With ``guards`` it checks and masks for a caller, else it trusts."""

    def __init__(self, schema: Schema, guards: Guards | None, constants: Sequence[Any] | None = None) -> None:
        self.schema, self.guards, self.constants = schema, guards, constants

    def condition(self, tree: Filter, collection: str) -> Condition | None:
        """The resolved condition, or None when the tree matches everything."""
        found = self._condition(tree, self.collection(collection, ()), ())
        return None if found == ALWAYS else found

    def _condition(self, tree: Filter, base: Collection, prefix: tuple[str, ...]) -> Condition:
        if isinstance(tree, Leaf):
            return self._leaf(tree, base, prefix)
        if isinstance(tree, Quantified):
            return self._member(tree, base, prefix)
        children = tuple(self._condition(c, base, prefix) for c in tree.children)
        if isinstance(tree, Or):
            return ALWAYS if ALWAYS in children else AnyOf(children)
        children = tuple(c for c in children if c != ALWAYS)
        return children[0] if len(children) == 1 else AllOf(children)

    def _leaf(self, leaf: Leaf, base: Collection, prefix: tuple[str, ...]) -> Condition:
        target = self.target(leaf.path, base, prefix)
        allowed = NUMBER_OPERATORS if target.function or target.counted else operators_of(target.field)
        if leaf.operator not in allowed and leaf.operator not in ORDER_OPERATORS:
            raise InvalidQuery(
                f'"{leaf.operator}" does not compare "{leaf.path[-1]}", a field of type "{target.field.type}"'
            )
        operand = leaf.operand
        if isinstance(operand, bool):
            return Compare(target, leaf.operator, operand)
        if isinstance(operand, tuple):
            return Compare(target, leaf.operator, tuple(self._bound(o) for o in operand))
        return Compare(target, leaf.operator, self._bound(operand))

    def _bound(self, operand: Operand) -> Bound:
        if isinstance(operand, Value) and self.constants is not None:
            return Constant(self.constants[operand.index])
        if isinstance(operand, Variable) and self.constants is not None:
            return replace(operand, of_rule=True)
        return operand

    def _member(self, tree: Quantified, base: Collection, prefix: tuple[str, ...]) -> Condition:
        steps, here = self._walk(tree.path[:-1], base, prefix)
        name = tree.path[-1]
        self.field(here, name, (*prefix, *tree.path[:-1]))
        found = self.schema.relation(here.collection, name)
        if found is None or found[0] != "o2m":
            raise InvalidQuery(f'"{tree.quantifier}" takes a to-many relation; "{name}" is none')
        child = self._step(here, name, (*prefix, *tree.path))
        inner = self._condition(tree.filter, self.schema.collections[child.collection], (*prefix, *tree.path))
        if inner == ALWAYS and child.rows is None and tree.quantifier == "_some":
            return ALWAYS if not steps else AllOf()
        return Member(steps, child, tree.quantifier == "_none", both(inner, child.rows) or ALWAYS)

    # --- names ------------------------------------------------------------------------------
    def collection(self, name: str, path: Sequence[str]) -> Collection:
        found = self.schema.collections.get(name)
        if found is None or (self.guards and not self.guards.readable(name)):
            raise Forbidden(collection_reason(name, path))
        return found

    def field(self, base: Collection, name: str, path: Sequence[str]) -> Field:
        found = base.fields.get(name)
        if found is None or (self.guards and not self.guards.grants(base.collection, name)):
            raise Forbidden(field_reason(base.collection, [name], path))
        return found

    def target(self, path: Sequence[str], base: Collection, prefix: tuple[str, ...] = ()) -> Target:
        """What a path of names from ``base`` means. The last one may be ``function(field)``."""
        steps, here = self._walk(path[:-1], base, prefix)
        place, last = (*prefix, *path[:-1]), path[-1]
        function, name, arguments = function_of(last)
        if function is not None:
            return self._function(steps, here, function, name, arguments, place)
        name, _, scope = last.partition(":")
        field = self.field(here, name, place)
        found = self.schema.relation(here.collection, name)
        mask = self._mask(here.collection, name)
        if found is not None and (found[0] == "o2m" or (found[0] == "a2o" and scope)):
            step = self._step(here, last, (*place, last))
            child = self.schema.collections[step.collection]
            key = self.field(child, child.primary, (*place, last))
            return Target((*steps, step), child, key, mask=self._mask(child.collection, child.primary))
        if field.alias:
            raise InvalidQuery(f'"{name}" holds no value to compare with')
        return self._at_source(steps, here, mask) if name == here.primary else Target(steps, here, field, mask=mask)

    def _at_source(self, steps: tuple[Step, ...], here: Collection, mask: Condition | None) -> Target:
        """A key at the end of a to-one path is the foreign key itself: with a constraint there is nothing to join."""
        last = steps[-1] if steps else None
        if last is None or last.kind != "m2o" or last.relation.schema is None or mask is not None:
            return Target(steps, here, here.primary_field, mask=mask)
        source = self.schema.collections[last.relation.collection]
        return Target(steps[:-1], source, source.fields[last.relation.field], mask=last.mask)

    def _function(
        self, steps: tuple[Step, ...], here: Collection, function: str, name: str, arguments: str, place: Sequence[str]
    ) -> Target:
        types = FUNCTION_TYPES.get(function)
        if function == "json" or name == "*":
            raise Forbidden(field_reason(here.collection, [f"{function}({name})"], place))
        if types is None or arguments or "(" in name:
            raise InvalidQuery(f'There is no function "{function}"')
        field = self.field(here, name, place)
        found = self.schema.relation(here.collection, name)
        mask = self._mask(here.collection, name)
        if function == "count" and found is not None and found[0] == "o2m":
            return Target(steps, here, field, counted=self._step(here, name, (*place, name)), mask=mask)
        if field.type not in types or field.concealed:
            raise InvalidQuery(f'"{function}" does not take "{name}", a field of type "{field.type}"')
        return Target(steps, here, field, function=function, mask=mask)

    def _walk(
        self, names: Sequence[str], base: Collection, prefix: tuple[str, ...]
    ) -> tuple[tuple[Step, ...], Collection]:
        steps: list[Step] = []
        here = base
        for place, name in enumerate(names):
            path = (*prefix, *names[:place])
            if (against := _FOLLOW.fullmatch(name)) is not None:
                step = self._against(here, against, path)
            else:
                self.field(here, name.partition(":")[0], path)
                step = self._step(here, name, (*path, name))
            steps.append(step)
            here = self.collection(step.collection, (*path, name))
        return tuple(steps), here

    def _step(self, here: Collection, segment: str, path: Sequence[str]) -> Step:
        name, _, scope = segment.partition(":")
        found = self.schema.relation(here.collection, name)
        if found is None:
            raise Forbidden(field_reason(here.collection, [segment], path[:-1]))
        kind, relation = found
        if kind == "a2o":
            if not scope or scope not in self.schema.collections:
                raise Forbidden(collection_reason(scope or name, path))
            target = scope
        else:
            target = relation.collection if kind == "o2m" else str(relation.related_collection)
        self.collection(target, path)
        rows = self.guards.rows(target) if self.guards and kind == "o2m" else None
        return Step(kind, relation, target, self._mask(here.collection, name), rows)

    def _against(self, here: Collection, follow: re.Match[str], path: Sequence[str]) -> Step:
        """``$FOLLOW(collection, field)``: from here to the items that point here, where no alias says so (spec §7.6).

        For rules only: it goes past fields that a caller may not see.
        """
        found = self.schema.relation(follow["collection"], follow["field"])
        if self.guards is None and found is not None:
            kind, relation = found
            if (kind == "m2o" and relation.related_collection == here.collection) or (
                kind == "a2o" and here.collection in relation.allowed_collections
            ):
                return Step("o2m", relation, relation.collection)
        raise Forbidden(field_reason(here.collection, [follow[0]], path))

    def _mask(self, collection: str, name: str) -> Condition | None:
        return self.guards.mask(collection, name) if self.guards else None


def place_of(path: Sequence[str]) -> str:
    return f'"{".".join(path)}"' if path else "root"


def collection_reason(name: str, path: Sequence[str]) -> str:
    return (
        f'You don\'t have permission to access collection "{name}" or it does not exist. Queried in {place_of(path)}.'
    )


def field_reason(collection: str, names: Sequence[str], path: Sequence[str]) -> str:
    shown = ", ".join(f'"{n}"' for n in names)
    word, pronoun = ("field", "it does") if len(names) == 1 else ("fields", "they do")
    return (
        f'You don\'t have permission to access {word} {shown} in collection "{collection}" or {pronoun} not exist. '
        f"Queried in {place_of(path)}."
    )
