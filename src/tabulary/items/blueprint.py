"""What writing to a collection needs to know of it, worked out once for each version of the schema.

A :class:`Blueprint` is pure: columns, automatic fields, relations by side, and the rules that hold for everyone.
:class:`WriteCache` keeps blueprints and compiled statements; it hangs on the platform, so nothing is global.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from tabulary.core.errors import Forbidden
from tabulary.database.dialects.base import Column
from tabulary.items.filter import Filter, Leaf, parse_rule, variables
from tabulary.schema.overview import AUTO_INCREMENT, Collection, Field, Kind, Relation, Schema

T = TypeVar("T")

CREATE, UPDATE, DELETE = "create", "update", "delete"
_STAMPS = {
    CREATE: frozenset({"uuid", "user-created", "role-created", "date-created"}),
    UPDATE: frozenset({"user-updated", "role-updated", "date-updated"}),
}
_SELF_FILLING = frozenset(
    {"uuid", "date-created", "date-updated", "role-created", "role-updated", "user-created", "user-updated"}
)
_MAX_ENTRIES = 4_000


@dataclass(frozen=True, slots=True)
class FieldPlan:
    """One real column as the payload engine sees it."""

    name: str
    type: str
    special: tuple[str, ...]
    column: Column


@dataclass(frozen=True, slots=True)
class Rule:
    """A validation rule: its tree, its literals, the variables it mentions."""

    tree: Filter
    values: tuple[Any, ...] = ()
    variables: tuple[str, ...] = ()

    @classmethod
    def of(cls, raw: Mapping[str, Any]) -> Rule:
        values: list[Any] = []
        tree = parse_rule(raw, values)
        return cls(tree, tuple(values), tuple(v.text for v in variables(tree)))


@dataclass(frozen=True)
class Blueprint:
    """A collection prepared for writing. ``relational`` are the fields that revisions leave out (spec items §1.12)."""

    collection: Collection
    fields: Mapping[str, FieldPlan]
    automatic: Mapping[str, tuple[FieldPlan, ...]]
    rules: Mapping[str, tuple[Rule, ...]]
    many_to_one: Mapping[str, Relation]
    any_to_one: Mapping[str, Relation]
    one_to_many: Mapping[str, Relation]
    relational: frozenset[str]

    @property
    def name(self) -> str:
        return self.collection.collection

    @property
    def primary(self) -> FieldPlan:
        return self.fields[self.collection.primary]

    @property
    def counts_itself(self) -> bool:
        """True when the database numbers new items."""
        kind = self.collection.primary_field
        return kind.type in ("integer", "bigInteger") and kind.default_value == AUTO_INCREMENT

    def snapshot_fields(self) -> list[str]:
        """The fields of a revision's ``data``: all that are no relations, or ``*`` when there is no such field."""
        return [name for name in self.collection.fields if name not in self.relational] or ["*"]

    @classmethod
    def of(cls, schema: Schema, collection: str) -> Blueprint:
        """Raises :class:`Forbidden` for a collection that the schema does not have."""
        found = schema.collections.get(collection)
        if found is None:
            raise Forbidden(f'You don\'t have permission to access collection "{collection}" or it does not exist.')
        plans = {f.field: _plan(f) for f in found.fields.values() if not f.alias}
        sides: dict[Kind, dict[str, Relation]] = {"m2o": {}, "a2o": {}, "o2m": {}}
        for relation in schema.relations:
            for name in _ends(relation, collection):
                seen = schema.relation(collection, name)
                if seen is not None and name in found.fields:
                    sides[seen[0]].setdefault(name, seen[1])
        return cls(
            collection=found,
            fields=plans,
            automatic={
                a: tuple(p for p in plans.values() if names.intersection(p.special)) for a, names in _STAMPS.items()
            },
            rules={action: _rules(found, action) for action in (CREATE, UPDATE)},
            many_to_one=sides["m2o"],
            any_to_one=sides["a2o"],
            one_to_many=sides["o2m"],
            relational=frozenset(name for r in schema.relations for name in _ends(r, collection)[:1]),
        )


@dataclass
class WriteCache:
    """Blueprints of the latest schema, parsed rules of permissions, compiled statements. Bounded."""

    _schema: Schema | None = None
    _blueprints: dict[str, Blueprint] = field(default_factory=dict)
    _rules: dict[int, tuple[Mapping[str, Any], Rule]] = field(default_factory=dict)
    _statements: dict[Hashable, Any] = field(default_factory=dict)

    def blueprint(self, schema: Schema, collection: str) -> Blueprint:
        """Raises :class:`Forbidden` for an unknown collection."""
        if schema is not self._schema:
            self._schema, self._blueprints = schema, {}
        found = self._blueprints.get(collection)
        if found is None:
            found = self._blueprints[collection] = Blueprint.of(schema, collection)
        return found

    def rule(self, raw: Mapping[str, Any]) -> Rule:
        """The parsed form of a stored rule. Rules are known by identity; the cache holds on to them."""
        entry = self._rules.get(id(raw))
        if entry is None:
            if len(self._rules) >= _MAX_ENTRIES:
                self._rules.clear()
            entry = self._rules[id(raw)] = (raw, Rule.of(raw))
        return entry[1]

    def statement(self, key: Hashable, make: Callable[[], T]) -> T:
        found: T | None = self._statements.get(key)
        if found is None:
            if len(self._statements) >= _MAX_ENTRIES:
                self._statements.clear()
            found = self._statements[key] = make()
        return found


def _plan(of: Field) -> FieldPlan:
    return FieldPlan(of.field, of.type, of.special, Column(of.field, of.type, of.db_type, of.special))


def _ends(relation: Relation, collection: str) -> list[str]:
    """The fields of ``collection`` that belong to the relation, the many side first."""
    ends = [relation.field] if relation.collection == collection else []
    if relation.related_collection == collection and relation.one_field:
        ends.append(relation.one_field)
    return ends


def _rules(collection: Collection, action: str) -> tuple[Rule, ...]:
    """Required, not null and own validation of each field, in this order (spec items-and-query §7.4)."""
    rules: list[Rule] = []
    for of in collection.fields.values():
        if not of.nullable and not of.generated and not _SELF_FILLING.intersection(of.special):
            if action == CREATE and of.default_value is None:
                rules.append(Rule(Leaf((of.field,), "_submitted", True)))
            rules.append(Rule(Leaf((of.field,), "_nnull", True)))
        if of.validation:
            rules.append(Rule.of(of.validation))
    return tuple(rules)
