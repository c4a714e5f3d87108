"""Assets: who sees what of a file's content, with which headers, in which form."""

from __future__ import annotations

import asyncio
import io
import zipfile
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx2
import pytest
from tests.files.conftest import Person, Serve, code, opened, picture, stored, upload

pytestmark = pytest.mark.anyio

PUBLIC = {"Authorization": ""}


@pytest.fixture
async def photo(client: httpx2.AsyncClient) -> str:
    """The path of a picture, 40 x 20."""
    return f"/assets/{(await upload(client, picture(), 'photo.png', 'image/png'))['id']}"


class TestHeaders:
    async def test_of_an_original(self, client: httpx2.AsyncClient) -> None:
        row = await upload(client)
        answer = await client.get(f"/assets/{row['id']}")
        assert answer.content == b"Hello, world"
        head = answer.headers
        assert head["content-type"] == "text/plain"
        assert head["content-length"] == "12"
        assert head["content-disposition"] == 'inline; filename="note.txt"'
        assert head["cache-control"] == "private, max-age=2592000"
        assert head["vary"] == "Origin, Cache-Control"
        assert head["accept-ranges"] == "bytes"
        assert head["etag"].strip('"').isdigit()
        assert head["last-modified"].endswith(" GMT")

    @pytest.mark.parametrize(
        ("name", "kind", "sandboxed"),
        [
            ("a.svg", "image/svg+xml", True),
            ("a.html", "text/html", True),
            ("a.txt", "text/plain", False),
            ("a.pdf", "application/pdf", False),
        ],
    )
    async def test_nothing_runs_as_a_script(
        self, client: httpx2.AsyncClient, name: str, kind: str, sandboxed: bool
    ) -> None:
        row = await upload(client, b"<svg xmlns='http://www.w3.org/2000/svg'><script>1</script></svg>", name, kind)
        head = (await client.get(f"/assets/{row['id']}")).headers
        assert head.get_list("content-security-policy") == ["default-src 'none'" + (";sandbox" if sandboxed else "")]
        assert head["x-content-type-options"] == "nosniff"

    async def test_the_policy_can_be_extended(self, serve: Serve) -> None:
        _, client = await serve(ASSETS_CONTENT_SECURITY_POLICY_DIRECTIVES__MEDIA_SRC="'self'")
        row = await upload(client)
        policy = (await client.get(f"/assets/{row['id']}")).headers["content-security-policy"]
        assert policy == "default-src 'none';media-src 'self'"
        assert "script-src" in (await client.get("/files")).headers["content-security-policy"]

    async def test_a_stored_type_cannot_break_out(self, client: httpx2.AsyncClient) -> None:
        row = await upload(client)
        await client.patch(f"/files/{row['id']}", json={"type": "text/html\r\nX-Evil: 1"})
        head = (await client.get(f"/assets/{row['id']}")).headers
        assert head["content-type"] == "application/octet-stream"
        assert "x-evil" not in head

    async def test_names(self, client: httpx2.AsyncClient) -> None:
        path = f"/assets/{(await upload(client, name='写真.txt'))['id']}"
        assert "filename*=UTF-8''%E5%86%99%E7%9C%9F.txt" in (await client.get(path)).headers["content-disposition"]
        disposition = (await client.get(f"{path}/other.txt?download")).headers["content-disposition"]
        assert disposition == 'attachment; filename="other.txt"'

    async def test_of_the_studio(self, client: httpx2.AsyncClient, photo: str) -> None:
        async def cached(referer: str) -> str:
            return (await client.get(photo, headers={"Referer": referer})).headers["cache-control"]

        assert await cached("http://test/admin/files") == "no-store"
        assert await cached("http://test/administration") != "no-store"

    async def test_head(self, client: httpx2.AsyncClient, photo: str) -> None:
        whole, head = await client.get(photo), await client.head(photo)
        assert (head.status_code, head.content) == (200, b"")
        assert head.headers["content-length"] == str(len(whole.content))
        assert head.headers["content-type"] == "image/png"


