"""Why somebody may or may not do something: policies, rules and the SQL that they become.

The answer is made of the same parts that decide about requests (permission sets, guards, the compiler), so that it
cannot tell another story than they do.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from tabulary.access.accountability import Accountability
from tabulary.access.keys import is_uuid
from tabulary.access.networks import parse_address
from tabulary.access.permissions import Permission, PermissionSet
from tabulary.access.snapshot import AccessSnapshot
from tabulary.core.errors import Forbidden, InvalidPayload, InvalidQuery
from tabulary.database.connection import Statement
from tabulary.items.conditions import Condition, Resolver
from tabulary.items.filter import Variable, parse_rule, variables
from tabulary.items.guards import Guards
from tabulary.items.keys import check_keys
from tabulary.items.options import Key
from tabulary.items.plan import Node
from tabulary.items.platform import Platform
from tabulary.items.query import Query
from tabulary.items.slots import fill, signature_of
from tabulary.items.sql import Compiler
from tabulary.schema.overview import Collection, Schema

ACTIONS = ("create", "read", "update", "delete", "share")
_USERS = sa.table("directus_users", *map(sa.column, ("id", "email", "role", "status")))
_POLICIES = sa.table("directus_policies", sa.column("id"), sa.column("name"))
_ROLES = sa.table("directus_roles", sa.column("id"), sa.column("name"))
Item = dict[str, Any]
Values = Mapping[Variable, Any]


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked: may ``user`` (key or address, None is the public) do ``action`` with a collection or one item?

    With ``role`` (its key) instead of a user: may somebody who has this role and nothing else?
    """

    collection: str
    action: str = "read"
    user: str | None = None
    key: Key | None = None
    ip: str | None = None
    role: str | None = None


class Explanation:
    """Answers questions about one moment of schema and access. For admins: it tells rules and names."""

    def __init__(self, platform: Platform, schema: Schema) -> None:
        self._platform = platform
        self._schema = schema

    async def explain(self, question: Question) -> Item:
        """The whole story of one question.

        Raises :class:`InvalidPayload` for an action, user or collection that does not exist, and for no address.
        """
        if question.action not in ACTIONS:
            raise InvalidPayload(f'"action" must be one of [{", ".join(ACTIONS)}]')
        base = self._schema.collections.get(question.collection)
        if base is None:
            raise InvalidPayload(f'There is no collection "{question.collection}"')
        if question.ip is not None and parse_address(question.ip) is None:
            raise InvalidPayload(f'"{question.ip}" is no IP address')
        snapshot = await self._platform.access.snapshot()
        if question.role is not None and question.user is not None:
            raise InvalidPayload('Ask about a "user" or a "role", not about both')
        if question.role is not None and question.role not in snapshot.parents:
            raise InvalidPayload(f'There is no role "{question.role}"')
        user = await self._user(question.user)
        who = await self._accountability(snapshot, user, question)
        told: Item = {
            "user": user and {name: user[name] for name in ("id", "email", "status", "role")},
            "roles": await self._named(_ROLES, who.roles),
            "admin": who.admin,
            "app": who.app,
            "policies": await self._policies(snapshot, who),
            "action": question.action,
            "collection": question.collection,
            "key": question.key,
        }
        problem = _stopped(user)
        if who.admin:
            verdict: Item = {"allowed": problem is None, "reason": problem or "A policy in force gives admin access."}
        else:
            verdict = await self._verdict(base, who, question)
            if problem:
                verdict |= {"allowed": False, "reason": problem}
        return told | verdict

    # --- who --------------------------------------------------------------------------------
    async def _user(self, user: str | None) -> Item | None:
        if user is None:
            return None
        known = _USERS.c.id == user if is_uuid(user) else sa.func.lower(_USERS.c.email) == user.lower()
        async with self._platform.database.connection() as connection:
            rows = await connection.select(sa.select(_USERS).where(known))
        if not rows:
            raise InvalidPayload(f'There is no user "{user}"')
        return rows[0]

    async def _accountability(self, snapshot: AccessSnapshot, user: Item | None, question: Question) -> Accountability:
        if user is None and question.role is None:
            return Accountability(ip=question.ip)
        key, role = (user["id"], user["role"]) if user else (None, question.role)
        roles = snapshot.role_tree(role)
        rights = await self._platform.access.rights(key, roles, question.ip)
        return Accountability(key, role, roles, rights.admin, rights.app, question.ip)

    async def _policies(self, snapshot: AccessSnapshot, who: Accountability) -> list[Item]:
        """Every policy that is attached to the user in some way, and whether it is in force from this address."""
        own = await self._platform.access.own_policies(who.user)
        attached = {policy: role for role in (who.roles or (None,)) for policy in snapshot.grants.get(role, ())}
        ways: dict[str, Item] = {
            policy: {"role": role} if role else {"public": True} for policy, role in attached.items()
        }
        ways |= {policy: {"user": who.user} for policy in own}
        force = await self._platform.access.policies(who)
        return [
            {
                **named,
                "through": ways[named["id"]],
                "in_force": named["id"] in force,
                "admin_access": snapshot.policies[named["id"]].admin,
                "app_access": snapshot.policies[named["id"]].app,
            }
            for named in await self._named(_POLICIES, [policy for policy in ways if policy in snapshot.policies])
        ]

    async def _named(self, table: sa.TableClause, keys: Sequence[str]) -> list[Item]:
        if not keys:
            return []
        async with self._platform.database.connection() as connection:
            rows = await connection.select(sa.select(table.c.id, table.c.name).where(table.c.id.in_(list(keys))))
        names = {row["id"]: row["name"] for row in rows}
        return [{"id": key, "name": names.get(key)} for key in keys]

    # --- what -------------------------------------------------------------------------------
    async def _verdict(self, base: Collection, who: Accountability, question: Question) -> Item:
        permissions = await self._platform.access.permissions(who, self._schema)
        rows = permissions.of_action(base.collection, question.action)
        if not rows:
            return {
                "allowed": False,
                "reason": "No policy in force has a permission for this.",
                "rows": [],
                "fields": {},
            }
        try:
            return await self._judged(base, who, permissions, rows, question)
        except (Forbidden, InvalidQuery) as problem:
            return {
                "allowed": False,
                "reason": f"A rule cannot be used: {problem}",
                "rows": [_told(row) for row in rows],
                "fields": {},
            }

    async def _judged(
        self,
        base: Collection,
        who: Accountability,
        permissions: PermissionSet,
        rows: Sequence[Permission],
        question: Question,
    ) -> Item:
        values = await self._variables(rows, who)
        conditions = [_condition(self._schema, row) for row in rows]
        told = [
            _told(row) | self._sql(base, condition, values) for row, condition in zip(rows, conditions, strict=True)
        ]
        whole = self._sql(base, Guards(self._schema, permissions, question.action).rows(base.collection), values)
        matches = None
        if question.key is not None and question.action != "create":
            matches = await self._matches(base, question.key, conditions, values)
            for entry, match in zip(told, matches or (), strict=False):
                entry["matches"] = match
        allowed, reason = _judgement(matches, question)
        return {
            "allowed": allowed,
            "reason": reason,
            **whole,
            "rows": told,
            "fields": _fields(base, rows, conditions, matches),
        }

    async def _variables(self, rows: Sequence[Permission], who: Accountability) -> Values:
        texts = {v.text for row in rows for v in variables(parse_rule(row.permissions, []))}
        found = await self._platform.access.variables(texts, who, self._schema, of_rules=True)
        return {Variable(text, of_rule=True): value for text, value in found.items()}

    def _sql(self, base: Collection, condition: Condition | None, values: Values) -> Item:
        """The keys that a rule selects, as the database is asked for them; no SQL for a rule that holds always."""
        if condition is None:
            return {"sql": None, "values": []}
        compiler = Compiler(self._schema, self._platform.database.dialect)
        compiler.slots.signature = signature_of(values)
        statement = compiler.keys(Node(base, rows=condition))
        return {"sql": statement.sql, "values": _bound(compiler, statement, values)}

    async def _matches(
        self, base: Collection, key: Key, conditions: Sequence[Condition | None], values: Values
    ) -> list[bool] | None:
        """Which of the rules the item satisfies; None when there is no such item."""
        try:
            check_keys(base, [key])
        except Forbidden:
            return None
        query = Query().with_key(base.primary, [key], many=True)
        constants = list(query.values)
        wanted = Resolver(self._schema, None, constants).condition(query.root.filter, base.collection)
        compiler = Compiler(self._schema, self._platform.database.dialect)
        compiler.slots.signature = signature_of(values)
        statement = compiler.flags(Node(base, filter=wanted), conditions)
        async with self._platform.database.connection() as connection:
            rows = await connection.fetch_rows(statement.sql, _bound(compiler, statement, values))
        return [bool(flag) for flag in rows[0][1:]] if rows else None


