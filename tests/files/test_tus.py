"""Resumable uploads by the TUS protocol."""

from __future__ import annotations

import asyncio
from base64 import b64encode
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx2
import pytest
from tests.files.conftest import Person, Serve, code, opened, picture, stored, upload

from tabulary import Tabulary
from tabulary.core.storage.local import LocalDriver
from tabulary.services.file_contents import FileContents
from tabulary.services.file_tus import ResumableUploads, _state, _upload

pytestmark = pytest.mark.anyio

TUS = {"Tus-Resumable": "1.0.0"}
CHUNK = {**TUS, "Content-Type": "application/offset+octet-stream"}
Tus = tuple[Tabulary, httpx2.AsyncClient]


@pytest.fixture
async def tus(serve: Serve) -> AsyncIterator[Tus]:
    tabulary, client = await serve(TUS_ENABLED=True)
    async with client:
        yield tabulary, client


def metadata(**fields: str) -> str:
    return ",".join(f"{name} {b64encode(value.encode()).decode()}" for name, value in fields.items())


async def begin(
    client: httpx2.AsyncClient, size: int, headers: dict[str, str] | None = None, **fields: str
) -> httpx2.Response:
    fields.setdefault("filename_download", "my-note.txt")
    head = {**TUS, "Upload-Length": str(size), "Upload-Metadata": metadata(**fields), **(headers or {})}
    return await client.post("/files/tus", headers=head)


async def send(client: httpx2.AsyncClient, url: str, offset: int, content: bytes, **headers: str) -> httpx2.Response:
    return await client.patch(url, content=content, headers={**CHUNK, "Upload-Offset": str(offset), **headers})


async def finished(client: httpx2.AsyncClient, content: bytes, **fields: str) -> str:
    """Upload in one go; the key of the file."""
    url = (await begin(client, len(content), **fields)).headers["location"]
    return str((await send(client, url, 0, content)).headers["directus-file-id"])


async def test_an_upload_in_pieces_on_every_database(serve: Serve, installed_url: str, root: Path) -> None:
    tabulary, client = await serve(installed_url, TUS_ENABLED=True, PUBLIC_URL="http://test/cms")
    seen: list[Any] = []

    async def remember(meta: Any, context: Any) -> None:
        seen.append(meta["key"])

    tabulary.hooks.action("files.upload", remember)
    answer = await begin(client, 12, type="text/plain", description="d")
    assert answer.status_code == 201
    assert answer.headers["location"].startswith("http://test/cms/files/tus/")
    assert answer.headers["upload-expires"].endswith(" GMT")
    url = answer.headers["location"].removeprefix("http://test/cms")
    assert (await client.get("/files", params={"meta": "*"})).json() == {
        "data": [], "meta": {"total_count": 0, "filter_count": 0},
    }  # fmt: skip
    answer = await send(client, url, 0, b"Hello, ")
    assert (answer.status_code, answer.headers["upload-offset"]) == (204, "7")
    answer = await client.head(url, headers=TUS)
    assert (answer.headers["upload-offset"], answer.headers["upload-length"]) == ("7", "12")
    answer = await send(client, url, 7, b"world")
    key = answer.headers["directus-file-id"]
    row = (await client.get(f"/files/{key}")).json()["data"]
    assert (row["title"], row["description"], row["type"]) == ("my-note.txt", "d", "text/plain")
    assert (row["tus_id"], row["tus_data"], row["uploaded_on"], int(row["filesize"])) == (None, None, None, 12)
    assert (await client.get(f"/assets/{key}")).content == b"Hello, world"
    assert (await client.head(url, headers=TUS)).status_code == 404
    assert stored(root) == [f"{key}.txt"]
    await tabulary.hooks.drain()
    assert seen == [key]


async def test_pieces_on_an_object_store(serve: Serve, bucket: dict[str, str]) -> None:
    _, client = await serve(TUS_ENABLED=True, **bucket)
    url = (await begin(client, 12)).headers["location"]
    assert (await send(client, url, 0, b"Hello, ")).status_code == 204
    key = (await send(client, url, 7, b"world")).headers["directus-file-id"]
    assert (await client.get(f"/assets/{key}")).content == b"Hello, world"


async def test_pictures_are_looked_into(tus: Tus) -> None:
    key = await finished(tus[1], picture(), type="image/png", filename_download="a.png")
    row = (await tus[1].get(f"/files/{key}")).json()["data"]
    assert (row["width"], row["height"], row["metadata"]) == (40, 20, {})


async def test_an_empty_file(tus: Tus) -> None:
    answer = await begin(tus[1], 0)
    assert (await tus[1].get(f"/assets/{answer.headers['directus-file-id']}")).content == b""


