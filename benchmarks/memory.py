"""How much memory a server takes above its idle state while large things go through it.

    python benchmarks/memory.py                                   # all of it, on SQLite
    python benchmarks/memory.py --database postgresql://postgres@127.0.0.1/bench --only rows
    python benchmarks/memory.py --rows 100000 --upload 200

A server of its own runs on the database, which is installed when it is empty; the collection ``memory_rows`` is made
and dropped again. Figures are peaks (VmHWM) of the server's process above what it had before (VmRSS), from /proc: Linux
only. Pictures need Pillow.
"""

from __future__ import annotations

import argparse
import asyncio
import io
import os
import re
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx2

from tabulary.database.engine import Database

MEGABYTE = 1 << 20
TOKEN = "memory-benchmark"
TABLE = "memory_rows"
FORMATS = ("csv", "json")
NUMBERS = {
    "postgresql": "INSERT INTO {t} (title, pages, price) SELECT 'A title of row ' || n, n % 900, n / 7.0 "
    "FROM generate_series(1, {n}) n",
    "sqlite": "WITH RECURSIVE r (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM r WHERE n < {n}) "
    "INSERT INTO {t} (title, pages, price) SELECT 'A title of row ' || n, n % 900, round(n / 7.0, 2) FROM r",
    "mysql": "INSERT INTO {t} (title, pages, price) SELECT CONCAT('A title of row ', seq), seq %% 900, seq / 7 "
    "FROM seq_1_to_{n}",
}


class Server:
    """A server process, and its memory."""

    def __init__(self, url: str, folder: Path) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        settings = {
            "CONFIG_PATH": str(folder / "none"), "DATABASE_URL": url, "SECRET": "x" * 32,
            "STORAGE_LOCAL_ROOT": str(folder),
            "ADMIN_EMAIL": "admin@example.com", "ADMIN_PASSWORD": "password", "ADMIN_TOKEN": TOKEN, "LOG_LEVEL": "warn",
            "EMAIL_VERIFY_SETUP": "false", "PRESSURE_LIMITER_ENABLED": "false", "TEMP_PATH": str(folder),
        }  # fmt: skip
        command = [sys.executable, "-m", "tabulary", "start", "--host", "127.0.0.1", "--port", str(self.port)]
        self.process = subprocess.Popen(command, env={**os.environ, **settings}, stdout=subprocess.DEVNULL)
        while self.process.poll() is None:
            with suppress(OSError):
                socket.create_connection(("127.0.0.1", self.port)).close()
                return
            time.sleep(0.1)
        raise SystemExit("the server did not start")

    def client(self) -> httpx2.AsyncClient:
        headers = {"Authorization": f"Bearer {TOKEN}"}
        return httpx2.AsyncClient(
            base_url=f"http://127.0.0.1:{self.port}", headers=headers, timeout=3600, trust_env=False
        )

    def memory(self, name: str) -> float:
        found = re.search(rf"{name}:\s+(\d+) kB", Path(f"/proc/{self.process.pid}/status").read_text())
        assert found is not None
        return int(found[1]) / 1024

    @contextmanager
    def measured(self, what: str) -> Iterator[None]:
        """Print the peak above the memory before, and the time."""
        Path(f"/proc/{self.process.pid}/clear_refs").write_text("5")  # the highest mark starts again from here
        before, started = self.memory("VmRSS"), time.perf_counter()
        yield
        seconds, peak = time.perf_counter() - started, self.memory("VmHWM") - before
        print(f"{what:42} idle {before:6.0f} MB   peak +{peak:5.1f} MB   {seconds:7.1f} s", flush=True)


# --- what goes through it -------------------------------------------------------------------------
async def upload(server: Server, megabytes: int) -> None:
    block = os.urandom(MEGABYTE)
    head = b'--b\r\nContent-Disposition: form-data; name="file"; filename="big.bin"\r\n\r\n'

    async def body(count: int) -> AsyncIterator[bytes]:
        yield head
        for _ in range(count):
            yield block
        yield b"\r\n--b--\r\n"

    async with server.client() as client:

        async def send(count: int) -> Any:
            headers = {"Content-Type": "multipart/form-data; boundary=b"}
            answer = await client.post("/files", content=body(count), headers=headers)
            answer.raise_for_status()
            return answer.json()["data"]

        await send(4)
        with server.measured(f"upload of {megabytes} MB"):
            row = await send(megabytes)
        with server.measured(f"download of {megabytes} MB"):
            async with client.stream("GET", f"/assets/{row['id']}") as answer:
                size = sum([len(chunk) async for chunk in answer.aiter_bytes()])
        assert size == megabytes * MEGABYTE
        await client.delete(f"/files/{row['id']}")


