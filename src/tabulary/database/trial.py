"""What a database tells of indexes that might help: how much a SELECT reads, how big indexes are, and where to try.

One subclass a dialect. Whether an index helps is tried with the real thing: it is made, the read is run, and where the
database can take back the making of an index, nothing of it stays.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from tabulary.database.connection import Connection

if TYPE_CHECKING:
    from tabulary.database.engine import Database


@dataclass(frozen=True, slots=True)
class Work:
    """What one run of a SELECT cost: an ``amount`` in the dialect's unit, and the names of the indexes it used.

    ``milliseconds`` are the database's own, without the way there and back.
    """

    amount: int
    indexes: frozenset[str]
    milliseconds: float


class Trial(ABC):
    """See the module."""

    unit: ClassVar[str]
    """What :attr:`Work.amount` counts, in a word for people."""
    little: ClassVar[int] = 1_000
    """Work that nobody notices: to save it is worth no index."""
    can_take_back: ClassVar[bool] = True
    """Whether an index that was made in a transaction goes when the transaction is rolled back."""

    @abstractmethod
    async def work(self, connection: Connection, sql: str, values: Sequence[Any]) -> Work:
        """Run a SELECT and tell what it cost."""

    @abstractmethod
    async def bytes(self, connection: Connection, table: str) -> int:
        """A size that grows by just that of an index when a table gets one."""

    async def prepare(  # noqa: B027 - most databases need nothing
        self, connection: Connection
    ) -> None:
        """Called at the beginning of the transaction of a try."""

    async def settle(  # noqa: B027 - most databases notice by themselves
        self, connection: Connection, table: str
    ) -> None:
        """Let the database's planner know of new indexes of a table."""

    @asynccontextmanager
    async def place(self, database: Database) -> AsyncIterator[Database]:
        """The database to try on: itself, or a copy where trying would keep writers out."""
        yield database