class TestRevalidation:
    async def test_conditions_are_ignored_by_default(self, client: httpx2.AsyncClient, photo: str) -> None:
        tag = (await client.get(photo)).headers["etag"]
        assert (await client.get(photo, headers={"If-None-Match": tag})).status_code == 200

    async def test_known_versions(self, serve: Serve) -> None:
        _, client = await serve(ASSETS_CACHE_REVALIDATE=True)
        path = f"/assets/{(await upload(client))['id']}"
        head = (await client.get(path)).headers
        assert head["cache-control"] == "private, max-age=0, must-revalidate"

        async def status(**conditions: str) -> int:
            named = {name.replace("_", "-"): value for name, value in conditions.items()}
            return (await client.get(path, headers=named)).status_code

        assert await status(If_None_Match=head["etag"]) == 304
        assert await status(If_None_Match=f'"0", {head["etag"]}') == 304
        assert await status(If_None_Match='"0"') == 200
        assert await status(If_Modified_Since=head["last-modified"]) == 304
        assert await status(If_Modified_Since="Thu, 01 Jan 1970 00:00:00 GMT") == 200
        assert await status(If_Modified_Since="nonsense") == 200
        assert await status(If_None_Match='"0"', If_Modified_Since=head["last-modified"]) == 200


class TestRanges:
    @pytest.mark.parametrize(
        ("given", "expected", "shown"),
        [
            ("bytes=0-4", b"Hello", "bytes 0-4/12"),
            ("bytes=7-", b"world", "bytes 7-11/12"),
            ("bytes=-5", b"world", "bytes 7-11/12"),
            ("bytes=0-0", b"H", "bytes 0-0/12"),
            ("bytes=7-999", b"world", "bytes 7-11/12"),
            ("bytes=-999", b"Hello, world", "bytes 0-11/12"),
            ("bytes=0-4,7-8", b"Hello", "bytes 0-4/12"),
        ],
    )
    async def test_parts(self, client: httpx2.AsyncClient, given: str, expected: bytes, shown: str) -> None:
        answer = await client.get(f"/assets/{(await upload(client))['id']}", headers={"Range": given})
        assert (answer.status_code, answer.content) == (206, expected)
        assert answer.headers["content-range"] == shown
        assert answer.headers["content-length"] == str(len(expected))

    @pytest.mark.parametrize(
        ("given", "wanted"),
        [
            ("bytes=12-", {"start": 12}),
            ("bytes=-0", {"end": 0}),
            ("bytes=5-2", {"start": 5, "end": 2}),
            ("bytes=-", {}),
        ],
    )
    async def test_what_cannot_be_satisfied(self, client: httpx2.AsyncClient, given: str, wanted: Any) -> None:
        answer = await client.get(f"/assets/{(await upload(client))['id']}", headers={"Range": given})
        assert code(answer) == (416, "RANGE_NOT_SATISFIABLE")
        assert answer.json()["errors"][0]["extensions"]["range"] == wanted

    @pytest.mark.parametrize("given", ["lines=0-4", "nonsense", "bytes=a-b"])
    async def test_what_is_no_range(self, client: httpx2.AsyncClient, given: str) -> None:
        answer = await client.get(f"/assets/{(await upload(client))['id']}", headers={"Range": given})
        assert (answer.status_code, answer.content) == (200, b"Hello, world")

    async def test_of_another_version(self, client: httpx2.AsyncClient) -> None:
        path = f"/assets/{(await upload(client))['id']}"
        tag = (await client.get(path)).headers["etag"]
        for condition, status in ((tag, 206), ('"0"', 200)):
            answer = await client.get(path, headers={"Range": "bytes=0-4", "If-Range": condition})
            assert answer.status_code == status


class TestPermissions:
    async def test_without_permission(self, client: httpx2.AsyncClient, person: Person, photo: str) -> None:
        nobody = await person(client)
        for path in (photo, f"{photo}?width=10", f"{photo}/x.png"):
            assert code(await client.get(path, headers=nobody)) == (403, "FORBIDDEN")
            assert code(await client.get(path, headers=PUBLIC)) == (403, "FORBIDDEN")

    async def test_what_is_missing_looks_the_same(self, client: httpx2.AsyncClient, root: Path) -> None:
        row = await upload(client)
        bare = (await client.post("/files", json={"type": "a/b", "storage": "local", "filename_download": "x"})).json()[
            "data"
        ]
        (root / row["filename_disk"]).unlink()
        for key in (row["id"], bare["id"], "f1f1f1f1-0000-4000-8000-000000000000", "nonsense"):
            assert code(await client.get(f"/assets/{key}")) == (403, "FORBIDDEN")

    async def test_pictures_of_the_log_in_page_are_public(self, client: httpx2.AsyncClient, photo: str) -> None:
        await client.patch("/settings", json={"project_logo": photo.removeprefix("/assets/")})
        answer = await client.get(f"{photo}?width=10", headers=PUBLIC)
        assert opened(answer.content).size == (10, 5)
        assert answer.headers["cache-control"] == "public, max-age=2592000"

    async def test_columns_that_may_not_be_read(self, client: httpx2.AsyncClient, person: Person, photo: str) -> None:
        headers = await person(client, {"action": "read", "fields": ["id"]})
        answer = await client.get(photo, headers=headers)
        assert answer.headers["content-disposition"] == f'inline; filename="{photo.removeprefix("/assets/")}"'
        assert answer.headers["content-type"] == "image/png"
        assert "etag" not in answer.headers
        assert "last-modified" not in answer.headers

    async def test_users_without_a_role_share_nothing(
        self, client: httpx2.AsyncClient, person: Person, photo: str
    ) -> None:
        headers = await person(client, "read")
        assert (await client.get(photo, headers=headers)).headers["cache-control"].startswith("private")


