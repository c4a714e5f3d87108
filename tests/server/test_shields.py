"""Limits and shields: what a query and a body may cost, cross-origin answers, cookies, and secrets that stay secret."""

from __future__ import annotations

import io
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from http.cookies import SimpleCookie
from pathlib import Path
from typing import Any

import httpx2
import pytest

from tabulary import Tabulary
from tabulary.core.logs import ACCESS, AccessFormatter, covered

from .test_app import ADMIN, JSON, SETTINGS, client_of, code

pytestmark = pytest.mark.anyio

Serve = Callable[..., AbstractAsyncContextManager[httpx2.AsyncClient]]
EVIL, GOOD = "https://evil.example", "https://app.example"


@pytest.fixture
def serve(tmp_path: Path) -> Serve:
    @asynccontextmanager
    async def start(**settings: Any) -> AsyncIterator[httpx2.AsyncClient]:
        url = f"sqlite:///{tmp_path}/test.db"
        async with Tabulary(url, **{**SETTINGS, **settings}) as tabulary, client_of(tabulary.asgi) as client:
            yield client

    return start


# --- queries and bodies -------------------------------------------------------------------------------
async def test_a_query_has_limits(serve: Serve) -> None:
    async with serve(QUERY_LIMIT_MAX=3, QUERY_LIMIT_DEFAULT=2, MAX_RELATIONAL_DEPTH=3) as client:
        await client.post("/folders", json=[{"name": str(n)} for n in range(6)], headers=ADMIN)

        async def count(query: str) -> int:
            return len((await client.get(f"/folders?{query}", headers=ADMIN)).json()["data"])

        assert [await count(query) for query in ("", "limit=3", "limit=1", "limit=-1")] == [2, 3, 1, 3]
        for query in (
            "limit=4",
            "limit=-2",
            "fields=parent.parent.parent.name",
            "sort=parent.parent.parent.name",
            "filter[parent][parent][parent][name][_eq]=x",
            "deep[parent][parent][parent][parent][_limit]=1",
        ):
            answer = await client.get(f"/folders?{query}", headers=ADMIN)
            assert (query, answer.status_code) == (query, 400)
        assert (await client.get("/folders?fields=parent.parent.name", headers=ADMIN)).status_code == 200
        grants = [{"policy": {"name": str(n)}} for n in range(6)]
        role = (await client.post("/roles", json={"name": "r", "policies": grants}, headers=ADMIN)).json()["data"]["id"]
        for limit, length in (("", 2), ("deep[policies][_limit]=3", 3), ("deep[policies][_limit]=5", 3)):
            answer = await client.get(f"/roles/{role}?fields=policies.id&{limit}", headers=ADMIN)
            assert len(answer.json()["data"]["policies"]) == length


async def test_a_plan_has_a_size(serve: Serve) -> None:
    async with serve() as client:
        wide = ",".join("*." * depth + "*" for depth in range(1, 10))
        answer = await client.get(f"/users?fields={wide}", headers=ADMIN)
        assert code(answer) == "INVALID_QUERY"


async def test_a_body_has_a_limit_in_any_form(serve: Serve) -> None:
    async with serve(MAX_PAYLOAD_SIZE="1kb") as client:
        fits, large = b'{"name": "' + b"x" * 900 + b'"}', b'{"name": "' + b"x" * 1100 + b'"}'

        async def chunks() -> AsyncIterator[bytes]:
            for start in range(0, len(large), 100):
                yield large[start : start + 100]

        assert (await client.post("/folders", content=fits, headers={**ADMIN, **JSON})).status_code == 200
        assert code(await client.post("/folders", content=large, headers={**ADMIN, **JSON})) == "INVALID_PAYLOAD"
        assert code(await client.post("/folders", content=chunks(), headers={**ADMIN, **JSON})) == "INVALID_PAYLOAD"
        assert code(await client.post("/folders", content=large, headers=JSON)) == "INVALID_PAYLOAD"
        assert len((await client.get("/folders", headers=ADMIN)).json()["data"]) == 1


async def test_a_batch_has_a_limit(serve: Serve) -> None:
    async with serve(MAX_BATCH_MUTATION=2) as client:
        three = [{"name": str(n)} for n in range(3)]
        answer = await client.post("/folders", json=three, headers=ADMIN)
        assert answer.status_code == 400
        assert (await client.get("/folders", headers=ADMIN)).json() == {"data": []}
        nested = {"name": "a", "policies": [{"policy": {"name": "b"}}, {"policy": {"name": "c"}}]}
        assert (await client.post("/roles", json=nested, headers=ADMIN)).status_code == 400


