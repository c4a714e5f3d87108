"""Uploads, replacement, moving, deleting and import, through the API on every database."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
import uvicorn
from tests.files.conftest import Person, Serve, code, picture, stored, upload

from tabulary.core.errors import ContentTooLarge, Forbidden, InvalidPayload

pytestmark = pytest.mark.anyio


async def test_the_life_of_a_file_on_every_database(serve: Serve, installed_url: str, root: Path) -> None:
    tabulary, client = await serve(installed_url)
    seen: list[Any] = []

    async def remember(meta: Any, context: Any) -> None:
        seen.append((meta["event"], meta.get("key") or meta.get("keys")))

    for event in ("files.upload", "files.update", "files.delete", "files.create"):
        tabulary.hooks.action(event, remember)

    row = await upload(client, b"first", "my-note.txt", tags='["a", "b"]', description="kept")
    key = row["id"]
    assert (row["title"], row["filename_disk"], int(row["filesize"])) == ("My Note", f"{key}.txt", 5)
    assert (row["tags"], row["modified_by"], row["uploaded_on"] is not None) == (["a", "b"], None, True)
    assert (await client.get(f"/assets/{key}")).content == b"first"

    answer = await client.patch(f"/files/{key}", files={"file": ("b.json", b"{}", "application/json")})
    row = answer.json()["data"]
    assert (row["title"], row["description"], row["filename_disk"]) == ("My Note", "kept", f"{key}.json")
    assert row["modified_by"] == row["uploaded_by"]
    assert stored(root) == [f"{key}.json"]

    answer = await client.patch(f"/files/{key}", json={"filename_disk": "dir/moved.json"})
    assert answer.json()["data"]["filename_disk"] == "dir/moved.json"
    assert (await client.get(f"/assets/{key}")).json() == {}

    assert (await client.delete(f"/files/{key}")).status_code == 204
    assert stored(root) == []
    await tabulary.hooks.drain()
    assert seen == [
        ("files.upload", key), ("files.upload", key), ("files.update", [key]), ("files.update", [key]),
        ("files.delete", [key]),
    ]  # fmt: skip
    assert (await upload(client, tags="one, two"))["tags"] == "one, two"


async def test_activity_tells_who_uploaded(client: httpx2.AsyncClient) -> None:
    row = await upload(client)
    activity = await client.get(
        "/activity", params={"filter[item][_eq]": row["id"], "fields": "action,user", "sort": "id"}
    )
    assert activity.json()["data"] == [{"action": "create", "user": row["uploaded_by"]}]


async def test_several_files_with_fields_of_their_own(client: httpx2.AsyncClient) -> None:
    parts = [
        ("title", (None, "First")), ("file", ("one.txt", b"1", "text/plain")),
        ("description", (None, "of two")), ("file", ("two.txt", b"22", "text/plain")), ("title", (None, "too late")),
    ]  # fmt: skip
    answer = await client.post("/files", files=parts)
    found = [(row["title"], row["description"]) for row in answer.json()["data"]]
    assert sorted(found, key=str) == [("First", None), ("Two", "of two")]


async def test_when_one_file_fails_none_stays(client: httpx2.AsyncClient, root: Path) -> None:
    parts = [
        ("file", ("one.txt", b"1", "text/plain")),
        ("storage", (None, "moon")),
        ("file", ("two.txt", b"2", "text/plain")),
    ]
    assert code(await client.post("/files", files=parts)) == (400, "INVALID_PAYLOAD")
    assert (await client.get("/files")).json()["data"] == []
    assert stored(root) == []


class TestLimits:
    async def test_the_greatest_size(self, serve: Serve, root: Path) -> None:
        _, client = await serve(FILES_MAX_UPLOAD_SIZE="1kb")
        await upload(client, b"x" * 1024)
        answer = await client.post("/files", files={"file": ("a.txt", b"x" * 1025, "text/plain")})
        assert code(answer) == (413, "CONTENT_TOO_LARGE")
        assert len((await client.get("/files")).json()["data"]) == 1
        assert len(stored(root)) == 1

    async def test_a_replacement_that_is_too_large_changes_nothing(self, serve: Serve, root: Path) -> None:
        _, client = await serve(FILES_MAX_UPLOAD_SIZE=10)
        row = await upload(client, b"original")
        answer = await client.patch(f"/files/{row['id']}", files={"file": ("b.txt", b"x" * 11, "text/plain")})
        assert code(answer) == (413, "CONTENT_TOO_LARGE")
        assert (await client.get(f"/assets/{row['id']}")).content == b"original"
        assert stored(root) == [row["filename_disk"]]

    async def test_media_types(self, serve: Serve) -> None:
        _, client = await serve(FILES_MIME_TYPE_ALLOW_LIST="image/*,text/plain")
        await upload(client)
        answer = await client.post("/files", files={"file": ("a.html", b"<p>", "text/html")})
        assert code(answer) == (400, "INVALID_PAYLOAD")

    async def test_text_of_a_form(self, serve: Serve) -> None:
        _, client = await serve(MAX_PAYLOAD_SIZE="1kb")
        form = {"description": "x" * 2000}
        answer = await client.post("/files", data=form, files={"file": ("a", b"", "text/plain")})
        assert code(answer) == (400, "INVALID_PAYLOAD")
        await upload(client, b"x" * 5000)


class TestPermissions:
    async def test_without_permission_nothing_is_stored(
        self, client: httpx2.AsyncClient, person: Person, root: Path
    ) -> None:
        nobody, row = await person(client), await upload(client)
        file = {"file": ("a.txt", b"x", "text/plain")}
        assert code(await client.post("/files", files=file, headers=nobody)) == (403, "FORBIDDEN")
        assert code(await client.patch(f"/files/{row['id']}", files=file, headers=nobody)) == (403, "FORBIDDEN")
        assert code(await client.delete(f"/files/{row['id']}", headers=nobody)) == (403, "FORBIDDEN")
        assert stored(root) == [row["filename_disk"]]

    async def test_replacing_needs_an_update_permission_on_that_file(
        self, client: httpx2.AsyncClient, person: Person
    ) -> None:
        own = {"action": "update", "fields": ["*"], "permissions": {"uploaded_by": {"_eq": "$CURRENT_USER"}}}
        headers = await person(client, "create", "read", own)
        mine, other = await upload(client, headers=headers), await upload(client)
        file = {"file": ("b.txt", b"new", "text/plain")}
        assert (await client.patch(f"/files/{mine['id']}", files=file, headers=headers)).status_code == 200
        assert code(await client.patch(f"/files/{other['id']}", files=file, headers=headers)) == (403, "FORBIDDEN")
        assert (await client.get(f"/assets/{other['id']}")).content == b"Hello, world"

    async def test_presets_and_forbidden_fields(self, client: httpx2.AsyncClient, person: Person) -> None:
        fields = ["storage", "filename_download", "type", "title"]
        headers = await person(
            client, {"action": "create", "fields": fields, "presets": {"description": "preset"}}, "read"
        )
        assert (await upload(client, headers=headers))["description"] == "preset"
        form = {"location": "x"}
        answer = await client.post("/files", data=form, files={"file": ("a", b"", "text/plain")}, headers=headers)
        assert code(answer) == (403, "FORBIDDEN")

    async def test_replacing_what_is_not_there_stores_nothing(
        self, client: httpx2.AsyncClient, person: Person, root: Path
    ) -> None:
        missing, file = "/files/f1f1f1f1-0000-4000-8000-000000000000", {"file": ("a.txt", b"x", "text/plain")}
        assert (await client.patch(missing, files=file)).status_code == 204
        headers = await person(client, "update", "create", "read")
        assert code(await client.patch(missing, files=file, headers=headers)) == (403, "FORBIDDEN")
        assert stored(root) == []


class TestNamesOnDisk:
    async def test_a_name_belongs_to_one_file(self, client: httpx2.AsyncClient, root: Path) -> None:
        first = await upload(client, filename_disk="taken.txt")
        answer = await client.post(
            "/files", data={"filename_disk": "x/../taken.txt"}, files={"file": ("a", b"", "text/plain")}
        )
        assert code(answer) == (403, "FORBIDDEN")
        other = await upload(client)
        assert code(await client.patch(f"/files/{other['id']}", json={"filename_disk": "taken.txt"})) == (
            403,
            "FORBIDDEN",
        )
        assert (await client.get(f"/assets/{first['id']}")).content == b"Hello, world"

    async def test_of_many_at_once_one_gets_it(self, serve: Serve, installed_url: str) -> None:
        _, client = await serve(installed_url)

        async def send(number: int) -> int:
            file = {"file": ("a.txt", str(number).encode(), "text/plain")}
            return (await client.post("/files", data={"filename_disk": "one.txt"}, files=file)).status_code

        results = await asyncio.gather(*(send(number) for number in range(8)))
        assert sorted(results) == [200, *[403] * 7]

    async def test_names_of_variants_are_refused(self, client: httpx2.AsyncClient) -> None:
        row = await upload(client)
        for name in (f"{row['id']}__{'0' * 40}.webp", "temp_x", 5):
            answer = await client.patch(f"/files/{row['id']}", json={"filename_disk": name})
            assert code(answer) == (400, "INVALID_PAYLOAD")

    async def test_moving_many_at_once(self, client: httpx2.AsyncClient) -> None:
        keys = [(await upload(client))["id"] for _ in range(2)]
        answer = await client.patch("/files", json={"keys": keys, "data": {"filename_disk": "x"}})
        assert code(answer) == (400, "INVALID_PAYLOAD")

    async def test_a_target_that_is_there_is_pointed_at(self, serve: Serve, root: Path) -> None:
        for delete, left in ((False, 2), (True, 1)):
            _, client = await serve(f"sqlite:///{root.parent}/{delete}.db", FILES_DELETE_ORIGINAL_ON_MOVE=delete)
            row = await upload(client)
            (root / "there.txt").write_text("already")
            await client.patch(f"/files/{row['id']}", json={"filename_disk": "there.txt"})
            assert (await client.get(f"/assets/{row['id']}")).content == b"already"
            assert len(stored(root)) == left
            await client.delete(f"/files/{row['id']}")
            for name in stored(root):
                (root / name).unlink()


class TestMetadata:
    async def test_of_a_photo(self, client: httpx2.AsyncClient) -> None:
        from PIL import Image

        exif = Image.Exif()
        exif[0x010F], exif[0x0131], exif[0x0112] = "Canon", "Editor", 6
        row = await upload(client, picture(kind="JPEG", exif=exif), "a.jpg", "image/jpeg")
        assert (row["width"], row["height"]) == (20, 40)
        assert row["metadata"] == {"ifd0": {"Make": "Canon"}}

    async def test_what_is_kept_can_be_chosen(self, serve: Serve) -> None:
        from PIL import Image

        _, client = await serve(FILE_METADATA_ALLOW_LIST="ifd0.Software")
        exif = Image.Exif()
        exif[0x010F], exif[0x0131] = "Canon", "Editor"
        row = await upload(client, picture(kind="JPEG", exif=exif), "a.jpg", "image/jpeg")
        assert row["metadata"] == {"ifd0": {"Software": "Editor"}}

    async def test_a_broken_picture_is_stored_all_the_same(self, client: httpx2.AsyncClient) -> None:
        row = await upload(client, b"no picture", "a.png", "image/png")
        assert (row["width"], row["metadata"]) == (None, {})

    async def test_a_replaced_picture_has_its_new_size(self, client: httpx2.AsyncClient) -> None:
        row = await upload(client, picture(), "a.png", "image/png")
        file = {"file": ("b.png", picture(10, 10), "image/png")}
        row = (await client.patch(f"/files/{row['id']}", files=file)).json()["data"]
        assert (row["width"], row["height"]) == (10, 10)


class TestDeleting:
    async def test_variants_go_too_and_nothing_else(self, client: httpx2.AsyncClient, root: Path) -> None:
        kept = await upload(client, picture(), "k.png", "image/png", filename_disk="a-b.png")
        rows = [
            await upload(client, picture(), "a.png", "image/png", filename_disk=name) for name in ("a.png", "a.jpg")
        ]
        for row in (kept, *rows):
            assert (await client.get(f"/assets/{row['id']}?width=10")).status_code == 200
        (root / f"a__{'0' * 40}.webp").write_text("made by the reference")
        (root / "a__notes.txt").write_text("somebody's own file")
        await client.delete(f"/files/{rows[0]['id']}")
        names = stored(root)
        assert "a__notes.txt" in names
        assert not any(name.startswith(("a.png", "a__0")) for name in names)
        assert sum(name.startswith("a.jpg") for name in names) == 2
        assert sum(name.startswith("a-b.png") for name in names) == 2

    async def test_many_at_once(self, client: httpx2.AsyncClient, root: Path) -> None:
        keys = [(await upload(client, picture(), "a.png", "image/png"))["id"] for _ in range(6)]
        await asyncio.gather(*(client.get(f"/assets/{key}?width=10") for key in keys))
        assert len(stored(root)) == 12
        assert (await client.request("DELETE", "/files", json=keys)).status_code == 204
        assert stored(root) == []

    async def test_a_missing_content_is_no_obstacle(self, client: httpx2.AsyncClient, root: Path) -> None:
        row = await upload(client)
        (root / row["filename_disk"]).unlink()
        assert (await client.delete(f"/files/{row['id']}")).status_code == 204

    async def test_a_roll_back_keeps_the_content(self, serve: Serve, root: Path) -> None:
        tabulary, client = await serve()
        key = (await upload(client))["id"]
        with pytest.raises(RuntimeError):
            async with tabulary.platform.database.transaction() as connection:
                await (await tabulary.service("directus_files", connection=connection)).delete_one(key)
                raise RuntimeError
        await tabulary.platform.storage.drain()
        assert (await client.get(f"/assets/{key}")).content == b"Hello, world"
        async with tabulary.platform.database.transaction() as connection:
            await (await tabulary.service("directus_files", connection=connection)).delete_one(key)
        await tabulary.platform.storage.drain()
        assert stored(root) == []


class TestStorage:
    async def test_a_location_by_name(self, serve: Serve, root: Path) -> None:
        _, client = await serve(STORAGE_LOCATIONS="local,second", STORAGE_SECOND_ROOT=str(root / "second"))
        row = await upload(client, storage="second")
        assert stored(root) == [f"second/{row['filename_disk']}"]
        assert (await client.get(f"/assets/{row['id']}")).content == b"Hello, world"

    async def test_an_unknown_location(self, client: httpx2.AsyncClient, root: Path) -> None:
        answer = await client.post("/files", data={"storage": "moon"}, files={"file": ("a", b"", "text/plain")})
        assert code(answer) == (400, "INVALID_PAYLOAD")

    async def test_a_storage_that_fails_leaves_no_row(self, serve: Serve, root: Path) -> None:
        root.write_text("a file where the folder should be")
        _, client = await serve()
        answer = await client.post("/files", files={"file": ("a.txt", b"x", "text/plain")})
        assert code(answer) == (503, "SERVICE_UNAVAILABLE")
        assert (await client.get("/files")).json()["data"] == []

    async def test_the_folder_of_the_settings(self, client: httpx2.AsyncClient) -> None:
        folder = (await client.post("/folders", json={"name": "In"})).json()["data"]["id"]
        await client.patch("/settings", json={"storage_default_folder": folder})
        assert (await upload(client))["folder"] == folder
        assert (await upload(client, folder="null"))["folder"] is None


class TestInPython:
    async def test_bytes_and_streams(self, serve: Serve) -> None:
        tabulary, _ = await serve()
        files = await tabulary.service("directus_files")
        data = {"filename_download": "a.txt", "type": "text/plain"}

        async def stream() -> AsyncIterator[bytes]:
            yield b"str"
            yield b"eam"

        first, second = await files.upload_one(b"bytes", data), await files.upload_one(stream(), data)
        rows = await files.read_many([first, second], {"sort": ["filesize"], "fields": ["id", "filesize"]})
        assert [int(row["filesize"]) for row in rows] == [5, 6]
        await files.upload_one(b"new", data, first)
        assert int((await files.read_one(first))["filesize"]) == 3
        with pytest.raises(Forbidden):
            await files.upload_one(b"new", data, "f1f1f1f1-0000-4000-8000-000000000000")

    async def test_a_stream_that_fails(self, serve: Serve, root: Path) -> None:
        tabulary, _ = await serve()
        files = await tabulary.service("directus_files")

        async def stream() -> AsyncIterator[bytes]:
            yield b"some"
            raise ContentTooLarge

        with pytest.raises(ContentTooLarge):
            await files.upload_one(stream(), {"filename_download": "a.txt", "type": "text/plain"})
        assert await files.read_by_query({}) == []
        assert stored(root) == []

    async def test_rows_need_a_type(self, serve: Serve) -> None:
        tabulary, _ = await serve()
        with pytest.raises(InvalidPayload):
            await (await tabulary.service("directus_files")).create_one({"title": "x"})


class TestImport:
    @pytest.fixture
    async def origin(self) -> AsyncIterator[str]:
        """Another server, with a picture at /dir/photo.png."""

        async def app(scope: Any, receive: Any, send: Any) -> None:
            if scope["type"] == "http":
                found = scope["path"] == "/dir/photo.png"
                head = [(b"content-type", b"image/png")]
                await send({"type": "http.response.start", "status": 200 if found else 404, "headers": head})
                await send({"type": "http.response.body", "body": picture()})

        with socket.create_server(("127.0.0.1", 0)) as listening:
            server = uvicorn.Server(uvicorn.Config(app, lifespan="off", log_level="critical"))
            task = asyncio.create_task(server.serve([listening]))
            yield f"http://127.0.0.1:{listening.getsockname()[1]}"
            server.should_exit = True
            await task

    @pytest.fixture
    async def open_client(self, serve: Serve) -> httpx2.AsyncClient:
        return (await serve(IMPORT_IP_DENY_LIST="169.254.169.254"))[1]

    async def test_a_file(self, open_client: httpx2.AsyncClient, origin: str) -> None:
        body = {"url": f"{origin}/dir/photo.png", "data": {"description": "fetched"}}
        row = (await open_client.post("/files/import", json=body)).json()["data"]
        assert (row["filename_download"], row["title"], row["type"]) == ("photo.png", "Photo.png", "image/png")
        assert (row["width"], row["description"]) == (40, "fetched")
        body["data"] = {"id": row["id"], "title": "Again"}
        again = (await open_client.post("/files/import", json=body)).json()["data"]
        assert (again["id"], again["title"]) == (row["id"], "Again")

    async def test_the_own_machine_is_out_of_bounds(self, client: httpx2.AsyncClient, origin: str) -> None:
        answer = await client.post("/files/import", json={"url": f"{origin}/dir/photo.png"})
        assert code(answer) == (503, "SERVICE_UNAVAILABLE")
        assert answer.json()["errors"][0]["extensions"]["service"] == "external-file"

    async def test_what_is_not_had(self, open_client: httpx2.AsyncClient, origin: str, root: Path) -> None:
        answer = await open_client.post("/files/import", json={"url": f"{origin}/missing"})
        assert code(answer) == (503, "SERVICE_UNAVAILABLE")
        body = {"url": f"{origin}/dir/photo.png", "options": {"filterMimeType": ["text/*"]}}
        assert code(await open_client.post("/files/import", json=body)) == (400, "INVALID_PAYLOAD")
        assert stored(root) == []

    @pytest.mark.parametrize(
        "body",
        [
            {},
            {"url": 5},
            {"url": "http://x", "data": []},
            {"url": "http://x", "more": 1},
            {"url": "http://x", "options": {"filterMimeType": "x"}},
        ],
    )
    async def test_bodies_that_make_no_sense(self, client: httpx2.AsyncClient, body: Any) -> None:
        assert code(await client.post("/files/import", json=body)) == (400, "INVALID_PAYLOAD")

    async def test_it_needs_the_permission_to_create(
        self, open_client: httpx2.AsyncClient, origin: str, person: Person
    ) -> None:
        headers = await person(open_client, "read")
        answer = await open_client.post("/files/import", json={"url": f"{origin}/dir/photo.png"}, headers=headers)
        assert code(answer) == (403, "FORBIDDEN")


async def test_a_connection_that_breaks_leaves_nothing(serve: Serve, root: Path) -> None:
    tabulary, client = await serve()
    body = b'--cut\r\nContent-Disposition: form-data; name="file"; filename="a.txt"\r\n\r\n' + b"x" * 100_000
    messages: list[dict[str, Any]] = [
        {"type": "http.request", "body": body, "more_body": True},
        {"type": "http.disconnect"},
    ]
    sent: list[Any] = []

    async def receive() -> dict[str, Any]:
        return messages.pop(0)

    async def send(message: Any) -> None:
        sent.append(message)

    headers = [
        (b"authorization", b"Bearer admin-static-token"),
        (b"content-type", b"multipart/form-data; boundary=cut"),
    ]
    scope = {"type": "http", "method": "POST", "path": "/files", "raw_path": b"/files", "query_string": b"",
             "headers": headers, "client": ("127.0.0.1", 1), "root_path": ""}  # fmt: skip
    await tabulary.asgi(scope, receive, send)
    assert sent == []
    assert (await client.get("/files")).json()["data"] == []
    assert stored(root) == []
