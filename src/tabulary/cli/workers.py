"""Several processes on one listening socket: uvicorn's supervisor starts them, replaces those that die, and reloads.

SIGHUP replaces every worker by a new one that has read the settings again, each only once its successor serves. A
worker that has to go first tells its clients so: for :data:`DRAIN` seconds it goes on answering and closes each
connection with its answer, so that clients with open connections are with other workers before it closes what is left.
"""

from __future__ import annotations

import asyncio
import os
import signal
import socket
from collections.abc import Callable
from functools import partial
from types import FrameType
from typing import Any

import click
import uvicorn
from starlette.types import ASGIApp
from uvicorn.config import STARTUP_FAILURE
from uvicorn.supervisors import Multiprocess

from tabulary.app import Tabulary
from tabulary.core import logs
from tabulary.core.settings import Settings
from tabulary.database.options import MEMORY

DRAIN = 1.0
"""Seconds that a worker goes on answering after it was told to end."""
_HEALTHCHECK = 30
"""Seconds within which a worker has to start, and to answer its supervisor."""


def share(settings: Settings) -> None:
    """What workers cannot find out by reading the settings themselves, for whichever server starts them."""
    if settings.secret_is_random:
        os.environ["SECRET"] = str(settings["SECRET"])  # all workers have to believe each other's tokens


def serve(options: dict[str, Any], listener: socket.socket, workers: int) -> None:
    """Serve with this many processes until a signal ends it; they read their settings themselves.

    Args:
        options: of :class:`uvicorn.Config`.
        listener: the socket that all of them accept from.

    Raises ``ClickException`` when workers cannot start.
    """
    config = uvicorn.Config(
        "tabulary.cli.workers:application",
        factory=True,
        workers=workers,
        timeout_worker_healthcheck=_HEALTHCHECK,
        **options,
    )
    supervisor = Multiprocess(config, sockets=[listener])
    supervisor.run()
    if any(process.exitcode == STARTUP_FAILURE for process in supervisor.processes):
        raise click.ClickException("A worker could not start; its own messages tell why")


def warnings(settings: Settings, filename: str | None) -> list[str]:
    """What does not reach beyond one process with these settings.

    Raises ``ClickException`` for a database that only one process can see.
    """
    if filename == MEMORY:
        raise click.ClickException("A database in memory belongs to one process; set DB_FILENAME, or use one worker")
    found = []
    if settings["CACHE_ENABLED"] and settings["CACHE_STORE"] == "memory":
        found.append("CACHE_STORE=memory: each worker keeps answers of its own, up to CACHE_TTL. Use redis.")
    limited = settings["RATE_LIMITER_ENABLED"] or settings["RATE_LIMITER_GLOBAL_ENABLED"]
    if limited and settings["RATE_LIMITER_STORE"] == "memory":
        found.append("RATE_LIMITER_STORE=memory: each worker counts for itself. Use redis.")
    if settings["WEBSOCKETS_ENABLED"] and not (settings["REDIS"] or settings["REDIS_HOST"]):
        found.append("WEBSOCKETS_ENABLED without REDIS: subscribers hear only of changes made by their own worker.")
    return found


def application() -> ASGIApp:
    """The application of one worker: what uvicorn calls in the new process, with its signal handlers in place."""
    settings = Settings.load()
    logs.configure(settings)
    tabulary = Tabulary(settings, install=False)
    for number in (signal.SIGTERM, signal.SIGINT):
        ending = signal.getsignal(number)
        if callable(ending):
            signal.signal(number, partial(_end, tabulary, ending, asyncio.get_running_loop()))
    return tabulary.asgi


def _end(
    tabulary: Tabulary,
    end: Callable[[int, FrameType | None], Any],
    loop: asyncio.AbstractEventLoop,
    number: int,
    frame: FrameType | None,
) -> None:
    """Finish what is under way and end; at once when told a second time."""
    if tabulary.platform.stopping:
        end(number, frame)
        return
    tabulary.platform.stopping = True
    loop.call_soon_threadsafe(lambda: loop.call_later(DRAIN, end, number, None))
