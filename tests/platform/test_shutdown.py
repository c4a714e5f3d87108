"""A real server process: it ends when told to, after the requests under way, with status 0 and nothing to complain."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx2
import pytest


@pytest.fixture
def port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def server(port: int, tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    settings = {
        "DB_CLIENT": "sqlite3",
        "DB_FILENAME": str(tmp_path / "x.db"),
        "CONFIG_PATH": "/nonexistent",
        "SECRET": "x" * 32,
        "ADMIN_EMAIL": "admin@example.com",
        "ADMIN_PASSWORD": "password",
        "LOG_STYLE": "raw",
        "LOGIN_STALL_TIME": "1500",
        "SERVER_SHUTDOWN_TIMEOUT": "5000",
    }
    environment = {**os.environ, **settings, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-m", "tabulary", "start", "--host", "127.0.0.1", "--port", str(port)]
    with (tmp_path / "log").open("w") as log:
        process = subprocess.Popen(command, env=environment, cwd=tmp_path, stderr=log, stdout=log)
    for _ in range(300):
        try:
            httpx2.get(f"http://127.0.0.1:{port}/server/ping")
            break
        except httpx2.TransportError:
            assert process.poll() is None, (tmp_path / "log").read_text()
            time.sleep(0.1)
    yield process
    process.kill()
    process.wait()


def test_what_is_under_way_is_finished(server: subprocess.Popen[bytes], port: int, tmp_path: Path) -> None:
    url = f"http://127.0.0.1:{port}"
    with ThreadPoolExecutor() as pool:
        wrong = {"email": "admin@example.com", "password": "wrong"}
        slow = pool.submit(lambda: httpx2.post(f"{url}/auth/login", json=wrong, timeout=20))
        time.sleep(0.5)
        began = time.monotonic()
        server.send_signal(signal.SIGTERM)
        time.sleep(0.3)
        with pytest.raises(httpx2.TransportError):
            httpx2.get(f"{url}/server/ping")
        assert slow.result().status_code == 401
    assert server.wait(10) == 0 and time.monotonic() - began < 8
    lines = [json.loads(line) for line in (tmp_path / "log").read_text().splitlines() if line.startswith("{")]
    assert [line for line in lines if line["level"] in ("error", "warning", "critical")] == []
    assert lines[-1]["path"] == "/auth/login" and lines[-1]["status"] == 401
