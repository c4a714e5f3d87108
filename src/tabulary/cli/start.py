"""``tabulary start``: install what is missing and serve."""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any
from urllib.parse import urlsplit

import click
import uvicorn

from tabulary.app import Tabulary
from tabulary.cli import granian_workers
from tabulary.cli import workers as supervised
from tabulary.cli.session import run
from tabulary.core import logs
from tabulary.core.durations import size
from tabulary.core.settings import Settings
from tabulary.server.studio import DIST

_DEFAULT_ADMIN = "admin@example.com"


@click.command()
@click.option("--host", help="Address to listen on (HOST; 0.0.0.0).")
@click.option("--port", type=int, help="Port to listen on (PORT; 8055).")
@click.option("--workers", type=click.IntRange(1, 256), help="Processes that share the address, with a supervisor.")
@click.option(
    "--server", type=click.Choice(("uvicorn", "granian")), default="uvicorn", help="What speaks HTTP (uvicorn)."
)
@click.option("--setup-link", is_flag=True, help="Make no administrator, but a link to become one (ADMIN_SETUP_LINK).")
def start(host: str | None, port: int | None, workers: int | None, server: str, setup_link: bool) -> None:
    """Serve the API, after installing the system tables into an empty database.

    The first start on an empty database makes an administrator of ADMIN_EMAIL (admin@example.com) and ADMIN_PASSWORD
    (made up and shown once). While there is no administrator, as with --setup-link, each start prints a link that makes
    one, once and for a day. With --workers SIGHUP replaces all processes by new ones, without losing a request.
    """
    if server == "granian":
        granian_workers.check()
    settings = Settings.load()
    settings = settings.with_values(**{k: v for k, v in (("HOST", host), ("PORT", port)) if v is not None})
    logs.configure(settings)
    if settings.secret_is_random:
        click.echo("SECRET is not set: logins will not survive a restart.", err=True)
    if setup_link or settings["ADMIN_SETUP_LINK"]:
        settings = settings.with_values(ADMIN_EMAIL=None)
    elif not settings["ADMIN_EMAIL"]:
        settings = settings.with_values(ADMIN_EMAIL=_DEFAULT_ADMIN)
    tabulary = Tabulary(settings)
    listener = _listen(settings)
    options = _options(settings)
    if workers is None and server == "uvicorn":
        config = uvicorn.Config(tabulary.asgi, **options)
        run(_serve(tabulary, config, listener), config.get_loop_factory())
        return
    for warning in supervised.warnings(settings, tabulary.platform.database.options.filename):
        click.echo(warning, err=True)
    run(_install(tabulary, listener))
    supervised.share(settings)
    if server == "granian":
        listener.close()  # it binds the address itself, once a worker
        granian_workers.serve(settings, workers or 1)
    else:
        supervised.serve(options, listener, workers or 1)


def _options(settings: Settings) -> dict[str, Any]:
    """How uvicorn is to serve."""
    return {
        "log_config": None,
        "access_log": False,
        "server_header": False,
        "date_header": True,
        "lifespan": "on",
        "proxy_headers": False,
        "ws": "websockets-sansio" if settings["WEBSOCKETS_ENABLED"] else "none",
        "ws_per_message_deflate": False,  # memory for every client, and most messages are small
        "ws_max_size": size(settings["MAX_PAYLOAD_SIZE"]) or 1 << 20,
        "timeout_graceful_shutdown": max(1, (settings.duration("SERVER_SHUTDOWN_TIMEOUT") or 1000) // 1000),
    }


async def _install(tabulary: Tabulary, listener: socket.socket) -> None:
    """What has to happen once, before workers start; what goes wrong is one line."""
    async with tabulary:
        await _greet(tabulary, listener)


async def _serve(tabulary: Tabulary, config: uvicorn.Config, listener: socket.socket) -> None:
    """Open first, so that what goes wrong is one line, then serve until a signal ends it."""
    await tabulary.open()
    try:
        await _greet(tabulary, listener)
        await _Server(config, tabulary).serve(sockets=[listener])
    finally:
        await tabulary.close()


class _Server(uvicorn.Server):
    """A server for which a signal is the end of its work, not an error: uvicorn's own raises it again afterwards."""

    def __init__(self, config: uvicorn.Config, tabulary: Tabulary) -> None:
        super().__init__(config)
        self._tabulary = tabulary

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Tell health checks, then finish what is under way and end."""
        self._tabulary.platform.stopping = True
        super().handle_exit(sig, frame)

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        signals = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]
        previous = {number: signal.signal(number, self.handle_exit) for number in signals}
        try:
            yield
        finally:
            for number, handler in previous.items():
                signal.signal(number, handler)


def _listen(settings: Settings) -> socket.socket:
    """The listening socket. Raises ``ClickException`` when the address is taken."""
    path = settings["UNIX_SOCKET_PATH"]
    host, port = str(settings["HOST"]), int(settings["PORT"])
    family = socket.AF_UNIX if path else socket.AF_INET6 if ":" in host else socket.AF_INET
    # named as TCP, because event loops switch off Nagle's algorithm only then; with it answers wait for 40 ms
    listener = socket.socket(family, socket.SOCK_STREAM, 0 if path else socket.IPPROTO_TCP)
    try:
        if path:
            Path(path).unlink(missing_ok=True)
            listener.bind(str(path))
        else:
            if os.name == "posix":
                listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind((host, port))
        listener.listen(2048)
    except OSError as problem:
        listener.close()
        raise click.ClickException(f"Cannot listen on {path or f'{host}:{port}'}: {problem.strerror}") from problem
    return listener


async def _greet(tabulary: Tabulary, listener: socket.socket) -> None:
    installed = tabulary.installed
    if installed is not None and installed.admin_email:
        click.echo(f"Installed. Administrator: {installed.admin_email}")
        if installed.admin_password:
            click.echo(f"Password (shown only now): {installed.admin_password}")
    address = None
    if listener.family == socket.AF_UNIX:
        click.echo(f"Tabulary is at {listener.getsockname()}")
    else:
        host, port = listener.getsockname()[:2]
        address = f"http://{'localhost' if host in ('0.0.0.0', '::') else host}:{port}"
        studio = f", its Studio at {address}/admin" if (DIST / "index.html").is_file() else ""
        click.echo(f"Tabulary is at {address}{studio}")
    if tabulary.settings["SERVE_APP"]:
        public = urlsplit(str(tabulary.settings["PUBLIC_URL"]))
        link = await tabulary.setup_link(
            None if public.netloc or address is None else address + public.path.rstrip("/")
        )
        if link:
            click.echo(f"There is no administrator yet. To become it, once and within a day, open:\n{link}")
