"""The storage locations of one Tabulary object, as the settings name them (``STORAGE_LOCATIONS``, spec files §3.12)."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine, Mapping
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

from tabulary.core.errors import ConfigurationError
from tabulary.core.settings import Settings
from tabulary.core.storage.driver import Driver, StorageError
from tabulary.core.storage.local import LocalDriver

logger = logging.getLogger("tabulary.files")

_ABANDONED = timedelta(days=1)
"""After so long without a byte nobody is still uploading; resumable uploads expire sooner by themselves."""

Factory = Callable[[Mapping[str, Any]], Driver]


def _local(options: Mapping[str, Any]) -> Driver:
    return LocalDriver(str(options.get("root") or "./uploads"))


def _store(kind: str, options: Mapping[str, Any]) -> Driver:
    from tabulary.core.storage import objects  # here: its client is large, and needed by few

    factory: Factory = getattr(objects, kind)
    return factory(options)


_FACTORIES: dict[str, Factory] = {
    "local": _local, "s3": partial(_store, "s3"), "gcs": partial(_store, "gcs"), "azure": partial(_store, "azure")
}  # fmt: skip


class Storage:
    """Drivers by the name of their location; each is made when it is first asked for.

    Args:
        settings: ``STORAGE_LOCATIONS`` and, for each, ``STORAGE_<NAME>_DRIVER`` and the driver's options.
        drivers: ready drivers by name, in place of those of the settings (tests, embedding).
    """

    def __init__(self, settings: Settings, drivers: Mapping[str, Driver] | None = None) -> None:
        self._settings = settings
        self._drivers: dict[str, Driver] = dict(drivers or {})
        configured = settings["STORAGE_LOCATIONS"]
        named = configured if isinstance(configured, list) else [configured]
        self.names: tuple[str, ...] = tuple(drivers) if drivers else tuple(str(name) for name in named if name)

        self._under_way: set[asyncio.Task[None]] = set()

    @property
    def default(self) -> str:
        """Where new files go unless told otherwise. Raises :class:`ConfigurationError` when there is no location."""
        if not self.names:
            raise ConfigurationError("STORAGE_LOCATIONS is empty; name at least one location, such as local")
        return self.names[0]

    def __contains__(self, name: object) -> bool:
        return name in self.names

    def at(self, name: str) -> Driver:
        """The driver of a location. Raises :class:`ConfigurationError` for an unknown name, driver or option."""
        driver = self._drivers.get(name)
        if driver is None:
            driver = self._drivers[name] = self._made(name)
        return driver

    def start(self, work: Coroutine[Any, Any, None]) -> None:
        """Do work on stored files that nobody waits for, such as removing what a committed transaction left."""
        task = asyncio.ensure_future(work)
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)

    async def sweep(self) -> None:
        """Remove what uploads that broke off a day ago or more have left, in all locations (start of a server)."""
        before = datetime.now(UTC) - _ABANDONED
        for name in self.names:
            try:
                count = await self.at(name).sweep(before)
            except StorageError as problem:
                logger.warning("leftovers of uploads in %s could not be removed: %s", name, problem)
            else:
                if count:
                    logger.info("%d leftovers of uploads removed from %s", count, name)

    async def drain(self) -> None:
        """Wait for the work that was started (shutdown, tests)."""
        while self._under_way:
            await asyncio.gather(*self._under_way, return_exceptions=True)

    def _made(self, name: str) -> Driver:
        if name not in self.names:
            raise ConfigurationError(f'There is no storage location "{name}"; STORAGE_LOCATIONS names those there are')
        options = self._settings.group(f"STORAGE_{name.upper()}_")
        kind = str(options.get("driver") or "local")
        factory = _FACTORIES.get(kind)
        if factory is None:
            known = ", ".join(sorted(_FACTORIES))
            raise ConfigurationError(f'STORAGE_{name.upper()}_DRIVER: there is no driver "{kind}", only {known}')
        return factory(options)
