"""Real server processes on real databases, and Redis when a test wants it."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import signal
import socket
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType

import pytest

from ..waiting import PATIENCE, answering, free_port

REDIS = os.environ.get("TABULARY_TEST_REDIS", "redis://127.0.0.1:6379")


@dataclass
class Server:
    """One ``tabulary start``: a process, or a supervisor with its workers."""

    process: subprocess.Popen[bytes]
    port: int
    log: Path

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def wait(self) -> None:
        """Until it answers."""
        answering(self.port, self.process, self.log)

    def end(self) -> None:
        """End the process and its workers."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGTERM)
        try:
            self.process.wait(PATIENCE)
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)


@dataclass
class Cluster:
    """Starts servers; ends them with the test."""

    folder: Path
    servers: list[Server] = field(default_factory=list)

    def start(self, database_url: str, *arguments: str, **settings: str) -> Server:
        """A server of its own process group. It need not answer yet."""
        port = free_port()
        values = {
            "DATABASE_URL": database_url,
            "CONFIG_PATH": "/nonexistent",
            "SECRET": "x" * 32,
            "HASH_MEMORY_COST": "1024",
            "HASH_TIME_COST": "1",
            "HASH_PARALLELISM": "1",
            "LOGIN_STALL_TIME": "0",
            "LOG_LEVEL": "warn",
            "PRESSURE_LIMITER_ENABLED": "false",  # this machine may be busy
            **settings,
        }
        kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
        environment = {**kept, **values, "PYTHONPATH": os.pathsep.join(sys.path)}
        command = [sys.executable, "-m", "tabulary", "start", "--host", "127.0.0.1", "--port", str(port), *arguments]
        log = self.folder / f"log{len(self.servers)}"
        with log.open("w") as output:
            process = subprocess.Popen(
                command, env=environment, cwd=self.folder, stdout=output, stderr=output, start_new_session=True
            )
        self.servers.append(Server(process, port, log))
        return self.servers[-1]


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    made = Cluster(tmp_path)
    yield made
    for server in made.servers:
        server.end()


@pytest.fixture
def redis_settings() -> Callable[[], dict[str, str]]:
    """Settings that switch Redis on, with channels of their own. Skips, or fails in CI, without a server."""

    def settings() -> dict[str, str]:
        host, port = REDIS.removeprefix("redis://").partition("/")[0].split(":")
        try:
            socket.create_connection((host, int(port)), PATIENCE).close()
        except OSError as problem:
            if os.environ.get("CI") == "true":
                pytest.fail(f"Redis was not reached: {problem}")
            pytest.skip(f"Redis was not reached: {problem}")
        return {"REDIS": REDIS, "REDIS_BUS_NAMESPACE": f"test:{uuid.uuid4().hex}"}

    return settings


def benchmark(name: str) -> ModuleType:
    """A script of ``benchmarks/``, as a module."""
    path = Path(__file__).parents[2] / "benchmarks" / f"{name}.py"
    if str(path.parent) not in sys.path:
        sys.path.append(str(path.parent))  # as it is when a script runs: where its other modules lie
    spec = importlib.util.spec_from_file_location(f"tabulary_benchmark_{name}", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # where dataclasses look for it
    spec.loader.exec_module(module)
    return module


async def check_coherence(servers: Sequence[Server], changes: int) -> None:
    """What one server takes away, so many times of each kind, no other grants to a request that begins after it."""
    for server in servers:
        server.wait()
    coherence = benchmark("coherence")
    outcomes = await coherence.check(
        [server.url for server in servers], "admin-static-token", changes, report=lambda outcome: None
    )
    assert len(outcomes) == len(coherence.SCENARIOS)
    for outcome in outcomes:
        assert not outcome.wrong, str(outcome)
        assert outcome.denied and outcome.granted, str(outcome)
    assert all("ERROR" not in server.log.read_text() for server in servers)