def _bound(compiler: Compiler, statement: Statement, values: Values) -> list[Any]:
    return fill(compiler.slots.slots, (), values, statement.constants, statement.names, 0)


def _condition(schema: Schema, row: Permission) -> Condition | None:
    constants: list[Any] = []
    tree = parse_rule(row.permissions, constants)
    return Resolver(schema, None, constants).condition(tree, row.collection)


def _told(row: Permission) -> Item:
    return {
        "id": row.id,
        "policy": row.policy or ("app access" if row.system else None),
        "fields": list(row.fields),
        "permissions": row.permissions,
        "validation": row.validation,
        "presets": row.presets,
    }


def _stopped(user: Item | None) -> str | None:
    if user is None or user["status"] == "active":
        return None
    return f'The user is "{user["status"]}": only active users come in.'


def _judgement(matches: Sequence[bool] | None, question: Question) -> tuple[bool, str]:
    if question.key is None or question.action == "create":
        return True, "A policy in force has a permission for this; rules decide about single items and fields."
    if matches is None:
        return False, "There is no such item."
    if not any(matches):
        return False, "The item satisfies none of the rules."
    return True, "The item satisfies at least one of the rules."


def _fields(
    base: Collection, rows: Sequence[Permission], conditions: Sequence[Condition | None], matches: Sequence[bool] | None
) -> dict[str, str]:
    """For every field: ``granted``, ``masked`` (this item: null), ``by item`` (some items: null) or ``refused``."""
    told = {}
    for name in base.fields:
        granting = [place for place, row in enumerate(rows) if row.grants(name)]
        if not granting:
            told[name] = "refused"
        elif matches is not None:
            told[name] = "granted" if any(matches[place] for place in granting) else "masked"
        else:
            told[name] = "granted" if any(conditions[place] is None for place in granting) else "by item"
    return told
