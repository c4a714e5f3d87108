"""The journal of schema changes on MariaDB and MySQL."""

from __future__ import annotations

from tabulary.core import json
from tabulary.database.connection import Connection
from tabulary.database.journal import JOURNAL, Entry, Journal

_EXISTS = "SELECT COUNT(*) FROM information_schema.TABLES WHERE TABLE_SCHEMA = DATABASE() AND TABLE_NAME = %s"
_CREATE = f"CREATE TABLE {JOURNAL} (id bigint unsigned AUTO_INCREMENT PRIMARY KEY, entry longtext NOT NULL)"
_SELECT = f"SELECT entry FROM {JOURNAL} ORDER BY id"  # noqa: S608 (a constant, as below)
_INSERT = f"INSERT INTO {JOURNAL} (entry) VALUES (%s)"  # noqa: S608
_DELETE = f"DELETE FROM {JOURNAL}"  # noqa: S608


class MySQLJournal(Journal):
    """See :class:`Journal`."""

    async def prepare(self, connection: Connection) -> None:
        if not await connection.fetch_value(_EXISTS, [JOURNAL]):
            await connection.execute(_CREATE)
            await connection.execute("START TRANSACTION")

    async def pending(self, connection: Connection) -> list[Entry]:
        if not await connection.fetch_value(_EXISTS, [JOURNAL]):
            return []
        rows = await connection.fetch_rows(_SELECT)
        return [json.decode(text) for (text,) in rows]

    async def note(self, connection: Connection, entry: Entry) -> None:
        await connection.execute(_INSERT, [json.encode(entry).decode()])

    async def clear(self, connection: Connection) -> None:
        await connection.execute(_DELETE)

    async def restart(self, connection: Connection, *, keep: bool = True) -> None:
        await connection.execute("COMMIT" if keep else "ROLLBACK")
        await connection.execute("START TRANSACTION")
