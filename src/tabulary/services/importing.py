"""Importing files of items: every row is created, or updated when its key exists (spec items-and-query §9.3).

One transaction for the whole file, so that a file with errors changes nothing. Rows are written many at a time where
nothing distinguishes that from writing them one by one; when such a batch fails it is taken back to its savepoint and
its rows are written singly, each in a savepoint of its own, to learn exactly which of them is wrong and why.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import islice

from tabulary.access.accountability import Accountability
from tabulary.core.errors import ErrorGroup, Forbidden, InvalidPayload, LimitExceeded, OutOfTime, TabularyError
from tabulary.database.connection import Connection
from tabulary.database.errors import ConnectionLost, StorageFull
from tabulary.items.blueprint import CREATE, UPDATE
from tabulary.items.context import event_names
from tabulary.items.keys import check_keys, key_text
from tabulary.items.options import MutationOptions
from tabulary.items.platform import Platform
from tabulary.items.validation import check_fields
from tabulary.schema.overview import Schema
from tabulary.services.import_errors import ImportErrors
from tabulary.services.import_formats import Item, Reader
from tabulary.services.items import ItemsService
from tabulary.services.notices import notify

logger = logging.getLogger("tabulary.transfer")

BATCH = 500
"""Rows that are read, and at best written, together."""

_OF_ONE_ROW = MutationOptions(auto_purge_cache=False)
_OF_PLAIN_ROWS = MutationOptions(auto_purge_cache=False, bypass_limits=True)
"""The limit of a mutation holds for each row alone, and a plain row is one item."""

Progress = Callable[[int], None]
"""Called with the number of rows that have been taken up to now."""


class ImportService:
    """Imports on behalf of someone, who needs the permissions to create and to update."""

    def __init__(self, *, platform: Platform, schema: Schema, accountability: Accountability | None = None) -> None:
        self.platform = platform
        self.schema = schema
        self.accountability = accountability

    async def check(self, collection: str) -> None:
        """Raise :class:`Forbidden` when the caller may not import into a collection, or there is no such thing."""
        known = self.schema.collections.get(collection)
        if known is None:
            raise Forbidden(f'Collection "{collection}" doesn\'t exist or you may not access it.')
        who = self.accountability
        if known.is_system and who is not None and not who.admin:
            raise Forbidden
        permissions = await self.platform.access.permissions(who, self.schema)
        if not permissions.unrestricted:
            for action in (CREATE, UPDATE):
                check_fields(permissions, collection, action, ())

    async def run(self, collection: str, read: Reader, progress: Progress | None = None) -> int:
        """Write all items that ``read`` yields, or none; their number.

        Args:
            read: begins at the first item each time: a transaction that lost against another one starts again.

        Raises :class:`Forbidden`, :class:`InvalidPayload` for a broken file, :class:`OutOfTime` after
        ``IMPORT_TIMEOUT``, and an :class:`ErrorGroup` of what is wrong with which rows.
        """
        await self.check(collection)
        allowed = self.platform.settings.duration("IMPORT_TIMEOUT")
        work = partial(self._work, collection, read, progress or (lambda count: None))
        try:
            async with asyncio.timeout(allowed / 1000 if allowed else None) as deadline:
                return await self.platform.database.run_in_transaction(work)
        except Exception as problem:
            if deadline.expired():  # whatever the interrupted statement has made of it
                raise OutOfTime("Import", allowed or 0) from problem
            raise

    async def run_in_background(self, collection: str, read: Reader) -> None:
        """:meth:`run`, told to the caller by a notification."""
        try:
            count = await self.run(collection, read)
        except asyncio.CancelledError:
            await notify(
                self, "Your import has failed", f"The server was stopped; nothing was imported into {collection}."
            )
            raise
        except Exception as problem:
            if not isinstance(problem, TabularyError):
                logger.exception("the import into %s failed", collection)
            await notify(self, "Your import has failed", f"Nothing was imported into {collection}.\n\n{_told(problem)}")
        else:
            await notify(self, "Your import has succeeded", f"{count} items were imported into {collection}.")

    async def _work(self, collection: str, read: Reader, progress: Progress, connection: Connection) -> int:
        service: ItemsService = self.platform.service(
            collection, schema=self.schema, accountability=self.accountability, connection=connection
        )
        limit = int(self.platform.settings["MAX_IMPORT_ERRORS"])
        rows = _RowWriter(service, connection, ImportErrors(max(1, limit)))
        items = read()
        while batch := await asyncio.to_thread(_taken, items):
            if not await rows.write(batch):
                break
            progress(rows.done)
        rows.errors.raise_all()
        await service._purge(MutationOptions())
        return rows.done


@dataclass
class Turnstile:
    """Counts imports under way against ``IMPORT_MAX_CONCURRENCY``."""

    limit: int
    inside: int = field(default=0)

    def enter(self) -> None:
        """Raises :class:`LimitExceeded` when too many are inside."""
        if self.inside >= self.limit:
            raise LimitExceeded("Concurrent import")
        self.inside += 1

    def leave(self) -> None:
        self.inside -= 1


class _RowWriter:
    """Writes batches of rows into the open transaction of one import."""

    def __init__(self, service: ItemsService, connection: Connection, errors: ImportErrors) -> None:
        self.service, self.connection, self.errors = service, connection, errors
        self.done = 0
        blueprint = service.blueprint
        self._single = blueprint.collection.singleton
        self._primary = blueprint.collection.primary
        self._related = {*blueprint.many_to_one, *blueprint.any_to_one, *blueprint.one_to_many}
        hooks, names = service.platform.hooks, event_names(blueprint, CREATE)
        self._plain = (
            not self._single
            and type(service).upsert_one is ItemsService.upsert_one
            and type(service).create_one is ItemsService.create_one
            and not hooks.listens(names)  # hooks would see the rows of a batch that failed a second time
        )

    async def write(self, rows: Sequence[Item]) -> bool:
        """Take a batch. False when the import need not go on."""
        try:
            if self._plain and not self.errors:
                async with self.connection.savepoint():
                    await self._together(rows)
                self.done += len(rows)
                return True
        except Exception as problem:
            if self._lost(problem):
                raise
            logger.debug("a batch failed and is written row by row: %s", problem)
        for row in rows:
            self.done += 1
            try:
                await self._alone(row)
            except Exception as problem:
                if self._lost(problem):
                    raise
                if not self.errors.add(problem, self.done):
                    return False
        return True

    def _lost(self, problem: BaseException | None) -> bool:
        """True when the whole transaction is gone: it lost a race, which makes its savepoints unknown as well."""
        dialect = self.service.platform.database.dialect
        while problem is not None:
            if isinstance(problem, ConnectionLost | StorageFull) or dialect.is_transient(problem):
                return True
            problem = problem.__context__
        return False

    async def _alone(self, row: Item) -> None:
        if self._single and self.done > 1:
            raise InvalidPayload("A singleton takes one item only")
        async with self.connection.savepoint():
            if self._single:
                await self.service.upsert_singleton(row, _OF_ONE_ROW)
            else:
                await self.service.upsert_one(row, _OF_ONE_ROW)

    async def _together(self, rows: Sequence[Item]) -> None:
        """In the order of the file; neighbours that are new and bring nothing nested become few statements."""
        known = await self._existing(rows)
        fresh: list[Item] = []
        for row in rows:
            key = row.get(self._primary)
            place = key_text(self.service.blueprint.collection, key) if key else None
            nested = any(isinstance(row.get(name), dict | list) for name in self._related)
            if nested or place in known:
                await self._create(fresh)
                await self.service.upsert_one(row, _OF_ONE_ROW)
            else:
                fresh.append(row)
            if place is not None:
                known.add(place)
        await self._create(fresh)

    async def _create(self, fresh: list[Item]) -> None:
        if fresh:
            await self.service.create_many(fresh, _OF_PLAIN_ROWS)
            fresh.clear()

    async def _existing(self, rows: Sequence[Item]) -> set[str]:
        """The keys of the rows that exist, as text that is equal for equal keys."""
        collection = self.service.blueprint.collection
        keys = [row[self._primary] for row in rows if row.get(self._primary)]
        if not keys:
            return set()
        check_keys(collection, keys)
        context = self.service._context(self.connection, MutationOptions(), [])
        found = await context.rows(collection.collection, [self._primary], self._primary, keys)
        return {key_text(collection, key) for (key,) in found}


def _taken(items: Iterator[Item]) -> list[Item]:
    return list(islice(items, BATCH))


def _told(problem: Exception) -> str:
    if isinstance(problem, ErrorGroup):
        return "\n".join(f"- {error.message}" for error in problem.errors)
    return problem.message if isinstance(problem, TabularyError) else "An unexpected error occurred."
