"""Snapshots of the data model: taken, compared and applied (spec schema-and-platform §3)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tabulary.core.errors import InvalidPayload
from tabulary.database.connection import Connection
from tabulary.schema.diff import snapshot_diff
from tabulary.schema.snapshot import DIRECTUS_VERSION, LISTS, Snapshot, snapshot_hash, take_snapshot
from tabulary.services.schema_access import DataModelService
from tabulary.services.schema_apply import apply_diff, check_applicable
from tabulary.services.schema_change import require_admin, run_change


class SchemaService(DataModelService):
    """The data model as a portable whole. Admins and internal calls only."""

    async def snapshot(self) -> Snapshot:
        """The tracked data model as it is now, read afresh. Raises :class:`Forbidden`."""
        require_admin(self.accountability)
        if self.connection is not None:
            return await self._take(self.connection)
        async with self.platform.database.connection() as connection:
            return await self._take(connection)

    async def diff(self, snapshot: Mapping[str, Any], *, force: bool = False) -> dict[str, Any] | None:
        """``{hash, diff}`` that leads from here to ``snapshot``, or None when nothing differs.

        Raises :class:`Forbidden`, or :class:`InvalidPayload` when the snapshot comes from another version or vendor and
        ``force`` is not given.
        """
        require_admin(self.accountability)
        current = await self.snapshot()
        if not force:
            _check_origin(snapshot, current)
        for name in LISTS:
            if name != "systemFields" and name not in snapshot:
                raise InvalidPayload(f'"{name}" is required')
        diff = snapshot_diff(current, dict(snapshot))
        return None if diff is None else {"hash": snapshot_hash(current), "diff": diff}

    async def apply(self, plan: Mapping[str, Any], *, force: bool = False) -> bool:
        """Carry out ``{hash, diff}``, all or nothing; False when there is nothing to do.

        Raises :class:`Forbidden`, or :class:`InvalidPayload` when the data model is not the one that the difference was
        taken from and ``force`` is not given.
        """
        require_admin(self.accountability)
        diff = plan["diff"]
        if not any(diff[name] for name in LISTS):
            return False
        current = await self.snapshot()
        if not force and plan["hash"] != snapshot_hash(current):
            check_applicable(diff, current)
        await run_change(
            self.platform, self.schema, self.accountability, self.connection, lambda change: apply_diff(change, diff)
        )
        return True

    async def _take(self, connection: Connection) -> Snapshot:
        model = await self.platform.schemas.fresh(connection)
        dialect = self.platform.database.dialect
        return take_snapshot(model, dialect.vendor, keys_have_indexes=dialect.ddl.indexes_foreign_keys)


def _check_origin(snapshot: Mapping[str, Any], current: Snapshot) -> None:
    advice = 'Pass the "force" query parameter to go on all the same'
    if snapshot["directus"] != DIRECTUS_VERSION:
        given = snapshot["directus"]
        raise InvalidPayload(f"The snapshot's version {given} does not match this one, {DIRECTUS_VERSION}. {advice}")
    if not snapshot.get("vendor"):
        raise InvalidPayload(f'The snapshot has no "vendor". {advice}')
    if snapshot["vendor"] != current["vendor"]:
        given = snapshot["vendor"]
        raise InvalidPayload(f"The snapshot's vendor {given} does not match this one, {current['vendor']}. {advice}")
