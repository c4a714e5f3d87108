"""How any number of processes on one database stay coherent: the versions of what they remember.

A process remembers the data model, who may do what and who the bearers of tokens are. Each of these *topics* has a
version in the table ``tabulary_state``. A transaction that changes a topic writes a new version right before it
commits, so that the version changes exactly when the data does; whoever read the version before a change and finds the
same one later knows that what it remembers still holds.

Every request therefore begins with :meth:`Versions.check`, which returns once somebody has looked at the versions
*after* the call. Looking is shared: one look at a time, and all who come while it is under way share the next one, so
that the more a process has to do, the less a request pays. SQLite tells without a statement that nothing has been
committed. On PostgreSQL a plain read does without the look: its own statement brings the version of everything along
(:class:`Witness`), and only when that is not the expected one does the read happen again. A message that something has
changed (PostgreSQL's NOTIFY, a bus) only makes an idle process look earlier: lost messages cost nothing but that, and a
database that does not answer fails requests instead of letting old rights pass.

Rows that another product or a person writes do not raise versions; ``longest`` bounds for how long they go unnoticed.

The table also has the row ``setup``: the hash of the link for the first administrator, which nobody remembers.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
import time
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from contextvars import ContextVar
from typing import TYPE_CHECKING, Final

import sqlalchemy as sa

from tabulary.core.errors import ConfigurationError
from tabulary.core.turns import Turns
from tabulary.database.errors import ConnectionLost

if TYPE_CHECKING:
    from tabulary.database.connection import Connection
    from tabulary.database.engine import Database

logger = logging.getLogger("tabulary.database")

TABLE: Final = "tabulary_state"
SCHEMA: Final = "schema"
"""Collections, fields and relations, and their tables."""
ACCESS: Final = "access"
"""Roles, policies, grants and permissions."""
FLOWS: Final = "flows"
"""Flows and their operations."""
IDENTITIES: Final = "identities"
"""Users, their tokens and status; shares."""
SESSIONS: Final = "sessions"
"""The sessions behind session cookies and refresh tokens."""
TOPICS: Final = (ACCESS, FLOWS, IDENTITIES, SCHEMA, SESSIONS)

EVERYTHING: Final = "*"
"""The version that changes with any other."""

CHANNEL: Final = TABLE
"""Where notices of changes are sent."""
PATIENCE = 10.0
"""Seconds within which the database has to tell the versions."""
PERIOD = 5.0
"""Seconds between two looks of an idle server."""

_CREATE = "CREATE TABLE tabulary_state (topic VARCHAR(32) NOT NULL PRIMARY KEY, version VARCHAR(32) NOT NULL)"
TOKEN = "SELECT version FROM tabulary_state WHERE topic = '*'"
"""The version of everything, as a statement or in another one."""
READ = "SELECT topic, version FROM tabulary_state ORDER BY topic"
_LOCK = "versions"
_TURN, _TURNS = 0.05, 40
_STATE = sa.table(TABLE, sa.column("topic"), sa.column("version"))

Rows = Sequence[tuple[str, str]]
Forget = Callable[[], None]
Load = Callable[[], Awaitable[None]]


class Watch(ABC):
    """Reads versions on a connection of its own, so that nobody has to wait for the pool. One reader at a time."""

    @abstractmethod
    async def read(self) -> Rows:
        """Topics and versions as committed now. Driver exceptions propagate; the next call connects anew."""

    def is_unchanged(self) -> bool:
        """True when nothing at all was committed since the last :meth:`read`, where that can be told at once."""
        return False

    @abstractmethod
    def close(self) -> None: ...


class ConnectionWatch(Watch):
    """A watch on an ordinary connection: ``connect`` makes one and ``discard`` closes it."""

    def __init__(self, connect: Callable[[], Awaitable[Connection]], discard: Callable[[Connection], None]) -> None:
        self._connect, self._discard = connect, discard
        self._connection: Connection | None = None
        self._rows: Rows = ()

    async def read(self) -> Rows:
        if self._connection is not None:
            try:
                return await self._read(self._connection)
            except Exception as problem:
                self.close()
                if not isinstance(problem, ConnectionLost):
                    raise
            except BaseException:
                self.close()  # cancelled: nobody knows what state it is in
                raise
        self._connection = await self._connect()
        return await self._read(self._connection)

    async def _read(self, connection: Connection) -> Rows:
        token = await connection.fetch_value(TOKEN)
        if (EVERYTHING, token) not in self._rows:
            self._rows = await connection.fetch_rows(READ)
        return self._rows

    def close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            self._discard(connection)


class Versions:
    """The versions of one :class:`Database`, and who wants to know of changes.

    Args:
        database: whose they are.
        longest: seconds after which what is remembered of access and flows is forgotten in any case.
    """

    def __init__(self, database: Database, longest: float) -> None:
        self._database = database
        self._longest = longest
        self._forget: dict[str, list[Forget]] = {topic: [] for topic in TOPICS}
        self._loads: list[tuple[str, Load]] = []
        self._outdated: set[str] = set()
        self._loading = asyncio.Lock()
        self._watch: Watch | None = None
        self._rows: Rows = ()
        self._known: dict[str, str] = {}
        self._turns: Turns[None] = Turns()
        self._looking: set[asyncio.Task[None]] = set()
        self._forget_at = 0.0
        self.looks = 0
        """How often the database was asked."""
        self.announce: Callable[[], None] = lambda: None
        """Called after a commit that raised versions: for buses other than the database's own."""

    @property
    def token(self) -> str | None:
        """The version of everything that what is remembered belongs to."""
        return self._known.get(EVERYTHING)

    def subscribe(self, topic: str, forget: Forget) -> None:
        """Call ``forget`` whenever the version of a topic has changed, whoever changed it."""
        self._forget[topic].append(forget)

    def prepare(self, topic: str, load: Load) -> None:
        """Have ``load`` run before any work goes on that might need it: at first, and after each change of a topic.

        For what has to be there when it is asked for without waiting, such as the hooks of flows.
        """
        self._loads.append((topic, load))
        self._outdated.add(topic)

    # --- looking ------------------------------------------------------------------------------
    async def check(self) -> None:
        """Make sure that nothing remembered is older than this call.

        Raises :class:`ConnectionLost` when the database does not tell.
        """
        if self._watch is None or not self._watch.is_unchanged() or time.monotonic() >= self._forget_at:
            await self._turns.take(None, self._look)
        if self._outdated or self._loading.locked():
            await self._prepare()

    async def _prepare(self) -> None:
        """Load what is outdated; also wait for what somebody else is loading."""
        async with self._loading:
            while self._outdated:
                topics = set(self._outdated)
                self._outdated -= topics
                try:
                    for topic, load in self._loads:
                        if topic in topics:
                            await load()
                except BaseException:
                    self._outdated |= topics
                    raise

    def check_soon(self) -> None:
        """Somebody says that there is something new: have a look without waiting for a request."""
        task = asyncio.ensure_future(self._check_quietly())
        self._looking.add(task)
        task.add_done_callback(self._looking.discard)

    async def keep_checking(self) -> None:
        """Have a look now and then, for ever: an idle server hears of changes also when notices get lost."""
        while True:
            await asyncio.sleep(PERIOD)
            await self._check_quietly()

    async def _check_quietly(self) -> None:
        with contextlib.suppress(ConnectionLost):
            await self.check()

    async def _look(self) -> None:
        try:
            async with asyncio.timeout(PATIENCE):
                rows = await self._read()
        except ConfigurationError:
            raise
        except Exception as problem:
            logger.warning("the versions can't be read: %s: %s", type(problem).__name__, problem)
            raise ConnectionLost from problem
        if rows != self._rows:
            self._compare(rows)
        self._forget_the_old()

    async def _read(self) -> Rows:
        self.looks += 1
        if self._watch is None:
            await self.install()
            self._watch = self._database.watch(self.check_soon)
        try:
            return await self._watch.read()
        except BaseException:
            self._stop_watching()
            raise

    def _compare(self, rows: Rows) -> None:
        self._rows = rows
        for topic, version in rows:
            if self._known.get(topic) != version:
                self._known[topic] = version
                self._changed(topic)

    def _forget_the_old(self) -> None:
        now = time.monotonic()
        if now >= self._forget_at:
            if self._forget_at:
                self._changed(ACCESS)
                self._changed(FLOWS)
            self._forget_at = now + self._longest

    def _changed(self, topic: str) -> None:
        for forget in self._forget.get(topic, ()):
            forget()
        if any(topic == prepared for prepared, _ in self._loads):
            self._outdated.add(topic)

    # --- raising ------------------------------------------------------------------------------
    async def raise_in(self, connection: Connection, topics: Iterable[str]) -> Mapping[str, str]:
        """Give topics new versions, as the last thing in an open transaction; the versions.

        In the order of names, so that two transactions never wait for each other.
        """
        raised = {topic: secrets.token_hex(8) for topic in (EVERYTHING, *sorted(topics))}
        for topic, version in raised.items():
            await connection.run(sa.update(_STATE).where(_STATE.c.topic == topic).values(version=version))
        await connection.dialect.notify(connection, CHANNEL)
        return raised

    def raised(self, versions: Mapping[str, str]) -> None:
        """The transaction that raised them has committed: forget at once what it made old here."""
        for topic, version in versions.items():
            # not EVERYTHING: others may have changed something before us that nobody has looked at yet
            if topic != EVERYTHING and self._known.get(topic) != version:
                self._known[topic] = version
                self._changed(topic)
        self.announce()

    # --- life ---------------------------------------------------------------------------------
    async def install(self) -> None:
        """Make the table and its rows where they lack: at the first start on a database of the reference.

        Raises :class:`ConfigurationError` when the database user may not.
        """
        try:
            async with self._database.connection() as connection:
                topics = [topic for topic, _ in await connection.fetch_rows(READ)]
        except ConnectionLost:
            raise
        except Exception:  # there is no such table
            topics = []
        if {EVERYTHING, *TOPICS} <= set(topics):
            return
        try:
            async with self._database.transaction() as connection:
                await connection.dialect.lock(connection, _LOCK, through_ddl=True)
                await install(connection)
        except ConnectionLost:
            raise
        except Exception as problem:
            raise ConfigurationError(
                f"The table {TABLE}, by which processes stay coherent, cannot be made; let the database user create"
                f" tables for one start, or run: {_CREATE}"
            ) from problem

    def forget(self) -> None:
        """Forget everything in this process."""
        self._stop_watching()
        for topic in TOPICS:
            self._changed(topic)

    async def reset(self) -> None:
        """The whole database was replaced: have everybody forget everything."""
        self.forget()
        await self.install()
        await self._database.outdate(TOPICS)

    async def close(self) -> None:
        """Look no more. May be used again."""
        for task in self._looking:
            task.cancel()
        await self._turns.close()  # a look that follows the cancelled one would connect again
        await asyncio.gather(*self._looking, return_exceptions=True)
        self._stop_watching()

    def _stop_watching(self) -> None:
        watch, self._watch = self._watch, None
        if watch is not None:
            watch.close()


