"""What the engine asks of a database's driver: open, hand out connections, take them back."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable

from tabulary.database.connection import Connection
from tabulary.database.versions import Watch


class Driver(ABC):
    """The connections of one database. Made by :meth:`Dialect.driver`, used by :class:`Database`."""

    @abstractmethod
    async def open(self) -> None:
        """Reach the database once. Driver exceptions propagate."""

    @abstractmethod
    async def close(self) -> None:
        """Close all connections; those in use as they come back."""

    @property
    @abstractmethod
    def usage(self) -> tuple[int, int]:
        """Connections in use, and how many more could be handed out at once."""

    @abstractmethod
    def watch(self, notice: Callable[[], None]) -> Watch:
        """What reads versions; ``notice`` is called when the database itself tells that they have changed."""

    @abstractmethod
    async def acquire(self, write: bool) -> Connection:
        """A connection; ``write`` announces that it will write, for databases with a single writer."""

    @abstractmethod
    def release(self, connection: Connection) -> None:
        """Take a connection back. Never waits; a connection in an unknown state is closed and replaced later."""
