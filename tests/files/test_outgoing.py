"""Calls to addresses that somebody else chose: nothing on the deny list is ever connected to."""

from __future__ import annotations

import asyncio
import gzip
import socket
from collections.abc import AsyncIterator, Callable
from typing import Any

import httpx2
import pytest

from tabulary.access.networks import parse_address
from tabulary.core.errors import ServiceUnavailable
from tabulary.core.settings import Settings
from tabulary.services.file_import import fetched
from tabulary.services.outgoing import DenyList, guarded_client

pytestmark = pytest.mark.anyio

Answers = dict[str, bytes]
OPEN = Settings.of(IMPORT_IP_DENY_LIST="169.254.169.254")


class Web:
    """A web server on the loopback; ``answers`` are whole answers by path, ``calls`` the paths that were asked for."""

    def __init__(self) -> None:
        self.answers: Answers = {}
        self.calls: list[str] = []
        self.port = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        line = await reader.readline()
        while (await reader.readline()).strip():
            pass
        path = line.split()[1].decode()
        self.calls.append(path)
        writer.write(self.answers.get(path, b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"))
        await writer.drain()
        writer.close()

    def url(self, path: str, host: str = "127.0.0.1") -> str:
        return f"http://{host}:{self.port}{path}"


def answer(body: bytes, *headers: str, status: str = "200 OK") -> bytes:
    head = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", "Connection: close", *headers]
    return "\r\n".join(head).encode() + b"\r\n\r\n" + body


@pytest.fixture
async def web() -> AsyncIterator[Web]:
    web = Web()
    server = await asyncio.start_server(web.serve, "127.0.0.1", 0)
    web.port = server.sockets[0].getsockname()[1]
    async with server:
        yield web


@pytest.mark.parametrize(
    ("address", "denied"),
    [
        ("127.0.0.1", True), ("127.8.9.10", True), ("::1", True), ("0.0.0.0", True), ("::", True),
        ("::ffff:127.0.0.1", True),
        ("169.254.169.254", True), ("8.8.8.8", False), ("2001:4860:4860::8888", False), ("169.254.169.253", False),
    ],
)  # fmt: skip
def test_the_default_list(address: str, denied: bool) -> None:
    parsed = parse_address(address)
    assert parsed is not None
    assert DenyList.of(Settings.of()).denies(parsed) is denied


@pytest.mark.parametrize(
    ("entries", "address", "denied"),
    [
        (["10.0.0.0/8"], "10.1.2.3", True),
        (["10.0.0.1-10.0.0.9"], "10.0.0.9", True),
        (["10.0.0.1-10.0.0.9"], "10.0.0.10", False),
        (["fd00::/8"], "fd12::1", True),
        ([], "127.0.0.1", False),
        (["rubbish"], "8.8.8.8", True),
        (["8.8.4.4", "rubbish"], "8.8.8.8", True),
    ],
)
def test_lists(entries: list[str], address: str, denied: bool) -> None:
    parsed = parse_address(address)
    assert parsed is not None
    assert DenyList(entries).denies(parsed) is denied


async def test_own_addresses_are_denied_without_being_connected_to(web: Web) -> None:
    for host in ("127.0.0.1", "localhost", "127.1", "0.0.0.0", "[::ffff:127.0.0.1]"):
        async with guarded_client(Settings.of()) as client:
            with pytest.raises(httpx2.ConnectError):
                await client.get(web.url("/", host))
    assert web.calls == []


async def test_redirects_lead_no_further(web: Web) -> None:
    web.answers["/hop"] = answer(b"", "Location: http://169.254.169.254/latest", status="302 Found")
    async with guarded_client(OPEN) as client:
        with pytest.raises(httpx2.ConnectError):
            await client.get(web.url("/hop"))
    assert web.calls == ["/hop"]


async def test_a_name_is_looked_up_once_and_all_its_addresses_count(web: Web, monkeypatch: pytest.MonkeyPatch) -> None:
    """DNS rebinding: the second answer is never asked for. One denied address among several denies the name."""
    lookups: list[str] = []
    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", _resolver(lookups, ["127.0.0.1"]), raising=False)
    async with guarded_client(OPEN) as client:
        web.answers["/x"] = answer(b"content")
        assert (await client.get(web.url("/x", "some.example"))).text == "content"
    assert lookups == ["some.example"]
    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", _resolver(lookups, ["127.0.0.1", "169.254.169.254"]))
    async with guarded_client(OPEN) as client:
        with pytest.raises(httpx2.ConnectError):
            await client.get(web.url("/x", "some.example"))


def _resolver(lookups: list[str], addresses: list[str]) -> Callable[..., Any]:
    async def getaddrinfo(host: str, port: int, **_: Any) -> list[Any]:
        if not host[0].isdigit():
            lookups.append(host)
            return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in addresses]
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (host, port))]

    return getaddrinfo


class TestFetching:
    async def test_a_file(self, web: Web) -> None:
        web.answers["/start"] = answer(b"", f"Location: {web.url('/dir/my%20photo.png?x=1')}", status="301 Moved")
        web.answers["/dir/my%20photo.png?x=1"] = answer(b"content", "Content-Type: image/png; charset=binary")
        async with fetched(web.url("/start"), OPEN) as file:
            assert (file.name, file.media_type, file.title) == ("my photo.png", "image/png", "My Photo.png")
            assert b"".join([chunk async for chunk in file.content]) == b"content"

    async def test_packed_content_is_unpacked(self, web: Web) -> None:
        web.answers["/a.txt"] = answer(gzip.compress(b"content" * 100), "Content-Encoding: gzip")
        async with fetched(web.url("/a.txt"), OPEN) as file:
            assert file.media_type == "application/octet-stream"
            assert b"".join([chunk async for chunk in file.content]) == b"content" * 100

    @pytest.mark.parametrize(
        "path",
        ["/missing", "/loop", "/cut"],
    )
    async def test_what_cannot_be_had(self, web: Web, path: str) -> None:
        web.answers["/loop"] = answer(b"", "Location: /loop", status="302 Found")
        web.answers["/cut"] = answer(b"content")[:-3]
        with pytest.raises(ServiceUnavailable) as caught:
            async with fetched(web.url(path), OPEN) as file:
                [chunk async for chunk in file.content]
        assert caught.value.extensions["service"] == "external-file"

    @pytest.mark.parametrize(
        "url", ["ftp://127.0.0.1/x", "file:///etc/passwd", "http://", "http://[", "nonsense", "http://a b/"]
    )
    async def test_urls_that_are_none(self, url: str) -> None:
        with pytest.raises(ServiceUnavailable):
            async with fetched(url, OPEN):
                pass

    async def test_the_answer_does_not_tell_why(self, web: Web) -> None:
        texts = set()
        for url in (web.url("/missing"), "http://169.254.169.254/", "http://127.0.0.1:1/"):
            with pytest.raises(ServiceUnavailable) as caught:
                async with fetched(url, OPEN):
                    pass
            texts.add(str(caught.value))
        assert len(texts) == 1
