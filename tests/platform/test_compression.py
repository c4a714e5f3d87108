"""gzip for texts where it is switched on: for whom, of what, and that nothing is lost by it."""

from __future__ import annotations

import gzip
import json
from typing import Any

import pytest

from .conftest import Client, Make, collection

pytestmark = pytest.mark.anyio

LARGE = 3 << 18
"""Bytes of an answer that is packed beside the event loop."""


@pytest.fixture
async def client(make: Make) -> Client:
    tabulary = await make(COMPRESSION_ENABLED=True, STORAGE_LOCATIONS="local")
    return Client(tabulary.asgi, "admin-static-token")


async def raw(client: Client, path: str, **headers: str) -> tuple[Any, bytes]:
    """An answer, and its body as it came over the wire."""
    async with client.stream("GET", path, headers=headers) as answer:
        return answer, b"".join([chunk async for chunk in answer.aiter_raw()])


async def test_long_texts_are_packed_for_who_takes_it(client: Client) -> None:
    for accepted, coding in (
        ("gzip", "gzip"), ("br, gzip;q=0.5", "gzip"), ("*", "gzip"),
        ("identity", None), ("br", None), ("gzip;q=0", None), ("gzip; q=0.0", None),
    ):  # fmt: skip
        answer, body = await raw(client, "/server/specs/oas", **{"Accept-Encoding": accepted})
        assert answer.headers.get("content-encoding") == coding, accepted
        assert "Accept-Encoding" in answer.headers["vary"]
        text = gzip.decompress(body) if coding else body
        assert json.loads(text)["openapi"] == "3.0.1"
        assert len(body) < len(text) or coding is None
        assert "content-length" not in answer.headers or coding is None


async def test_what_is_short_or_no_text_stays_as_it_is(client: Client) -> None:
    await client.post("/files", files={"file": ("x.bin", b"\0" * 5000, "application/octet-stream")})
    made = await client.post("/files", files={"file": ("x.txt", b"text " * 5000, "text/plain")})
    [binary] = [
        f["id"] for f in await client.data("GET", "/files?fields=id&filter[type][_eq]=application/octet-stream")
    ]
    text = f"/assets/{made.json()['data']['id']}"
    for path, headers, coding in (
        ("/server/ping", {}, None),
        (f"/assets/{binary}", {}, None),
        (text, {}, "gzip"),
        (text, {"Range": "bytes=0-2999"}, None),
    ):
        answer, body = await raw(client, path, **{"Accept-Encoding": "gzip", **headers})
        assert answer.headers.get("content-encoding") == coding, (path, headers)
        if "Range" in headers:
            assert answer.status_code == 206 and body == (b"text " * 5000)[:3000]


async def test_large_and_streamed_answers_arrive_whole(client: Client) -> None:
    await collection(client, "books", {"field": "text", "type": "text", "meta": {}, "schema": {}})
    await client.data("POST", "/items/books", [{"text": f"{n} " * 20000} for n in range(1, 11)])
    expected = [{"id": n, "text": f"{n} " * 20000} for n in range(1, 11)]
    answer, body = await raw(client, "/items/books", **{"Accept-Encoding": "gzip"})
    assert answer.headers["content-encoding"] == "gzip" and len(gzip.decompress(body)) > LARGE // 2
    assert json.loads(gzip.decompress(body))["data"] == expected
    exported = await client.get("/items/books?export=json")
    assert exported.headers["content-encoding"] == "gzip" and exported.json() == expected
    tag = answer.headers["etag"]
    assert (await client.get("/items/books", headers={"If-None-Match": tag})).status_code == 304


async def test_off_unless_asked_for(admin: Client) -> None:
    answer, _ = await raw(admin, "/server/specs/oas", **{"Accept-Encoding": "gzip"})
    assert "content-encoding" not in answer.headers
