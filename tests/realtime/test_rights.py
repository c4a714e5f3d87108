"""Who may come in, and who hears what: permissions at every event, deletes, expired and withdrawn tokens."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus

from tabulary.core.tokens import sign

from ..graphql.shelf import ADMIN, SETTINGS, post
from ..waiting import PATIENCE
from .conftest import Serve, Served, Talk

pytestmark = pytest.mark.anyio


async def test_handshake(served: Served) -> None:
    async with served.talk(token=None) as talk:
        assert await talk.ask(type="auth", access_token="admin-static-token", uid=1) == {
            "type": "auth",
            "status": "ok",
            "uid": 1,
        }
        assert await talk.ask(type="ping") == {"type": "pong"}
    async with served.talk(token=None) as talk:
        answer = await talk.ask(type="auth", email="reader@example.com", password="reader-password")
        assert (answer["status"], len(answer["refresh_token"])) == ("ok", 64)
        again = answer["refresh_token"]
    async with served.talk(token=None) as talk:
        assert (await talk.ask(type="auth", refresh_token=again))["refresh_token"] != again


@pytest.mark.parametrize("message", [{"type": "ping"}, {"type": "auth", "access_token": "wrong"}, {"type": "auth"}, {}])
async def test_a_handshake_that_fails_ends_the_connection(served: Served, message: dict[str, Any]) -> None:
    async with served.talk(token=None) as talk:
        answer = await talk.ask(**message)
        assert (answer["type"], answer["error"]["code"]) == ("auth", "AUTH_FAILED")
        await talk.closed()


async def test_a_handshake_has_a_time_limit(serving: Serve) -> None:
    async with serving(WEBSOCKETS_REST_AUTH_TIMEOUT=0.1) as served, served.talk(token=None) as talk:
        assert (await talk.hear())["error"]["code"] == "AUTH_TIMEOUT"
        await talk.closed()


async def test_strict_and_unknown_doors(serving: Serve) -> None:
    async with serving(WEBSOCKETS_REST_AUTH="strict") as served:
        for path, token, status in (("/websocket", None, 401), ("/websocket", "wrong", 401), ("/nowhere", None, 404)):
            with pytest.raises(InvalidStatus) as refused:
                async with served.talk(path, token):
                    pass
            assert refused.value.response.status_code == status
        async with served.talk() as talk:
            assert await talk.ask(type="ping") == {"type": "pong"}


async def test_doors_are_closed_unless_opened(serving: Serve) -> None:
    async with serving(WEBSOCKETS_ENABLED=False) as served:
        with pytest.raises(InvalidStatus):
            async with served.talk():
                pass


async def test_connections_are_counted(serving: Serve) -> None:
    async with serving(WEBSOCKETS_REST_CONN_LIMIT=1) as served, served.talk() as talk:
        assert await talk.ask(type="ping") == {"type": "pong"}
        with pytest.raises(InvalidStatus) as refused:
            async with served.talk():
                pass
        assert refused.value.response.status_code == 403


async def test_public(serving: Serve) -> None:
    async with serving(WEBSOCKETS_REST_AUTH="public") as served, served.talk(token=None) as talk:
        assert (await talk.ask(type="items", collection="books", action="read"))["error"]["code"] == "FORBIDDEN"
        assert (await talk.ask(type="auth", access_token="reader-token"))["status"] == "ok"
        assert (await talk.ask(type="items", collection="books", action="read"))["data"][0]["title"] == "Emma"
        # a failed attempt leaves nothing of the old rights, and no others either
        assert (await talk.ask(type="auth", access_token="wrong"))["error"]["code"] == "AUTH_FAILED"
        assert (await talk.ask(type="items", collection="books", action="read"))["error"]["code"] == "FORBIDDEN"


async def test_a_suspended_user_hears_nothing_more(served: Served) -> None:
    async with served.http() as http, served.talk(token="reader-token") as reader:
        await reader.ask(type="subscribe", collection="books", uid="r")
        await suspend(http)
        await post(http, "/items/books", {"title": "Secret", "in_print": True})
        heard = [await reader.hear(), await reader.hear()]
        assert {frame["error"]["code"] for frame in heard} == {"TOKEN_EXPIRED", "FORBIDDEN"}


async def test_a_suspended_user_is_let_go_in_time(serving: Serve) -> None:
    async with (
        serving(WEBSOCKETS_REST_AUTH_TIMEOUT=0.1) as served,
        served.http() as http,
        served.talk(token="reader-token") as reader,
    ):
        await reader.ask(type="subscribe", collection="books", uid="r")
        await suspend(http)
        await post(http, "/items/books", {"title": "Secret", "in_print": True})
        heard = [frame["error"]["code"] for frame in await all_of(reader, PATIENCE)]
        assert heard[0] == "TOKEN_EXPIRED" and heard[-1] == "AUTH_TIMEOUT"
        await reader.closed()


async def suspend(http: Any) -> None:
    """Take everything from the reader."""
    found = await http.get("/users?filter[email][_eq]=reader@example.com&fields=id", headers=ADMIN)
    key = found.json()["data"][0]["id"]
    await http.patch(f"/users/{key}", json={"status": "suspended"}, headers=ADMIN)


async def test_rights_end_with_the_token(served: Served) -> None:
    async with served.http() as http:
        user = (await http.get("/users?filter[email][_eq]=reader@example.com&fields=id", headers=ADMIN)).json()["data"][
            0
        ]["id"]
        claims = {"id": user, "role": None, "app_access": False, "admin_access": False}
        for _ in range(20):  # a machine that stands still while a token ends begins with another one
            token = sign(claims, str(SETTINGS["SECRET"]), 2_000)
            with suppress(InvalidStatus):
                async with served.talk(token=token) as talk:
                    begun = await talk.ask(type="subscribe", collection="books", uid="r")
                    if begun["type"] != "subscription":
                        continue
                    assert len(begun["data"]) == 1
                    await hear_the_end(talk, http)
                    return
        raise AssertionError("no subscription was made within the two seconds of a token")


async def hear_the_end(talk: Talk, http: Any) -> None:
    """The token of a subscriber to books ends, and another one begins."""
    assert (await talk.hear())["error"]["code"] == "TOKEN_EXPIRED"
    await post(http, "/items/books", {"title": "Secret", "in_print": True})
    assert (await talk.hear())["error"]["code"] == "FORBIDDEN"
    assert (await talk.ask(type="items", collection="books", action="read"))["error"]["code"] == "FORBIDDEN"
    assert (await talk.ask(type="auth", access_token="reader-token"))["status"] == "ok"
    shown = (await post(http, "/items/books", {"title": "Back", "in_print": True}))["id"]
    assert (await talk.hear())["data"] == [{"id": shown, "title": "Back", "author": None}]


async def test_the_log_stream_is_for_admins(served: Served) -> None:
    with pytest.raises(InvalidStatus) as refused:
        async with served.talk("/websocket/logs", "reader-token"):
            pass
    assert refused.value.response.status_code == 401
    async with served.http() as http, served.talk("/websocket/logs") as talk:
        assert (await talk.ask(type="subscribe", log_level="loud"))["error"]["code"] == "INVALID_PAYLOAD"
        begun = await talk.ask(type="subscribe", log_level="error")
        assert begun == {"type": "logs", "event": "subscribe", "log_level": "error"}
        served.tabulary.hooks.filter("headings.items.create", _fail)
        await http.post("/items/headings", json={"text": "x"}, headers=ADMIN)
        heard = await talk.hear()
        assert (heard["type"], heard["data"]["level"], len(heard["uid"])) == ("logs", 50, 8)


async def _fail(*_: Any) -> None:
    raise RuntimeError("on purpose")


async def test_cookies_count_only_for_pages_that_are_trusted(served: Served) -> None:
    async with served.http() as http:
        body = {"email": "reader@example.com", "password": "reader-password", "mode": "session"}
        answer = await http.post("/auth/login", json=body)
        cookie = answer.headers["set-cookie"].split(";")[0]
    for origin, rights in ((f"http://{served.address}", True), (None, True), ("http://elsewhere.example", False)):
        headers = {"Cookie": cookie, **({"Origin": origin} if origin else {})}
        async with served.talk(token=None, additional_headers=headers) as talk:
            answer = await talk.ask(type="ping")
            assert (answer["type"] == "pong") is rights, origin


async def test_logging_out_ends_the_rights_of_a_socket(served: Served) -> None:
    async with served.http() as http:
        body = {"email": "reader@example.com", "password": "reader-password", "mode": "session"}
        cookie = (await http.post("/auth/login", json=body)).headers["set-cookie"].split(";")[0]
        async with served.talk(token=None, additional_headers={"Cookie": cookie}) as talk:
            await talk.ask(type="subscribe", collection="books", uid="r")
            await http.post("/auth/logout", json={"mode": "session"}, headers={"Cookie": cookie})
            await post(http, "/items/books", {"title": "Secret", "in_print": True})
            codes = {(await talk.hear())["error"]["code"] for _ in range(2)}
            assert codes == {"TOKEN_EXPIRED", "FORBIDDEN"}


WITHDRAWN = ("a new token", "no user", "suspended", "no policy", "no permission", "a narrower permission")


async def withdraw(served: Served, way: str) -> None:
    """Take from the reader what lets them see books."""
    async with served.http() as http:

        async def first(path: str) -> Any:
            return (await http.get(f"{path}&fields=id", headers=ADMIN)).json()["data"][0]["id"]

        user = await first("/users?filter[email][_eq]=reader@example.com")
        permission = await first("/permissions?filter[collection][_eq]=books&filter[id][_nnull]=true")
        calls: dict[str, tuple[str, str, Any]] = {
            "a new token": ("PATCH", f"/users/{user}", {"token": "another-token"}),
            "no user": ("DELETE", f"/users/{user}", None),
            "suspended": ("PATCH", f"/users/{user}", {"status": "suspended"}),
            "no policy": ("PATCH", f"/users/{user}", {"policies": []}),
            "no permission": ("DELETE", f"/permissions/{permission}", None),
            "a narrower permission": ("PATCH", f"/permissions/{permission}", {"permissions": {"id": {"_lt": 0}}}),
        }
        method, path, body = calls[way]
        assert (await http.request(method, path, json=body, headers=ADMIN)).is_success


@pytest.mark.parametrize("way", WITHDRAWN)
async def test_rights_withdrawn_hold_for_every_event(served: Served, way: str) -> None:
    """Over both protocols: nothing of a book that could be seen before is told, neither changed nor deleted."""
    graphql: dict[str, Any] = {"subprotocols": ["graphql-transport-ws"]}
    async with (
        served.http() as http,
        served.talk(token="reader-token") as talk,
        served.talk("/graphql", None, **graphql) as operations,
    ):
        assert len((await talk.ask(type="subscribe", collection="books", uid="r"))["data"]) == 1
        await operations.ask(type="connection_init", payload={"access_token": "reader-token"})
        query = "subscription { books_mutated { key event data { title } } }"
        await operations.say(type="subscribe", id="g", payload={"query": query})
        await operations.ask(type="ping")
        await http.patch("/items/books/1", json={"title": "Seen"}, headers=ADMIN)
        assert (await talk.hear())["data"][0]["title"] == "Seen"
        assert (await operations.hear())["payload"]["data"]["books_mutated"]["data"] == {"title": "Seen"}
        await withdraw(served, way)
        await post(http, "/items/books", {"title": "Secret", "in_print": True})
        await http.patch("/items/books/1", json={"title": "Secret"}, headers=ADMIN)
        await http.delete("/items/books/1", headers=ADMIN)
        heard = [*await all_of(talk), *await all_of(operations)]
        assert all("error" in frame for frame in heard), heard


async def all_of(talk: Talk, seconds: float = 0.4) -> list[Any]:
    """What is heard until nothing comes for some seconds, or the server closes."""
    heard = []
    try:
        while True:
            heard.append(await talk.hear(seconds))
    except (TimeoutError, ConnectionClosed):
        return heard