async def test_what_the_server_can_do(serve: Serve) -> None:
    _, client = await serve(TUS_ENABLED=True, FILES_MAX_UPLOAD_SIZE="1kb")
    answer = await client.options("/files/tus")
    assert answer.status_code == 204
    assert answer.headers["tus-version"] == "1.0.0"
    assert answer.headers["tus-extension"] == "creation,termination,expiration"
    assert answer.headers["tus-max-size"] == "1024"
    assert (await client.get("/server/info")).json()["data"]["uploads"]["chunkSize"] == 8388608
    assert code(await begin(client, 1025)) == (413, "CONTENT_TOO_LARGE")


async def test_without_the_setting(client: httpx2.AsyncClient) -> None:
    assert (await begin(client, 5)).status_code == 404
    assert "uploads" not in (await client.get("/server/info")).json()["data"]


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Tus-Resumable": "0.9"}, 412),
        ({"Upload-Length": "x"}, 400),
        ({"Upload-Defer-Length": "1"}, 501),
        ({"Upload-Metadata": ""}, 400),
        ({"Upload-Metadata": "filename_download ???"}, 400),
    ],
)
async def test_beginnings_that_fail(tus: Tus, headers: dict[str, str], status: int) -> None:
    answer = await begin(tus[1], 5, headers)
    assert (answer.status_code, answer.headers["content-type"]) == (status, "text/plain; charset=utf-8")
    assert (await tus[1].get("/files")).json()["data"] == []


async def test_chunks_that_fail(tus: Tus, root: Path) -> None:
    _, client = tus
    url = (await begin(client, 10)).headers["location"]
    assert (await send(client, url, 3, b"x")).status_code == 409
    assert (await send(client, url, 0, b"x", **{"Content-Type": "text/plain"})).status_code == 403
    assert (await send(client, url, 0, b"x", **{"Tus-Resumable": "2"})).status_code == 412
    assert (await send(client, "/files/tus/unknown", 0, b"x")).status_code == 404
    assert code(await send(client, url, 0, b"x" * 11)) == (413, "CONTENT_TOO_LARGE")
    assert (await client.head(url, headers=TUS)).headers["upload-offset"] == "0"
    assert (await send(client, url, 0, b"x" * 10)).status_code == 204


async def test_what_arrived_before_a_break_is_kept(tus: Tus) -> None:
    tabulary, client = tus
    url = (await begin(client, 12)).headers["location"]
    body: list[dict[str, Any]] = [
        {"type": "http.request", "body": b"Hello, ", "more_body": True},
        {"type": "http.disconnect"},
    ]

    async def receive() -> dict[str, Any]:
        return body.pop(0)

    async def nowhere(message: Any) -> None:
        raise AssertionError(message)

    headers = {**CHUNK, "Upload-Offset": "0", "Authorization": "Bearer admin-static-token"}
    raw = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
    scope = {"type": "http", "method": "PATCH", "path": url, "raw_path": url.encode(), "query_string": b"",
             "headers": raw, "client": ("127.0.0.1", 1), "root_path": ""}  # fmt: skip
    await tabulary.asgi(scope, receive, nowhere)
    assert (await client.head(url, headers=TUS)).headers["upload-offset"] == "7"
    key = (await send(client, url, 7, b"world")).headers["directus-file-id"]
    assert (await client.get(f"/assets/{key}")).content == b"Hello, world"


async def test_requests_for_one_upload_take_turns(tus: Tus) -> None:
    _, client = tus
    url = (await begin(client, 4)).headers["location"]
    answers = await asyncio.gather(*(send(client, url, 0, b"abcd") for _ in range(5)))
    assert sorted(answer.status_code for answer in answers) == [204, 404, 404, 404, 404]


@pytest.mark.parametrize("later", ["asked for", "expired"])
@pytest.mark.parametrize("joined", [True, False])
async def test_a_process_that_ended_before_the_file_was_done(
    tus: Tus, monkeypatch: pytest.MonkeyPatch, later: str, joined: bool
) -> None:
    """All bytes are there: the upload is finished by whoever comes next."""
    tabulary, client = tus
    url = (await begin(client, 4)).headers["location"]

    async def ended(*_: Any) -> None:
        raise RuntimeError("the process has ended")

    with monkeypatch.context() as patched:
        target: Any = (FileContents, "facts") if joined else (LocalDriver, "finish")
        patched.setattr(*target, ended)
        assert (await send(client, url, 0, b"abcd")).status_code == 500
    if later == "asked for":
        assert (await client.head(url, headers=TUS)).headers["upload-offset"] == "4"
    else:
        monkeypatch.setattr(ResumableUploads, "_expiry", lambda self: datetime.now(UTC))
        uploads, schema = ResumableUploads(tabulary.platform), await tabulary.schema()
        [row] = await uploads._rows(schema, {"_nnull": True})
        await uploads._advance(schema, row, _upload(row["tus_id"], _state(row)), 4)
        assert await uploads.remove_expired(schema) == 1
    [row] = (await client.get("/files")).json()["data"]
    assert (await client.get(f"/assets/{row['id']}")).content == b"abcd"
    assert (await client.head(url, headers=TUS)).status_code == 404


