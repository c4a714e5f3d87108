"""A real server process: it ends when told to, after the requests under way, with status 0 and nothing to complain."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from ..waiting import PATIENCE, answering, free_port, wait_for


@pytest.fixture
def port() -> int:
    return free_port()


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
        "LOGIN_STALL_TIME": "200",
        "SERVER_SHUTDOWN_TIMEOUT": "60000",
        "PRESSURE_LIMITER_ENABLED": "false",  # this machine may be busy
    }
    environment = {**os.environ, **settings, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-m", "tabulary", "start", "--host", "127.0.0.1", "--port", str(port)]
    with (tmp_path / "log").open("w") as log:
        process = subprocess.Popen(command, env=environment, cwd=tmp_path, stderr=log, stdout=log)
    try:
        answering(port, process, tmp_path / "log")
        yield process
    finally:
        process.kill()
        process.wait()


def refuses(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), PATIENCE).close()
    except ConnectionRefusedError:
        return True
    return False


def test_what_is_under_way_is_finished(server: subprocess.Popen[bytes], port: int, tmp_path: Path) -> None:
    body = json.dumps({"email": "admin@example.com", "password": "wrong"}).encode()
    head = (
        "POST /auth/login HTTP/1.1\r\nHost: test\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\nExpect: 100-continue\r\n\r\n"
    )
    with socket.create_connection(("127.0.0.1", port), PATIENCE) as connection:
        connection.sendall(head.encode())
        assert connection.recv(100).startswith(b"HTTP/1.1 100 Continue")  # now it is under way
        server.send_signal(signal.SIGTERM)
        wait_for(lambda: refuses(port))
        connection.sendall(body)
        with connection.makefile("rb") as answer:
            assert answer.read().startswith(b"HTTP/1.1 401")
    assert server.wait(PATIENCE) == 0
    lines = [json.loads(line) for line in (tmp_path / "log").read_text().splitlines() if line.startswith("{")]
    assert [line for line in lines if line["level"] in ("error", "warning", "critical")] == []
    assert lines[-1]["path"] == "/auth/login" and lines[-1]["status"] == 401
