"""Taking back what a broken-off change of the data model has left, where the database could not (schema change §2.1).

The ways back are those of the journal (:mod:`tabulary.database.journal`), carried out from the last to the first by the
operations that remove things anyway, so that metadata goes with tables. Each of them looks at what there is and may run
again. A removal that has lost its table or column is finished instead: data that is gone does not come back.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from tabulary.database.connection import Connection
from tabulary.database.ddl import ColumnSpec, ForeignKeySpec
from tabulary.database.errors import ConnectionLost
from tabulary.database.journal import Entry
from tabulary.items.platform import Platform
from tabulary.services.collection_removal import erase_collection
from tabulary.services.field_removal import remove_field
from tabulary.services.relations import forget_relation, remember_relation
from tabulary.services.schema_change import LOCK, OUTDATED, SchemaChange, clear_caches

logger = logging.getLogger("tabulary.schema")

_PAUSES = (0.2, 1, 5, 15, 60)
"""Seconds between tries when the database is away."""


async def recover(platform: Platform) -> bool:
    """Take back what broken-off changes have left; True when there was something. Safe to call at any time.

    Waits for a change that is under way, in whichever process.
    """
    journal = platform.database.dialect.journal
    if journal is None:
        return False
    async with platform.database.schema_transaction() as connection:
        await connection.dialect.lock(connection, LOCK, through_ddl=True)
        entries = await journal.pending(connection)
        if entries:
            await take_back(platform, connection, entries)
    return bool(entries)


async def recover_later(platform: Platform) -> None:
    """:meth:`recover` as soon as the database answers again. Gives up in the end: the next change tries again."""
    for pause in _PAUSES:
        await asyncio.sleep(pause)
        try:
            await recover(platform)
            return
        except Exception as problem:
            logger.warning("a broken-off schema change could not be taken back yet: %s", problem)


async def take_back(platform: Platform, connection: Connection, entries: Sequence[Entry]) -> None:
    """Carry out the entries in a transaction that holds the lock, and forget them. Raises :class:`ConnectionLost`."""
    journal = connection.dialect.journal
    assert journal is not None
    logger.warning("taking back what a broken-off schema change has left (%d steps)", len(entries))
    await journal.restart(connection, keep=False)
    schema = (await platform.schemas.fresh(connection)).schema
    change = SchemaChange(platform, schema, None, connection)
    for verb, *arguments in reversed(entries):
        try:
            await _WAYS_BACK[verb](change, *arguments)
        except ConnectionLost:
            raise
        except Exception:
            # one thing that cannot be undone must not keep the others; somebody has to know of it
            logger.exception("part of a broken-off schema change could not be taken back: %s %s", verb, arguments[:2])
    await journal.clear(connection)
    await journal.restart(connection)
    connection.outdates(OUTDATED)
    clear_caches(platform)


# --- ways back ----------------------------------------------------------------------------------
async def _no_collection(change: SchemaChange, name: str) -> None:
    await erase_collection(change, name)


async def _no_field(change: SchemaChange, collection: str, field: str) -> None:
    if (await change.model()).table(collection) is not None:
        await remove_field(change, collection, field)


async def _finish_collection(change: SchemaChange, name: str) -> None:
    if (await change.model()).table(name) is None:
        await erase_collection(change, name)


async def _finish_field(change: SchemaChange, collection: str, field: str) -> None:
    model = await change.model()
    if model.table(collection) is not None and model.column(collection, field) is None:
        await remove_field(change, collection, field)


async def _column(change: SchemaChange, table: str, spec: Mapping[str, Any]) -> None:
    if (await change.model()).column(table, spec["name"]) is not None:
        await change.ddl(change.connection.dialect.ddl.alter_column(change.connection, table, ColumnSpec(**spec)))


async def _index(change: SchemaChange, table: str, name: str, unique: bool, wanted: bool) -> None:
    if (await change.model()).column(table, name) is None:
        return
    ddl = change.connection.dialect.ddl
    drop, create = (ddl.drop_unique, ddl.create_unique) if unique else (ddl.drop_index, ddl.create_index)
    await change.ddl(drop(change.connection, table, name))
    if wanted:
        await change.ddl(create(change.connection, table, name))


async def _relation(
    change: SchemaChange, collection: str, field: str, key: Mapping[str, Any] | None, row: Mapping[str, Any] | None
) -> None:
    """The relation of a field as it was: without ``key`` it had none."""
    model = await change.model()
    if model.column(collection, field) is None:
        return
    if key is None:
        await forget_relation(change, collection, field)
    elif model.table(key["related_table"]) is not None:
        await remember_relation(change, ForeignKeySpec(**key), row)


_WAYS_BACK: Mapping[str, Callable[..., Awaitable[None]]] = MappingProxyType(
    {
        "no collection": _no_collection,
        "no field": _no_field,
        "finish collection": _finish_collection,
        "finish field": _finish_field,
        "column": _column,
        "index": _index,
        "relation": _relation,
    }
)
