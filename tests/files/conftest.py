"""A platform with a folder for its files, and clients who may do more or less."""

from __future__ import annotations

import io
import secrets
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx2
import pytest

from tabulary import Tabulary

from ..waiting import PATIENCE, free_port

SECRET = "0123456789abcdef0123456789abcdef"
Serve = Callable[..., Awaitable[tuple[Tabulary, httpx2.AsyncClient]]]
Person = Callable[..., Awaitable[dict[str, str]]]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Where the files of the platform lie."""
    return tmp_path / "uploads"


@pytest.fixture
async def serve(tmp_path: Path, root: Path) -> AsyncIterator[Serve]:
    """Open a platform on SQLite (or on ``url``) with settings, and a client who is its administrator."""
    opened: list[Tabulary] = []

    async def start(url: str | None = None, **settings: Any) -> tuple[Tabulary, httpx2.AsyncClient]:
        given = {
            "SECRET": SECRET,
            "ADMIN_EMAIL": "admin@example.com",
            "ADMIN_PASSWORD": "password",
            "ADMIN_TOKEN": "admin-static-token",
            "HASH_TIME_COST": 1,
            "HASH_MEMORY_COST": 1024,
            "STORAGE_LOCAL_ROOT": str(root),
            "EMAIL_VERIFY_SETUP": False,
            "ASSETS_TRANSFORM_TIMEOUT": "10m",
        }
        tabulary = Tabulary(url or f"sqlite:///{tmp_path}/test.db", **(given | settings))
        await tabulary.open()
        opened.append(tabulary)
        transport = httpx2.ASGITransport(app=tabulary.asgi)
        headers = {"Authorization": "Bearer admin-static-token"}
        return tabulary, httpx2.AsyncClient(transport=transport, base_url="http://test", headers=headers)

    yield start
    for tabulary in opened:
        await tabulary.close()


@pytest.fixture
async def client(serve: Serve) -> AsyncIterator[httpx2.AsyncClient]:
    """The administrator of a platform with default settings."""
    _, client = await serve()
    async with client:
        yield client


@pytest.fixture
def person() -> Person:
    """Make a user with permissions on files, each an action or a whole permission; the headers to be that user."""
    made = 0

    async def make(client: httpx2.AsyncClient, *permissions: str | dict[str, Any]) -> dict[str, str]:
        nonlocal made
        made += 1
        rows = [p if isinstance(p, dict) else {"action": p, "fields": ["*"]} for p in permissions]
        policy = {"name": f"p{made}", "permissions": [{"collection": "directus_files", **row} for row in rows]}
        token = f"token-{made}"
        user = {"email": f"u{made}@example.com", "token": token, "policies": [{"policy": policy}]}
        answer = await client.post("/users", json=user)
        assert answer.status_code == 200, answer.text
        return {"Authorization": f"Bearer {token}"}

    return make


def picture(width: int = 40, height: int = 20, kind: str = "PNG", **options: Any) -> bytes:
    """A picture, red on the left and blue on the right."""
    from PIL import Image

    image = Image.new("RGB", (width, height), (255, 0, 0))
    image.paste((0, 0, 255), (width // 2, 0, width, height))
    target = io.BytesIO()
    image.save(target, kind, **options)
    return target.getvalue()


def opened(content: bytes) -> Any:
    from PIL import Image

    image = Image.open(io.BytesIO(content))
    image.load()
    return image


async def upload(
    client: httpx2.AsyncClient,
    content: bytes = b"Hello, world",
    name: str = "note.txt",
    kind: str = "text/plain",
    headers: dict[str, str] | None = None,
    **fields: str,
) -> dict[str, Any]:
    """Upload a file; its row."""
    answer = await client.post("/files", data=fields, files={"file": (name, content, kind)}, headers=headers)
    assert answer.status_code == 200, answer.text
    data: dict[str, Any] = answer.json()["data"]
    return data


def code(answer: httpx2.Response) -> tuple[int, str]:
    return answer.status_code, str(answer.json()["errors"][0]["extensions"]["code"])


def stored(root: Path) -> list[str]:
    """The names of all stored files, those under way included."""
    return sorted(path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file())


# --- an S3 service ------------------------------------------------------------------------------
@pytest.fixture(scope="session")
def s3_service() -> Iterator[str]:
    """The address of an S3 service on this machine (moto's), in a process of its own."""
    port = free_port()
    command = [sys.executable, "-c", "from moto.server import main; main()", "-H", "127.0.0.1", "-p", str(port)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            while process.poll() is None:
                with suppress(OSError):
                    socket.create_connection(("127.0.0.1", port)).close()
                    break
                time.sleep(0.1)
            assert process.poll() is None, "moto did not start; is it installed with its extra 'server'?"
            yield f"http://127.0.0.1:{port}"
        finally:
            process.kill()


@pytest.fixture
def bucket(s3_service: str) -> dict[str, str]:
    """Settings of a location ``cloud`` in a new bucket of the service, below a folder of it."""
    name = f"bucket-{secrets.token_hex(4)}"
    httpx2.put(f"{s3_service}/{name}", trust_env=False, timeout=PATIENCE).raise_for_status()
    options = {
        "DRIVER": "s3",
        "BUCKET": name,
        "KEY": "key",
        "SECRET": "secret",
        "ENDPOINT": s3_service,
        "ROOT": "/below/",
    }
    return {"STORAGE_LOCATIONS": "cloud", **{f"STORAGE_CLOUD_{option}": value for option, value in options.items()}}
