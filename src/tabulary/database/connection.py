"""One connection, the same for every database: what services, engine and bootstrap talk to.

SQL arrives as a compiled :class:`Statement` (text in the driver's own parameter style plus the order of its named
parameters) or as a SQLAlchemy clause, which the connection's dialect compiles. Drivers subclass :class:`Connection`
with their few primitive calls; transactions, savepoints and compilation live here.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

if TYPE_CHECKING:
    from tabulary.database.dialects.base import Dialect
    from tabulary.database.versions import Versions

Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Statement:
    """Compiled SQL: the text, the names of its parameters in the order the driver wants them, and their constants."""

    sql: str
    names: tuple[str, ...] = ()
    constants: Mapping[str, Any] | None = None
    columns: tuple[str, ...] = ()

    def values(self, parameters: Mapping[str, Any]) -> list[Any]:
        constants = self.constants or {}
        return [parameters[n] if n in parameters else constants[n] for n in self.names]


class Connection(ABC):
    """A pooled connection. Not safe for concurrent use: one task at a time."""

    def __init__(self, dialect: Dialect) -> None:
        self.dialect = dialect
        self._depth = 0
        self._after_commit: list[Callable[[], None]] = []
        self._outdated: set[str] = set()
        self.versions: Versions | None = None
        """Whose versions this connection's transactions raise; set by the :class:`Database` that hands it out."""

    @property
    def inner(self) -> Connection:
        """The driver's own connection, behind one that only watches what goes through it."""
        return self

    # --- what a driver provides -------------------------------------------------------------
    @abstractmethod
    async def fetch_value(self, sql: str, values: Sequence[Any] = ()) -> Any:
        """First column of the first row, or None. The fast path of every read."""

    @abstractmethod
    async def fetch_rows(self, sql: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """All rows as tuples of plain values (int, float, str, bool, None, bytes)."""

    @abstractmethod
    async def execute(self, sql: str, values: Sequence[Any] = ()) -> int:
        """Run a statement that returns nothing; the number of affected rows."""

    @abstractmethod
    async def execute_many(self, sql: str, rows: Sequence[Sequence[Any]]) -> None:
        """Run one statement for many rows of values."""

    async def fetch_chain(self, steps: Sequence[tuple[str, Sequence[Any]]]) -> list[tuple[Any, ...]]:
        """Run statements, all or none, and return the rows of the last: in the open transaction or one of their own."""
        if len(steps) == 1:
            return await self.fetch_rows(*steps[0])
        async with self.transaction():
            for sql, values in steps[:-1]:
                await self.execute(sql, values)
            return await self.fetch_rows(*steps[-1])

    @property
    @abstractmethod
    def last_insert_id(self) -> int | None:
        """The key that the last INSERT generated, where the driver reports it (no RETURNING), else None."""

    @abstractmethod
    async def _begin(self) -> None: ...

    @abstractmethod
    async def _commit(self) -> None: ...

    @abstractmethod
    async def _rollback(self) -> None: ...

    @asynccontextmanager
    async def without_foreign_keys(self) -> AsyncIterator[None]:
        """Lift foreign keys where tables must be rebuilt to change them (SQLite); enter it before the transaction."""
        yield

    # --- what is the same for all -----------------------------------------------------------
    @property
    def in_transaction(self) -> bool:
        return self._depth > 0

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Connection]:
        """Open a transaction, or join the one that is open: transactions are flat (spec items-and-query §1.13)."""
        if self._depth:
            self._depth += 1
            try:
                yield self
            finally:
                self._depth -= 1
            return
        await self._begin()
        self._depth = 1
        raised: Mapping[str, str] = {}
        try:
            yield self
            if self._outdated and self.versions is not None:
                raised = await self.versions.raise_in(self, self._outdated)
        except BaseException:
            self._depth = 0
            self._after_commit.clear()
            await self._rollback()
            raise
        finally:
            self._outdated.clear()
        self._depth = 0
        try:
            await self._commit()
        except BaseException:
            self._after_commit.clear()
            raise
        if raised and self.versions is not None:
            self.versions.raised(raised)
        callbacks, self._after_commit = self._after_commit, []
        for callback in callbacks:
            callback()

    @asynccontextmanager
    async def savepoint(self) -> AsyncIterator[Connection]:
        """A part of the open transaction that can fail alone."""
        name = f"sp{self._depth}"
        self._depth += 1
        await self.execute(f"SAVEPOINT {name}")
        try:
            yield self
        except BaseException as problem:
            try:
                await self.execute(f"ROLLBACK TO SAVEPOINT {name}")
            except Exception as gone:  # the transaction went with its savepoints: what took it is what to tell
                raise problem from gone
            raise
        else:
            await self.execute(f"RELEASE SAVEPOINT {name}")
        finally:
            self._depth -= 1

    def after_commit(self, callback: Callable[[], None]) -> None:
        """Call ``callback`` once the open transaction has committed; at once when there is none."""
        if self._depth:
            self._after_commit.append(callback)
        else:
            callback()

    def outdates(self, topics: Iterable[str]) -> None:
        """What processes remember of these topics (:mod:`tabulary.database.versions`) is old once this commits.

        Raises ``RuntimeError`` outside of a transaction: the change and its version have to appear together.
        """
        topics = tuple(topics)
        if topics and not self._depth:
            raise RuntimeError("What is remembered can only become old in a transaction")
        self._outdated.update(topics)

    async def select(self, clause: sa.SelectBase | sa.UpdateBase, **parameters: Any) -> list[Row]:
        """Run a SELECT, or a write with RETURNING, that our own code wrote and return its rows as dictionaries."""
        statement = self.dialect.compile(clause)
        rows = await self.fetch_rows(statement.sql, statement.values(parameters))
        return [dict(zip(statement.columns, row, strict=True)) for row in rows]

    async def run(self, clause: sa.Insert | sa.Update | sa.Delete, **parameters: Any) -> int:
        """Run an INSERT, UPDATE or DELETE that our own code wrote; the number of affected rows."""
        statement = self.dialect.compile(clause)
        return await self.execute(statement.sql, statement.values(parameters))
