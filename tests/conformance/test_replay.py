"""Replays the recordings of the reference (``../shared/conformance``) against a server of this tree.

The share of cases that pass is a ratchet (``ratchet.json``): it may rise, and a run that falls below it fails. A
developer who raised it writes the new numbers down. Without the recordings beside the repository there is nothing to
do.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from ..conftest import Servers
from ..waiting import PATIENCE, answering, free_port

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
RECORDINGS = ROOT.parent / "shared" / "conformance"
RATCHET: dict[str, dict[str, int]] = json.loads((HERE / "ratchet.json").read_text())
_LINE = re.compile(r"^(\w+)\s+(\d+) of\s+(\d+)$", re.MULTILINE)

pytestmark = pytest.mark.skipif(not RECORDINGS.exists(), reason="the recordings are not beside this repository")


@contextmanager
def server(url: str, smtp_port: int, folder: Path) -> Iterator[str]:
    """A server process on a fresh database, with the environment that the recordings were made with."""
    settings = dict(line.split("=", 1) for line in (RECORDINGS / "target.env").read_text().splitlines() if "=" in line)
    port = free_port()
    environment = {
        **os.environ,
        **settings,
        "DATABASE_URL": url,
        "EMAIL_SMTP_PORT": str(smtp_port),
        "CONFIG_PATH": str(folder / "none.env"),
        "STORAGE_LOCAL_ROOT": str(folder / "uploads"),
        "PUBLIC_URL": f"http://127.0.0.1:{port}",
        "PRESSURE_LIMITER_ENABLED": "false",  # this machine may be busy
    }
    command = [sys.executable, "-m", "tabulary", "start", "--host", "127.0.0.1", "--port", str(port)]
    with (folder / "server.log").open("wb") as log:
        process = subprocess.Popen(command, env=environment, cwd=folder, stdout=log, stderr=log)
    try:
        yield answering(port, process, folder / "server.log")
    finally:
        process.terminate()
        process.wait(PATIENCE)


@pytest.mark.parametrize("dialect", list(RATCHET))
def test_recordings(dialect: str, servers: Servers, tmp_path: Path) -> None:
    url = asyncio.run(servers.create(dialect))
    smtp = free_port()
    areas = [part for area in RATCHET[dialect] for part in ("--area", area)]
    command = [sys.executable, str(RECORDINGS / "conform.py"), "", "--smtp-port", str(smtp), "--show", "3", *areas]
    try:
        with server(url, smtp, tmp_path) as base:
            command[2] = base
            output = subprocess.run(command, capture_output=True, text=True, timeout=3600, check=False)
    finally:
        asyncio.run(servers.drop(url))
    passed = {name: int(count) for name, count, _ in _LINE.findall(output.stdout)}
    print(output.stdout)
    missing = {
        area: (least, passed.get(area, 0)) for area, least in RATCHET[dialect].items() if passed.get(area, 0) < least
    }
    assert not missing, f"area: (ratchet, now) {missing}\n{output.stdout}\n{output.stderr[-2000:]}"
