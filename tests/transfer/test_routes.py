"""``/utils/import``, ``/utils/export`` and ``?export=`` over HTTP."""

from __future__ import annotations

import asyncio
import csv
import io
from typing import Any

import httpx2
import pytest

from tabulary import Tabulary
from tabulary.server import export
from tabulary.services import exporting, importing

from ..waiting import until
from .conftest import every

pytestmark = pytest.mark.anyio

CSV = "title,pages\na,1\nb,2\n"
JOB_SUBJECTS = {"fields": ["subject", "sender", "recipient", "collection", "item"], "sort": ["-id"], "limit": 1}


def form(content: str | bytes, kind: str = "text/csv", name: str = "rows.csv") -> dict[str, Any]:
    return {"file": (name, content, kind)}


def code(answer: httpx2.Response) -> str:
    return str(answer.json()["errors"][0]["extensions"]["code"])


async def last_notification(tabulary: Tabulary) -> dict[str, Any]:
    await tabulary.platform.jobs.drain()
    (found,) = await tabulary.items("directus_notifications").read_by_query(JOB_SUBJECTS)
    return dict(found)


# --- import -------------------------------------------------------------------------------------
async def test_files_are_imported(tabulary: Tabulary, client: httpx2.AsyncClient) -> None:
    answer = await client.post("/utils/import/books", files=form(CSV))
    assert (answer.status_code, answer.content) == (200, b"")
    json_file = form('[{"title": "c", "pages": 3}]', "application/json", "rows.json")
    assert (await client.post("/utils/import/books", files=json_file)).status_code == 200
    excel = form("title\nd", "application/vnd.ms-excel")
    assert (await client.post("/utils/import/books", files=excel)).status_code == 200
    assert [(b["title"], b["pages"]) for b in await every(tabulary, "books")] == [
        ("a", 1), ("b", 2), ("c", 3), ("d", None)
    ]  # fmt: skip


async def test_other_formats_by_name(tabulary: Tabulary, client: httpx2.AsyncClient) -> None:
    yaml_file = form("- title: a\n", "text/yaml", "rows.yaml")
    refused = await client.post("/utils/import/books", files=yaml_file)
    assert (refused.status_code, code(refused)) == (415, "UNSUPPORTED_MEDIA_TYPE")
    assert refused.json()["errors"][0]["extensions"]["mediaType"] == "text/yaml"
    assert (await client.post("/utils/import/books?format=yaml", files=yaml_file)).status_code == 200
    xml_file = form("<data><data><title>b</title></data></data>", "text/xml", "rows.xml")
    assert (await client.post("/utils/import/books?format=xml", files=xml_file)).status_code == 200
    assert [book["title"] for book in await every(tabulary, "books")] == ["a", "b"]
    assert code(await client.post("/utils/import/books?format=xlsx", files=xml_file)) == "INVALID_QUERY"


async def test_what_is_no_import(tabulary: Tabulary, client: httpx2.AsyncClient) -> None:
    plain = await client.post("/utils/import/books", json=[{"title": "a"}])
    assert (plain.status_code, code(plain)) == (415, "UNSUPPORTED_MEDIA_TYPE")
    nothing = await client.post("/utils/import/books", data={"a": "b"}, files={"x": (None, "y")})
    assert (nothing.status_code, code(nothing)) == (400, "INVALID_PAYLOAD")
    unknown = await client.post("/utils/import/nope", files=form(CSV))
    assert (unknown.status_code, code(unknown)) == (403, "FORBIDDEN")
    public = await client.post("/utils/import/books", files=form(CSV), headers={"Authorization": ""})
    assert (public.status_code, code(public)) == (403, "FORBIDDEN")
    cut = await client.post(
        "/utils/import/books",
        content=b'--x\r\nContent-Disposition: form-data; name="f"; filename="a.csv"\r\nContent-Type: text/csv\r\n\r\ntitle\na',
        headers={"Content-Type": "multipart/form-data; boundary=x"},
    )
    assert (cut.status_code, code(cut)) == (400, "INVALID_PAYLOAD")
    assert await every(tabulary, "books") == []


async def test_errors_of_rows(tabulary: Tabulary, client: httpx2.AsyncClient) -> None:
    answer = await client.post("/utils/import/books", files=form("title,pages\na,1\nb,-1\na,1\n"))
    assert answer.status_code == 400
    extensions = [error["extensions"] for error in answer.json()["errors"]]
    assert extensions == [
        {
            "field": "pages",
            "type": "gte",
            "valid": 0,
            "rows": [{"type": "lines", "rows": [2]}],
            "code": "FAILED_VALIDATION",
        },
        {"field": "title", "rows": [{"type": "lines", "rows": [3]}], "code": "RECORD_NOT_UNIQUE"},
    ]
    assert await every(tabulary, "books") == []


async def test_imports_in_the_background(tabulary: Tabulary, client: httpx2.AsyncClient) -> None:
    answer = await client.post("/utils/import/books?background=true", files=form(CSV))
    assert (answer.status_code, answer.content) == (200, b"")
    told = await last_notification(tabulary)
    assert told["subject"] == "Your import has succeeded"
    assert told["sender"] == told["recipient"]
    assert len(await every(tabulary, "books")) == 2
    await client.post("/utils/import/books?background=true", files=form(CSV))
    assert (await last_notification(tabulary))["subject"] == "Your import has failed"
    assert len(await every(tabulary, "books")) == 2