async def rows(server: Server, url: str, count: int, tracked: bool, folder: Path) -> None:
    async with server.client() as client, Database.from_url(url) as database:
        await client.delete(f"/collections/{TABLE}")
        fields = [
            {"field": "title", "type": "string", "schema": {}, "meta": {}},
            {"field": "pages", "type": "integer", "schema": {}, "meta": {}},
            {"field": "price", "type": "float", "schema": {}, "meta": {}},
        ]
        meta = {"accountability": "all" if tracked else None}
        made = await client.post(
            "/collections", json={"collection": TABLE, "schema": {}, "meta": meta, "fields": fields}
        )
        made.raise_for_status()
        async with database.transaction() as connection:
            await connection.execute(NUMBERS[database.dialect.name].format(t=TABLE, n=count))
        await client.get(f"/items/{TABLE}?limit=100")
        for kind in FORMATS:
            with server.measured(f"export of {count} rows, {kind}"):
                await _download(client, f"/items/{TABLE}?export={kind}&limit=-1", folder / f"rows.{kind}")
        for kind in FORMATS:
            async with database.connection(write=True) as connection:
                await connection.execute(f"DELETE FROM {TABLE}")  # noqa: S608 (a constant)
            with server.measured(f"import of {count} rows, {kind}"):
                await _import(client, folder / f"rows.{kind}")
            found = (await client.get(f"/items/{TABLE}?aggregate[count]=*")).json()["data"][0]
            assert int(found["count"]) == count, found
        await client.delete(f"/collections/{TABLE}")


async def _download(client: httpx2.AsyncClient, path: str, target: Path) -> None:
    with target.open("wb") as file:
        async with client.stream("GET", path) as answer:
            answer.raise_for_status()
            async for chunk in answer.aiter_bytes():
                file.write(chunk)


async def _import(client: httpx2.AsyncClient, path: Path) -> None:
    kind = {".csv": "text/csv", ".json": "application/json"}[path.suffix]
    head = f'--b\r\nContent-Disposition: form-data; name="file"; filename="{path.name}"\r\nContent-Type: {kind}\r\n\r\n'

    async def body() -> AsyncIterator[bytes]:
        yield head.encode()
        with path.open("rb") as file:
            while block := file.read(MEGABYTE):
                yield block
        yield b"\r\n--b--\r\n"

    headers = {"Content-Type": "multipart/form-data; boundary=b"}
    answer = await client.post(f"/utils/import/{TABLE}", content=body(), headers=headers)
    assert answer.status_code == 200, answer.text


async def images(server: Server, count: int) -> None:
    from PIL import Image

    target = io.BytesIO()
    Image.effect_noise((4000, 3000), 60).convert("RGB").save(target, "JPEG", quality=85)
    async with server.client() as client:
        answer = await client.post("/files", files={"file": ("photo.jpg", target.getvalue(), "image/jpeg")})
        path = f"/assets/{answer.json()['data']['id']}"
        busy = 0

        async def one(width: int) -> None:
            nonlocal busy
            while (answer := await client.get(path, params={"width": width, "format": "webp"})).status_code == 503:
                busy += 1
                await asyncio.sleep(0.2)
            answer.raise_for_status()

        await one(100)
        with server.measured(f"{count} transforms of 12 MP in parallel"):
            await asyncio.gather(*(one(200 + number) for number in range(count)))
        if busy:
            print(f"  ({busy} answers were 503, and asked for again)")


async def measure(given: argparse.Namespace) -> None:
    with tempfile.TemporaryDirectory(prefix="tabulary-memory-", dir=given.folder) as name:
        folder = Path(name)
        url = given.database or f"sqlite:///{folder}/memory.db"
        uploads = folder / "uploads"
        uploads.mkdir()
        server = Server(url, uploads)
        try:
            if given.only in (None, "upload"):
                await upload(server, given.upload)
            if given.only in (None, "rows"):
                await rows(server, url, given.rows, given.tracked, folder)
            if given.only in (None, "images"):
                await images(server, given.images)
        finally:
            server.process.terminate()
            server.process.wait(30)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--database", help="URL; default: a new SQLite database")
    parser.add_argument("--folder", help="where files lie meanwhile; default: the temporary folder")
    parser.add_argument("--only", choices=("upload", "rows", "images"))
    parser.add_argument("--upload", type=int, default=1024, help="megabytes to upload")
    parser.add_argument("--rows", type=int, default=1_000_000, help="rows to export and import")
    parser.add_argument("--tracked", action="store_true", help="with activity and revisions of all rows")
    parser.add_argument("--images", type=int, default=200, help="transforms in parallel")
    asyncio.run(measure(parser.parse_args()))


if __name__ == "__main__":
    main()
