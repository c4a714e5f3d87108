"""The Studio's files over HTTP: base path, caching, content security policy, and what must not be served."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import httpx2
import pytest
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Mount
from starlette.types import Receive, Scope, Send

from tabulary.core.settings import Settings
from tabulary.server.studio import Studio

pytestmark = pytest.mark.anyio

PAGE = '<!doctype html><html><head><base href="/admin/" /></head><body></body></html>'


async def api(scope: Scope, receive: Receive, send: Send) -> None:
    await PlainTextResponse(f"api {scope['path']}")(scope, receive, send)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "dist" / "assets").mkdir(parents=True)
    (tmp_path / "secret.txt").write_text("secret")
    (tmp_path / "dist" / "index.html").write_text(PAGE)
    (tmp_path / "dist" / "favicon.svg").write_text("<svg/>")
    for suffix in ("", ".br", ".gz"):
        (tmp_path / "dist" / "assets" / f"main-abc.js{suffix}").write_text(f"script{suffix}")
    return tmp_path / "dist"


def client(folder: Path, **settings: object) -> httpx2.AsyncClient:
    app = Studio(api, Settings.of(**settings), folder)
    return httpx2.AsyncClient(
        transport=httpx2.ASGITransport(app=app), base_url="http://x", headers={"accept-encoding": ""}
    )


@pytest.fixture
async def http(folder: Path) -> AsyncIterator[httpx2.AsyncClient]:
    async with client(folder) as made:
        yield made


@pytest.mark.parametrize("path", ["/admin", "/admin/", "/admin/login", "/admin/content/books/1", "/admin/users/a.b"])
async def test_every_address_is_the_page(http: httpx2.AsyncClient, path: str) -> None:
    answer = await http.get(path)
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert answer.headers["cache-control"] == "no-cache"
    assert '<base href="/admin/" />' in answer.text


async def test_scripts_must_be_files_of_ours(http: httpx2.AsyncClient) -> None:
    directives = dict(
        part.strip().split(" ", 1) for part in (await http.get("/admin")).headers["content-security-policy"].split(";")
    )
    assert directives["script-src"] == "'self'"
    assert directives["default-src"] == "'self'"
    assert directives["object-src"] == "'none'"
    assert "unsafe-eval" not in str(directives)


async def test_assets_are_kept_for_a_year(http: httpx2.AsyncClient) -> None:
    answer = await http.get("/admin/assets/main-abc.js")
    assert answer.text == "script"
    assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "javascript" in answer.headers["content-type"]


@pytest.mark.parametrize(("accepted", "encoding"), [("gzip, br", "br"), ("gzip", "gzip"), ("identity", None)])
async def test_compressed_twins_are_sent_to_who_takes_them(
    http: httpx2.AsyncClient, accepted: str, encoding: str | None
) -> None:
    async with http.stream("GET", "/admin/assets/main-abc.js", headers={"accept-encoding": accepted}) as answer:
        assert answer.headers.get("content-encoding") == encoding
        assert answer.headers["vary"] == "Accept-Encoding"
        assert "javascript" in answer.headers["content-type"]


async def test_a_script_of_an_older_build_is_missing_not_the_page(http: httpx2.AsyncClient) -> None:
    assert (await http.get("/admin/assets/gone.js")).status_code == 404


@pytest.mark.parametrize("path", ["/admin/../secret.txt", "/admin/%2e%2e/secret.txt", "/admin/assets/../../secret.txt"])
async def test_nothing_outside_of_the_folder_is_served(http: httpx2.AsyncClient, path: str) -> None:
    assert "secret" not in (await http.get(path)).text.replace("/secret.txt", "")


async def test_other_paths_belong_to_the_api(http: httpx2.AsyncClient) -> None:
    assert (await http.get("/items/admin")).text == "api /items/admin"
    assert (await http.get("/administrators")).text == "api /administrators"


async def test_only_reading_is_possible(http: httpx2.AsyncClient) -> None:
    answer = await http.post("/admin/login")
    assert (answer.status_code, answer.headers["allow"]) == (405, "GET, HEAD")


async def test_below_a_mount_point_and_a_public_path_the_base_follows(folder: Path) -> None:
    outer = Starlette(routes=[Mount("/cms", app=Studio(api, Settings.of(), folder))])
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app=outer), base_url="http://x") as mounted:
        assert '<base href="/cms/admin/" />' in (await mounted.get("/cms/admin/login")).text
    async with client(folder, PUBLIC_URL="https://example.com/data/") as behind:
        assert '<base href="/data/admin/" />' in (await behind.get("/admin/login")).text


async def test_serve_app_false_leaves_the_path_to_the_api(folder: Path) -> None:
    async with client(folder, SERVE_APP=False) as http:
        assert (await http.get("/admin/login")).text == "api /admin/login"


async def test_an_unbuilt_studio_says_how_to_build_it(tmp_path: Path) -> None:
    async with client(tmp_path) as http:
        answer = await http.get("/admin")
    assert answer.status_code == 503
    assert "npm run build" in answer.text
