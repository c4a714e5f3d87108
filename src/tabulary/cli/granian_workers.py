"""``tabulary start --server granian``: the same application behind granian, whose HTTP is written in Rust.

Granian brings a supervisor of its own, also for one worker. Each of its workers has a socket of its own, which the
kernel deals connections out to, where those of uvicorn (:mod:`tabulary.cli.workers`) share one: a connection waiting in
the queue of a worker that is just being replaced is reset, and its client has to ask again.
"""

from __future__ import annotations

import logging
import multiprocessing
from pathlib import Path
from typing import Any

import click
from starlette.types import ASGIApp

from tabulary.app import Tabulary
from tabulary.core import logs
from tabulary.core.settings import Settings

_MISSING = "granian is not installed: pip install 'tabulary[granian]', or leave out --server"
_CLOSING = 10
"""Seconds that a worker has to close what is open, beyond those for the requests that are under way."""
_HANDOVER = 10.0
"""Seconds that a new worker has to come up before the old one is told to end: granian does not wait for it to serve."""


def check() -> None:
    """Raises ``ClickException`` when granian is not installed."""
    _granian()


def serve(settings: Settings, workers: int) -> None:
    """Serve with this many processes until a signal ends it. Raises ``ClickException`` when they cannot start.

    Args:
        settings: of the supervisor; workers read theirs themselves.
    """
    granian = _granian()
    multiprocessing.set_start_method("spawn", force=True)  # so that new workers read settings and code anew
    path = settings["UNIX_SOCKET_PATH"]
    server = granian.Granian(
        "tabulary.cli.granian_workers:application",
        factory=True,
        interface=granian.constants.Interfaces.ASGI,
        address=str(settings["HOST"]),
        port=int(settings["PORT"]),
        uds=Path(path) if path else None,
        workers=workers,
        http=granian.constants.HTTPModes.http1,
        websockets=bool(settings["WEBSOCKETS_ENABLED"]),
        backlog=2048,
        log_level="warning",
        respawn_failed_workers=True,
        respawn_interval=_HANDOVER,
        workers_kill_timeout=_CLOSING + (settings.duration("SERVER_SHUTDOWN_TIMEOUT") or 1000) // 1000,
    )
    try:
        server.serve()
    except SystemExit as ended:
        if ended.code:
            raise click.ClickException("A worker could not serve; its own messages tell why") from None


def application() -> ASGIApp:
    """The application of one worker: what granian calls in the new process."""
    settings = Settings.load()
    logs.configure(settings)
    logging.getLogger("_granian").setLevel(logging.WARNING)
    return Tabulary(settings, install=False).asgi


def _granian() -> Any:
    try:
        import granian
        import granian.constants
    except ModuleNotFoundError as problem:
        if not (problem.name or "").startswith("granian"):
            raise
        raise click.ClickException(_MISSING) from problem
    return granian
