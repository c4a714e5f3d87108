"""The permissions of share tokens (spec users §5.2): whose rights a share carries, looked up; rules in ``share_rules``.

The creator's rules are about the creator and the role's rules about the role: ``$CURRENT_USER`` in them is the creator
or nobody, never the visitor. Only IP rules look at the visitor. A share whose creator is gone or no longer active gives
nothing. Its time is not asked for here: tokens do not outlive it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import sqlalchemy as sa

from tabulary.access.accountability import Accountability
from tabulary.access.keys import is_uuid
from tabulary.access.permissions import Permission, PermissionSet
from tabulary.access.share_rules import Side, base_rows, share_rows
from tabulary.access.variables import mentioned, substituted
from tabulary.database.connection import Connection

if TYPE_CHECKING:
    from tabulary.access.snapshot import AccessSnapshot
    from tabulary.access.store import AccessStore
    from tabulary.schema.overview import Schema

_SHARES = sa.table(
    "directus_shares",
    *map(sa.column, ("id", "collection", "item", "role", "user_created")),
)
_USERS = sa.table("directus_users", *map(sa.column, ("id", "role", "status")))


@dataclass(frozen=True, slots=True)
class ShareTerms:
    """A share as far as access goes; ``creator`` is an active user."""

    collection: str
    item: str
    role: str | None
    creator: str
    creator_role: str | None

    @classmethod
    async def load(cls, connection: Connection, share: str) -> ShareTerms | None:
        """The terms of a share, or None when it gives nothing to anybody."""
        columns = [_SHARES.c[name] for name in ("collection", "item", "role", "user_created")]
        statement = (
            sa.select(*columns, _USERS.c.role.label("creator_role"))
            .join_from(_SHARES, _USERS, _SHARES.c.user_created == _USERS.c.id)
            .where(_SHARES.c.id == share, _USERS.c.status == "active")
        )
        rows = await connection.select(statement)
        if not rows:
            return None
        row = rows[0]
        return cls(row["collection"], str(row["item"]), row["role"], row["user_created"], row["creator_role"])


class SharePermissions:
    """Permission sets of shares, remembered as long as nothing about users or access changes.

    What rules look up in other tables may change without notice; such sets are not remembered.
    """

    def __init__(self, store: AccessStore) -> None:
        self._store = store
        self._version = store.identity_version
        self._known: dict[tuple[str, str | None, int], PermissionSet] = {}

    async def permissions(
        self, share: str, ip: str | None, schema: Schema, connection: Connection | None
    ) -> PermissionSet:
        """What a share token may do: read what its item leads to, and what else the public may do, but read."""
        version, key = self._store.identity_version, (share, ip, schema.version)
        if version != self._version:
            self._known, self._version = {}, version
        known = self._known.get(key)
        if known is not None:
            return known
        derivation = _Derivation(self._store, schema, ip, connection)
        found = await derivation.permissions(share)
        committed = connection is None or not connection.in_transaction
        if committed and derivation.lasts and version == self._store.identity_version:
            self._known[key] = found
        return found


class _Derivation:
    """The making of one set. ``lasts``: it holds until something about users or access changes."""

    def __init__(self, store: AccessStore, schema: Schema, ip: str | None, connection: Connection | None) -> None:
        self._store, self._schema, self._ip, self._connection = store, schema, ip, connection
        self.lasts = True

    async def permissions(self, share: str) -> PermissionSet:
        snapshot = await self._store.snapshot(self._connection)
        async with self._store.connected(self._connection) as connection:
            terms = await ShareTerms.load(connection, share) if is_uuid(share) else None
        rows: list[Permission] = [] if terms is None else await self._rows(snapshot, terms)
        policies = snapshot.policies_of((), (), self._ip)
        public = (row for policy in policies for row in snapshot.policies[policy].permissions)
        others = [row for row in public if row.action != "read"]
        return PermissionSet.of([*rows, *self._store.implicit.share, *others], policies)

    async def _rows(self, snapshot: AccessSnapshot, terms: ShareTerms) -> list[Permission]:
        own = await self._store.own_policies(terms.creator, self._connection)
        creator = Accountability(terms.creator, terms.creator_role, snapshot.role_tree(terms.creator_role), ip=self._ip)
        role = Accountability(None, terms.role, snapshot.role_tree(terms.role), ip=self._ip)
        mine, theirs = await self._side(snapshot, creator, own), await self._side(snapshot, role, ())
        base = base_rows(mine, theirs, self._schema.collections)
        return share_rows(self._schema, base, terms.collection, terms.item)

    async def _side(self, snapshot: AccessSnapshot, who: Accountability, own: Sequence[str]) -> Side:
        if snapshot.rights(who.roles, own, self._ip).admin:
            return Side(admin=True)
        policies = snapshot.policies_of(who.roles, own, self._ip)
        rows = [row for p in policies for row in snapshot.policies[p].permissions if row.action == "read"]
        texts = {text for row in rows for text in mentioned(row.permissions)}
        if not texts:
            return Side(rows)
        if any("." in text for text in texts):
            self.lasts = False
        values = await self._store.variables(texts, who, self._schema, connection=self._connection, of_rules=True)
        return Side([replace(row, permissions=substituted(row.permissions, values)) for row in rows])
