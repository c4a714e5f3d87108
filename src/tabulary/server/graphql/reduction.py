"""What of the data model a caller may use for one action (spec §1.3, §1.12).

Full for admins, else reduced to the fields that their permissions name. A relation stays only when its other side is
there as well; otherwise the plain value of the field does.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Final

from tabulary.access.permissions import PermissionSet
from tabulary.schema.overview import Collection, Field, Kind, Relation, Schema

NEVER: Final = frozenset(
    f"directus_{name}" for name in ("collections", "fields", "relations", "migrations", "sessions", "extensions")
)
"""System collections without generated types; some are served by hand (:mod:`system`)."""
RESERVED: Final = frozenset(
    ("Subscription", "Query", "Mutation", "Int", "Float", "String", "Boolean", "DateTime", "ID", "uid", "JSON")
).union(("Hash", "Date", "Void", "Point", "PointList", "Polygon", "MultiPolygon"))
"""Names that collections cannot have here, because types have them."""
_NAME: Final = re.compile(r"(?!__)[_A-Za-z][_0-9A-Za-z]*")


def is_name(text: str) -> bool:
    """True for what GraphQL takes as a name of our own."""
    return _NAME.fullmatch(text) is not None


def is_served(collection: str) -> bool:
    """True for a collection that can have types."""
    return is_name(collection) and collection not in RESERVED and collection not in NEVER


@dataclass(frozen=True)
class Reduction:
    """One action's part of the data model."""

    schema: Schema
    permissions: PermissionSet
    action: str
    _known: dict[str, frozenset[str]] = field(default_factory=dict, repr=False, compare=False)

    @cached_property
    def collections(self) -> Mapping[str, Collection]:
        """The collections that the caller may use, by name."""
        return {
            name: collection
            for name, collection in self.schema.collections.items()
            if self.permissions.allows(name, self.action) and is_served(name)
        }

    def fields(self, collection: str) -> list[Field]:
        """The allowed fields of a collection."""
        granted = self._granted(collection)
        fields = self.schema.collections[collection].fields.values()
        return [f for f in fields if ("*" in granted or f.field in granted) and is_name(f.field)]

    def is_consistent(self, collection: str, name: str) -> bool:
        """False when some of the caller's permissions show the field and others do not: it may then be null."""
        rows = self.permissions.of_action(collection, self.action)
        return all(row.grants(name) for row in rows)

    def relation(self, collection: str, name: str) -> tuple[Kind, Relation] | None:
        """The relation behind a field, unless the caller lacks its other side."""
        found = self.schema.relation(collection, name)
        return found if found is not None and self._survives(found[1]) else None

    def _survives(self, relation: Relation) -> bool:
        if not self._allows(relation.collection, relation.field):
            return False
        if relation.is_any:
            return all(name in self.collections for name in relation.allowed_collections)
        related = relation.related_collection
        if related is None or related not in self.collections:
            return False
        return not relation.one_field or self._allows(related, relation.one_field)

    def _allows(self, collection: str, name: str) -> bool:
        if collection not in self.collections:
            return False
        granted = self._granted(collection)
        return "*" in granted or name in granted

    def _granted(self, collection: str) -> frozenset[str]:
        found = self._known.get(collection)
        if found is None:
            found = self._known[collection] = self.permissions.fields(collection, self.action)
        return found
