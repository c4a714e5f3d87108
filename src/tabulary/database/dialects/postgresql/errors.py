"""What asyncpg's exceptions mean: by SQLSTATE, names from the error's own fields and its detail (spec items §8.2)."""

from __future__ import annotations

import re

import asyncpg

from tabulary.database.errors import DatabaseProblem, ProblemKind

_KINDS: dict[str, ProblemKind] = {
    "23505": "unique",
    "23503": "foreign_key",
    "23502": "not_null",
    "22001": "too_long",
    "22003": "out_of_range",
    "2200H": "keys_used_up",
    **dict.fromkeys(("42804", "42846"), "invalid"),
}
_DATA_EXCEPTION = "22"
"""The class of errors about values: text that is no number, moments that never were."""
_REFUSALS = frozenset({"0A", "22", "2B", "42", "54"})
"""Not supported, wrong values, dependents, wrong definitions, too much of something."""
_NO_RIGHT = "42501"
_TRANSIENT = frozenset({"40P01", "40001"})
_LOST = frozenset({"57P01", "57P02", "57P03"})
_KEY = re.compile(r"\((?P<names>.*?)\)=\((?P<values>.*?)\) ")
_UNKNOWN_NAMES = frozenset({"42703", "42P01"})


def classify(problem: BaseException) -> DatabaseProblem | None:
    """None for everything that is neither a broken constraint nor a wrong value."""
    if not isinstance(problem, asyncpg.PostgresError):
        return None
    state = problem.sqlstate or ""
    kind = _KINDS.get(state) or ("invalid" if state.startswith(_DATA_EXCEPTION) else None)
    if kind is None:
        return None
    table, field, value = problem.table_name, problem.column_name, None
    if kind in ("unique", "foreign_key"):
        if key := _KEY.search(f"{problem.detail or ''} "):
            field, value = key["names"].replace('"', ""), key["values"]
        if kind == "unique" and "could not create unique index" in str(problem):
            field = field or None
    if kind == "not_null" and "contains null values" in str(problem):
        kind = "contains_null"
    primary = kind == "unique" and (problem.constraint_name or "").endswith("_pkey")
    return DatabaseProblem(kind, table, field, value, primary)


def refusal(problem: BaseException) -> str | None:
    """The message about a definition or value that cannot be; None for missing rights, outages and the like."""
    state = (isinstance(problem, asyncpg.PostgresError) and problem.sqlstate) or ""
    refused = state[:2] in _REFUSALS and state != _NO_RIGHT
    return str(problem).partition("\n")[0] if refused else None


def is_transient(problem: BaseException) -> bool:
    """True when the same transaction may succeed if it runs again: deadlock, serialisation."""
    return isinstance(problem, asyncpg.PostgresError) and problem.sqlstate in _TRANSIENT


def is_connection_lost(problem: BaseException) -> bool:
    """True when the server is gone or going."""
    if isinstance(problem, asyncpg.PostgresError):
        return problem.sqlstate in _LOST or (problem.sqlstate or "").startswith("08")
    if isinstance(problem, asyncpg.InternalClientError):  # asyncpg met the server's farewell where it expected none
        return True
    return isinstance(problem, OSError) or (isinstance(problem, asyncpg.InterfaceError) and "closed" in str(problem))


def is_schema_outdated(problem: BaseException) -> bool:
    """True when a statement names a table or column that is not there (any more)."""
    return isinstance(problem, asyncpg.PostgresError) and problem.sqlstate in _UNKNOWN_NAMES
