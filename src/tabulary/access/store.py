"""Who may do what, cached: the one place that turns an accountability into policies, permissions and variables.

The store keeps one :class:`AccessSnapshot` of roles, policies, grants and permissions until
:meth:`AccessStore.invalidate`, and beside it what follows from it for callers; the ip is part of every such key.
The database's versions invalidate it (spec users §4.9, :mod:`tabulary.database.versions`); a load that began before an
invalidation never enters the cache.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from tabulary.access.accountability import Accountability
from tabulary.access.addresses import AddressRules
from tabulary.access.implicit import ImplicitPermissions
from tabulary.access.integrity import IntegrityFlags, check_integrity
from tabulary.access.keys import is_uuid
from tabulary.access.permissions import UNRESTRICTED, PermissionSet
from tabulary.access.shares import SharePermissions
from tabulary.access.snapshot import ACCESS, AccessSnapshot, Rights
from tabulary.access.variables import NOW, VariableName, now, parse_variable, pluck
from tabulary.core.errors import Forbidden, InvalidQuery
from tabulary.database.versions import ACCESS as ACCESS_TOPIC
from tabulary.database.versions import IDENTITIES, SESSIONS

if TYPE_CHECKING:
    from tabulary.core.settings import Settings
    from tabulary.database.connection import Connection
    from tabulary.database.engine import Database
    from tabulary.schema.overview import Schema
    from tabulary.schema.store import SchemaStore

RawRead = Callable[
    ["Schema", str, Mapping[str, Any], Accountability | None, "Connection | None"], Awaitable[list[dict[str, Any]]]
]
"""``read(schema, collection, raw_query, accountability, connection)``: how variables see users and roles."""

_COLLECTIONS = {
    "$CURRENT_USER": "directus_users",
    "$CURRENT_ROLE": "directus_roles",
    "$CURRENT_ROLES": "directus_roles",
    "$CURRENT_POLICIES": "directus_policies",
}
_LISTS = frozenset({"$CURRENT_ROLES", "$CURRENT_POLICIES"})
_CAPACITY = 10_000
"""Callers that are remembered; beyond it a cache starts anew."""


class AccessStore:
    """See the module. ``version`` rises with every change of access, ``identity_version`` also with those of users,
    ``session_version`` with those of sessions, too.
    """

    def __init__(self, database: Database, schemas: SchemaStore, settings: Settings) -> None:
        self.implicit = ImplicitPermissions.load()
        self.addresses = AddressRules.load()
        self.version = 0
        self.identity_version = 0
        self.session_version = 0
        self._database = database
        self._schemas = schemas
        self._settings = settings
        self._snapshot: AccessSnapshot | None = None
        self._own: dict[str, tuple[str, ...]] = {}
        self._sets: dict[Accountability, PermissionSet] = {}
        self._shares = SharePermissions(self)
        self._loading = asyncio.Lock()
        self._read: RawRead | None = None
        database.versions.subscribe(ACCESS_TOPIC, self.invalidate)
        database.versions.subscribe(IDENTITIES, self.invalidate_identities)
        database.versions.subscribe(SESSIONS, self.invalidate_sessions)

    def bind(self, read: RawRead) -> None:
        """Give the store the read engine, which lives floors above."""
        self._read = read

    def invalidate(self) -> None:
        """Forget everything: policies, permissions, roles or grants have changed."""
        self.version += 1
        self.invalidate_identities()
        self._snapshot = None
        self._own = {}
        self._sets = {}

    def invalidate_identities(self) -> None:
        """Forget who the bearers of tokens are: users, their tokens, status or sessions have changed."""
        self.identity_version += 1
        self.invalidate_sessions()

    def invalidate_sessions(self) -> None:
        """The same for those who came with a session: some have ended."""
        self.session_version += 1

    async def snapshot(self, connection: Connection | None = None) -> AccessSnapshot:
        """The current roles, policies and permissions.

        Work inside a transaction passes its ``connection``: it may not wait for a second one, and what it has
        written itself must not get into the cache before it commits.
        """
        if self._snapshot is not None:
            return self._snapshot
        if connection is not None and connection.in_transaction:
            return await AccessSnapshot.load(connection)
        async with self._loading:
            while self._snapshot is None:
                version = self.version
                async with self.connected(connection) as opened:
                    loaded = await AccessSnapshot.load(opened)
                if version == self.version:
                    self._snapshot = loaded
        return self._snapshot

    async def role_tree(self, role: str | None) -> tuple[str, ...]:
        """The role and its ancestors, root first (spec users §3.2)."""
        return (await self.snapshot()).role_tree(role) if role else ()

    async def rights(self, user: str | None, roles: Sequence[str], ip: str | None) -> Rights:
        """Whether a user with these roles has admin or app access from ``ip``."""
        return (await self.snapshot()).rights(roles, await self.own_policies(user), ip)

    async def policies(self, accountability: Accountability, connection: Connection | None = None) -> tuple[str, ...]:
        """The ids of the policies in force, in order of precedence (spec users §4.2)."""
        snapshot = await self.snapshot(connection)
        own = await self.own_policies(accountability.user, connection)
        return snapshot.policies_of(accountability.roles, own, accountability.ip)

    async def permissions(
        self, accountability: Accountability | None, schema: Schema, connection: Connection | None = None
    ) -> PermissionSet:
        """What someone may do (spec users §4.3). Callers with the same policies get the same object."""
        if accountability is None or accountability.admin:
            return UNRESTRICTED
        if accountability.share is not None:
            return await self._shares.permissions(accountability.share, accountability.ip, schema, connection)
        known = self._sets.get(accountability)
        if known is not None:
            return known
        version = self.version
        found = await self._permissions(accountability, connection)
        if version == self.version and not (connection is not None and connection.in_transaction):
            if len(self._sets) >= _CAPACITY:
                self._sets = {}
            self._sets[accountability] = found
        return found

    async def _permissions(self, accountability: Accountability, connection: Connection | None) -> PermissionSet:
        snapshot = await self.snapshot(connection)
        policies = await self.policies(accountability, connection)
        return snapshot.permission_set(policies, self.implicit.app if accountability.app else ())

    async def enforces_tfa(self, accountability: Accountability) -> bool:
        """True when any policy in force demands a second factor."""
        return (await self.snapshot()).enforces_tfa(await self.policies(accountability))

    async def check_integrity(self, connection: Connection, flags: IntegrityFlags) -> None:
        """Check what a write may not break: an admin remains, user limits hold (spec users §1.3).

        Runs in the transaction of the write, after it. Raises :class:`UnprocessableContent` or :class:`LimitExceeded`.
        """
        await check_integrity(connection, flags, self._settings)

    async def variables(
        self,
        texts: Iterable[str],
        accountability: Accountability | None,
        schema: Schema,
        *,
        connection: Connection | None = None,
        of_rules: bool = False,
    ) -> dict[str, Any]:
        """The values of dynamic variables by their text (spec items §4.7); other texts stand for themselves.

        Fields of the user, its roles and policies take one read a collection: by the system when the texts come from
        rules (``of_rules``), else with the rights of who asks, to whom a filter must not tell what a read would hide.
        Raises :class:`InvalidQuery` for a field that is unknown or not readable, :class:`Forbidden` for one in a rule.
        """
        who = accountability or Accountability()
        values: dict[str, Any] = {}
        paths: dict[str, dict[str, VariableName]] = {}
        for text in texts:
            name = parse_variable(text)
            if name is None:
                values[text] = text
            elif name.path:
                paths.setdefault(name.base, {})[text] = name
            elif name.base == NOW:
                values[text] = now(name.adjustment)
            else:
                values[text] = await self._keys(name.base, who, connection)
        for base, names in paths.items():
            keys = await self._keys(base, who, connection)
            found = await self._fields(base, names.values(), keys, schema, connection, None if of_rules else who)
            for text, name in names.items():
                source = found if base in _LISTS else next(iter(found), None)
                values[text] = pluck(source, name.path)
        return values

    async def _keys(self, base: str, who: Accountability, connection: Connection | None) -> Any:
        match base:
            case "$CURRENT_USER":
                return who.user
            case "$CURRENT_ROLE":
                return who.role
            case "$CURRENT_ROLES":
                return list(who.roles)
            case _:
                return list(await self.policies(who, connection)) if who != Accountability() else []

    async def _fields(
        self,
        base: str,
        names: Iterable[VariableName],
        keys: Any,
        schema: Schema,
        connection: Connection | None,
        reader: Accountability | None,
    ) -> list[dict[str, Any]]:
        if self._read is None:
            raise RuntimeError("The access store has no read engine: call bind() first.")
        wanted = keys if isinstance(keys, list) else [keys] if keys else []
        if not wanted:
            return []
        collection = _COLLECTIONS[base]
        query = {
            "fields": sorted({".".join(name.path) for name in names}),
            "filter": {schema.collections[collection].primary: {"_in": wanted}},
            "limit": -1,
        }
        try:
            return await self._read(schema, collection, query, reader, connection)
        except Forbidden as problem:
            if reader is None:
                raise
            raise InvalidQuery(f"A dynamic variable names a field of {collection} that you can't read") from problem

    async def own_policies(self, user: str | None, connection: Connection | None = None) -> tuple[str, ...]:
        """The policies attached to the user itself."""
        if user is None or not is_uuid(user):
            return ()
        found = self._own.get(user)
        if found is not None:
            return found
        version = self.version
        async with self.connected(connection) as opened:
            rows = await opened.select(sa.select(ACCESS.c.policy).where(ACCESS.c.user == user))
        own = tuple(row["policy"] for row in rows)
        if version == self.version and not (connection is not None and connection.in_transaction):
            if len(self._own) >= _CAPACITY:
                self._own = {}
            self._own[user] = own
        return own

    @asynccontextmanager
    async def connected(self, connection: Connection | None) -> AsyncIterator[Connection]:
        """The given connection, or one of the pool for a moment."""
        if connection is not None:
            yield connection
            return
        async with self._database.connection() as opened:
            yield opened
