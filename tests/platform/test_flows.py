"""Flows: their triggers, what their operations do, and what runs leave behind."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from tabulary import Tabulary
from tabulary.services.flows.tracking import REDACTED

from .conftest import Client, Make, Outbox, collection, id_of, person

pytestmark = pytest.mark.anyio

LAST = {"return": "$last", "method": "POST"}


async def flow(
    admin: Client,
    *operations: tuple[str, str, Any],
    options: dict[str, Any] = LAST,
    trigger: str = "webhook",
    **more: Any,
) -> str:
    """Make a flow whose operations (key, type, options) follow one another; its id."""
    made = {"name": "F", "status": "active", "trigger": trigger, "options": options, "accountability": None}
    key: str = (await admin.data("POST", "/flows", made | more))["id"]
    following = None
    for name, kind, settings in reversed(operations):
        place = {"position_x": 1, "position_y": 1}
        row = {"key": name, "name": name, "type": kind, "options": settings, "flow": key, "resolve": following, **place}
        following = (await admin.data("POST", "/operations", row))["id"]
    await admin.data("PATCH", f"/flows/{key}", {"operation": following})
    return key


async def run(client: Client, key: str, body: Any = None) -> Any:
    """Run a webhook; its result, None for 204."""
    answer = await client.post(f"/flows/trigger/{key}", json={} if body is None else body)
    assert answer.status_code in (200, 204), answer.text
    return answer.json() if answer.content else None


def transform(value: Any, key: str = "t") -> tuple[str, str, Any]:
    return (key, "transform", {"json": value})


async def eventually(found: Callable[[], Awaitable[Any]]) -> Any:
    deadline = time.monotonic() + 60
    while not (value := await found()):
        assert time.monotonic() < deadline
        await asyncio.sleep(0.02)
    return value


# --- webhooks -----------------------------------------------------------------------------------
async def test_webhook(admin: Client) -> None:
    key = await flow(admin, transform({"n": "{{$trigger.body.n}}", "who": "{{$accountability.user}}"}))
    guest = admin.as_(None)
    assert await run(guest, key, {"n": 5}) == {"n": 5, "who": None}
    assert await guest.code("GET", f"/flows/trigger/{key}") == (403, "FORBIDDEN")
    assert await guest.code("GET", "/flows/trigger/f1f1f1f1-dead-4000-8000-000000000000") == (403, "FORBIDDEN")
    assert await guest.code("GET", "/flows/trigger/nope") == (404, "ROUTE_NOT_FOUND")
    await admin.data("PATCH", f"/flows/{key}", {"status": "inactive"})
    assert await guest.code("POST", f"/flows/trigger/{key}", {}) == (403, "FORBIDDEN")
    await admin.data("PATCH", f"/flows/{key}", {"status": "active"})
    assert await run(guest, key, {"n": 1}) == {"n": 1, "who": None}
    await admin.data("DELETE", f"/flows/{key}", status=204)
    assert await guest.code("POST", f"/flows/trigger/{key}", {}) == (403, "FORBIDDEN")


async def test_what_a_flow_returns(admin: Client) -> None:
    async def returned(wanted: str | None) -> Any:
        options = {"method": "POST"} | ({} if wanted is None else {"return": wanted})
        return await run(
            admin, await flow(admin, transform({"a": [1, 0]}, "one"), transform("2", "two"), options=options)
        )

    assert await returned(None) == await returned("$last") == 2
    assert await returned("one.a[0]") == 1 and await returned("one['a'].length") == 2
    assert await returned("one.a[1]") is None and await returned("nothing.here") is None
    everything = await returned("$all")
    assert everything["one"] == {"a": [1, 0]} and everything["two"] == 2 and everything["$env"] == {}
    trigger = everything["$trigger"]
    assert trigger["method"] == "POST" and trigger["path"].startswith("/trigger/") and trigger["query"] == {}


async def test_templates(admin: Client) -> None:
    wanted = {
        "raw": "{{$trigger.body.list}}", "spaced": "{{ $trigger.body.n }}", "text": "a{{$trigger.body.n}}b",
        "object": "x{{$trigger.body.o}}", "null": "x{{$trigger.body.z}}", "nothing": "{{nope}}", "{{x}}": "}}",
        "no": "x{{$trigger.body.nope.deeper}}",
    }  # fmt: skip
    key = await flow(admin, transform(wanted))
    body = {"list": [1, 2], "n": 5, "o": {"a": 1}, "z": None}
    assert await run(admin, key, body) == {
        "raw": [1, 2], "spaced": 5, "text": "a5b", "object": 'x{"a":1}', "null": "xnull", "nothing": "undefined",
        "{{x}}": "}}", "no": "xundefined",
    }  # fmt: skip
    for broken in ("{{", "a {{ b", "{{}}", "{{a{{b}}}}", "{{a.b.c.d.e.f.g.h.i.j.k}}", "{{ }}", "{{a..b}}", "{{a[0}}"):
        assert await run(admin, await flow(admin, transform({"x": broken}))) == {}, broken


@pytest.mark.parametrize(
    ("rule", "body", "holds"),
    [
        ({"n": {"_gt": 5}}, {"n": 9}, True),
        ({"n": {"_gt": 5}}, {"n": 1}, False),
        ({"n": {"_gt": 5}}, {}, False),
        ({"s": {"_null": True}}, {"s": None}, True),
    ],
)
async def test_condition(admin: Client, rule: Any, body: Any, holds: bool) -> None:
    key = await flow(admin, ("c", "condition", {"filter": {"$trigger": {"body": rule}}}), transform("1"))
    found = await run(admin, key, body)
    assert found == 1 if holds else found[0]["code"] == "FAILED_VALIDATION" and found[0]["extensions"]["path"]


async def test_rejections(admin: Client) -> None:
    thrown = {"code": "NO", "status": "422", "message": "because of {{$trigger.method}}"}
    fails = await flow(admin, ("e", "throw-error", thrown), transform("1"))
    assert await run(admin, fails) == {"name": "DirectusError", "code": "NO", "status": 422}
    loud = await flow(admin, ("e", "throw-error", thrown), options=LAST | {"error_on_reject": True})
    answer = await admin.post(f"/flows/trigger/{loud}", json={})
    assert answer.status_code == 422 and answer.json()["errors"] == [
        {"message": "because of POST", "extensions": {"code": "NO"}}
    ]
    script = await run(admin, await flow(admin, ("x", "exec", {"code": "module.exports = () => 1"})))
    assert script["code"] == "SERVICE_UNAVAILABLE" and "JavaScript" in script["extensions"]["reason"]
    assert await run(admin, await flow(admin, ("x", "nothing-known", {}), transform("1"))) is None
    caught = await flow(admin, ("e", "throw-error", thrown))
    (operation,) = await admin.data("GET", f"/operations?filter[flow][_eq]={caught}&fields=id")
    place = {"name": "c", "flow": caught, "position_x": 2, "position_y": 1}
    row = {"key": "c", "type": "transform", "options": {"json": {"why": "{{e.message}}"}}, **place}
    after = await admin.data("POST", "/operations", row)
    await admin.data("PATCH", f"/operations/{operation['id']}", {"reject": after["id"]})
    assert await run(admin, caught) == {"why": "because of POST"}


async def test_a_flow_in_circles_is_not_run(admin: Client, caplog: pytest.LogCaptureFixture) -> None:
    key = await flow(admin, transform("1", "a"), transform("2", "b"))
    ids = {row["key"]: row["id"] for row in await admin.data("GET", f"/operations?filter[flow][_eq]={key}")}
    await admin.data("PATCH", f"/operations/{ids['b']}", {"resolve": ids["a"]})
    assert await admin.code("POST", f"/flows/trigger/{key}", {}) == (403, "FORBIDDEN")
    assert "lead back to themselves" in caplog.text
    await admin.data("DELETE", f"/flows/{key}", status=204)
    assert await admin.data("GET", f"/operations?filter[flow][_eq]={key}") == []


# --- operations ---------------------------------------------------------------------------------
async def test_items(admin: Client) -> None:
    await collection(admin, "books", "title")
    full = {"collection": "books", "permissions": "$full"}
    key = await flow(
        admin,
        ("make", "item-create", full | {"payload": [{"title": "a"}, {"title": "b"}]}),
        ("change", "item-update", full | {"key": "{{make[0]}}", "payload": {"title": "{{$trigger.body.title}}"}}),
        ("all", "item-read", full | {"query": {"fields": ["title"], "sort": ["id"]}}),
        ("one", "item-read", full | {"key": "{{make[1]}}", "query": '{"fields": ["title"]}'}),
        ("gone", "item-delete", full | {"query": {"filter": {"title": {"_eq": "b"}}}}),
        options={"return": "$all", "method": "POST"},
    )
    found = await run(admin.as_(None), key, {"title": "c"})
    first, second = found["make"]
    assert found["change"] == first and found["all"] == [{"title": "c"}, {"title": "b"}]
    assert found["one"] == {"title": "b"} and found["gone"] == [second]
    assert [row["id"] for row in await admin.data("GET", "/items/books")] == [first]


async def test_on_whose_behalf(admin: Client) -> None:
    await collection(admin, "books", "title")
    await admin.data("POST", "/items/books", {"title": "a"})
    ada = await person(admin, "ada", {"collection": "books", "action": "read"})
    policy = {"policy": {"name": "p", "permissions": [{"collection": "books", "action": "read", "fields": ["title"]}]}}
    role = await admin.data("POST", "/roles", {"name": "r", "policies": [policy]})

    async def reads(client: Client, permissions: str | None) -> Any:
        return await run(
            client, await flow(admin, ("r", "item-read", {"collection": "books", "permissions": permissions}))
        )

    whole = [{"id": 1, "title": "a"}]
    for client, permissions, expected in (
        (ada, None, whole), (ada, "$trigger", whole), (admin.as_(None), "$full", whole),
        (admin.as_(None), role["id"], [{"title": "a"}]),
    ):  # fmt: skip
        assert await reads(client, permissions) == expected
    for client, permissions in ((admin.as_(None), "$trigger"), (admin, "$public")):
        assert (await reads(client, permissions))["code"] == "FORBIDDEN"
    assert await reads(admin, "f1f1f1f1-dead-4000-8000-000000000000") == {}


async def test_another_flow(admin: Client) -> None:
    inner = await flow(admin, transform({"got": "{{$trigger}}"}), options={"return": "$last"}, trigger="operation")
    for mode in ("parallel", "serial", "batch"):
        call = {"flow": inner, "payload": [1, 2, 3], "iterationMode": mode}
        assert await run(admin, await flow(admin, ("c", "trigger", call))) == [{"got": n} for n in (1, 2, 3)]
    assert await run(admin, await flow(admin, ("c", "trigger", {"flow": inner, "payload": '{"a": 1}'}))) == {
        "got": {"a": 1}
    }
    assert (
        await run(admin, await flow(admin, ("c", "trigger", {"flow": "f1f1f1f1-dead-4000-8000-000000000000"}))) is None
    )
    assert await admin.code("POST", f"/flows/trigger/{inner}", {}) == (403, "FORBIDDEN")
    (operation,) = await admin.data("GET", f"/operations?filter[flow][_eq]={inner}&fields=id")
    again = {"type": "trigger", "options": {"flow": inner, "payload": 1}}
    await admin.data("PATCH", f"/operations/{operation['id']}", again)
    assert await run(admin, await flow(admin, ("c", "trigger", {"flow": inner}))) == {}, (
        "flows that never end are ended"
    )


async def test_web_tokens(admin: Client) -> None:
    made = {
        "operation": "sign",
        "payload": {"a": 1},
        "secret": "s" * 32,
        "options": {"expiresIn": "1h", "issuer": "me"},
    }
    key = await flow(
        admin,
        ("sign", "json-web-token", made),
        ("verify", "json-web-token", {"operation": "verify", "token": "{{sign}}", "secret": "s" * 32}),
        ("decode", "json-web-token", {"operation": "decode", "token": "{{sign}}", "options": {"complete": True}}),
        ("wrong", "json-web-token", {"operation": "verify", "token": "{{sign}}", "secret": "x" * 32}),
        options={"return": "$all", "method": "POST"},
    )
    found = await run(admin, key)
    claims = found["verify"]
    assert claims["a"] == 1 and claims["iss"] == "me" and claims["exp"] - claims["iat"] == 3600
    assert found["decode"]["payload"] == claims and found["decode"]["header"]["alg"] == "HS256"
    assert found["wrong"] == {"name": "JsonWebTokenError", "message": "invalid signature"}
    broken = {"operation": "verify", "token": "abc", "secret": "s"}
    assert (await run(admin, await flow(admin, ("v", "json-web-token", broken))))["message"] == "jwt malformed"


async def test_telling_people(admin: Client, outbox: Outbox, tabulary: Tabulary) -> None:
    await person(admin, "ada")
    ada = await id_of(admin, "ada")
    message = {"recipient": ada, "subject": "S", "message": {"a": 1}, "permissions": "$full"}
    key = await flow(
        admin,
        ("n", "notification", message),
        ("m", "mail", {"to": ["eve@example.com"], "subject": "S", "body": "**Hello**<script>x</script>"}),
        ("l", "log", {"message": "x"}),
    )
    assert await run(admin.as_(None), key) is None
    (row,) = await admin.data("GET", "/notifications?fields=recipient,sender,message")
    assert row == {"recipient": ada, "sender": None, "message": '{"a":1}'}
    await tabulary.platform.mail.drain()
    (html,) = outbox.to("eve@example.com")
    assert "<strong>Hello</strong>" in html and "script" not in html


async def test_requests_go_nowhere_on_the_deny_list(admin: Client) -> None:
    for url in ("http://127.0.0.1:9/x", "no address", "ftp://example.com"):
        assert await run(admin, await flow(admin, ("r", "request", {"url": url}), transform("1"))) == {}, url


# --- other triggers -----------------------------------------------------------------------------
async def test_manual(admin: Client) -> None:
    await collection(admin, "books", "title")
    await admin.data("POST", "/items/books", [{"title": "a"}, {"title": "b"}])
    mine = {"collection": "books", "action": "read", "permissions": {"title": {"_eq": "a"}}}
    ada = await person(admin, "ada", mine)
    key = await flow(admin, transform("{{$trigger.body.keys}}"), options={"collections": ["books"]}, trigger="manual")
    for client, keys in ((admin, [1, 2]), (ada, [1])):
        assert await run(client, key, {"collection": "books", "keys": keys}) == keys
    for client, body in (
        (ada, {"collection": "books", "keys": [2]}), (ada, {"collection": "books", "keys": [1, 2]}),
        (admin.as_(None), {"collection": "books", "keys": [1]}), (admin, {"keys": [1]}),
        (admin, {"collection": "directus_users", "keys": [1]}), (admin, {"collection": "books", "keys": []}),
    ):  # fmt: skip
        assert await client.code("POST", f"/flows/trigger/{key}", body) == (403, "FORBIDDEN"), body
    assert await admin.code("GET", f"/flows/trigger/{key}") == (403, "FORBIDDEN")


async def test_filter_events(admin: Client) -> None:
    await collection(admin, "books", "title", "note")
    options = {"type": "filter", "scope": ["items.create"], "collections": ["books"], "return": "$last"}
    changed = {"title": "{{$trigger.payload.title}}!", "note": "{{$trigger.event}}"}
    key = await flow(admin, transform(changed), options=options, trigger="event")
    book = await admin.data("POST", "/items/books", {"title": "a"})
    assert book == {"id": 1, "title": "a!", "note": "books.items.create"}
    await admin.data("PATCH", f"/flows/{key}", {"options": options | {"return": None}})
    assert (await admin.data("POST", "/items/books", {"title": "a"}))["title"] == "a"
    refused = {"code": "REFUSED", "status": 422, "message": "no"}
    await admin.data("DELETE", f"/flows/{key}", status=204)
    await flow(admin, ("e", "throw-error", refused), options=options, trigger="event", accountability="all")
    assert await admin.code("POST", "/items/books", {"title": "a"}) == (422, "REFUSED")
    assert len(await admin.data("GET", "/items/books")) == 2


async def test_action_events_work_in_the_transactions_of_nobody(admin: Client, tabulary: Tabulary) -> None:
    await collection(admin, "books", "title")
    await collection(admin, "notes", "text")
    options = {"type": "action", "scope": ["items.update", "users.create"], "collections": ["books"]}
    payload = {"text": "{{$trigger.event}} {{$trigger.keys}}"}
    copy = ("n", "item-create", {"collection": "notes", "payload": payload, "permissions": "$full"})
    await flow(admin, copy, options=options, trigger="event")
    await admin.data("POST", "/items/books", {"title": "a"})
    await admin.data("PATCH", "/items/books", {"keys": [1], "data": {"title": "b"}})
    await admin.data("POST", "/users", {"email": "a@example.com"})
    await tabulary.hooks.drain()
    texts = [row["text"] for row in await admin.data("GET", "/items/notes?sort=text")]
    assert texts == ["books.items.update [1]", "users.create undefined"]


async def test_schedules(admin: Client, tabulary: Tabulary, make: Make) -> None:
    await collection(admin, "ticks", "text")
    options = {"cron": "* * * * * *"}
    tick = ("t", "item-create", {"collection": "ticks", "payload": {"text": "{{$accountability}}"}})
    key = await flow(admin, tick, options=options, trigger="schedule")
    await flow(admin, tick, options={"cron": "nope"}, trigger="schedule")
    other = await make()
    await other.schema()
    due = datetime(2090, 1, 1, tzinfo=UTC)
    both = [t.flows._flows[key] for t in (tabulary, other)]
    claims = [
        await t.flows._schedules._is_mine(f, due)
        for t, f in zip((tabulary, other, tabulary), (*both, both[0]), strict=True)
    ]
    assert claims == [True, False, False], "each moment belongs to one process"
    fresh = await flow(admin, tick, options=options, trigger="schedule")
    await tabulary.schema()
    tabulary.flows.start()
    assert fresh in tabulary.flows._flows
    assert (await eventually(lambda: admin.data("GET", "/items/ticks?limit=1")))[0]["text"] is None
    await tabulary.flows.stop()


# --- what stays ---------------------------------------------------------------------------------
async def test_runs_are_tracked_without_secrets(admin: Client, make: Make) -> None:
    tabulary = await make(FLOWS_ENV_ALLOW_LIST=["SECRET"])
    async with Client(tabulary.asgi, "admin-static-token") as client:
        steps = transform({"of": "{{$env.SECRET}}", "payload": {"password": "p", "name": "n"}})
        key = await flow(client, steps, accountability="all")
        assert (await run(client, key))["of"] == tabulary.settings["SECRET"]
        quiet = await flow(client, transform("1"), accountability="activity")
        await run(client, quiet)
        runs = await client.data(
            "GET", "/activity?filter[action][_eq]=run&sort=id&fields=item,collection,user,revisions.data"
        )
    assert [(row["item"], row["collection"], bool(row["user"])) for row in runs] == [
        (key, "directus_flows", True), (quiet, "directus_flows", True),
    ]  # fmt: skip
    assert runs[1]["revisions"] == []
    (revision,) = runs[0]["revisions"]
    log = revision["data"]
    hidden = {"of": "--redacted:SECRET--", "payload": {"password": REDACTED, "name": "n"}}
    assert log["data"]["t"] == log["steps"][0]["options"]["json"] == hidden
    assert log["data"]["$trigger"]["headers"]["authorization"] == REDACTED and log["steps"][0]["status"] == "resolve"


async def test_changes_reach_other_processes(admin: Client, tabulary: Tabulary, make: Make) -> None:
    other = await make()
    async with Client(other.asgi, "admin-static-token") as second:
        await second.get("/flows")
        key = await flow(admin, transform("1"))
        assert await run(second, key) == 1
        (operation,) = await admin.data("GET", f"/operations?filter[flow][_eq]={key}&fields=id")
        await admin.data("PATCH", f"/operations/{operation['id']}", {"options": {"json": "2"}})
        assert await run(second, key) == 2