async def test_too_many_imports_at_once(
    tabulary: Tabulary, client: httpx2.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    going, waiting = asyncio.Event(), asyncio.Event()

    async def slow(self: Any, collection: str, read: Any, progress: Any = None) -> int:
        waiting.set()
        await going.wait()
        return 0

    monkeypatch.setattr(importing.ImportService, "run", slow)
    limit = tabulary.settings["IMPORT_MAX_CONCURRENCY"]
    running = [asyncio.ensure_future(client.post("/utils/import/books", files=form(CSV))) for _ in range(limit)]
    await waiting.wait()

    async def refused() -> bool:
        answer = await client.post("/utils/import/books?format=nope", files=form(CSV))
        return (answer.status_code, code(answer)) == (403, "LIMIT_EXCEEDED")

    await until(refused)
    going.set()
    assert {answer.status_code for answer in await asyncio.gather(*running)} == {200}
    monkeypatch.undo()
    assert (await client.post("/utils/import/books", files=form(CSV))).status_code == 200


# --- export to a file ---------------------------------------------------------------------------
async def test_exports_become_files(tabulary: Tabulary, client: httpx2.AsyncClient) -> None:
    books = [{"title": f"T{n:03}", "author": {"name": "Jane"}} for n in range(130)]
    await tabulary.items("books").create_many(books)
    body = {"query": {"fields": ["author.name", "title"], "sort": ["title"]}, "format": "csv"}
    answer = await client.post("/utils/export/books", json={**body, "file": {"title": "Mine"}})
    assert (answer.status_code, answer.content) == (204, b"")
    told = await last_notification(tabulary)
    assert (told["subject"], told["collection"]) == ("Your export of books is ready", "directus_files")
    stored = (await client.get(f"/files/{told['item']}?fields=title,type,filename_download,filesize")).json()["data"]
    assert (stored["title"], stored["type"]) == ("Mine", "text/csv")
    assert stored["filename_download"].startswith("export-books-")
    assert stored["filename_download"].endswith(".csv")
    content = (await client.get(f"/assets/{told['item']}")).text
    rows = list(csv.reader(io.StringIO(content)))
    assert rows[0] == ["author.name", "title"]
    assert rows[1:] == [["Jane", f"T{n:03}"] for n in range(130)]
    assert int(stored["filesize"]) == len(content)


@pytest.mark.parametrize("body", [{"query": {"fields": ["nope"]}, "format": "csv"}, {"query": {}, "format": "xlsx"}])
async def test_exports_that_fail_are_told(tabulary: Tabulary, client: httpx2.AsyncClient, body: Any) -> None:
    before = await tabulary.items("directus_files").get_keys_by_query({"limit": -1})
    assert (await client.post("/utils/export/books", json=body)).status_code == 204
    assert (await last_notification(tabulary))["subject"] == "Your export of books failed"
    assert await tabulary.items("directus_files").get_keys_by_query({"limit": -1}) == before


@pytest.mark.parametrize(
    ("collection", "body", "status"),
    [
        ("books", {}, 400),
        ("books", [], 400),
        ("books", {"query": {}}, 400),
        ("books", {"format": "csv"}, 400),
        ("books", {"query": [], "format": "csv"}, 400),
        ("books", {"query": {}, "format": 1}, 400),
        ("books", {"query": {}, "format": "csv", "file": "x"}, 400),
        ("nope", {"query": {}, "format": "csv"}, 403),
    ],
)
async def test_exports_that_are_refused(client: httpx2.AsyncClient, collection: str, body: Any, status: int) -> None:
    assert (await client.post(f"/utils/export/{collection}", json=body)).status_code == status


# --- ?export= -----------------------------------------------------------------------------------
async def test_downloads_of_any_length(
    tabulary: Tabulary, client: httpx2.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exporting, "FIRST_PART", 5)
    monkeypatch.setattr(export, "SHORT", 500)
    await tabulary.items("books").create_many([{"title": f"T{n:03}"} for n in range(30)])
    short = await client.get("/items/books?export=json&limit=2&fields=title")
    assert short.headers["content-length"]
    assert short.headers["etag"]
    long = await client.get("/items/books?export=json&limit=-1&fields=title")
    assert "content-length" not in long.headers
    assert long.headers["content-type"] == "application/json; charset=utf-8"
    assert long.headers["content-disposition"].startswith('attachment; filename="books ')
    assert [book["title"] for book in long.json()] == [f"T{n:03}" for n in range(30)]
    default = await client.get("/items/books?export=csv&fields=title")
    assert default.text.count("\n") == 30
    found = await client.request("SEARCH", "/items/books?export=json", json={"query": {"limit": 3}})
    assert found.status_code == 200


async def test_names_of_downloads(client: httpx2.AsyncClient) -> None:
    for path, name in (("/roles", "directus_roles"), ("/users/me", "directus_users"), ("/schema/snapshot", "Export")):
        answer = await client.get(f"{path}?export=json")
        assert answer.headers["content-disposition"].startswith(f'attachment; filename="{name} '), path


async def test_wrong_downloads_are_errors(client: httpx2.AsyncClient) -> None:
    for query, status in (("fields=nope", 403), ("sort=nope", 403), ("filter[title][_gt]=1", 400), ("limit=x", 400)):
        answer = await client.get(f"/items/books?export=csv&limit=-1&{query}")
        assert answer.status_code == status, query
        assert answer.headers["content-type"].startswith("application/json")
