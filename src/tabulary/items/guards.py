"""Permissions as the planner needs them: who may read what, which rows take part, when a field is masked.

The rows of one collection are rules with field lists; they are combined here, never merged (spec items-and-query §7.2).
"""

from __future__ import annotations

from collections.abc import Collection as Names
from functools import lru_cache
from typing import Any

from tabulary.access.permissions import PermissionSet
from tabulary.items.conditions import AnyOf, Condition, Resolver
from tabulary.items.filter import parse_rule
from tabulary.schema.overview import Schema

Rule = tuple[frozenset[str], Condition | None]
"""The fields that a rule grants (``*`` = all) and its condition (None = every item)."""


class Guards:
    """The rules of one caller for one action, resolved once for a plan."""

    def __init__(self, schema: Schema, permissions: PermissionSet, action: str = "read") -> None:
        self.schema, self.permissions, self.action = schema, permissions, action
        self._rules = lru_cache(maxsize=None)(self._load)

    def readable(self, collection: str) -> bool:
        return self.permissions.allows(collection, self.action)

    def grants(self, collection: str, field: str) -> bool:
        return any("*" in fields or field in fields for fields, _ in self._rules(collection))

    def granted(self, collection: str) -> frozenset[str]:
        """The union of granted names."""
        return frozenset(name for fields, _ in self._rules(collection) for name in fields)

    def place(self, collection: str, field: str) -> int:
        """Where the rules name a field: wildcards of a caller with chosen fields go out in that order."""
        named = [name for row in self.permissions.of_action(collection, self.action) for name in row.fields]
        return 0 if "*" in named else named.index(field)

    def rows(self, collection: str, requested: Names[str] | None = None) -> Condition | None:
        """When an item is visible: any rule that grants something requested holds. None = always."""
        return _any(
            [
                c
                for fields, c in self._rules(collection)
                if not requested or "*" in fields or not fields.isdisjoint(requested)
            ]
        )

    def mask(self, collection: str, field: str) -> Condition | None:
        """When a field's value may be seen. None = always."""
        return _any([c for fields, c in self._rules(collection) if "*" in fields or field in fields])

    def _load(self, collection: str) -> tuple[Rule, ...]:
        found: dict[Any, tuple[frozenset[str], Condition | None]] = {}
        for permission in self.permissions.of_action(collection, self.action):
            constants: list[Any] = []
            tree = parse_rule(permission.permissions, constants)
            condition = Resolver(self.schema, None, constants).condition(tree, collection)
            key = (tree, repr(constants))
            fields = frozenset(permission.fields) | (found[key][0] if key in found else frozenset())
            found[key] = (fields, condition)
        return tuple(found.values())


def _any(conditions: list[Condition | None]) -> Condition | None:
    """Any of the conditions; without one never, so that a field nobody grants is not taken for a free one."""
    said = [c for c in conditions if c is not None]
    if len(said) < len(conditions):
        return None
    return said[0] if len(said) == 1 else AnyOf(tuple(said))
