"""The open sockets of one application, and what is done for them at times: heartbeat, sessions (spec §2.2, §2.3)."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final, Protocol

from tabulary.core.durations import milliseconds
from tabulary.core.settings import Settings
from tabulary.server.realtime.client import Client
from tabulary.server.realtime.connection import Connection

_SESSION_CHECKS: Final = 5.0
"""Seconds between looks at the sessions behind tokens."""


class Socket(Protocol):
    """One connection that speaks one of the protocols."""

    client: Client
    connection: Connection

    async def run(self) -> None:
        """Answer messages until the connection ends."""

    def beat(self) -> None:
        """Ask for a sign of life, or close the connection where the last one did not come."""


class OpenSockets:
    """The chores run while a socket is open, and only then."""

    def __init__(self, settings: Settings) -> None:
        self._sockets: dict[Socket, None] = {}
        self._chores: list[asyncio.Task[None]] = []
        enabled = settings["WEBSOCKETS_HEARTBEAT_ENABLED"]
        self._period = _seconds(settings["WEBSOCKETS_HEARTBEAT_PERIOD"]) if enabled else None

    @contextmanager
    def holding(self, socket: Socket) -> Iterator[None]:
        """Count a socket among the open ones."""
        self._sockets[socket] = None
        if not self._chores:
            self._begin()
        try:
            yield
        finally:
            del self._sockets[socket]
            if not self._sockets:
                self._end()

    def on_change(self, message: Mapping[str, Any]) -> None:
        """Clients whose user has changed are looked up again before they are told anything."""
        if message.get("collection") == "directus_users":
            changed = {str(key) for key in message.get("keys") or ()}
            for socket in self._sockets:
                if socket.client.who.user in changed:
                    socket.client.stale = True

    def _begin(self) -> None:
        self._chores = [asyncio.ensure_future(self._check_sessions())]
        if self._period is not None:
            self._chores.append(asyncio.ensure_future(self._heartbeat(self._period)))

    def _end(self) -> None:
        for chore in self._chores:
            chore.cancel()
        self._chores = []

    async def _check_sessions(self) -> None:
        """Logging out ends the session of a socket, too."""
        while True:
            await asyncio.sleep(_SESSION_CHECKS)
            for socket in self._sockets:
                socket.client.check_session()

    async def _heartbeat(self, period: float) -> None:
        while True:
            await asyncio.sleep(period)
            for socket in list(self._sockets):
                socket.beat()


def _seconds(value: Any) -> float:
    """A period: a bare number is seconds, text may have a unit."""
    if isinstance(value, int | float):
        return float(value)
    return (milliseconds(value) or 30_000) / 1000
