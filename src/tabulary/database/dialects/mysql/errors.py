"""What asyncmy's exceptions mean: by number, names from the message (spec items-and-query §8.2)."""

from __future__ import annotations

import re

from asyncmy import errors

from tabulary.database.errors import DatabaseProblem, ProblemKind

_DUPLICATE = (1062, 1586)
_NOT_NULL = (1048, 1364)
_FOREIGN_KEY = (1216, 1217, 1451, 1452)
_CONTAINS_NULL = 1138
_KEYS_USED_UP = (167, 1467)
_LOST = (2003, 2006, 2013, 2055, 1053, 1927)
_REFUSALS = frozenset({
    1059, 1060, 1061, 1063, 1064, 1067, 1068, 1069, 1070, 1071, 1072, 1073, 1074, 1075, 1089, 1101, 1103, 1110, 1118,
    1166, 1170, 1171, 1231, 1253, 1264, 1280, 1292, 1294, 1366, 1406, 1416, 1425, 1426, 1427, 1439, 1846, 1901, 3105,
    4161,
})  # fmt: skip
"""Definitions of columns and keys that cannot be."""
_TRANSIENT = (1213,)
_COLUMN = re.compile(r"(?:[Cc]olumn|Field) '(?P<field>[^']*)'")
_INVALID = (1292, 1366, 1411, 3140, 4025, 1416, 4079)
_COLUMN_KINDS: dict[int, ProblemKind] = {
    1406: "too_long",
    1264: "out_of_range",
    **dict.fromkeys(_NOT_NULL, "not_null"),
    **dict.fromkeys(_INVALID, "invalid"),
}
_ENTRY = re.compile(r"Duplicate entry '(?P<value>.*)' for key '(?P<key>[^']*)'", re.DOTALL)
_REFERENCE = re.compile(r"`[^`]*`\.`(?P<table>[^`]*)`.*FOREIGN KEY \(`(?P<field>[^`]*)`\)")
_UNKNOWN_NAMES = (1054, 1146)


def classify(problem: BaseException) -> DatabaseProblem | None:
    """None for everything that is not a broken constraint. Names that the message does not tell are None."""
    if not isinstance(problem, errors.MySQLError) or len(problem.args) < 2:
        return None
    number, message = problem.args[0], str(problem.args[1])
    if number in _DUPLICATE:
        return _duplicate(message)
    if number in _FOREIGN_KEY:
        found = _REFERENCE.search(message)
        return DatabaseProblem("foreign_key", found and found["table"], found and found["field"])
    if number == _CONTAINS_NULL:
        return DatabaseProblem("contains_null")
    if number == 1265 and "row" in message:  # what MariaDB says when a column with nulls becomes NOT NULL
        column = _COLUMN.search(message)
        return DatabaseProblem("contains_null", None, column and column["field"])
    if number in _KEYS_USED_UP:
        return DatabaseProblem("keys_used_up")
    if number in _COLUMN_KINDS:
        column = _COLUMN.search(message)
        return DatabaseProblem(_COLUMN_KINDS[number], None, column and column["field"])
    return None


def _duplicate(message: str) -> DatabaseProblem:
    """``directus_users_email_unique`` tells the column only to who knows the table: the key's name is the field."""
    entry = _ENTRY.search(message)
    if entry is None:
        return DatabaseProblem("unique")
    key = entry["key"].rpartition(".")[2]
    if key == "PRIMARY":
        return DatabaseProblem("unique", None, None, entry["value"], is_primary=True)
    return DatabaseProblem("unique", None, key, entry["value"])


def refusal(problem: BaseException) -> str | None:
    """The message about a definition that cannot be; None for missing rights, outages and the like."""
    if isinstance(problem, errors.MySQLError) and len(problem.args) > 1 and problem.args[0] in _REFUSALS:
        return str(problem.args[1])
    return None


def is_transient(problem: BaseException) -> bool:
    """True when the same transaction may succeed if it runs again: deadlock."""
    return isinstance(problem, errors.MySQLError) and bool(problem.args) and problem.args[0] in _TRANSIENT


def is_connection_lost(problem: BaseException) -> bool:
    """True when the server is gone or going."""
    if isinstance(problem, errors.MySQLError) and problem.args:
        return problem.args[0] in _LOST
    return isinstance(problem, OSError)


def is_schema_outdated(problem: BaseException) -> bool:
    """True when a statement names a table or column that is not there (any more)."""
    return isinstance(problem, errors.MySQLError) and bool(problem.args) and problem.args[0] in _UNKNOWN_NAMES