WITNESS: ContextVar[Witness | None] = ContextVar("tabulary.witness", default=None)
"""The witness of the request at work, where it has one."""


class Witness:
    """Tells after a read whether what it relied on was remembered rightly.

    A statement of the read that saw the version of everything proves it: the version has been the same from when the
    read began until then. ``seen`` is what such a statement saw.
    """

    __slots__ = ("_token", "_versions", "seen")

    def __init__(self, versions: Versions) -> None:
        self._versions = versions
        self._token = versions.token
        self.seen: str | None = None

    async def holds(self) -> bool:
        """False when something had changed; it is forgotten now. Raises as :meth:`Versions.check`."""
        if self.seen is None or self.seen != self._token:
            await self._versions.check()
        return self._versions.token == self._token

    async def changes(self) -> bool:
        """Wait for a change that is visible already but not told yet: databases that commit each DDL statement."""
        for _ in range(_TURNS):
            await asyncio.sleep(_TURN)
            if not await self.holds():
                return True
        return False


async def install(connection: Connection) -> None:
    """Make the table and the rows that lack, in an open transaction."""
    if not any(table.name == TABLE for table in await connection.dialect.catalog.tables(connection)):
        await connection.execute(_CREATE)
    there = {topic for topic, _ in await connection.fetch_rows(READ)}
    for topic in (EVERYTHING, *TOPICS):
        if topic not in there:
            await connection.run(sa.insert(_STATE).values(topic=topic, version=secrets.token_hex(8)))
