"""``kill -9`` in the middle of an installation, an import, an upload: nothing half done stays, and it works again."""

from __future__ import annotations

import base64
import os
import socket
import time
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx2
import pytest

from tabulary import Tabulary

from ..waiting import wait_for
from . import child
from .conftest import SETTINGS, TOKEN, Server, facts, kill_in, opened, serving

pytestmark = pytest.mark.anyio

MEGABYTE = 1 << 20
BOUNDARY = "frontier"
PART = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="file"; filename="a.bin"\r\n\r\n'.encode()


@pytest.mark.parametrize("dialect", ["sqlite", "postgresql", "mysql"])
@pytest.mark.parametrize(("verb", "place"), [("DDL", 12), ("INSERT", 20)])
async def test_an_installation(verb: str, place: int, dialect: str, servers: Any, tmp_path: Path) -> None:
    url = await servers.create(dialect)
    kill_in("install", verb, place, "before", url, tmp_path)
    async with Tabulary(url, **SETTINGS) as tabulary:
        assert tabulary.installed is not None
        assert tabulary.installed.created
        found = await facts(tabulary)
        assert len([name for name in found["tables"] if name.startswith("directus_")]) == 29
        assert await rows_of(tabulary, "directus_policies") == 2
    await servers.drop(url)


async def test_an_import(url: str, tmp_path: Path) -> None:
    """In the second batch; the rows of the first had their trail already."""
    async with opened(url, tmp_path) as tabulary:
        await child.make_library(tabulary)
        before = await rows_of(tabulary, "directus_activity")
    kill_in("import_rows", "RELEASE SAVEPOINT", 3, "before", url, tmp_path)
    async with opened(url, tmp_path) as tabulary:
        assert await rows_of(tabulary, "books") == 0
        assert await rows_of(tabulary, "directus_activity") == before
        await child.import_rows(tabulary)
        assert await rows_of(tabulary, "books") == child.ROWS
        assert await rows_of(tabulary, "directus_activity") == before + child.ROWS


async def rows_of(tabulary: Tabulary, collection: str) -> int:
    found = await tabulary.items(collection).read_by_query({"aggregate": {"count": "*"}})
    return int(found[0]["count"])


def half_an_upload(server: Server, method: str = "POST", path: str = "/files") -> socket.socket:
    """Begin an upload of twice as many bytes as are sent; the open connection."""
    connection = socket.create_connection(("127.0.0.1", server.port))
    head = (
        f"{method} {path} HTTP/1.1\r\nHost: test\r\nAuthorization: {TOKEN}\r\n"
        f"Content-Type: multipart/form-data; boundary={BOUNDARY}\r\nContent-Length: {6 * MEGABYTE}\r\n\r\n"
    )
    connection.sendall(head.encode() + PART + b"x" * (3 * MEGABYTE))
    return connection


def stored(folder: Path) -> list[Path]:
    return sorted(path for path in (folder / "uploads").rglob("*") if path.is_file())


async def test_an_upload(url: str, tmp_path: Path) -> None:
    """What arrived is in nobody's sight, neither as a row nor as an object, and is swept up a day later."""
    with serving(url, tmp_path) as server:
        with closing(half_an_upload(server)):
            left = wait_for(lambda: stored(tmp_path))
            server.kill()
        os.utime(left[0], (0, 0))
        server.restart()
        assert server.client.get("/files").json()["data"] == []
        wait_for(lambda: not stored(tmp_path))
        assert upload(server, b"content") == b"content"
        assert len(stored(tmp_path)) == 1


def upload(server: Server, content: bytes) -> bytes:
    """Upload a file; what is served of it."""
    answer = server.client.post("/files", files={"file": ("a.bin", content, "application/octet-stream")})
    assert answer.status_code == 200, answer.text
    return server.client.get(f"/assets/{answer.json()['data']['id']}").content


async def test_a_replacement(url: str, tmp_path: Path) -> None:
    with serving(url, tmp_path) as server:
        answer = server.client.post("/files", files={"file": ("a.bin", b"old", "application/octet-stream")})
        row = answer.json()["data"]
        with closing(half_an_upload(server, "PATCH", f"/files/{row['id']}")):
            wait_for(lambda: len(stored(tmp_path)) == 2)
            server.kill()
        server.restart()
        assert server.client.get(f"/files/{row['id']}").json()["data"] == row
        assert server.client.get(f"/assets/{row['id']}").content == b"old"


async def test_a_resumable_upload(url: str, tmp_path: Path) -> None:
    """It goes on from the last chunk that was confirmed."""
    content = bytes(range(256)) * 4096
    with serving(url, tmp_path, TUS_ENABLED="true") as server:
        tus = {"Tus-Resumable": "1.0.0"}
        name = base64.b64encode(b"a.bin").decode()
        head = {**tus, "Upload-Length": str(len(content)), "Upload-Metadata": f"filename_download {name}"}
        begun = server.client.post("/files/tus", headers=head)
        path = urlsplit(begun.headers["Location"]).path

        def send(start: int, end: int) -> httpx2.Response:
            headers = {**tus, "Upload-Offset": str(start), "Content-Type": "application/offset+octet-stream"}
            return server.client.patch(path, content=content[start:end], headers=headers)

        assert send(0, 1000).status_code == 204
        with closing(socket.create_connection(("127.0.0.1", server.port))) as connection:
            connection.sendall(
                f"PATCH {path} HTTP/1.1\r\nHost: test\r\nAuthorization: {TOKEN}\r\nTus-Resumable: 1.0.0\r\n"
                "Upload-Offset: 1000\r\nContent-Type: application/offset+octet-stream\r\n"
                f"Content-Length: {len(content) - 1000}\r\n\r\n".encode()
                + b"?" * (len(content) // 2)
            )
            time.sleep(0.2)  # so that some of it is there, mostly; any moment will do
            server.kill()
        server.restart()
        offset = int(server.client.head(path, headers=tus).headers["Upload-Offset"])
        assert offset == 1000
        done = send(offset, len(content))
        assert done.status_code == 204
        assert server.client.get(f"/assets/{done.headers['Directus-File-Id']}").content == content
