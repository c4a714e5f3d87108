"""Multipart bodies, cut into chunks at every possible place."""

from __future__ import annotations

from typing import Any

import pytest
from starlette.requests import Request

from tabulary.core.errors import InvalidPayload
from tabulary.server.body import Disconnected
from tabulary.server.multipart import Field, FilePart, is_multipart, parts

pytestmark = pytest.mark.anyio


def part(content: bytes, name: str = "file", kind: str | None = None, **options: str) -> bytes:
    more = "".join(f'; {option}="{value}"' for option, value in options.items())
    head = f'Content-Disposition: form-data; name="{name}"{more}\r\n'
    if kind is not None:
        head += f"Content-Type: {kind}\r\n"
    return b"--cut\r\n" + head.encode() + b"\r\n" + content + b"\r\n"


def request_of(body: bytes, step: int | None = None, *, ends: bool = True, boundary: str = "; boundary=cut") -> Request:
    chunks = [body[start : start + (step or len(body))] for start in range(0, len(body), step or len(body) or 1)] or [
        b""
    ]
    messages: list[dict[str, Any]] = [{"type": "http.request", "body": chunk, "more_body": True} for chunk in chunks]
    messages.append({"type": "http.request", "body": b"", "more_body": False} if ends else {"type": "http.disconnect"})

    async def receive() -> dict[str, Any]:
        return messages.pop(0)

    headers = [(b"content-type", f"multipart/form-data{boundary}".encode())]
    return Request({"type": "http", "method": "POST", "headers": headers}, receive)


async def read(request: Request, most_text: int = 1000) -> list[Any]:
    found: list[Any] = []
    async for entry in parts(request, most_text):
        if isinstance(entry, FilePart):
            found.append((entry.name, entry.filename, entry.media_type, b"".join([c async for c in entry.content])))
        else:
            found.append((entry.name, entry.value))
    return found


BODY = (
    part(b"First", "title")
    + part(b"1\r\n--cu", filename="one.txt", kind="text/plain; charset=utf-8")
    + part("grüße".encode(), "title")
    + part(b"", filename="empty.bin", kind="application/octet-stream")
    + part(b"\x00\xff" * 40, filename="two.bin")
    + b"--cut--\r\n"
)


@pytest.mark.parametrize("step", [1, 2, 3, 7, 16, 64, None])
async def test_parts_come_in_order_however_the_body_is_cut(step: int | None) -> None:
    assert await read(request_of(BODY, step)) == [
        ("title", "First"),
        ("file", "one.txt", "text/plain", b"1\r\n--cu"),
        ("title", "grüße"),
        ("file", "empty.bin", "application/octet-stream", b""),
        ("file", "two.bin", "text/plain", b"\x00\xff" * 40),
    ]


async def test_a_file_that_nobody_reads_is_passed_over() -> None:
    names = [entry.filename async for entry in parts(request_of(BODY, 5), 1000) if isinstance(entry, FilePart)]
    assert names == ["one.txt", "empty.bin", "two.bin"]


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("a.txt", "a.txt"),
        ("../../etc/x", "x"),
        ("C:\\temp\\x.txt", "x.txt"),
        ("写真.png", "写真.png"),
        ("a%22b.txt", "a%22b.txt"),
    ],
)
async def test_names_of_files(given: str, expected: str) -> None:
    found = await read(request_of(part(b"", filename=given) + b"--cut--\r\n"))
    assert found[0][1] == expected


async def test_without_a_file_name_a_part_is_a_field() -> None:
    body = part(b"1", filename="") + part(b"2", kind="text/plain") + b"--cut--\r\n"
    assert [type(entry) async for entry in parts(request_of(body), 1000)] == [Field, Field]


async def test_nothing_in_the_form() -> None:
    assert await read(request_of(b"--cut--\r\n")) == []
    assert await read(request_of(b"")) == []


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (part(b"x", filename="a"), "middle"),
        (b"nonsense", "multipart"),
        (part(b"x" * 2000, "title") + b"--cut--\r\n", "larger"),
        (part(b"x" * 600, "a") * 2 + b"--cut--\r\n", "larger"),
        (part(b"", "x" * 20_000) + b"--cut--\r\n", "header size"),
        (b"--cut\r\nX: y\r\n\r\n1\r\n--cut--\r\n", "no name"),
        (part(b"", "a") * 1001 + b"--cut--\r\n", "1000 parts"),
    ],
)
async def test_bodies_that_are_refused(body: bytes, text: str) -> None:
    with pytest.raises(InvalidPayload, match=text):
        await read(request_of(body))


async def test_a_boundary_is_needed() -> None:
    with pytest.raises(InvalidPayload, match="boundary"):
        await read(request_of(BODY, boundary=""))


async def test_a_client_that_goes_away() -> None:
    with pytest.raises(Disconnected):
        await read(request_of(part(b"x" * 100, filename="a")[:-20], ends=False))


def test_what_counts_as_multipart() -> None:
    assert is_multipart(request_of(b""))
    assert not is_multipart(Request({"type": "http", "headers": [(b"content-type", b"application/json")]}))
