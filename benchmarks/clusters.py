"""PostgreSQL, Redis and servers of one's own, for scripts that stop and restart them: nobody else's are ever touched.

All are plain child processes in a temporary folder. PostgreSQL keeps what it acknowledges (``fsync`` is on, as it is
by default), else a crash would prove nothing.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import socket
import sys
from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path

import httpx2

PATIENCE = 60.0
"""Seconds within which a service has to come up; recovery after a crash included."""


class Service(ABC):
    """A process that can be stopped, and started again with what it has kept."""

    def __init__(self, folder: Path, port: int = 0) -> None:
        self.folder = folder
        self.port = port or free_port()
        self._process: asyncio.subprocess.Process | None = None
        self._environment: dict[str, str] | None = None
        """Of the process; None for ours."""

    @property
    @abstractmethod
    def url(self) -> str: ...

    @property
    def pid(self) -> int:
        """Of the process that was started last."""
        assert self._process is not None
        return self._process.pid

    @abstractmethod
    def _command(self) -> list[str]: ...

    @abstractmethod
    async def _answers(self) -> bool:
        """Whether it can be worked with."""

    async def start(self) -> None:
        """Start and wait until it answers. Raises ``TimeoutError``."""
        with (self.folder / f"log{self.port}").open("a") as log:
            self._process = await asyncio.create_subprocess_exec(
                *self._command(), cwd=self.folder, stdout=log, stderr=log, env=self._environment
            )
        await self.recover()

    async def recover(self) -> None:
        """Wait until it answers. Raises ``TimeoutError``."""
        async with asyncio.timeout(PATIENCE):
            while not await self._answers():  # noqa: ASYNC110
                await asyncio.sleep(0.02)

    async def stop(self, how: signal.Signals = signal.SIGTERM) -> None:
        """Stop and wait until it has: ``SIGINT`` makes PostgreSQL cut off its clients, with ``SIGQUIT`` it crashes."""
        if self._process is not None and self._process.returncode is None:
            self._process.send_signal(how)
            await self._process.wait()


class PostgreSQL(Service):
    """A cluster with one superuser, ``postgres``, who needs no password; only from this machine.

    ``options``: settings of the server besides ours.
    """

    def __init__(self, folder: Path, port: int = 0, options: Mapping[str, str] | None = None) -> None:
        super().__init__(folder, port)
        self._settings = {"fsync": "on", **(options or {})}

    @property
    def url(self) -> str:
        return f"postgresql://postgres@127.0.0.1:{self.port}/postgres"

    async def start(self) -> None:
        if not (self.folder / "data").exists():
            hand_over(self.folder)
            options = ["-D", "data", "-U", "postgres", "-A", "trust", "-E", "UTF8", "--no-sync"]
            maker = await asyncio.create_subprocess_exec(
                *_as_account([_binary("initdb"), *options]), cwd=self.folder, stdout=asyncio.subprocess.DEVNULL
            )
            if await maker.wait():
                raise RuntimeError("initdb could not make a cluster")
        await super().start()

    async def database(self, name: str) -> str:
        """The URL of a new database."""
        import asyncpg

        connection = await asyncpg.connect(self.url)
        try:
            await connection.execute(f"CREATE DATABASE {name}")
        finally:
            await connection.close()
        return self.url.removesuffix("postgres") + name

    def _command(self) -> list[str]:
        options = {"port": self.port, "listen_addresses": "127.0.0.1", "unix_socket_directories": ""} | self._settings
        settings = [part for name, value in options.items() for part in ("-c", f"{name}={value}")]
        return _as_account([_binary("postgres"), "-D", "data", *settings])

    async def _answers(self) -> bool:
        import asyncpg

        try:
            connection = await asyncpg.connect(self.url, timeout=5)
        except (OSError, TimeoutError, asyncpg.PostgresError):
            return False
        await connection.close()
        return True


class Redis(Service):
    """A server that keeps nothing: after a stop it is empty."""

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}"

    async def start(self) -> None:
        hand_over(self.folder)
        await super().start()

    def _command(self) -> list[str]:
        return _as_account([_binary("redis-server"), "--port", str(self.port), "--bind", "127.0.0.1", "--save", ""])

    async def _answers(self) -> bool:
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", self.port)
        except OSError:
            return False
        writer.close()
        return True


class Server(Service):
    """A ``tabulary start`` with these settings; nothing else of the environment is passed on."""

    def __init__(self, folder: Path, settings: dict[str, str], port: int = 0) -> None:
        super().__init__(folder, port)
        kept = {name: value for name, value in os.environ.items() if name in ("PATH", "HOME", "PYTHONPATH")}
        own = {"CONFIG_PATH": "/nonexistent", "SECRET": "c" * 32, "ADMIN_EMAIL": "admin@example.com"}
        self._environment = kept | own | {"ADMIN_PASSWORD": "benchmark-password"} | settings

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def _command(self) -> list[str]:
        return [sys.executable, "-m", "tabulary", "start", "--host", "127.0.0.1", "--port", str(self.port)]

    async def _answers(self) -> bool:
        try:
            async with httpx2.AsyncClient(timeout=5) as client:
                return (await client.get(f"{self.url}/server/health")).status_code == 200
        except httpx2.TransportError:
            return False


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def hand_over(folder: Path) -> None:
    """Give a folder to the account that services run as: PostgreSQL refuses to run as root.

    The folder it lies in is the script's own temporary one, which that account has to pass.
    """
    folder.mkdir(exist_ok=True)
    if os.geteuid() == 0:
        shutil.chown(folder, "postgres")
        folder.parent.chmod(0o711)


def _as_account(command: list[str]) -> list[str]:
    """The same, never as root: services refuse that, or ought to."""
    if os.geteuid() != 0:
        return command
    return ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups", *command]


def _binary(name: str) -> str:
    """Where a program is. Debian keeps those of PostgreSQL out of the path."""
    found = shutil.which(name) or next(
        (str(path) for path in sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"), reverse=True)), None
    )
    if found is None:
        raise FileNotFoundError(f"{name} was not found: install PostgreSQL's and Redis' servers")
    return found
