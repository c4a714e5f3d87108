"""One change of the data model: DDL and metadata rows that stand or fall together (spec schema-and-platform §2.1).

Where the database runs DDL in transactions, the transaction is all it takes. Elsewhere every DDL statement commits at
once; there a change writes down the way back before each of them (:mod:`tabulary.database.journal`). It is taken when
a later step fails, or by whoever comes next after a process was killed (:mod:`tabulary.services.schema_recovery`).
Events of the change wait for the commit; caches are cleared before they are told.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Mapping
from contextlib import asynccontextmanager, suppress
from typing import Any, TypeVar

import sqlalchemy as sa

from tabulary.access.accountability import Accountability
from tabulary.core.errors import Forbidden, InvalidPayload
from tabulary.core.events import Action, EventContext
from tabulary.database.connection import Connection
from tabulary.database.journal import Entry, Journal
from tabulary.database.versions import ACCESS, SCHEMA
from tabulary.items.options import MutationOptions
from tabulary.items.platform import Platform
from tabulary.schema.model import DataModel
from tabulary.schema.overview import Schema

Result = TypeVar("Result")
logger = logging.getLogger("tabulary.schema")
LOCK = "schema"
"""Held by the one change that is under way, on all processes."""
OUTDATED = (SCHEMA, ACCESS)
"""What a change makes old: permissions depend on the data model, too."""
FreeStep = Callable[[Connection], Awaitable[Any]]
"""Work for after the commit, on a connection without a transaction."""


class SchemaChange:
    """The open unit of work. Made by :func:`run_change`."""

    def __init__(
        self,
        platform: Platform,
        schema: Schema,
        accountability: Accountability | None,
        connection: Connection,
        concurrent_indexes: bool = False,
        journal: Journal | None = None,
    ) -> None:
        self.platform = platform
        self.schema = schema
        self.accountability = accountability
        self.connection = connection
        self.journal = journal
        self.concurrent_indexes = concurrent_indexes
        self.deferred: list[FreeStep] = []
        self._model: DataModel | None = None
        self._actions: list[Action] = []

    # --- looking -----------------------------------------------------------------------------
    async def model(self) -> DataModel:
        """The data model as this change left it so far."""
        if self._model is None:
            self._model = await self.platform.schemas.fresh(self.connection)
        return self._model

    def context(self, model: DataModel) -> EventContext:
        return EventContext(self.connection, model.schema, self.accountability)

    # --- changing ----------------------------------------------------------------------------
    async def ddl(self, do: Coroutine[Any, Any, Any], back: Entry | None = None) -> None:
        """Run DDL. ``back`` names what takes it back where the database cannot (:mod:`schema_recovery`).

        Raises :class:`InvalidPayload` with what the database says when it refuses the definition.
        """
        self._model = None
        try:
            if back is not None and self.journal is not None:
                await self.journal.note(self.connection, back)
        except BaseException:
            do.close()
            raise
        try:
            await do
        except sa.exc.ArgumentError as problem:
            raise InvalidPayload(f"The tables cannot be changed so: {problem}") from problem
        except Exception as problem:
            if (said := self.connection.dialect.refusal(problem)) is None:
                raise
            raise InvalidPayload(f"The database refuses this change: {said}") from problem
        if not self.connection.dialect.transactional_ddl:
            # the statement has committed and ended the transaction: what follows needs a new one
            await self.connection.execute("START TRANSACTION")

    def after_commit(self, step: FreeStep) -> None:
        """Do something once the change stands, outside of its transaction."""
        self.deferred.append(step)

    async def run(self, clause: sa.Insert | sa.Update | sa.Delete) -> int:
        """Run a statement on the metadata tables."""
        self._model = None
        return await self.connection.run(clause)

    def items(self, collection: str, *, track: bool = True) -> Any:
        """The items service of a metadata table, in this change. Without ``track`` it leaves no activity."""
        self._model = None
        accountability = self.accountability if track else None
        return self.platform.service(
            collection, schema=self.schema, accountability=accountability, connection=self.connection
        )

    def options(self, *, emit_events: bool = True) -> MutationOptions:
        """Options for writes of metadata: events wait for the commit, limits do not count."""
        return MutationOptions(emit_events=emit_events, bypass_emit_action=self._actions.append, bypass_limits=True)

    async def filter(self, event: str, payload: Any, meta: Mapping[str, Any]) -> Any:
        """Run the filter hooks of an event."""
        return await self.platform.hooks.emit_filter(event, payload, meta, self.context(await self.model()))

    def tell(self, event: str, meta: Mapping[str, Any]) -> None:
        """An action event for after the commit."""
        self._actions.append(Action(event, meta, EventContext(None, None, self.accountability)))

    # --- ending ------------------------------------------------------------------------------
    def commit(self) -> None:
        """Called after the commit: clear caches, then tell."""
        clear_caches(self.platform)
        for action in self._actions:
            self.platform.hooks.emit_action(action.event, action.meta, action.context)


async def run_change(
    platform: Platform,
    schema: Schema,
    accountability: Accountability | None,
    connection: Connection | None,
    work: Callable[[SchemaChange], Awaitable[Result]],
    *,
    rebuilds: bool = True,
    concurrent_indexes: bool = False,
) -> Result:
    """Run ``work`` as one change: in the caller's open transaction, or in an own one that retries lost races.

    Args:
        rebuilds: tables may have to be rebuilt, for which a database without ALTER lifts foreign keys.
        concurrent_indexes: make indexes after the commit, without locking out writers. Not in a caller's transaction.
    """
    concurrently = concurrent_indexes and connection is None

    def begin(opened: Connection) -> SchemaChange:
        journal = opened.dialect.journal
        return SchemaChange(platform, schema, accountability, opened, concurrently, journal)

    result, deferred = await _with_retries(platform, connection, begin, work, rebuilds)
    if deferred:
        try:
            async with platform.database.connection(write=True) as free:
                for step in deferred:
                    await step(free)
        finally:
            clear_caches(platform)
            await platform.database.outdate(OUTDATED)
    return result


async def _with_retries(
    platform: Platform,
    connection: Connection | None,
    begin: Callable[[Connection], SchemaChange],
    work: Callable[[SchemaChange], Awaitable[Result]],
    rebuilds: bool,
) -> tuple[Result, list[FreeStep]]:
    for delay in (*platform.database.dialect.retry_delays, None):
        try:
            async with _transaction(platform, connection, rebuilds) as opened:
                # one change at a time, on all processes: checks would otherwise not hold until the DDL runs
                await opened.dialect.lock(opened, LOCK, through_ddl=True)
                change = begin(opened)
                async with _journaled(change):
                    result = await work(change)
                opened.outdates(OUTDATED)
                opened.after_commit(change.commit)
                return result, change.deferred
        except Exception as problem:
            clear_caches(platform)
            if not platform.database.dialect.transactional_ddl:  # others may have seen parts of it
                with suppress(Exception):  # what went wrong before is what has to be told
                    await platform.database.outdate(OUTDATED)
            joined = connection is not None and connection.in_transaction
            if joined or delay is None or not platform.database.dialect.is_transient(problem):
                raise
            await asyncio.sleep(delay)
    raise AssertionError("unreachable")


@asynccontextmanager
async def _journaled(change: SchemaChange) -> AsyncIterator[None]:
    """Around the work of a change: what it cannot finish is taken back, and what others left before it begins."""
    from tabulary.services import schema_recovery  # here, because taking back is a change itself

    platform, connection, journal = change.platform, change.connection, change.journal
    if journal is None:
        yield
        return
    await journal.prepare(connection)
    if left := await journal.pending(connection):
        await schema_recovery.take_back(platform, connection, left)
    try:
        yield
        await journal.clear(connection)
    except BaseException:
        try:
            if left := await journal.pending(connection):
                await schema_recovery.take_back(platform, connection, left)
        except Exception:
            # the error that led here is the one to tell
            platform.jobs.start(schema_recovery.recover_later(platform))
        raise


@asynccontextmanager
async def _transaction(platform: Platform, connection: Connection | None, rebuilds: bool) -> AsyncIterator[Connection]:
    if connection is not None:
        async with connection.transaction():
            yield connection
    elif rebuilds:
        async with platform.database.schema_transaction() as opened:
            yield opened
    else:
        async with platform.database.transaction() as opened:
            yield opened


def clear_caches(platform: Platform) -> None:
    """Forget schema and permissions in this process, and answers where the settings say so."""
    platform.schemas.invalidate()
    platform.access.invalidate()
    if platform.cache is not None and platform.cache.purges("directus_collections"):
        platform.cache.purge_soon()


def require_admin(accountability: Accountability | None) -> None:
    """Only admins and internal calls change the data model. Raises :class:`Forbidden`."""
    if accountability is not None and not accountability.admin:
        raise Forbidden
