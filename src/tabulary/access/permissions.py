"""What someone may do: the permission rows of all policies that apply, resolved once for a request.

Rows are not merged into one; they are combined where they are used (spec users-and-access §4.3).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any, Literal

import msgspec

Action = Literal["create", "read", "update", "delete", "share"]


@dataclass(frozen=True, slots=True)
class Permission:
    """One row of ``directus_permissions`` (or an implicit one: ``system``).

    ``permissions`` is the item rule: None and ``{}`` both mean all items. ``fields`` may be empty: no field at all.
    """

    collection: str
    action: str
    fields: tuple[str, ...] = ()
    permissions: Mapping[str, Any] | None = None
    validation: Mapping[str, Any] | None = None
    presets: Mapping[str, Any] | None = None
    policy: str | None = None
    id: int | None = None
    system: bool = False

    @property
    def grants_all_fields(self) -> bool:
        return "*" in self.fields

    def grants(self, name: str) -> bool:
        return "*" in self.fields or name in self.fields


@dataclass(frozen=True, slots=True)
class PermissionSet:
    """All permission rows of a caller in policy order. ``unrestricted`` (admins, internal calls) needs none.

    ``key`` identifies the content: callers with equal rows share plans.
    """

    rows: Mapping[tuple[str, str], tuple[Permission, ...]] = field(default_factory=dict)
    unrestricted: bool = False
    policies: tuple[str, ...] = ()
    key: str = ""

    @classmethod
    def of(cls, permissions: Iterable[Permission], policies: Iterable[str] = ()) -> PermissionSet:
        rows: dict[tuple[str, str], list[Permission]] = {}
        for permission in permissions:
            rows.setdefault((permission.collection, permission.action), []).append(permission)
        frozen = {k: tuple(v) for k, v in rows.items()}
        shapes = [[*k, [[p.fields, p.permissions] for p in v]] for k, v in sorted(frozen.items())]
        content = msgspec.json.encode(shapes)
        return cls(frozen, False, tuple(policies), sha256(content).hexdigest()[:24])

    def of_action(self, collection: str, action: str) -> tuple[Permission, ...]:
        return self.rows.get((collection, action), ())

    def allows(self, collection: str, action: str) -> bool:
        return self.unrestricted or bool(self.rows.get((collection, action)))

    def fields(self, collection: str, action: str) -> frozenset[str]:
        """The union of granted field names; ``*`` among them means all."""
        if self.unrestricted:
            return frozenset("*")
        return frozenset(name for row in self.of_action(collection, action) for name in row.fields)


UNRESTRICTED = PermissionSet(unrestricted=True, key="*")
