"""Where finished answers are kept for a while: in this process or in Redis (spec schema-and-platform §4.7).

An entry belongs to a *generation*. Purging begins a new one, so that an answer which was computed before a change can
never be found after it, even when it is stored later than the purge: who stores names the generation of the lookup.
What may be kept and for whom is the server's part (:mod:`tabulary.server.cache`).
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Protocol

from tabulary.core.errors import ConfigurationError
from tabulary.core.redis import redis_of
from tabulary.core.settings import Settings

logger = logging.getLogger("tabulary.cache")

MEMORY_BOUND = 64 << 20
"""Bytes that the store in memory may hold; beyond it the entries that were not asked for longest go."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A kept answer and when it ends, as seconds since 1970 (None: never)."""

    body: bytes
    expires: float | None = None

    @property
    def remaining(self) -> int:
        """Whole seconds that are left."""
        return 0 if self.expires is None else max(0, int(self.expires - time.time()))


@dataclass(frozen=True, slots=True)
class Lookup:
    """What was found, and the generation to store under. ``usable`` is False when the store is away."""

    entry: Entry | None
    generation: int
    usable: bool = True


class Store(Protocol):
    """Where entries live."""

    async def get(self, key: str) -> tuple[int, Entry | None]: ...

    async def put(self, key: str, generation: int, entry: Entry) -> None: ...

    async def purge(self) -> None: ...

    async def close(self) -> None: ...


class MemoryStore:
    """Entries of this process, the least recently used thrown out first."""

    def __init__(self, bound: int = MEMORY_BOUND) -> None:
        self._bound = bound
        self._entries: OrderedDict[str, Entry] = OrderedDict()
        self._size = 0
        self._generation = 0

    async def get(self, key: str) -> tuple[int, Entry | None]:
        entry = self._entries.get(key)
        if entry is None:
            return self._generation, None
        if entry.expires is not None and entry.expires <= time.time():
            self._drop(key)
            return self._generation, None
        self._entries.move_to_end(key)
        return self._generation, entry

    async def put(self, key: str, generation: int, entry: Entry) -> None:
        if generation != self._generation:
            return
        if key in self._entries:
            self._drop(key)
        self._entries[key] = entry
        self._size += len(entry.body) + len(key)
        while self._size > self._bound:
            self._drop(next(iter(self._entries)))

    async def purge(self) -> None:
        self._generation += 1
        self._entries.clear()
        self._size = 0

    async def close(self) -> None:
        """Nothing is kept open."""

    def _drop(self, key: str) -> None:
        self._size -= len(self._entries.pop(key).body) + len(key)


class RedisStore:
    """Entries that all processes share. An entry is ``generation:expires:body``; old generations end by themselves."""

    def __init__(self, settings: Settings) -> None:
        self._client = redis_of(settings)
        self._prefix = f"{settings['CACHE_NAMESPACE']}:responses:"
        self._counter = f"{settings['CACHE_NAMESPACE']}:generation"

    async def get(self, key: str) -> tuple[int, Entry | None]:
        found: list[Any] = await self._client.mget(self._counter, self._prefix + key)
        counter, packed = found
        generation = int(counter or 0)
        if packed is None:
            return generation, None
        written, expires, body = packed.split(b":", 2)
        if int(written) != generation:
            return generation, None
        return generation, Entry(body, float(expires) if expires else None)

    async def put(self, key: str, generation: int, entry: Entry) -> None:
        ends = "" if entry.expires is None else f"{entry.expires:.3f}"
        left = None if entry.expires is None else max(1, int((entry.expires - time.time()) * 1000))
        await self._client.set(self._prefix + key, b"%d:%b:%b" % (generation, ends.encode(), entry.body), px=left)

    async def purge(self) -> None:
        await self._client.incr(self._counter)

    async def close(self) -> None:
        await self._client.aclose()


class Cache:
    """The response cache of one Tabulary object. A store that does not answer is a cache that never hits."""

    def __init__(self, settings: Settings, store: Store | None = None) -> None:
        """Raises :class:`ConfigurationError` for an unknown store, or Redis without an address."""
        self.lifetime = settings.duration("CACHE_TTL")
        self.auto_purge = bool(settings["CACHE_AUTO_PURGE"])
        self._ignored = frozenset(settings["CACHE_AUTO_PURGE_IGNORE_LIST"] or ())
        self._largest = settings.size("CACHE_VALUE_MAX_SIZE")
        self._store = store or _store_of(settings)
        self._purging: set[asyncio.Task[None]] = set()

    @classmethod
    def of(cls, settings: Settings) -> Cache | None:
        """The cache, when ``CACHE_ENABLED``."""
        return cls(settings) if settings["CACHE_ENABLED"] else None

    async def lookup(self, key: str) -> Lookup:
        found = await self._safely(lambda: self._store.get(key))
        return Lookup(None, 0, usable=False) if found is None else Lookup(found[1], found[0])

    async def store(self, key: str, lookup: Lookup, body: bytes) -> Entry | None:
        """Keep an answer that was worked out after ``lookup``; None when it is too large, or nothing is kept."""
        if not lookup.usable or (self._largest is not None and len(body) > self._largest):
            return None
        if self.lifetime is not None and self.lifetime <= 0:
            return None
        entry = Entry(body, None if self.lifetime is None else time.time() + self.lifetime / 1000)
        await self._safely(lambda: self._store.put(key, lookup.generation, entry))
        return entry

    def purges(self, collection: str) -> bool:
        """True when a change of this collection clears the cache."""
        return self.auto_purge and collection not in self._ignored

    async def purge(self) -> None:
        """Forget all answers."""
        await self._safely(self._store.purge)

    def purge_soon(self) -> None:
        """Forget all answers, from where nothing can be awaited."""
        task = asyncio.ensure_future(self.purge())
        self._purging.add(task)
        task.add_done_callback(self._purging.discard)

    async def ping(self) -> None:
        """Ask the store for something. Raises what it raises: for health checks."""
        await self._store.get("health")

    async def close(self) -> None:
        if self._purging:
            await asyncio.gather(*self._purging)
        await self._store.close()

    @staticmethod
    async def _safely(call: Callable[[], Awaitable[Any]]) -> Any:
        try:
            return await call()
        except Exception as problem:
            logger.warning("the response cache does not answer: %s: %s", type(problem).__name__, problem)
            return None


def _store_of(settings: Settings) -> Store:
    kind = str(settings["CACHE_STORE"])
    if kind == "memory":
        return MemoryStore()
    if kind == "redis":
        return RedisStore(settings)
    raise ConfigurationError(f'CACHE_STORE: "{kind}" is not supported, use memory or redis')
