"""Spans around the calls of a connection, where tracing is on."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from tabulary.core.tracing import Tracing
from tabulary.database.connection import Connection

_CALLS = ("fetch_value", "fetch_rows", "execute", "execute_many")
_MARK = "is_traced"


def trace(connection: Connection, tracing: Tracing) -> None:
    """Put a span around each call of a connection, for as long as it lives; without tracing calls cost nothing.

    On the object and not by a class around it: services ask drivers' connections for what only they can do.
    """
    if getattr(connection, _MARK, None) is tracing:
        return
    for name in _CALLS:
        call = getattr(type(connection), name).__get__(connection)
        setattr(connection, name, _spanned(call, tracing, connection.dialect.name))
    if type(connection).fetch_chain is not Connection.fetch_chain:  # which consists of the calls above
        connection.__dict__["fetch_chain"] = _chained(connection.fetch_chain, tracing, connection.dialect.name)
    setattr(connection, _MARK, tracing)


def _spanned(call: Callable[..., Awaitable[Any]], tracing: Tracing, system: str) -> Callable[..., Awaitable[Any]]:
    async def spanned(sql: str, *values: Any) -> Any:
        with tracing.statement(system, sql):
            return await call(sql, *values)

    return spanned


def _chained(call: Callable[..., Awaitable[Any]], tracing: Tracing, system: str) -> Callable[..., Awaitable[Any]]:
    async def chained(steps: Sequence[tuple[str, Sequence[Any]]]) -> Any:
        with tracing.statement(system, "; ".join(sql for sql, _ in steps)):
            return await call(steps)

    return chained