class TestTransformations:
    async def test_a_variant_is_made_once_under_the_name_of_the_reference(
        self, client: httpx2.AsyncClient, photo: str, root: Path
    ) -> None:
        key = photo.removeprefix("/assets/")
        assert opened((await client.get(f"{photo}?width=100")).content).size == (100, 50)
        assert stored(root) == [f"{key}.png", f"{key}__3dccd14fe26fc538a8e5634f9c86b1cbe3290bd1.png"]
        (root / stored(root)[1]).write_bytes(b"found, not made")
        assert (await client.get(f"{photo}?width=100")).content == b"found, not made"

    async def test_of_many_requests_one_does_the_work(self, serve: Serve) -> None:
        tabulary, client = await serve()
        path = (
            f"/assets/{(await upload(client, picture(1500, 1500), 'a.png', 'image/png'))['id']}?width=500&format=webp"
        )
        made = 0
        transform = tabulary.platform.images.transform

        async def counted(*args: Any) -> None:
            nonlocal made
            made += 1
            await transform(*args)

        tabulary.platform.images.transform = counted  # type: ignore[method-assign]
        answers = await asyncio.gather(*(client.get(path) for _ in range(20)))
        assert {answer.content for answer in answers} == {answers[0].content}
        assert made == 1

    async def test_the_focal_point(self, client: httpx2.AsyncClient, photo: str) -> None:
        for x, colour in ((0, (255, 0, 0)), (40, (0, 0, 255))):
            answer = await client.get(f"{photo}?width=10&height=10&focal_point_x={x}&focal_point_y=10")
            assert opened(answer.content).getpixel((5, 5)) == colour

    @pytest.mark.parametrize(
        ("accept", "kind"),
        [
            ("image/avif,image/webp,*/*", "image/avif"),
            ("image/webp,*/*", "image/webp"),
            ("*/*", "image/png"),
            ("", "image/png"),
        ],
    )
    async def test_the_format_that_the_browser_takes(
        self, client: httpx2.AsyncClient, photo: str, accept: str, kind: str
    ) -> None:
        answer = await client.get(f"{photo}?format=auto", headers={"Accept": accept})
        assert answer.headers["content-type"] == kind
        assert opened(answer.content).get_format_mimetype() == kind
        assert answer.headers["vary"] == "Origin, Cache-Control, Accept"

    @pytest.mark.parametrize(
        "query",
        [
            "key=nope", "transforms=x", "transforms=", "transforms=null", "transforms={}", 'transforms=[["explode"]]',
            "width=0", "width=-1", "width=1.5", "height=abc", "width=nan", "width=1&width=2",
            "width=10&fit=nope", "format=gif",
            "quality=0", "quality=101", 'transforms=[["rotate","x"]]', f"transforms=[{','.join(['[%22flip%22]'] * 6)}]",
            'transforms=[["extract",{"left":0,"top":0,"width":99,"height":1}]]',
        ],
    )  # fmt: skip
    async def test_what_makes_no_sense(self, client: httpx2.AsyncClient, photo: str, query: str, root: Path) -> None:
        assert code(await client.get(f"{photo}?{query}")) == (400, "INVALID_QUERY")
        assert len(stored(root)) == 1

    async def test_other_files_are_served_as_they_are(self, client: httpx2.AsyncClient) -> None:
        row = await upload(client)
        assert (await client.get(f"/assets/{row['id']}?width=10&format=webp")).content == b"Hello, world"

    async def test_pictures_of_unknown_size(self, client: httpx2.AsyncClient) -> None:
        row = await upload(client, b"broken", "a.png", "image/png")
        path = f"/assets/{row['id']}"
        assert (await client.get(f"{path}?width=10")).content == b"broken"
        answer = await client.get(f"{path}?format=webp")
        assert code(answer) == (400, "ILLEGAL_ASSET_TRANSFORMATION")
        assert answer.json()["errors"][0]["extensions"]["invalidTransformations"] == ["width", "height"]

    async def test_pictures_that_are_too_large(self, serve: Serve) -> None:
        _, client = await serve(ASSETS_TRANSFORM_IMAGE_MAX_DIMENSION=25)
        path = f"/assets/{(await upload(client, picture(), 'a.png', 'image/png'))['id']}"
        assert code(await client.get(f"{path}?width=10")) == (400, "ILLEGAL_ASSET_TRANSFORMATION")
        await client.patch(path.replace("assets", "files"), json={"width": 5, "height": 5})
        assert code(await client.get(f"{path}?width=4")) == (400, "ILLEGAL_ASSET_TRANSFORMATION")

    async def test_a_timeout_leaves_nothing(self, serve: Serve, root: Path) -> None:
        _, client = await serve(ASSETS_TRANSFORM_TIMEOUT="1s")
        path = f"/assets/{(await upload(client, picture(3000, 3000), 'a.png', 'image/png'))['id']}"
        assert code(await client.get(f'{path}?transforms=[["median",301]]')) == (503, "SERVICE_UNAVAILABLE")
        assert len(stored(root)) == 1

    async def test_a_broken_picture_of_known_size(self, client: httpx2.AsyncClient) -> None:
        row = await upload(client, b"broken", "a.png", "image/png", width="10", height="10")
        assert code(await client.get(f"/assets/{row['id']}?width=5")) == (422, "UNPROCESSABLE_CONTENT")

    async def test_without_the_image_library(self, serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
        from tabulary.core import images

        monkeypatch.setattr(images, "vips", SimpleNamespace(is_installed=False))
        _, client = await serve()
        row = await upload(client, picture(), "a.png", "image/png", width="40", height="20")
        assert (await client.get(f"/assets/{row['id']}")).status_code == 200
        answer = await client.get(f"/assets/{row['id']}?width=5")
        assert code(answer) == (503, "SERVICE_UNAVAILABLE")
        assert "tabulary[images]" in answer.json()["errors"][0]["message"]


THUMB = {"key": "thumb", "fit": "cover", "width": 12, "height": 12, "quality": 80, "withoutEnlargement": False,
         "format": "webp", "transforms": [["flop"]]}  # fmt: skip


class TestPresets:
    @pytest.mark.parametrize(
        ("policy", "query", "status"),
        [
            ("all", "key=thumb", 200), ("all", "key=thumb&width=5", 200), ("all", "width=5", 200),
            ("all", "key=nope", 400),
            ("presets", "key=thumb", 200), ("presets", "key=system-small-cover", 200), ("presets", "width=5", 400),
            ("presets", "key=thumb&width=5", 400), ("presets", "", 200), ("presets", "download", 200),
            ("presets", "transforms=[]", 200), ("none", "key=thumb", 400), ("none", "key=system-small-cover", 200),
            ("none", "width=5", 400), ("none", "", 200),
        ],
    )  # fmt: skip
    async def test_who_may_ask_for_what(
        self, client: httpx2.AsyncClient, photo: str, policy: str, query: str, status: int
    ) -> None:
        await client.patch("/settings", json={"storage_asset_transform": policy, "storage_asset_presets": [THUMB]})
        assert (await client.get(f"{photo}?{query}")).status_code == status

    async def test_a_preset_and_what_is_laid_over_it(self, client: httpx2.AsyncClient, photo: str) -> None:
        await client.patch("/settings", json={"storage_asset_presets": [THUMB]})
        image = opened((await client.get(f"{photo}?key=thumb&width=6")).content)
        assert (image.format, image.size) == ("WEBP", (6, 12))

    async def test_rows_that_make_no_sense_are_no_outage(self, client: httpx2.AsyncClient, photo: str) -> None:
        await client.patch(
            "/settings", json={"storage_asset_presets": ["x", {"key": "odd", "transforms": [["explode"]]}]}
        )
        assert (await client.get(f"{photo}?key=system-small-cover")).status_code == 200
        assert code(await client.get(f"{photo}?key=odd")) == (400, "INVALID_QUERY")


class TestArchives:
    async def test_chosen_files(self, client: httpx2.AsyncClient) -> None:
        keys = [(await upload(client, content, "note.txt"))["id"] for content in (b"one", b"two" * 100_000)]
        answer = await client.post("/assets/files", json={"ids": keys})
        assert answer.headers["content-type"] == "application/zip"
        assert answer.headers["content-disposition"].startswith('attachment; filename="files-')
        with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
            assert sorted(archive.namelist()) == ["note.txt", "note.txt (1)"]
            assert sorted(len(archive.read(name)) for name in archive.namelist()) == [3, 300_000]

    async def test_a_folder_with_folders(self, client: httpx2.AsyncClient) -> None:
        async def folder(name: str, parent: str | None = None) -> str:
            return str((await client.post("/folders", json={"name": name, "parent": parent})).json()["data"]["id"])

        outer = await folder("Outer")
        inner, _ = await folder("../In:ner", outer), await folder("Empty", outer)
        await upload(client, b"1", "a.txt", folder=outer)
        await upload(client, b"2", "../b.txt", folder=inner)
        await client.patch(f"/folders/{outer}", json={"parent": inner})
        answer = await client.post(f"/assets/folder/{outer}")
        assert "folder-Outer-" in answer.headers["content-disposition"]
        with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
            assert archive.testzip() is None
            assert sorted(archive.namelist()) == ["Empty/", "Inner/b.txt", "a.txt"]

    async def test_only_what_may_be_read(self, client: httpx2.AsyncClient, person: Person) -> None:
        keys = [(await upload(client, name=name))["id"] for name in ("a.txt", "b.txt")]
        rule = {
            "action": "read",
            "fields": ["id", "filename_download"],
            "permissions": {"filename_download": {"_eq": "a.txt"}},
        }
        headers = await person(client, rule)
        answer = await client.post("/assets/files", json={"ids": keys}, headers=headers)
        with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
            assert archive.namelist() == ["a.txt"]
        assert code(await client.post("/assets/files", json={"ids": keys[1:]}, headers=headers)) == (
            400,
            "INVALID_PAYLOAD",
        )

    @pytest.mark.parametrize("ids", [None, [], "x", ["nope"], [5], ["f1f1f1f1-0000-4000-8000-000000000000"]])
    async def test_what_is_no_choice(self, client: httpx2.AsyncClient, ids: Any) -> None:
        assert code(await client.post("/assets/files", json={"ids": ids})) == (400, "INVALID_PAYLOAD")

    async def test_a_file_whose_content_is_gone_is_left_out(self, client: httpx2.AsyncClient, root: Path) -> None:
        rows = [await upload(client, name=name) for name in ("a.txt", "b.txt")]
        (root / rows[0]["filename_disk"]).unlink()
        answer = await client.post("/assets/files", json={"ids": [row["id"] for row in rows]})
        with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
            assert archive.testzip() is None
            assert archive.read("b.txt") == b"Hello, world"


async def test_assets_on_every_database(serve: Serve, installed_url: str, person: Person) -> None:
    _, client = await serve(installed_url)
    row = await upload(client, picture(), "a.png", "image/png", focal_point_x="40", focal_point_y="10")
    headers = await person(
        client, {"action": "read", "fields": ["*"], "permissions": {"type": {"_starts_with": "image/"}}}
    )
    answer = await client.get(f"/assets/{row['id']}?width=10&height=10", headers=headers)
    assert opened(answer.content).getpixel((5, 5)) == (0, 0, 255)
    assert answer.headers["etag"].strip('"').isdigit()
    other = await upload(client)
    assert code(await client.get(f"/assets/{other['id']}", headers=headers)) == (403, "FORBIDDEN")


async def test_an_object_store(serve: Serve, bucket: dict[str, str], root: Path) -> None:
    """Pictures, ranges, variants, replacement, pieces, archives and deletion on S3, where there is no local file."""
    tabulary, client = await serve(TUS_ENABLED=True, **bucket)
    driver = tabulary.platform.storage.at("cloud")
    row = await upload(client, picture(), "a.png", "image/png")
    assert (row["storage"], row["width"]) == ("cloud", 40)
    path = f"/assets/{row['id']}"
    assert opened((await client.get(f"{path}?width=10")).content).size == (10, 5)
    assert len([p async for p in driver.paths()]) == 2
    assert (await client.get(path, headers={"Range": "bytes=1-3"})).content == b"PNG"
    replaced = await client.patch(f"/files/{row['id']}", files={"file": ("b.png", picture(60), "image/png")})
    assert replaced.json()["data"]["width"] == 60
    assert [p async for p in driver.paths()] == [row["filename_disk"]]
    large = bytes(range(256)) * (20 << 12)
    many = await client.post("/files", files=[("file", ("a.bin", large)), ("file", ("b.bin", b"small"))])
    keys = [entry["id"] for entry in sorted(many.json()["data"], key=lambda entry: entry["title"])]
    served = (await client.get(f"/assets/{keys[0]}")).content
    assert (len(served), served == large) == (len(large), True)
    answer = await client.post("/assets/files", json={"ids": keys})
    with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
        assert archive.read("b.bin") == b"small"
    await client.request("DELETE", "/files", json=[row["id"], *keys])
    assert [p async for p in driver.paths()] == []
    assert not root.exists()
