"""One open socket: sending never waits, and who does not keep up is let go."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any, Final

from starlette.types import Receive, Send

from tabulary.core import json

logger = logging.getLogger("tabulary.realtime")

MAX_MESSAGES: Final = 2_000
MAX_CHARACTERS: Final = 8_000_000
"""What may wait for one client; the network holds back what it does not take. Beyond it the client is slow."""
TOO_SLOW: Final = 1008
_LAST_WORD: Final = 1.0
"""Seconds that a slow client has to take its close frame."""


class Closed(Exception):
    """The other side has gone."""


class Connection:
    """An accepted socket. Its :meth:`run` writes what :meth:`send` was given, in order."""

    def __init__(self, receive: Receive, send: Send) -> None:
        self._receive = receive
        self._send = send
        self._waiting: deque[str] = deque()
        self._characters = 0
        self._wake = asyncio.Event()
        self._code: int | None = None
        self._writer: asyncio.Task[None] | None = None
        self.is_closed = False

    def send(self, text: str) -> None:
        """Send a text frame after those before it. Closes the connection instead when too much is waiting."""
        if self.is_closed or self._code is not None:
            return
        if len(self._waiting) >= MAX_MESSAGES or self._characters > MAX_CHARACTERS:
            logger.info("a client takes its messages too slowly and is disconnected")
            self._waiting.clear()
            self._characters = 0
            self.close(TOO_SLOW)
            if self._writer is not None:
                self._writer.cancel()  # it waits for a network that may never take anything again
            return
        self._waiting.append(text)
        self._characters += len(text)
        self._wake.set()

    def send_json(self, value: Any) -> None:
        self.send(json.encode(value).decode())

    def close(self, code: int = 1005) -> None:
        """Close once everything is sent. 1005 means without a code."""
        if self._code is None:
            self._code = code
            self._wake.set()

    async def receive(self) -> str | bytes:
        """The next message. Raises :class:`Closed` when there will be none."""
        message = await self._receive()
        if message["type"] == "websocket.disconnect":
            self.is_closed = True
            raise Closed
        text: str | None = message.get("text")
        return text if text is not None else message.get("bytes") or b""

    async def each(self, answer: Callable[[str | bytes], Awaitable[None]]) -> None:
        """Answer messages, one after the other, until the connection ends."""
        with suppress(Closed):
            while not self.is_closed:
                await answer(await self.receive())

    async def run(self) -> None:
        """Write until the connection is closed by either side."""
        self._writer = asyncio.ensure_future(self._write())
        try:
            await asyncio.wait([self._writer])
        finally:
            self._writer.cancel()
        self.is_closed = True
        # 1005 may not go over the wire: a close frame without a code is what the server sends for 1000
        code = 1000 if self._code in (None, 1005) else self._code
        with suppress(Exception):
            async with asyncio.timeout(_LAST_WORD if code == TOO_SLOW else None):
                await self._send({"type": "websocket.close", "code": code})

    async def _write(self) -> None:
        """Write what is waiting until there is a reason to close."""
        while self._code is None or self._waiting:
            while self._waiting:
                text = self._waiting.popleft()
                self._characters -= len(text)
                await self._send({"type": "websocket.send", "text": text})
            if self._code is None:
                self._wake.clear()
                await self._wake.wait()
