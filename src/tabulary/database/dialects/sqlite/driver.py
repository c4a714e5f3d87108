"""SQLite through the standard library: reader connections and one writer, each with a thread of its own.

Readers see what is committed and never wait for the writer (WAL). All that writes goes to the writer: transactions,
and single statements executed outside of one. Who needs it waits in line inside the event loop, not in SQLite's busy
handler, which is left for other processes; nobody holds a reader while waiting, since who has the writer may need one.
``:memory:`` is a file in a temporary folder that goes with the Database: the same isolation, and no special case.
"""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import sqlite3
import tempfile
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from tabulary.core import json
from tabulary.core.errors import ConfigurationError
from tabulary.database.connection import Connection
from tabulary.database.dialects.sqlite import errors
from tabulary.database.dialects.sqlite.worker import Worker
from tabulary.database.driver import Driver
from tabulary.database.errors import KeysUsedUp, StorageFull
from tabulary.database.options import MEMORY, ConnectionOptions
from tabulary.database.pool import Pool
from tabulary.database.versions import READ, Rows, Watch

if TYPE_CHECKING:
    from tabulary.database.dialects.base import Dialect

T = TypeVar("T")

_READERS = 4
_BUSY_MILLISECONDS = 5000
_BUSY_PAUSE = 0.005


def bound(value: Any) -> Any:
    """A value as SQLite stores it; objects and lists become JSON text."""
    if value is None or isinstance(value, str | int | float | bytes):
        return value
    if isinstance(value, dict | list | tuple):
        return json.encode(value).decode()
    return str(value)


class Session:
    """One sqlite3 connection and its thread."""

    def __init__(self, worker: Worker, raw: sqlite3.Connection) -> None:
        self.worker, self.raw = worker, raw
        self.broken = False
        self._abandoned = False
        """A call may be under way that nobody waits for."""

    async def call(self, function: Callable[[sqlite3.Connection], T]) -> T:
        try:
            return await self.worker.run(lambda: function(self.raw))
        except asyncio.CancelledError:
            self._abandoned = True
            self.raw.interrupt()
            raise
        except sqlite3.OperationalError as problem:
            if not errors.is_full(problem):
                raise
            if (table := await self.worker.run(partial(errors.without_keys, problem, self.raw))) is not None:
                raise KeysUsedUp(table) from problem
            raise StorageFull from problem

    def roll_back(self) -> None:
        """Undo what is open; queued before anything that comes later, so that nobody has to wait (or be cancelled)."""
        self.worker.post(self._roll_back)

    def settle(self) -> None:
        """Roll back what its user has left open."""
        if self._abandoned or self.raw.in_transaction:
            self._abandoned = False
            self.roll_back()

    def enforce_foreign_keys(self) -> None:
        """Again, outside of transactions."""
        self.roll_back()
        self.worker.post(lambda: self.raw.execute("PRAGMA foreign_keys = ON"))

    def _roll_back(self) -> None:
        try:
            if self.raw.in_transaction:
                self.raw.rollback()
        except sqlite3.Error:
            self.broken = True

    def close(self) -> None:
        self.worker.post(self.raw.close)
        self.worker.stop()


