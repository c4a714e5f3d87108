"""A journal of what has to be taken back, for databases that commit each change of a table at once.

An entry is written before the statement that it takes back, and commits with it. A change that ends well deletes its
entries in its last transaction; what is found later was left by a change that broke off, in a process that may be gone.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, Final

from tabulary.core import json
from tabulary.database.connection import Connection

JOURNAL: Final = "tabulary_schema_journal"
"""The table that holds it. No catalog shows it."""
_SELECT = f"SELECT entry FROM {JOURNAL} ORDER BY id"  # noqa: S608 (a constant, as below)
_DELETE = f"DELETE FROM {JOURNAL}"  # noqa: S608

Entry = Sequence[Any]
"""The name of a way back and its arguments, all plain values."""


class Journal:
    """All methods are to be called in a transaction that holds the lock of schema changes.

    A dialect gives the statements that are not the same everywhere.
    """

    exists: ClassVar[str]
    """How many tables there are of a name."""
    create: ClassVar[str]
    insert: ClassVar[str]

    async def prepare(self, connection: Connection) -> None:
        """Make the table where there is none; as long as nothing has been written in the transaction."""
        if not await connection.fetch_value(self.exists, [JOURNAL]):
            await connection.execute(self.create)
            await connection.execute("START TRANSACTION")

    async def pending(self, connection: Connection) -> list[Entry]:
        """What was left behind, the oldest first."""
        if not await connection.fetch_value(self.exists, [JOURNAL]):
            return []
        rows = await connection.fetch_rows(_SELECT)
        return [json.decode(text) for (text,) in rows]

    async def note(self, connection: Connection, entry: Entry) -> None:
        """Add an entry; the next statement that changes a table commits it."""
        await connection.execute(self.insert, [json.encode(entry).decode()])

    async def clear(self, connection: Connection) -> None:
        """Delete all entries, as part of the open transaction."""
        await connection.execute(_DELETE)

    async def restart(self, connection: Connection, *, keep: bool = True) -> None:
        """Commit the open transaction (or take it back, without ``keep``) and open another; locks stay."""
        await connection.execute("COMMIT" if keep else "ROLLBACK")
        await connection.execute("START TRANSACTION")