# --- headers ------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("origin", "asked", "allowed"),
    [
        (GOOD, EVIL, GOOD),
        ([GOOD], GOOD, GOOD),
        ([GOOD], EVIL, None),
        ([GOOD], GOOD.upper(), None),
        ([GOOD], f"{GOOD}.evil.example", None),
        ([GOOD], f"{GOOD}:8080", None),
        ([GOOD], "null", None),
        ([GOOD], None, None),
        (True, EVIL, EVIL),
        (False, GOOD, None),
        ("*", EVIL, "*"),
    ],
)
async def test_origins(serve: Serve, origin: Any, asked: str | None, allowed: str | None) -> None:
    async with serve(CORS_ENABLED=True, CORS_ORIGIN=origin) as client:
        for method in ("GET", "OPTIONS"):
            answer = await client.request(method, "/server/ping", headers={"Origin": asked} if asked else {})
            assert answer.headers.get("access-control-allow-origin") == allowed
            if allowed != "*":
                assert "Origin" in answer.headers["vary"]


async def test_without_cors_no_origin_is_let_in(serve: Serve) -> None:
    async with serve() as client:
        answer = await client.get("/server/ping", headers={"Origin": EVIL})
        assert not [name for name in answer.headers if name.startswith("access-control")]


async def test_errors_carry_the_same_headers(serve: Serve) -> None:
    async with serve(CORS_ENABLED=True, CORS_ORIGIN=[GOOD], HSTS_ENABLED=True) as client:
        for path, headers in (("/nope", {}), ("/users", {"Authorization": "Bearer wrong"}), ("/users?limit=x", ADMIN)):
            answer = await client.get(path, headers={"Origin": GOOD, **headers})
            assert answer.status_code >= 400
            assert answer.headers["access-control-allow-origin"] == GOOD
            assert answer.headers["strict-transport-security"] == "max-age=31536000; includeSubDomains"
            assert "object-src 'none'" in answer.headers["content-security-policy"]


def morsel(answer: httpx2.Response, name: str) -> Any:
    found = SimpleCookie()
    for header in answer.headers.get_list("set-cookie"):
        found.load(header)
    return found[name]


@pytest.mark.parametrize(("mode", "kind"), [("session", "SESSION"), ("cookie", "REFRESH_TOKEN")])
async def test_cookies(serve: Serve, mode: str, kind: str) -> None:
    settings = {f"{kind}_COOKIE_{name}": value for name, value in
                (("NAME", "crumb"), ("SECURE", True), ("SAME_SITE", "strict"), ("DOMAIN", "cms.example"))}  # fmt: skip
    async with serve(**settings) as client:
        login = {"email": "admin@example.com", "password": "password", "mode": mode}
        answer = await client.post("/auth/login", json=login)
        crumb = morsel(answer, "crumb")
        assert (crumb["httponly"], crumb["secure"], crumb["path"]) == (True, True, "/")
        assert (crumb["samesite"], crumb["domain"]) == ("Strict", "cms.example")
        assert int(crumb["max-age"]) > 0
        assert crumb.value not in answer.text
        body = {"mode": mode}
        ended = await client.post("/auth/logout", json=body, headers={"Cookie": f"crumb={crumb.value}"})
        gone = morsel(ended, "crumb")
        assert (gone.value, gone["max-age"], gone["httponly"], gone["secure"]) == ("", "0", True, True)
        again = await client.post("/auth/refresh", json=body, headers={"Cookie": f"crumb={crumb.value}"})
        assert again.status_code in (400, 401)


# --- secrets ------------------------------------------------------------------------------------------
class Lines(logging.Handler):
    """What goes into the log, as the log's own formatters write it."""

    def __init__(self) -> None:
        super().__init__()
        self.out = io.StringIO()
        self.setLevel(logging.DEBUG)

    def emit(self, record: logging.LogRecord) -> None:
        for formatter in (AccessFormatter(True), AccessFormatter(False)) if record.name == ACCESS else ():
            self.out.write(formatter.format(record) + "\n")
        if record.name != ACCESS:
            self.out.write(str(covered(record.getMessage())) + str(covered(record.__dict__)) + "\n")


