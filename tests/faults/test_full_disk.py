"""A disk that is full: uploads and writes are refused with 503, nothing half written stays, reads go on.

Full is what the process may no longer write: a limit for the size of its files, set and lifted while it runs.
"""

from __future__ import annotations

import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from . import child
from .conftest import Server, opened, serving

pytestmark = pytest.mark.anyio

MEGABYTE = 1 << 20


@contextmanager
def full(server: Server, size: int) -> Iterator[None]:
    """No file of the server may grow beyond a size."""
    _, hard = resource.prlimit(server.process.pid, resource.RLIMIT_FSIZE)
    resource.prlimit(server.process.pid, resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.prlimit(server.process.pid, resource.RLIMIT_FSIZE, (hard, hard))


def told(answer: Any) -> tuple[int, str]:
    extensions = answer.json()["errors"][0]["extensions"]
    return answer.status_code, str(extensions.get("service", extensions["code"]))


@pytest.mark.parametrize("url", ["postgresql", "mysql"], indirect=True)
async def test_uploads(url: str, tmp_path: Path) -> None:
    """New files, replacements and resumable uploads."""

    def files(size: int) -> dict[str, Any]:
        return {"file": ("a.bin", b"x" * size, "application/octet-stream")}

    with serving(url, tmp_path, TUS_ENABLED="true") as server:
        client = server.client
        row = client.post("/files", files=files(1000)).json()["data"]
        head = {
            "Tus-Resumable": "1.0.0",
            "Upload-Length": str(3 * MEGABYTE),
            "Upload-Metadata": "filename_download YQ==",
        }
        path = client.post("/files/tus", headers=head).headers["Location"].removeprefix(server.url)
        patch = {"Tus-Resumable": "1.0.0", "Upload-Offset": "0", "Content-Type": "application/offset+octet-stream"}
        with full(server, 2 * MEGABYTE):
            assert told(client.post("/files", files=files(3 * MEGABYTE))) == (503, "files")
            assert told(client.patch(f"/files/{row['id']}", files=files(3 * MEGABYTE))) == (503, "files")
            assert client.patch(path, headers=patch, content=b"y" * (3 * MEGABYTE)).status_code == 503
            assert client.get("/files", params={"filter[tus_id][_null]": "true"}).json()["data"] == [row]
            assert len(client.get(f"/assets/{row['id']}").content) == 1000
            large = {"file": ("roles.csv", b"name\n" + b"x" * (3 * MEGABYTE), "text/csv")}
            assert told(client.post("/utils/import/directus_roles", files=large)) == (503, "files")
            assert client.post("/files", files=files(MEGABYTE)).status_code == 200
        kept = [p.name for p in (tmp_path / "uploads").iterdir() if not p.name.startswith(".upload-")]
        assert len(kept) == 2
        offset = client.head(path, headers=patch).headers["Upload-Offset"]
        done = client.patch(
            path, headers={**patch, "Upload-Offset": offset}, content=b"y" * (3 * MEGABYTE - int(offset))
        )
        assert done.status_code == 204
        served = client.get(f"/assets/{done.headers['Directus-File-Id']}").content
        assert (len(served), set(served)) == (3 * MEGABYTE, {ord("y")})


@pytest.mark.parametrize("url", ["sqlite"], indirect=True)
async def test_the_database(url: str, tmp_path: Path) -> None:
    """SQLite's own files. Other databases have their disk elsewhere, and tell."""
    async with opened(url, tmp_path) as tabulary:
        await child.make_library(tabulary)
    with serving(url, tmp_path) as server:
        client = server.client
        many = [{"title": "x" * 200, "author": {"name": f"A{n}"}} for n in range(300)]
        assert client.post("/items/books", json={"title": "Emma"}).status_code == 200
        rows = "title\n" + "\n".join("x" * 200 + str(n) for n in range(3000))
        imported = {"file": ("books.csv", rows.encode(), "text/csv")}
        new = {"collection": "new", "schema": {}, "meta": {}}
        with full(server, 64 * 1024):
            assert told(client.post("/items/books", json=many)) == (503, "database")
            assert told(client.post("/utils/import/books", files=imported)) == (503, "database")
            assert told(client.post("/collections", json=new)) == (503, "database")
            assert [b["title"] for b in client.get("/items/books").json()["data"]] == ["Emma"]
            assert client.get("/items/authors").json()["data"] == []
            assert client.get("/collections/new").status_code == 403
        assert client.post("/items/books", json=many).status_code == 200
        assert client.post("/utils/import/books", files=imported).status_code == 200
        assert client.post("/collections", json=new).status_code == 200
        counted = client.get("/items/books", params={"aggregate[count]": "*"}).json()["data"]
        assert counted == [{"count": 3301}]