async def test_giving_up(tus: Tus, root: Path) -> None:
    _, client = tus
    url = (await begin(client, 10)).headers["location"]
    await send(client, url, 0, b"part")
    assert (await client.delete(url, headers=TUS)).status_code == 204
    assert (await client.head(url, headers=TUS)).status_code == 404
    assert stored(root) == []


async def test_uploads_expire(serve: Serve, root: Path) -> None:
    tabulary, client = await serve(TUS_ENABLED=True, TUS_UPLOAD_EXPIRATION="1ms")
    url = (await begin(client, 10)).headers["location"]
    await asyncio.sleep(0.01)
    assert (await send(client, url, 0, b"x")).status_code == 404
    await begin(client, 10)
    await asyncio.sleep(0.01)
    uploads = ResumableUploads(tabulary.platform)
    assert await uploads.clean_up() == 1
    assert await tabulary.items("directus_files").read_by_query({}) == []
    assert stored(root) == []


async def test_a_beginning_that_fails_leaves_no_row(tus: Tus) -> None:
    _, client = tus
    head = {**TUS, "Upload-Length": "9" * 20, "Upload-Metadata": "filename_download YQ=="}
    assert (await client.post("/files/tus", headers=head)).status_code == 400
    assert await tus[0].items("directus_files").read_by_query({}) == []


async def test_a_state_that_somebody_made_up(tus: Tus, person: Person) -> None:
    """Neither replaces it what its writer may not replace, nor does it keep others from uploading."""
    tabulary, client = tus
    victim = await upload(client, b"precious")
    headers = await person(client, "create", "read")
    later = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
    state = {"size": 4, "offset": 4, "metadata": {"filename_download": "x"}, "expires": later, "replaces": victim["id"]}
    row = {"type": "text/plain", "storage": "local", "filename_download": "x", "filename_disk": "mine.txt"}
    made = {**row, "tus_id": "made-up", "tus_data": state}
    assert (await client.post("/files", json=made, headers=headers)).status_code in (200, 204)
    driver = tabulary.platform.storage.at("local")
    await driver.write("mine.txt", _stream(b"evil"))
    assert (await client.head("/files/tus/made-up", headers={**TUS, **headers})).status_code == 403
    assert (await client.get(f"/assets/{victim['id']}")).content == b"precious"
    await client.post("/files", json={**row, "filename_disk": "other.txt", "tus_id": "senseless"})
    assert (await begin(client, 10)).status_code == 201


async def _stream(content: bytes) -> AsyncIterator[bytes]:
    yield content


async def test_only_the_uploader_goes_on(tus: Tus, person: Person) -> None:
    _, client = tus
    owner, other = (
        await person(client, "create", "read", "delete"),
        await person(client, "create", "read", "update", "delete"),
    )
    url = (await begin(client, 4, owner)).headers["location"]
    assert (await client.head(url, headers={**TUS, **other})).status_code == 404
    assert (await send(client, url, 0, b"abcd", **other)).status_code == 404
    assert (await client.delete(url, headers={**TUS, **other})).status_code == 404
    assert (await send(client, url, 0, b"abcd", **owner)).status_code == 204


async def test_permissions(tus: Tus, person: Person) -> None:
    _, client = tus
    nobody = await person(client, "read")
    assert code(await begin(client, 4, nobody)) == (403, "FORBIDDEN")
    some = await person(client, {"action": "create", "fields": ["filename_download", "type", "title", "storage"]})
    assert code(await begin(client, 4, some, location="x")) == (403, "FORBIDDEN")
    assert (await begin(client, 4, some)).status_code == 201


async def test_media_types_are_checked(serve: Serve) -> None:
    _, client = await serve(TUS_ENABLED=True, FILES_MIME_TYPE_ALLOW_LIST="image/*")
    assert (await begin(client, 4, type="text/html")).status_code == 400


async def test_replacing_a_file(tus: Tus, root: Path, person: Person) -> None:
    _, client = tus
    row = await upload(client, picture(), "a.png", "image/png", description="kept")
    await client.get(f"/assets/{row['id']}?width=10")
    new = picture(60, 60)
    reader = await person(client, "read", "create")
    assert code(await begin(client, len(new), reader, id=row["id"])) == (403, "FORBIDDEN")
    key = await finished(client, new, id=row["id"], type="image/png", filename_download="b.png")
    assert key == row["id"]
    rows = (await client.get("/files")).json()["data"]
    assert [(r["id"], r["filename_download"], r["width"], r["description"]) for r in rows] == [
        (key, "b.png", 60, "kept")
    ]
    assert opened((await client.get(f"/assets/{key}")).content).size == (60, 60)
    assert stored(root) == [row["filename_disk"]]


async def test_unfinished_uploads_are_no_assets(tus: Tus) -> None:
    tabulary, client = tus
    await begin(client, 10)
    rows = await tabulary.items("directus_files").read_by_query({"fields": ["id"]})
    assert code(await client.get(f"/assets/{rows[0]['id']}")) == (403, "FORBIDDEN")
    assert code(await client.get(f"/files/{rows[0]['id']}")) == (403, "FORBIDDEN")
