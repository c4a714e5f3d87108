"""The log stream for admins (spec §2.8)."""

from __future__ import annotations

import logging
from typing import Any, Final
from uuid import uuid4

from tabulary.core import json
from tabulary.core.errors import InvalidPayload
from tabulary.core.log_levels import allowed_levels
from tabulary.server.realtime.client import Client
from tabulary.server.realtime.connection import Connection
from tabulary.server.realtime.frames import error_frame, read_message, uid_of

_PYTHON: Final = {logging.DEBUG: 20, logging.INFO: 30, logging.WARNING: 40, logging.ERROR: 50, logging.CRITICAL: 60}


class LogStream(logging.Handler):
    """Hands every record of Tabulary's loggers to the sockets that want it."""

    def __init__(self) -> None:
        super().__init__()
        self.node = uuid4().hex[:8]
        self._sockets: dict[LogSocket, None] = {}

    def add(self, socket: LogSocket) -> None:
        if not self._sockets:
            logging.getLogger("tabulary").addHandler(self)
        self._sockets[socket] = None

    def remove(self, socket: LogSocket) -> None:
        self._sockets.pop(socket, None)
        if not self._sockets:
            logging.getLogger("tabulary").removeHandler(self)

    def emit(self, record: logging.LogRecord) -> None:
        level = _PYTHON.get(record.levelno, 30)
        data = {"level": level, "time": int(record.created * 1000), "msg": record.getMessage(), "name": record.name}
        text = json.encode({"type": "logs", "data": data, "uid": self.node}).decode()
        for socket in list(self._sockets):
            socket.tell(level, text)


class LogSocket:
    """One connection of an admin."""

    def __init__(self, stream: LogStream, connection: Connection, client: Client, least: str) -> None:
        self.client = client
        self.connection = connection
        self._stream = stream
        self._levels = allowed_levels(least)
        self._level: int | None = None

    async def run(self) -> None:
        """Answer messages until the connection ends."""
        try:
            await self.connection.each(self._answer)
        finally:
            self.client.close()
            self._stream.remove(self)

    def beat(self) -> None:
        """The pings of the WebSocket protocol itself are enough here (spec §2.1)."""

    def tell(self, level: int, text: str) -> None:
        """Send a record, if it is asked for and the client still is an admin."""
        if self._level is not None and level >= self._level and self.client.who.admin:
            self.connection.send(text)

    async def _answer(self, raw: str | bytes) -> None:
        uid: Any = None
        try:
            message = read_message(raw)
            uid = uid_of(message)
            if message["type"] == "subscribe":
                name = message.get("log_level")
                if not isinstance(name, str) or name not in self._levels:
                    raise InvalidPayload(f'"log_level" has to be one of {", ".join(self._levels)}')
                self._level = self._levels[name]
                self._stream.add(self)
                self.connection.send_json({"type": "logs", "event": "subscribe", "log_level": name})
            elif message["type"] == "unsubscribe":
                self._level = None
                self._stream.remove(self)
                self.connection.send_json({"type": "logs", "event": "unsubscribe"})
        except InvalidPayload as problem:
            self.connection.send_json(error_frame("logs", problem, uid))