async def test_tokens_are_not_logged(serve: Serve) -> None:
    lines = Lines()
    root, access = logging.getLogger("tabulary"), logging.getLogger(ACCESS)
    before = root.level, access.level
    for logger in (root, access):
        logger.addHandler(lines)
        logger.setLevel(logging.DEBUG)
    try:
        async with serve() as client:
            await client.get("/folders?access_token=admin-token")
            await client.get("/folders?access_token=some-wrong-token")
            await client.get(
                "/folders?a=1&ACCESS_TOKEN=some-wrong-token", headers={"Authorization": "Bearer other-wrong"}
            )
            await client.post("/auth/login", json={"email": "admin@example.com", "password": "wrong-password"})
            await client.post("/auth/refresh", json={"refresh_token": "stale-token"})
            await client.get("/users/register/verify-email?token=verify-me")
            await client.get("/folders", headers={"Cookie": "directus_session_token=crumbs"})
    finally:
        for logger, level in zip((root, access), before, strict=True):
            logger.removeHandler(lines)
            logger.setLevel(level)
    text = lines.out.getvalue()
    assert "/folders" in text and "/auth/login" in text
    for secret in ("admin-token", "wrong-token", "other-wrong", "wrong-password", "stale-token", "verify-me", "crumbs"):
        assert secret not in text, text


async def test_errors_do_not_repeat_secrets(serve: Serve) -> None:
    async with serve() as client:
        wrong = {"email": "admin@example.com", "password": "wrong-password"}
        calls: list[tuple[str, str, Any, dict[str, str]]] = [
            ("POST", "/auth/login", wrong, {}),
            ("POST", "/auth/login", {**wrong, "email": 5}, {}),
            ("POST", "/auth/login", {"email": "admin@example.com", "password": ["wrong-password"]}, {}),
            ("POST", "/auth/refresh", {"refresh_token": "wrong-password"}, {}),
            ("POST", "/auth/password/reset", {"token": "wrong-password", "password": "wrong-password"}, {}),
            ("POST", "/users/invite/accept", {"token": "wrong-password", "password": "wrong-password"}, {}),
            ("POST", "/users", {"email": "no address", "password": "wrong-password", "token": "wrong-password"}, ADMIN),
            ("GET", "/folders?access_token=wrong-password", None, {}),
            ("GET", "/folders", None, {"Authorization": "Bearer wrong-password"}),
            ("GET", "/users/register/verify-email?token=wrong-password", None, {}),
            ("POST", "/shares/auth", {"share": "wrong-password", "password": "wrong-password"}, {}),
            ("POST", "/users/me/tfa/generate", {"password": "wrong-password"}, ADMIN),
            ("POST", "/users/me/tfa/enable", {"secret": "wrong-password", "otp": "wrong-password"}, ADMIN),
        ]
        for method, path, body, headers in calls:
            answer = await client.request(method, path, json=body, headers=headers)
            assert 400 <= answer.status_code < 500, (path, answer.text)
            assert "wrong-password" not in answer.text


async def test_concealed_values_are_never_read(serve: Serve) -> None:
    async with serve() as client:
        made = {"email": "b@example.org", "password": "secret-word", "token": "secret-token"}
        await client.post("/users", json=made, headers=ADMIN)
        answers = [
            await client.get("/users?fields=*,password,token,tfa_secret,auth_data&limit=-1", headers=ADMIN),
            await client.get("/users?fields=*&export=csv&limit=-1", headers=ADMIN),
            await client.get("/revisions?fields=*&limit=-1", headers=ADMIN),
            await client.get("/activity?fields=*.*&limit=-1", headers=ADMIN),
        ]
        for answer in answers:
            assert answer.status_code == 200
            assert "$argon2" not in answer.text and "secret-token" not in answer.text
            assert "secret-word" not in answer.text
        for query in (
            "filter[token][_starts_with]=secret",
            "filter[password][_contains]=argon2",
            "aggregate[max]=token",
            "groupBy=token",
            "search=secret-token",
        ):
            answer = await client.get(f"/users?{query}", headers=ADMIN)
            assert "secret-token" not in answer.text and "$argon2" not in answer.text
            if answer.status_code == 200:
                assert "b@example.org" not in answer.text, query
