"""A journal of what has to be taken back, for databases that commit each change of a table at once.

An entry is written before the statement that it takes back, and commits with it. A change that ends well deletes its
entries in its last transaction; what is found later was left by a change that broke off, in a process that may be gone.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, Final

from tabulary.database.connection import Connection

JOURNAL: Final = "tabulary_schema_journal"
"""The table that holds it. No catalog shows it."""

Entry = Sequence[Any]
"""The name of a way back and its arguments, all plain values."""


class Journal(ABC):
    """All methods are to be called in a transaction that holds the lock of schema changes."""

    @abstractmethod
    async def prepare(self, connection: Connection) -> None:
        """Make the table where there is none; as long as nothing has been written in the transaction."""

    @abstractmethod
    async def pending(self, connection: Connection) -> list[Entry]:
        """What was left behind, the oldest first."""

    @abstractmethod
    async def note(self, connection: Connection, entry: Entry) -> None:
        """Add an entry; the next statement that changes a table commits it."""

    @abstractmethod
    async def clear(self, connection: Connection) -> None:
        """Delete all entries, as part of the open transaction."""

    @abstractmethod
    async def restart(self, connection: Connection, *, keep: bool = True) -> None:
        """Commit the open transaction (or take it back, without ``keep``) and open another; locks stay."""
