"""Password hashes: argon2 in a bounded thread pool.

One hash takes 64 MiB and some tens of milliseconds by default, so that the number of threads is the memory bill
(spec schema-and-platform §6.2, ``HASH_*``).
"""

from __future__ import annotations

import asyncio
import os
import sys
import threading
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any

from argon2 import PasswordHasher, Type
from argon2.exceptions import Argon2Error, InvalidHashError

_TYPES = {"argon2id": Type.ID, "argon2i": Type.I, "argon2d": Type.D, "2": Type.ID, "1": Type.I, "0": Type.D}

_NICENESS = 19


class Passwords:
    """Hashes and verifies for one Tabulary object. ``options`` are the settings' group ``HASH_``."""

    def __init__(self, options: Mapping[str, Any] | None = None) -> None:
        options = options or {}
        self._hasher = PasswordHasher(
            time_cost=int(options.get("timeCost", 3)),
            memory_cost=int(options.get("memoryCost", 65536)),
            parallelism=int(options.get("parallelism", 4)),
            hash_len=int(options.get("hashLength", 32)),
            type=_TYPES.get(str(options.get("type", "argon2id")).lower(), Type.ID),
        )
        self._decoy: str | None = None
        threads = min(4, os.cpu_count() or 1)
        self._threads = ThreadPoolExecutor(threads, "tabulary-passwords", initializer=_stand_back)

    async def hash(self, text: str) -> str:
        """The PHC string of a secret: ``$argon2id$v=19$m=65536,t=3,p=4$…``."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, self._hasher.hash, text)

    async def verify(self, hashed: str, text: str) -> bool:
        """True when ``text`` is what ``hashed`` (any argon2 PHC string) was made of. False for unreadable hashes."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, self._verify, hashed, text)

    async def waste(self, text: str) -> None:
        """Take the time of a verification where there is nothing to verify."""
        if self._decoy is None:
            self._decoy = await self.hash("nobody's password")
        await self.verify(self._decoy, text)

    def is_hash(self, text: str) -> bool:
        """True for a PHC string that :meth:`verify` can check."""
        return text.startswith(("$argon2id$", "$argon2i$", "$argon2d$")) and text.count("$") >= 4

    def close(self) -> None:
        self._threads.shutdown(wait=False)

    def _verify(self, hashed: str, text: str) -> bool:
        try:
            return bool(self._hasher.verify(hashed, text))
        except (Argon2Error, InvalidHashError, UnicodeError):
            return False


def _stand_back() -> None:
    """Let everybody else go first: who waits for a password waits anyway, and a storm of logins stops nobody.

    On Linux a thread has a priority of its own, which the threads of a hash inherit; elsewhere nothing happens.
    """
    if sys.platform == "linux":
        with suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _NICENESS)


async def hash_password(text: str, options: Mapping[str, Any] | None = None) -> str:
    """One hash outside of any Tabulary object (bootstrap, command line)."""
    passwords = Passwords(options)
    try:
        return await passwords.hash(text)
    finally:
        passwords.close()
