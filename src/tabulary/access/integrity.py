"""What no write may break: one active admin remains, and the limits of users hold (spec users §1.3).

A write declares flags; the outermost one checks them once, in its transaction, after all rows are written. The check
takes a lock first, so that two writes that each remove "the other" admin cannot both pass.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from enum import IntFlag
from typing import Any

import sqlalchemy as sa

from tabulary.core.errors import LimitExceeded, UnprocessableContent
from tabulary.database.connection import Connection

Condition = sa.ColumnElement[bool]

LAST_ADMIN = "Cannot remove the last admin user from the system"

_ACCESS = sa.table("directus_access", *map(sa.column, ("role", "user", "policy")))
_POLICIES = sa.table("directus_policies", *map(sa.column, ("id", "admin_access", "app_access")))
_ROLES = sa.table("directus_roles", sa.column("id"), sa.column("parent"))
_USERS = sa.table("directus_users", *map(sa.column, ("id", "role", "status")))
_ACTIVE = _USERS.c.status == "active"


class IntegrityFlags(IntFlag):
    """What has to hold for users once a write is done. Nested writes pass theirs up; the outermost one checks."""

    NONE = 0
    REMAINING_ADMINS = 1
    USER_LIMITS = 2
    ALL = 3


@dataclass(frozen=True, slots=True)
class UserCounts:
    """Active users by what they can reach; each counts once, at its highest."""

    admin: int
    app: int
    api: int


async def check_integrity(connection: Connection, flags: int, settings: Mapping[str, Any]) -> None:
    """Raise :class:`LimitExceeded` or :class:`UnprocessableContent` when what is written breaks a rule of ``flags``."""
    limits = [settings.get(f"USERS_{kind}_ACCESS_LIMIT", math.inf) for kind in ("ADMIN", "APP", "API")]
    limited = bool(flags & IntegrityFlags.USER_LIMITS) and any(math.isfinite(limit) for limit in limits)
    if not limited and not flags & IntegrityFlags.REMAINING_ADMINS:
        return
    await connection.dialect.lock(connection, "user_integrity")
    if limited:
        counts = await count_users(connection)
        for count, limit, category in zip(
            (counts.admin, counts.app + counts.admin, counts.api), limits, ("Admin", "App", "API"), strict=True
        ):
            if count > limit:
                raise LimitExceeded(f"Active {category} users")
    if flags & IntegrityFlags.REMAINING_ADMINS:
        await check_remaining_admins(connection)


async def check_remaining_admins(connection: Connection, excluded: Collection[str] = ()) -> None:
    """Raise :class:`UnprocessableContent` unless an active admin exists outside the ``excluded`` users."""
    admins, _ = await _reach(connection)
    others = _USERS.c.id.not_in(list(excluded)) if excluded else sa.true()
    if not await _count(connection, sa.and_(_ACTIVE, admins, others)):
        raise UnprocessableContent(LAST_ADMIN)


async def count_users(connection: Connection) -> UserCounts:
    """Count active users through roles, ancestor roles and own policies. IP restrictions do not count."""
    admins, apps = await _reach(connection)
    admin = await _count(connection, sa.and_(_ACTIVE, admins))
    app = await _count(connection, sa.and_(_ACTIVE, apps, sa.not_(sa.func.coalesce(admins, sa.false()))))
    total = await _count(connection, _ACTIVE)
    return UserCounts(admin, app, max(0, total - admin - app))


async def has_admin(connection: Connection) -> bool:
    """True when any user has admin access: also one that is suspended, invited or archived."""
    admins, _ = await _reach(connection)
    return bool(await _count(connection, sa.func.coalesce(admins, sa.false())))


async def admin_role(connection: Connection) -> str | None:
    """The key of a role that has a policy with admin access itself."""
    granted = (
        sa.select(_ACCESS.c.role)
        .join_from(_ACCESS, _POLICIES, _ACCESS.c.policy == _POLICIES.c.id)
        .where(_POLICIES.c.admin_access == sa.true(), _ACCESS.c.role.is_not(None))
        .order_by(_ACCESS.c.role)
        .limit(1)
    )
    rows = await connection.select(granted)
    return rows[0]["role"] if rows else None


async def _reach(connection: Connection) -> tuple[Condition, Condition]:
    """Which users have admin access, and which have admin or app access."""
    granted = (
        sa.select(_ACCESS.c.role, _ACCESS.c.user, _POLICIES.c.admin_access)
        .join_from(_ACCESS, _POLICIES, _ACCESS.c.policy == _POLICIES.c.id)
        .where(sa.or_(_POLICIES.c.admin_access == sa.true(), _POLICIES.c.app_access == sa.true()))
    )
    latest = connection.dialect.latest
    rows = await connection.select(latest(granted))
    parents = {row["id"]: row["parent"] for row in await connection.select(latest(sa.select(_ROLES)))}

    def having(rows: Iterable[Mapping[str, Any]]) -> Condition:
        roles = _with_descendants({row["role"] for row in rows if row["role"]}, parents)
        users = {row["user"] for row in rows if row["user"]}
        return sa.or_(_USERS.c.role.in_(sorted(roles)), _USERS.c.id.in_(sorted(users)))

    return having([row for row in rows if row["admin_access"]]), having(rows)


def _with_descendants(roles: set[str], parents: Mapping[str, str | None]) -> set[str]:
    """Close a set of roles downwards: the children of a member are members."""
    children: dict[str, list[str]] = {}
    for role, parent in parents.items():
        if parent is not None:
            children.setdefault(parent, []).append(role)
    closed, pending = set(roles), list(roles)
    while pending:
        for child in children.get(pending.pop(), ()):
            if child not in closed:
                closed.add(child)
                pending.append(child)
    return closed


async def _count(connection: Connection, condition: Condition) -> int:

    statement = sa.select(sa.func.count().label("count")).select_from(_USERS).where(condition)
    return int((await connection.select(connection.dialect.latest(statement)))[0]["count"])
