"""The bus: small messages to everybody who listens on a channel, in this process and, with Redis, in all others.

Messages are JSON values. Delivery is once to every listener that is there; nobody waits for listeners, and what
nobody hears is gone. Within the process a message arrives without the network, so that one process alone works the
same with and without Redis, also while Redis is away.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Protocol
from uuid import uuid4

from tabulary.core import json
from tabulary.core.redis import redis_of
from tabulary.core.settings import Settings

logger = logging.getLogger("tabulary.bus")

Listener = Callable[[Any], None]
"""Takes a message at once; what takes longer it puts into a queue of its own."""
Stop = Callable[[], None]

_NAMESPACE = "directus:bus"
_LONGEST_PAUSE = 15.0
_PATIENCE = 2.0
_REST = 1.0
"""Seconds without another try after Redis did not take a message: those that wait behind it shall not wait as well."""


class Bus(Protocol):
    """What both kinds offer."""

    is_shared: bool
    """True when other processes hear what is published here."""

    def listen(self, channel: str, listener: Listener) -> Stop:
        """Call ``listener`` with every message on a channel until the returned function is called."""

    async def ready(self) -> None:
        """Wait until messages of other processes arrive; not for a bus that is out of reach."""

    async def publish(self, channel: str, message: Any) -> None:
        """Send a JSON value to all listeners of a channel. Never raises for a bus that is out of reach."""

    async def close(self) -> None:
        """Stop listening to others. The bus may be used again."""


class LocalBus:
    """The bus of one process."""

    is_shared = False

    def __init__(self) -> None:
        self._listeners: dict[str, list[Listener]] = {}

    def listen(self, channel: str, listener: Listener) -> Stop:
        listeners = self._listeners.setdefault(channel, [])
        listeners.append(listener)

        def stop() -> None:
            with suppress(ValueError):
                listeners.remove(listener)

        return stop

    async def ready(self) -> None:
        """There are no others."""

    async def publish(self, channel: str, message: Any) -> None:
        self._deliver(channel, message)

    def _deliver(self, channel: str, message: Any) -> None:
        for listener in list(self._listeners.get(channel, ())):
            try:
                listener(message)
            except Exception:
                logger.exception("a listener of %s failed", channel)

    async def close(self) -> None:
        """Nothing to do."""


class RedisBus(LocalBus):
    """The bus of all processes that use the same Redis.

    Messages carry the sender's id, because Redis sends them back to the sender as well. The connection for listening is
    made when somebody listens, and again with growing pauses when it is lost.

    Args:
        connect: makes a client of ``redis.asyncio``.
        namespace: prefix of the channels in Redis.
    """

    is_shared = True

    def __init__(self, connect: Callable[[], Any], namespace: str = _NAMESPACE) -> None:
        super().__init__()
        self._connect = connect
        self._namespace = namespace
        self._id = uuid4().hex
        self._client: Any = None
        self._reading: asyncio.Task[None] | None = None
        self._hears = asyncio.Event()
        self._sending = asyncio.Lock()
        self._away_until = 0.0

    def listen(self, channel: str, listener: Listener) -> Stop:
        if self._reading is None or self._reading.done():
            self._reading = asyncio.ensure_future(self._read())
        return super().listen(channel, listener)

    async def ready(self) -> None:
        if self._reading is not None:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._hears.wait(), _PATIENCE)

    async def publish(self, channel: str, message: Any) -> None:
        self._deliver(channel, message)
        text = json.encode([self._id, message])
        async with self._sending:  # one after the other, or they would arrive in another order
            if time.monotonic() < self._away_until:
                return
            if self._client is None:
                self._client = self._connect()
            try:
                await self._client.publish(f"{self._namespace}:{channel}", text)
            except Exception as problem:
                logger.warning("Redis did not take a message: %s", type(problem).__name__)
                self._away_until = time.monotonic() + _REST

    async def _read(self) -> None:
        pause = 0.1
        while True:
            client = self._connect()
            try:
                async with client.pubsub() as subscription:
                    await subscription.psubscribe(f"{self._namespace}:*")
                    pause = 0.1
                    await self._receive(subscription)
            except asyncio.CancelledError:
                raise
            except Exception as problem:
                logger.warning("Redis cannot be heard, trying again: %s", type(problem).__name__)
            finally:
                self._hears.clear()
                await _closed(client)
            await asyncio.sleep(pause)
            pause = min(pause * 2, _LONGEST_PAUSE)

    async def _receive(self, subscription: Any) -> None:
        while True:
            found = await subscription.get_message(timeout=_PATIENCE)
            if found is None:
                continue
            if found["type"] != "pmessage":
                self._hears.set()  # the answer to our subscription
                continue
            try:
                sender, message = json.decode(found["data"])
            except (ValueError, TypeError):
                logger.warning("a message on the bus is not ours; it is passed over")
                continue
            if sender != self._id:
                channel = found["channel"]
                name = channel.decode() if isinstance(channel, bytes) else str(channel)
                self._deliver(name.removeprefix(f"{self._namespace}:"), message)

    async def close(self) -> None:
        reading, self._reading = self._reading, None
        if reading is not None:
            reading.cancel()
            await asyncio.wait([reading])
        client, self._client = self._client, None
        if client is not None:
            await _closed(client)


async def _closed(client: Any) -> None:
    with suppress(Exception):
        await client.aclose()


def bus_of(settings: Settings) -> Bus:
    """The bus that the settings ask for: Redis with ``REDIS`` or ``REDIS_HOST``, unless ``REDIS_ENABLED=false``.

    Raises :class:`ConfigurationError` when the ``redis`` package or an address is missing.
    """
    asked = settings.get("REDIS") or settings.get("REDIS_HOST")
    if not asked or settings.get("REDIS_ENABLED") is False:
        return LocalBus()
    redis_of(settings)  # says at once what is missing
    return RedisBus(lambda: redis_of(settings), str(settings.get("REDIS_BUS_NAMESPACE") or _NAMESPACE))
