"""Everything the database says about access, loaded at once and immutable: roles, policies, grants, permissions.

The rules of spec users §4.2–4.3 are pure functions of a snapshot. Only grants to single users are not in it: there may
be as many as users, so :class:`tabulary.access.store.AccessStore` looks them up one user at a time.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa

from tabulary.access.networks import IpRules
from tabulary.access.permissions import Permission, PermissionSet
from tabulary.core.json import decode
from tabulary.database.connection import Connection

ROLES = sa.table("directus_roles", sa.column("id"), sa.column("parent"))
POLICIES = sa.table(
    "directus_policies",
    *map(sa.column, ("id", "ip_access", "admin_access", "app_access", "enforce_tfa")),
)
ACCESS = sa.table("directus_access", *map(sa.column, ("id", "role", "user", "policy")))
PERMISSIONS = sa.table(
    "directus_permissions",
    *map(sa.column, ("id", "collection", "action", "permissions", "validation", "presets", "fields", "policy")),
)


@dataclass(frozen=True, slots=True)
class Policy:
    """One row of ``directus_policies`` with its permission rows."""

    id: str
    ip: IpRules = field(default_factory=IpRules)
    admin: bool = False
    app: bool = False
    enforce_tfa: bool = False
    permissions: tuple[Permission, ...] = ()


@dataclass(frozen=True, slots=True)
class Rights:
    """What the policies of a caller add up to. ``admin`` implies ``app``."""

    admin: bool = False
    app: bool = False


@dataclass(frozen=True)
class AccessSnapshot:
    """``parents``: role → parent role. ``grants``: role → its policies in order; None stands for the public."""

    parents: Mapping[str, str | None]
    policies: Mapping[str, Policy]
    grants: Mapping[str | None, tuple[str, ...]]
    sets: dict[tuple[tuple[str, ...], bool], PermissionSet] = field(default_factory=dict, repr=False, compare=False)
    """Permission sets made so far, so that callers with the same policies share one."""

    @classmethod
    async def load(cls, connection: Connection) -> AccessSnapshot:
        """Read the four tables, one statement each."""
        roles = await connection.select(sa.select(ROLES))
        policies = await connection.select(sa.select(POLICIES))
        access = await connection.select(
            sa.select(ACCESS.c.role, ACCESS.c.policy).where(sa.or_(ACCESS.c.user.is_(None), ACCESS.c.role.is_not(None)))
        )
        permissions = await connection.select(sa.select(PERMISSIONS).order_by(PERMISSIONS.c.id))
        rows: dict[str, list[Permission]] = {}
        for row in permissions:
            rows.setdefault(row["policy"], []).append(_permission(row))
        grants: dict[str | None, list[str]] = {}
        for row in access:
            grants.setdefault(row["role"], []).append(row["policy"])
        return cls(
            {row["id"]: row["parent"] for row in roles},
            {row["id"]: _policy(row, tuple(rows.get(row["id"], ()))) for row in policies},
            {role: tuple(granted) for role, granted in grants.items()},
        )

    def role_tree(self, role: str | None) -> tuple[str, ...]:
        """The role and its ancestors, root first. Unknown roles end the way up; a circle is an internal error."""
        tree: list[str] = []
        while role is not None and role in self.parents:
            if role in tree:
                raise RuntimeError("The roles form a circle.")
            tree.append(role)
            role = self.parents[role]
        return tuple(reversed(tree))

    def policies_of(self, roles: Sequence[str], own: Iterable[str], ip: str | None) -> tuple[str, ...]:
        """The policies in force: from the root role down, the user's ``own`` last; public ones only without a role."""
        granted = [policy for role in roles or (None,) for policy in self.grants.get(role, ())]
        known = (policy for policy in dict.fromkeys([*granted, *own]) if policy in self.policies)
        return tuple(policy for policy in known if self.policies[policy].ip.admits(ip))

    def rights(self, roles: Sequence[str], own: Iterable[str], ip: str | None) -> Rights:
        """Admin and app access. Unlike permissions, an unknown ip lifts the IP restriction, and the public has none."""
        granted = [policy for role in roles for policy in self.grants.get(role, ())]
        policies = [self.policies[p] for p in (*granted, *own) if p in self.policies]
        valid = [p for p in policies if ip is None or p.ip.admits(ip)]
        admin = any(p.admin for p in valid)
        return Rights(admin, admin or any(p.app for p in valid))

    def permission_set(self, policies: tuple[str, ...], implicit: tuple[Permission, ...]) -> PermissionSet:
        """The rows of ``policies`` in order, then the ``implicit`` ones; the same object for the same policies."""
        key = (policies, bool(implicit))
        found = self.sets.get(key)
        if found is None:
            rows = [row for policy in policies for row in self.policies[policy].permissions]
            found = self.sets[key] = PermissionSet.of([*rows, *implicit], policies)
        return found

    def enforces_tfa(self, policies: Iterable[str]) -> bool:
        return any(self.policies[p].enforce_tfa for p in policies if p in self.policies)


def split_csv(value: Any) -> tuple[str, ...]:
    """A CSV column as its entries; null and empty text have none."""
    return tuple(part for part in str(value).split(",") if part) if value else ()


def _policy(row: Mapping[str, Any], permissions: tuple[Permission, ...]) -> Policy:
    return Policy(
        row["id"],
        IpRules.parse(split_csv(row["ip_access"])),
        bool(row["admin_access"]),
        bool(row["app_access"]),
        bool(row["enforce_tfa"]),
        permissions,
    )


def _permission(row: Mapping[str, Any]) -> Permission:
    return Permission(
        row["collection"],
        row["action"],
        split_csv(row["fields"]),
        _object(row["permissions"]),
        _object(row["validation"]),
        _object(row["presets"]),
        row["policy"],
        row["id"],
    )


def _object(value: Any) -> Any:
    return decode(value) if isinstance(value, str | bytes) and value else value
