"""Waiting for what is to happen, on a machine that may stand still for seconds at any line.

A test waits for a condition, not for a time, and its patience costs nothing when all is well: :data:`PATIENCE` is for
what never comes. Ports are held from the moment that they are chosen.
"""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import httpx2

PATIENCE = float(os.environ.get("TABULARY_TEST_PATIENCE", "180"))
"""Seconds after which something that has not happened never will."""
_PAUSE = 0.02


def wait_for(ready: Callable[[], Any], what: str | Callable[[], str] = "it did not happen") -> Any:
    """What ``ready`` answers once that is something. Fails with ``what`` when it never is."""
    deadline = time.monotonic() + PATIENCE
    while not (found := ready()):
        assert time.monotonic() < deadline, what if isinstance(what, str) else what()
        time.sleep(_PAUSE)
    return found


async def until(ready: Callable[[], Any], what: str | Callable[[], str] = "it did not happen") -> Any:
    """:func:`wait_for` in an event loop; ``ready`` may be a coroutine function."""
    deadline = time.monotonic() + PATIENCE
    while True:
        found = ready()
        if isinstance(found, Awaitable):
            found = await found
        if found:
            return found
        assert time.monotonic() < deadline, what if isinstance(what, str) else what()
        await asyncio.sleep(_PAUSE)


def free_port() -> int:
    """A port of this machine for a server that is about to start.

    It stays bound, without anybody listening, for as long as this process lives. So the system gives it to no other
    process, neither for a server nor for a connection, until the server has it; servers share the address, because all
    of them set ``SO_REUSEADDR``.
    """
    holder = socket.socket()
    holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    holder.bind(("127.0.0.1", 0))
    port: int = holder.getsockname()[1]
    holder.detach()  # never closed
    return port


def answering(port: int, process: subprocess.Popen[Any], log: Path) -> str:
    """The address of a server process of ours, once it answers. Fails with its log when it ends, or never answers."""

    def told() -> str:
        return f"nobody answers at {port}: {log.read_text()}"

    def ready() -> bool:
        assert process.poll() is None, told()
        try:
            return httpx2.get(f"{url}/server/ping", timeout=PATIENCE, trust_env=False).is_success
        except httpx2.TransportError:
            return False

    url = f"http://127.0.0.1:{port}"
    wait_for(ready, told)
    return url