class SQLiteConnection(Connection):
    """The writer; or a reader, and for as long as it writes the writer instead."""

    def __init__(
        self, dialect: Dialect, driver: SQLiteDriver, *, reader: Session | None = None, writer: Session | None = None
    ) -> None:
        super().__init__(dialect)
        self._driver = driver
        self.reader, self.writer = reader, writer
        self._keeps_writer = writer is not None
        self._enforces_foreign_keys = True
        self._last_id: int | None = None

    async def _session(self) -> Session:
        if self.writer is not None:
            return self.writer
        if self.reader is None:
            self.reader = await self._driver.readers.acquire()
        return self.reader

    async def fetch_value(self, sql: str, values: Sequence[Any] = ()) -> Any:
        given = tuple(map(bound, values))

        def call(raw: sqlite3.Connection) -> Any:
            cursor = raw.execute(sql, given)
            row = cursor.fetchone()
            cursor.close()
            return None if row is None else row[0]

        return await self._read(call)

    async def fetch_rows(self, sql: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        given = tuple(map(bound, values))
        return await self._read(lambda raw: raw.execute(sql, given).fetchall())

    async def _read(self, call: Callable[[sqlite3.Connection], T]) -> T:
        try:
            return await (await self._session()).call(call)
        except sqlite3.OperationalError as problem:
            if self.writer is not None or problem.sqlite_errorcode != sqlite3.SQLITE_READONLY:
                raise
        async with self._writing() as session:  # a write that returns rows
            return await session.call(call)

    async def execute(self, sql: str, values: Sequence[Any] = ()) -> int:
        given = tuple(map(bound, values))

        def call(raw: sqlite3.Connection) -> tuple[int, int | None]:
            cursor = raw.execute(sql, given)
            cursor.fetchall()
            return max(0, cursor.rowcount), cursor.lastrowid

        async with self._writing() as session:
            count, self._last_id = await session.call(call)
        return count

    async def execute_many(self, sql: str, rows: Sequence[Sequence[Any]]) -> None:
        given = [tuple(map(bound, row)) for row in rows]
        if self.in_transaction:
            await (await self._session()).call(lambda raw: raw.executemany(sql, given))
            return
        async with self.transaction():  # one commit, not one a row
            await (await self._session()).call(lambda raw: raw.executemany(sql, given))

    async def fetch_chain(self, steps: Sequence[tuple[str, Sequence[Any]]]) -> list[tuple[Any, ...]]:
        """All in one call of the thread, the transaction included: the writer is free again the sooner."""
        given = [(sql, tuple(map(bound, values))) for sql, values in steps]
        alone = not self.in_transaction

        def call(raw: sqlite3.Connection) -> list[tuple[Any, ...]]:
            if alone:
                raw.execute("BEGIN IMMEDIATE")
            rows: list[tuple[Any, ...]] = []
            for sql, values in given:
                rows = raw.execute(sql, values).fetchall()
            if alone:
                raw.execute("COMMIT")
            return rows

        async with self._writing() as session:
            try:
                return await session.call(call)
            except BaseException:
                if alone:
                    session.roll_back()
                raise

    async def on_file(self, function: Callable[[sqlite3.Connection], T]) -> T:
        """Run a function on the connection itself, in its thread: for copies of the whole file."""
        return await (await self._session()).call(function)

    @property
    def last_insert_id(self) -> int | None:
        return self._last_id

    @asynccontextmanager
    async def _writing(self) -> AsyncIterator[Session]:
        writer = await self._take_writer()
        try:
            yield writer
        finally:
            if not self.in_transaction:
                self._end()

    async def _take_writer(self) -> Session:
        if self.writer is None:
            self._give_reader_back()
            self.writer = await self._driver.writers.acquire()
        return self.writer

    async def _begin(self) -> None:
        writer = await self._take_writer()
        try:
            await writer.call(lambda raw: raw.execute("BEGIN IMMEDIATE"))
        except BaseException:
            self._end()
            raise

    async def _commit(self) -> None:
        writer = await self._take_writer()
        try:
            await writer.call(lambda raw: raw.execute("COMMIT"))
        except BaseException:
            writer.roll_back()  # a deferred constraint stops COMMIT and leaves the transaction open
            raise
        finally:
            self._end()

    async def _rollback(self) -> None:
        if self.writer is not None:
            self.writer.roll_back()
        self._end()

    def _end(self) -> None:
        """Give a borrowed writer back."""
        if self.writer is not None and not self._keeps_writer:
            writer, self.writer = self.writer, None
            self._driver.give_back(writer)

    def give_back(self) -> None:
        """Return both sessions, whatever state they are in."""
        self._give_reader_back()
        writer, self.writer = self.writer, None
        if writer is not None:
            self._driver.give_back(writer)

    def _give_reader_back(self) -> None:
        reader, self.reader = self.reader, None
        if reader is not None:
            self._driver.readers.release(reader, reuse=not reader.broken)

    @asynccontextmanager
    async def without_foreign_keys(self) -> AsyncIterator[None]:
        """Switch enforcement off around a transaction: a rebuilt table is dropped, which would fire its cascades."""
        if not self._enforces_foreign_keys:
            yield
            return
        if self.in_transaction or self.writer is None:
            raise RuntimeError("foreign keys can only be switched off on a write connection, before its transaction")
        writer = self.writer
        await writer.call(lambda raw: raw.execute("PRAGMA foreign_keys = OFF"))
        self._enforces_foreign_keys = False
        try:
            yield
        finally:
            self._enforces_foreign_keys = True
            writer.enforce_foreign_keys()


class SQLiteWatch(Watch):
    """Asks ``PRAGMA data_version``, which changes with every commit of another connection.

    It is a look into shared memory, so it happens in the event loop's own thread; a thread would cost ten times more.
    """

    def __init__(self, path: Callable[[], str]) -> None:
        self._path = path
        self._raw: sqlite3.Connection | None = None
        self._version: int | None = None

    def is_unchanged(self) -> bool:
        try:
            return self._version is not None and self._data_version() == self._version
        except sqlite3.OperationalError:  # busy; whoever reads waits for a moment
            return False

    async def read(self) -> Rows:
        while True:
            try:
                version = self._data_version()
                rows: Rows = self._connected().execute(READ).fetchall()
            except sqlite3.OperationalError as problem:
                if problem.sqlite_errorcode & 0xFF not in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
                    self.close()
                    raise
                await asyncio.sleep(_BUSY_PAUSE)
            else:
                self._version = version
                return rows

    def close(self) -> None:
        raw, self._raw, self._version = self._raw, None, None
        if raw is not None:
            raw.close()

    def _data_version(self) -> int:
        return int(self._connected().execute("PRAGMA data_version").fetchone()[0])

    def _connected(self) -> sqlite3.Connection:
        if self._raw is None:
            self._raw = _open(self._path(), read_only=True, durable=True)
            self._raw.execute("PRAGMA busy_timeout = 0")
        return self._raw


class SQLiteDriver(Driver):
    """The readers and the writer of one file."""

    def __init__(self, dialect: Dialect, options: ConnectionOptions) -> None:
        if not options.filename:
            raise ConfigurationError("Set DB_FILENAME to the path of the SQLite database")
        self._dialect = dialect
        self._filename = options.filename
        self._folder: str | None = None
        timeout = options.acquire_timeout
        self.readers: Pool[Session] = Pool(
            lambda: self._connect(read_only=True), Session.close, _usable, size=_READERS, timeout=timeout
        )
        self.writers: Pool[Session] = Pool(
            lambda: self._connect(read_only=False), Session.close, _usable, size=1, timeout=timeout
        )

    @property
    def usage(self) -> tuple[int, int]:
        (readers, free_readers), (writers, free_writers) = self.readers.usage, self.writers.usage
        return readers + writers, free_readers + free_writers

    async def open(self) -> None:
        if self._filename == MEMORY and self._folder is None:
            self._folder = tempfile.mkdtemp(prefix="tabulary-")
        self.readers.reopen()
        self.writers.reopen()
        await self.writers.fill(1)
        await self.readers.fill(1)

    async def close(self) -> None:
        self.readers.close()
        self.writers.close()
        await self.readers.settle()
        await self.writers.settle()
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)
            self._folder = None

    def watch(self, notice: Callable[[], None]) -> Watch:
        return SQLiteWatch(self._path)

    async def acquire(self, write: bool) -> Connection:
        if write:
            return SQLiteConnection(self._dialect, self, writer=await self.writers.acquire())
        return SQLiteConnection(self._dialect, self, reader=await self.readers.acquire())

    def release(self, connection: Connection) -> None:
        assert isinstance(connection, SQLiteConnection)
        connection.give_back()

    def give_back(self, writer: Session) -> None:
        """Return the writer, rolled back where a task left it inside a transaction."""
        writer.settle()
        self.writers.release(writer, reuse=not writer.broken)

    async def _connect(self, read_only: bool) -> Session:
        path = self._path()
        worker = Worker(f"tabulary-sqlite-{'reader' if read_only else 'writer'}")
        try:
            return Session(worker, await worker.run(lambda: _open(path, read_only, durable=self._folder is None)))
        except BaseException:
            worker.stop()
            raise

    def _path(self) -> str:
        if self._filename != MEMORY:
            return self._filename
        if self._folder is None:
            raise RuntimeError("open() the database first")
        return str(Path(self._folder) / "memory.db")


def _usable(session: Session) -> bool:
    return not session.broken


def _open(path: str, read_only: bool, durable: bool) -> sqlite3.Connection:
    raw = sqlite3.connect(path, isolation_level=None, check_same_thread=False, cached_statements=500)
    try:
        raw.execute(f"PRAGMA busy_timeout = {_BUSY_MILLISECONDS}")
        with contextlib.suppress(sqlite3.OperationalError):  # a file system without shared memory keeps its own journal
            raw.execute("PRAGMA journal_mode = WAL")
        raw.execute(f"PRAGMA synchronous = {'NORMAL' if durable else 'OFF'}")
        raw.execute("PRAGMA foreign_keys = ON")
        if read_only:
            raw.execute("PRAGMA query_only = ON")
    except BaseException:
        raw.close()
        raise
    return raw
