"""Dumps of SQLite: the file itself, copied by SQLite's online backup in both directions.

Readers and writers go on while it runs; loading replaces the content of the open database in one transaction.
"""

from __future__ import annotations

import shutil
import sqlite3
import tempfile
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path

from tabulary.database.connection import Connection
from tabulary.database.dialects.sqlite.driver import SQLiteConnection
from tabulary.database.dialects.sqlite.search import PREFIX
from tabulary.database.dump import CHUNK, Dump, DumpError, Saved, Sink, Source, check_rows, work

MEMBER = "database.sqlite"


class SQLiteDump(Dump):
    """See the module."""

    async def save(self, connection: Connection, sink: Sink) -> Saved:
        assert isinstance(connection, SQLiteConnection)
        with tempfile.TemporaryDirectory(prefix="tabulary-") as folder:
            path = Path(folder) / "copy.db"
            await connection.on_file(lambda raw: _copy_out(raw, path))
            counts = await work(lambda: _counts(path))
            with sink.member(MEMBER) as member, path.open("rb") as file:
                await work(lambda: shutil.copyfileobj(file, member, CHUNK))
        return Saved(counts)

    async def load(self, connection: Connection, source: Source, expected: Mapping[str, int]) -> None:
        assert isinstance(connection, SQLiteConnection)
        with tempfile.TemporaryDirectory(prefix="tabulary-") as folder:
            path = Path(folder) / "copy.db"
            with source.open(MEMBER) as member, path.open("wb") as file:
                await work(lambda: shutil.copyfileobj(member, file, CHUNK))
            for table, rows in (await work(lambda: _counts(path))).items():
                check_rows(table, rows, expected)
            await connection.on_file(lambda raw: _copy_in(path, raw))


def _copy_out(raw: sqlite3.Connection, path: Path) -> None:
    with closing(sqlite3.connect(path)) as target:
        raw.backup(target)
        target.execute("PRAGMA journal_mode = DELETE")  # one file, without a journal beside it


def _copy_in(path: Path, raw: sqlite3.Connection) -> None:
    try:
        with closing(sqlite3.connect(path)) as source:
            source.backup(raw)
    except sqlite3.Error as problem:
        raise DumpError(f"The database can't be replaced: {problem}") from problem


def _counts(path: Path) -> dict[str, int]:
    """Rows by table. Raises :class:`DumpError` for a file that is damaged."""
    try:
        with closing(sqlite3.connect(path)) as copy:
            if copy.execute("PRAGMA quick_check").fetchone() != ("ok",):
                raise DumpError("The copy of the database is damaged")
            names = [
                name
                for (name,) in copy.execute(
                    "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\'"
                    " AND substr(name, 1, ?) <> ?",
                    (len(PREFIX), PREFIX),  # what search indexes consist of has no rows
                )
            ]
            return {name: copy.execute(f"SELECT count(*) FROM {_quoted(name)}").fetchone()[0] for name in names}  # noqa: S608
    except sqlite3.Error as problem:
        raise DumpError(f"The copy of the database can't be read: {problem}") from problem


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
