"""A large upload and download over the loopback, against a real server: its memory stays flat."""

from __future__ import annotations

import asyncio
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from ..waiting import PATIENCE, answering, free_port

pytestmark = pytest.mark.anyio

MEGABYTE = 1 << 20
SIZE = 200 * MEGABYTE
ALLOWED = 24 * MEGABYTE
BOUNDARY = b"frontier"
HEAD = b'--frontier\r\nContent-Disposition: form-data; name="file"; filename="big.bin"\r\n\r\n'
TAIL = b"\r\n--frontier--\r\n"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[tuple[int, int]]:
    """Port and process of a server on SQLite."""
    if not Path("/proc/self/status").exists():
        pytest.skip("memory of another process is read from /proc")
    port = free_port()
    settings = {"CONFIG_PATH": str(tmp_path / "none"), "DB_CLIENT": "sqlite3", "DB_FILENAME": str(tmp_path / "big.db"),
                "STORAGE_LOCAL_ROOT": str(tmp_path / "uploads"), "ADMIN_EMAIL": "admin@example.com", "SECRET": "x" * 32,
                "ADMIN_PASSWORD": "password", "ADMIN_TOKEN": "token", "EMAIL_VERIFY_SETUP": "false",
                "PRESSURE_LIMITER_ENABLED": "false"}  # fmt: skip
    command = [sys.executable, "-m", "tabulary", "start", "--port", str(port), "--host", "127.0.0.1"]
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen(command, env={**os.environ, **settings}, stdout=log, stderr=log)
    try:
        answering(port, process, tmp_path / "log")
        yield port, process.pid
    finally:
        process.terminate()
        process.wait(PATIENCE)


def _memory(pid: int, name: str = "VmRSS") -> int:
    found = re.search(rf"{name}:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    assert found is not None
    return int(found[1]) * 1024


async def _request(port: int, head: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(f"{head}\r\nHost: test\r\nAuthorization: Bearer token\r\nConnection: close\r\n".encode())
    return reader, writer


async def _upload(port: int, size: int) -> str:
    reader, writer = await _request(port, "POST /files?fields=id,filesize HTTP/1.1")
    length = len(HEAD) + size + len(TAIL)
    kind = "multipart/form-data; boundary=frontier"
    writer.write(f"Content-Type: {kind}\r\nContent-Length: {length}\r\n\r\n".encode() + HEAD)
    block = os.urandom(MEGABYTE)
    for _ in range(size // MEGABYTE):
        writer.write(block)
        await writer.drain()
    writer.write(TAIL)
    answer = await reader.read()
    writer.close()
    row = json.loads(answer.partition(b"\r\n\r\n")[2])["data"]
    assert int(row["filesize"]) == size
    return str(row["id"])


async def _download(port: int, key: str) -> int:
    reader, writer = await _request(port, f"GET /assets/{key} HTTP/1.1")
    writer.write(b"\r\n")
    await reader.readuntil(b"\r\n\r\n")
    size = 0
    while chunk := await reader.read(MEGABYTE):
        size += len(chunk)
    writer.close()
    return size


async def test_memory_stays_flat(server: tuple[int, int]) -> None:
    port, pid = server
    assert await _download(port, await _upload(port, 4 * MEGABYTE)) == 4 * MEGABYTE
    Path(f"/proc/{pid}/clear_refs").write_text("5")  # the highest mark starts again from here
    before = _memory(pid)
    assert await _download(port, await _upload(port, SIZE)) == SIZE
    grown = _memory(pid, "VmHWM") - before
    assert grown < ALLOWED, f"{SIZE >> 20} MB went through with {grown >> 20} MB of memory"
