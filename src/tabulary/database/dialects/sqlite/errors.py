"""What sqlite3's exceptions mean: by code and message (spec items-and-query §8.2)."""

from __future__ import annotations

import re
import sqlite3

from tabulary.database.dialects.sqlite.rebuild import PREFIX
from tabulary.database.errors import DatabaseProblem

_FAILED = re.compile(r"(?P<kind>UNIQUE|NOT NULL|FOREIGN KEY|PRIMARY KEY) constraint failed(?:: (?P<columns>.*))?")
_UNWRITABLE = (sqlite3.SQLITE_IOERR_WRITE, sqlite3.SQLITE_IOERR_FSYNC, sqlite3.SQLITE_IOERR_TRUNCATE)
_REFUSALS = (sqlite3.SQLITE_ERROR, sqlite3.SQLITE_TOOBIG, sqlite3.SQLITE_MISMATCH, sqlite3.SQLITE_MISUSE)
_BUSY = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)
_GREATEST_KEY = 2**63 - 1
_UNKNOWN_NAMES = ("no such column", "no such table")


def classify(problem: BaseException) -> DatabaseProblem | None:
    """None for everything that is not a broken constraint. Of a key of several columns the last one is told."""
    if isinstance(problem, OverflowError) or getattr(problem, "sqlite_errorname", "") == "SQLITE_MISMATCH":
        return DatabaseProblem("invalid")
    if not isinstance(problem, sqlite3.IntegrityError) or not (failed := _FAILED.search(str(problem))):
        return None
    if failed["kind"] == "FOREIGN KEY":
        return DatabaseProblem("foreign_key")
    last = (failed["columns"] or "").split(", ")[-1]
    table, _, field = last.rpartition(".")
    rebuilding = table.startswith(PREFIX)
    table = table.removeprefix(PREFIX)
    if failed["kind"] == "NOT NULL":
        return DatabaseProblem("contains_null" if rebuilding else "not_null", table or None, field or None)
    primary = getattr(problem, "sqlite_errorname", "") == "SQLITE_CONSTRAINT_PRIMARYKEY"
    return DatabaseProblem("unique", table or None, field or None, is_primary=primary)


def refusal(problem: BaseException) -> str | None:
    """The message about a definition that cannot be; None for locks, disks and the like."""
    code = getattr(problem, "sqlite_errorcode", None)
    if isinstance(problem, sqlite3.Error) and (code is None or code & 0xFF in _REFUSALS):
        return str(problem).replace(PREFIX, "")
    return None


def is_transient(problem: BaseException) -> bool:
    """True when another process held the database too long."""
    code = getattr(problem, "sqlite_errorcode", None)
    return isinstance(problem, sqlite3.OperationalError) and code is not None and code & 0xFF in _BUSY


def is_full(problem: sqlite3.OperationalError) -> bool:
    """True when the file could not grow: the disk is full, or refuses to write."""
    code = getattr(problem, "sqlite_errorcode", None)
    return code in (sqlite3.SQLITE_FULL, *_UNWRITABLE)


def without_keys(problem: sqlite3.OperationalError, raw: sqlite3.Connection) -> str | None:
    """The table that has no keys left to give, for which SQLite has the same code as for a full disk; None without."""
    if problem.sqlite_errorcode != sqlite3.SQLITE_FULL:
        return None
    try:
        row = raw.execute("SELECT name FROM sqlite_sequence WHERE seq = ?", [_GREATEST_KEY]).fetchone()
    except sqlite3.Error:  # no table counts its keys, or the file cannot even be read
        return None
    return None if row is None else str(row[0])


def is_schema_outdated(problem: BaseException) -> bool:
    """True when a statement names a table or column that is not there (any more)."""
    return isinstance(problem, sqlite3.OperationalError) and str(problem).startswith(_UNKNOWN_NAMES)


def is_connection_lost(problem: BaseException) -> bool:
    """Never: there is no server that could go."""
    return False
