"""The server as a whole: headers, errors, bodies, routes, mounting, two platforms in one process."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from starlette.applications import Starlette
from starlette.routing import Mount

from tabulary import Tabulary

pytestmark = pytest.mark.anyio

SETTINGS: dict[str, Any] = {
    "SECRET": "0123456789abcdef0123456789abcdef",
    "ADMIN_EMAIL": "admin@example.com",
    "ADMIN_PASSWORD": "password",
    "ADMIN_TOKEN": "admin-token",
    "EMAIL_TRANSPORT": "console",
    "HASH_MEMORY_COST": 1024,
    "HASH_TIME_COST": 1,
}
ADMIN = {"Authorization": "Bearer admin-token"}
JSON = {"Content-Type": "application/json"}


def client_of(app: Any) -> httpx2.AsyncClient:
    return httpx2.AsyncClient(transport=httpx2.ASGITransport(app=app), base_url="http://test")


@pytest.fixture
async def tabulary(tmp_path: Path) -> AsyncIterator[Tabulary]:
    async with Tabulary(f"sqlite:///{tmp_path}/test.db", **SETTINGS) as tabulary:
        yield tabulary


@pytest.fixture
async def client(tabulary: Tabulary) -> AsyncIterator[httpx2.AsyncClient]:
    async with client_of(tabulary.asgi) as client:
        yield client


def code(answer: httpx2.Response) -> str:
    return str(answer.json()["errors"][0]["extensions"]["code"])


async def test_ping_answers_anybody(client: httpx2.AsyncClient) -> None:
    answer = await client.get("/server/ping", headers={"Authorization": "Bearer wrong"})
    assert (answer.status_code, answer.text) == (200, "pong")
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert "cache-control" not in answer.headers


async def test_common_headers(client: httpx2.AsyncClient) -> None:
    answer = await client.get("/server/info")
    assert answer.headers["x-powered-by"] == "Directus"
    assert "script-src 'self' 'unsafe-eval'" in answer.headers["content-security-policy"]
    assert answer.headers["cross-origin-opener-policy"] == "same-origin-allow-popups"
    assert answer.headers["cache-control"] == "no-cache"
    assert answer.headers["vary"] == "Origin, Cache-Control"
    assert answer.headers["content-type"] == "application/json; charset=utf-8"
    assert "strict-transport-security" not in answer.headers


async def test_a_known_etag_gets_304(client: httpx2.AsyncClient) -> None:
    first = await client.get("/folders", headers=ADMIN)
    tag = first.headers["etag"]
    assert tag.startswith('W/"')
    again = await client.get("/folders", headers={**ADMIN, "If-None-Match": f'"x", {tag}'})
    assert (again.status_code, again.content) == (304, b"")


async def test_head_is_get_without_body(client: httpx2.AsyncClient) -> None:
    answer = await client.head("/folders", headers=ADMIN)
    assert (answer.status_code, answer.content) == (200, b"")
    assert answer.headers["content-length"] == "11"


async def test_root_and_robots(client: httpx2.AsyncClient) -> None:
    root = await client.get("/")
    assert (root.status_code, root.headers["location"]) == (302, "./admin")
    assert (await client.get("/robots.txt")).text == "User-agent: *\nDisallow: /"


@pytest.mark.parametrize(
    ("method", "path", "shown"),
    [
        ("GET", "/nope", "/nope"),
        ("GET", "/nope?a=1", "/nope"),
        ("GET", "/items", "/items"),
        ("GET", "/items/", "/items/"),
        ("PUT", "/items/books", "/items/books"),
        ("POST", "/revisions", "/revisions"),
        ("SEARCH", "/settings", "/settings"),
        ("POST", "/server/ping", "/server/ping"),
        ("TRACE", "/nope", "/nope"),
    ],
)
async def test_unknown_routes(client: httpx2.AsyncClient, method: str, path: str, shown: str) -> None:
    answer = await client.request(method, path)
    assert answer.status_code == 404
    assert answer.json()["errors"][0]["extensions"] == {"path": shown, "code": "ROUTE_NOT_FOUND"}


async def test_a_wrong_token_fails_before_the_route_is_looked_for(client: httpx2.AsyncClient) -> None:
    answer = await client.get("/nope", headers={"Authorization": "Bearer wrong"})
    assert (answer.status_code, code(answer)) == (401, "INVALID_CREDENTIALS")


async def test_options_lists_methods(client: httpx2.AsyncClient) -> None:
    answer = await client.options("/items/books")
    assert (answer.status_code, answer.headers["allow"]) == (200, "POST,SEARCH,GET,HEAD,PATCH,DELETE")


async def test_paths_ignore_case_and_a_trailing_slash(client: httpx2.AsyncClient) -> None:
    assert (await client.get("/FOLDERS/", headers=ADMIN)).json() == {"data": []}


TOO_DEEP = "[" * 100_000
TOO_LARGE = '{"a": "' + "x" * 2**20 + '"}'


@pytest.mark.parametrize(
    "body", ["{bad", "null", "5", '"x"', '{"a": 1,}', "{}{}", '{"a": NaN}', TOO_DEEP, TOO_LARGE], ids=range(9)
)
async def test_bodies_that_are_refused(client: httpx2.AsyncClient, body: str) -> None:
    for method, path in (("POST", "/folders"), ("GET", "/folders"), ("POST", "/server/ping")):
        answer = await client.request(method, path, content=body, headers={**ADMIN, **JSON})
        assert (answer.status_code, code(answer)) == (400, "INVALID_PAYLOAD")


async def test_bodies_of_another_type_count_as_empty(client: httpx2.AsyncClient) -> None:
    headers = {**ADMIN, "Content-Type": "text/plain"}
    answer = await client.request("SEARCH", "/folders", content="{nope", headers=headers)
    assert answer.status_code == 200


async def test_a_byte_order_mark_is_passed_over(client: httpx2.AsyncClient) -> None:
    body = "\ufeff" + '{"name": "Papers"}'
    answer = await client.post("/folders?fields=name", content=body.encode(), headers={**ADMIN, **JSON})
    assert answer.json() == {"data": {"name": "Papers"}}


async def test_unexpected_errors_tell_only_admins(tabulary: Tabulary, client: httpx2.AsyncClient) -> None:
    @tabulary.hooks.filter("folders.read")
    async def fail(payload: Any, meta: Any, context: Any) -> None:
        raise RuntimeError("the inner truth")

    told = await client.get("/folders", headers=ADMIN)
    assert (told.status_code, code(told)) == (500, "INTERNAL_SERVER_ERROR")
    assert told.json()["errors"][0]["message"] == "the inner truth"

    policy = (await client.get("/policies?filter[admin_access][_neq]=true&fields=id", headers=ADMIN)).json()
    for row in policy["data"]:
        grant = {"policy": row["id"], "collection": "directus_folders", "action": "read", "fields": ["*"]}
        await client.post("/permissions", json=grant, headers=ADMIN)
    hidden = await client.get("/folders")
    assert (hidden.status_code, code(hidden)) == (500, "INTERNAL_SERVER_ERROR")
    assert "truth" not in hidden.text


async def test_info_for_everybody_and_for_users(client: httpx2.AsyncClient) -> None:
    public = (await client.get("/server/info")).json()["data"]
    assert list(public) == ["project", "setupCompleted"]
    assert public["project"]["project_name"] == "Directus"
    assert public["setupCompleted"] is True
    own = (await client.get("/server/info", headers=ADMIN)).json()["data"]
    assert own["version"] == "11.17.4"
    assert own["queryLimit"] == {"default": 100, "max": -1}


async def test_setup_makes_the_first_administrator_once(tmp_path: Path) -> None:
    settings = {name: value for name, value in SETTINGS.items() if not name.startswith("ADMIN")}
    async with Tabulary(f"sqlite:///{tmp_path}/test.db", **settings) as tabulary, client_of(tabulary.asgi) as client:
        before = (await client.get("/server/info")).json()["data"]
        assert (before["setupCompleted"], before["version"]) == (False, "11.17.4")
        owner = {"project_owner": "owner@example.com", "password": "secret", "org_name": "Us"}
        assert code(await client.post("/server/setup", json=owner)) == "FORBIDDEN"
        token = str(await tabulary.setup_link()).partition("?token=")[2]
        owner["token"] = token
        assert code(await client.post("/server/setup", json={"password": "x", "token": token})) == "INVALID_PAYLOAD"
        assert (await client.post("/server/setup", json=owner)).status_code == 204
        assert code(await client.post("/server/setup", json=owner)) == "FORBIDDEN"
        login = await client.post("/auth/login", json={"email": "owner@example.com", "password": "secret"})
        token = login.json()["data"]["access_token"]
        answer = await client.get("/settings?fields=org_name", headers={"Authorization": f"Bearer {token}"})
        assert answer.json() == {"data": {"org_name": "Us"}}


async def test_extensions_are_for_admins(client: httpx2.AsyncClient) -> None:
    one = "/extensions/f1f1f1f1-dead-4000-8000-000000000000"
    assert (await client.get("/extensions", headers=ADMIN)).json() == {"data": []}
    assert code(await client.get("/extensions")) == "FORBIDDEN"
    assert (await client.patch(one, json={"meta": {"enabled": False}}, headers=ADMIN)).status_code == 204
    assert code(await client.patch(one, json={}, headers=ADMIN)) == "INVALID_PAYLOAD"
    assert code(await client.delete(one)) == "FORBIDDEN"
    assert code(await client.get("/extensions/registry", headers=ADMIN)) == "SERVICE_UNAVAILABLE"


async def test_health(client: httpx2.AsyncClient) -> None:
    public = await client.get("/server/health")
    assert public.json() == {"status": "ok"}
    assert public.headers["content-type"].startswith("application/health+json")
    checks = (await client.get("/server/health", headers=ADMIN)).json()["checks"]
    assert "sqlite3:responseTime" in checks and "email:connection" in checks


async def test_utilities(client: httpx2.AsyncClient) -> None:
    assert len((await client.get("/utils/random/string?length=8")).json()["data"]) == 8
    for length in ("0", "501", "-1", "1.5", "", "x", "9" * 5000):
        assert code(await client.get("/utils/random/string", params={"length": length})) == "INVALID_QUERY"
    hashed = (await client.post("/utils/hash/generate", json={"string": "s"})).json()["data"]
    verified = await client.post("/utils/hash/verify", json={"string": "s", "hash": hashed})
    assert verified.json() == {"data": True}
    assert code(await client.post("/utils/hash/verify", json={"string": "s", "hash": "x"})) == "INVALID_PAYLOAD"
    assert code(await client.post("/utils/cache/clear?system")) == "FORBIDDEN"
    assert (await client.post("/utils/cache/clear?system", headers=ADMIN)).status_code == 200


async def test_cors(tmp_path: Path) -> None:
    settings = {**SETTINGS, "CORS_ENABLED": True, "CORS_ORIGIN": "https://a.example,https://b.example"}
    async with Tabulary(f"sqlite:///{tmp_path}/test.db", **settings) as tabulary, client_of(tabulary.asgi) as client:
        preflight = await client.options("/items/x", headers={"Origin": "https://a.example"})
        assert preflight.status_code == 204
        assert preflight.headers["access-control-allow-origin"] == "https://a.example"
        assert preflight.headers["access-control-allow-methods"] == "GET,POST,PATCH,DELETE"
        other = await client.get("/server/ping", headers={"Origin": "https://evil.example"})
        assert "access-control-allow-origin" not in other.headers


async def test_mounted_it_opens_at_the_first_request(tmp_path: Path) -> None:
    tabulary = Tabulary(f"sqlite:///{tmp_path}/test.db", **SETTINGS)
    app = Starlette(routes=[Mount("/data", app=tabulary.asgi)])
    async with client_of(app) as client:
        assert (await client.get("/data/server/ping")).text == "pong"
        assert (await client.get("/data/folders", headers=ADMIN)).json() == {"data": []}
        missing = await client.get("/data/nope")
        assert missing.json()["errors"][0]["extensions"]["path"] == "/nope"
    await tabulary.close()


async def test_two_platforms_in_one_process(tmp_path: Path) -> None:
    one = Tabulary(f"sqlite:///{tmp_path}/one.db", **SETTINGS)
    other = Tabulary(f"sqlite:///{tmp_path}/other.db", **{**SETTINGS, "ADMIN_TOKEN": "other-token"})
    async with one, other, client_of(one.asgi) as first, client_of(other.asgi) as second:
        await first.post("/folders", json={"name": "Papers"}, headers=ADMIN)
        assert len((await first.get("/folders", headers=ADMIN)).json()["data"]) == 1
        assert (await second.get("/folders", headers=ADMIN)).status_code == 401
        answer = await second.get("/folders", headers={"Authorization": "Bearer other-token"})
        assert answer.json() == {"data": []}


async def test_lifespan_opens_and_closes(tmp_path: Path) -> None:
    tabulary = Tabulary(f"sqlite:///{tmp_path}/test.db", **SETTINGS)
    incoming = iter([{"type": "lifespan.startup"}, {"type": "lifespan.shutdown"}])
    sent: list[str] = []

    async def receive() -> Any:
        return next(incoming)

    async def send(message: Any) -> None:
        sent.append(message["type"])

    await tabulary.asgi({"type": "lifespan"}, receive, send)
    assert sent == ["lifespan.startup.complete", "lifespan.shutdown.complete"]


@pytest.mark.parametrize("database_url", ["sqlite", "postgresql"], indirect=True)
async def test_the_first_request_reads_the_data_model_once(database_url: str) -> None:
    """It has never looked at versions; what it reads before the first look would be forgotten by that look."""
    async with Tabulary(database_url, **SETTINGS) as tabulary, client_of(tabulary.asgi) as client:
        assert (await client.get("/users", headers=ADMIN)).status_code == 200
        first = (await tabulary.platform.schemas.current()).version
    async with Tabulary(database_url, **SETTINGS) as tabulary, client_of(tabulary.asgi) as client:
        assert (await client.get("/items/directus_users", headers=ADMIN)).status_code == 403
        assert (await client.get("/users", headers=ADMIN)).status_code == 200
        assert (first, (await tabulary.platform.schemas.current()).version) == (1, 1)
