"""Who hears what: the rights of every recipient at every event, on every database."""

from __future__ import annotations

import pytest

from .. import conftest
from ..graphql.shelf import ADMIN, post
from .conftest import Served

pytestmark = pytest.mark.anyio
DIALECTS = conftest.DIALECTS


async def test_events_show_what_their_recipient_may_see(served: Served) -> None:
    async with served.http() as http, served.talk(token="reader-token") as reader, served.talk() as admin:
        assert (await reader.ask(type="subscribe", collection="books", uid="r"))["data"] == [
            {"id": 1, "title": "Emma", "author": 1}
        ]
        await admin.ask(type="subscribe", collection="books", uid="a", query={"fields": ["title", "price"]})
        hidden = (await post(http, "/items/books", {"title": "Hidden", "in_print": False}))["id"]
        assert (await admin.hear())["data"] == [{"title": "Hidden", "price": None}]
        shown = (await post(http, "/items/books", {"title": "Shown", "in_print": True, "price": 5}))["id"]
        assert (await reader.hear())["data"] == [{"id": shown, "title": "Shown", "author": None}]
        await admin.hear()
        # deletes as well: the reader hears of the book they could see, not of the other
        await http.delete(f"/items/books/{hidden}", headers=ADMIN)
        await http.delete(f"/items/books/{shown}", headers=ADMIN)
        gone = await reader.hear()
        assert (gone["event"], [str(k) for k in gone["data"]]) == ("delete", [str(shown)])
        assert [[str(k) for k in (await admin.hear())["data"]] for _ in range(2)] == [[str(hidden)], [str(shown)]]
        await reader.silence()


async def test_a_change_of_permissions_holds_at_once(served: Served) -> None:
    async with served.http() as http, served.talk(token="reader-token") as reader:
        await reader.ask(type="subscribe", collection="books", uid="r", query={"fields": ["title"]})
        rows = (await http.get("/permissions?filter[collection][_eq]=books&fields=id", headers=ADMIN)).json()["data"]
        key = next(row["id"] for row in rows if row["id"] is not None)
        await http.patch(f"/permissions/{key}", json={"permissions": {"title": {"_starts_with": "Q"}}}, headers=ADMIN)
        await post(http, "/items/books", {"title": "Printed", "in_print": True})
        await post(http, "/items/books", {"title": "Quiet"})
        assert (await reader.hear())["data"] == [{"title": "Quiet"}]
        await http.delete(f"/permissions/{key}", headers=ADMIN)
        await post(http, "/items/books", {"title": "Quite another"})
        assert (await reader.hear())["error"]["code"] == "FORBIDDEN"


async def test_personal_rules_are_personal(served: Served) -> None:
    """Two users with the same policy, each with items of their own."""
    async with served.http() as http:
        await post(http, "/fields/headings", {"field": "owner", "type": "uuid", "schema": {}, "meta": {}})
        policy = (await post(http, "/policies", {"name": "own", "admin_access": False, "app_access": False}))["id"]
        rule = {"owner": {"_eq": "$CURRENT_USER"}}
        row = {
            "policy": policy,
            "collection": "headings",
            "action": "read",
            "fields": ["id", "text", "owner"],
            "permissions": rule,
        }
        await post(http, "/permissions", row)
        users = []
        for name in ("ann", "bob"):
            body = {"email": f"{name}@example.com", "token": f"{name}-token", "policies": [{"policy": policy}]}
            users.append((await post(http, "/users", body))["id"])
        async with served.talk(token="ann-token") as ann, served.talk(token="bob-token") as bob:
            for talk in (ann, bob):
                assert (await talk.ask(type="subscribe", collection="headings", query={"fields": ["text"]}))[
                    "data"
                ] == []
            keys = [
                (await post(http, "/items/headings", {"text": name, "owner": user}))["id"]
                for name, user in zip("ab", users, strict=True)
            ]
            assert (await ann.hear())["data"] == [{"text": "a"}]
            assert (await bob.hear())["data"] == [{"text": "b"}]
            await http.request("DELETE", "/items/headings", json=keys, headers=ADMIN)
            assert (await ann.hear())["data"] == [keys[0]]
            assert (await bob.hear())["data"] == [keys[1]]
            await ann.silence()


async def test_rights_are_not_lent(served: Served) -> None:
    """Two who are told the same: when one becomes an admin, or nobody, nothing changes for the other."""
    async with (
        served.http() as http,
        served.talk(token="reader-token") as one,
        served.talk(token="reader-token") as other,
    ):
        for talk in (one, other):
            await talk.ask(type="subscribe", collection="books", uid="r", query={"fields": ["title"]})
        await post(http, "/items/books", {"title": "First", "in_print": True})
        assert [(await talk.hear())["data"] for talk in (one, other)] == [[{"title": "First"}]] * 2
        assert (await one.ask(type="auth", access_token="admin-static-token"))["status"] == "ok"
        await post(http, "/items/books", {"title": "Hidden", "in_print": False})
        assert (await one.hear())["data"] == [{"title": "Hidden"}]
        await one.ask(type="unsubscribe")
        await post(http, "/items/books", {"title": "Hidden too", "in_print": False})
        await post(http, "/items/books", {"title": "Last", "in_print": True})
        assert (await other.hear())["data"] == [{"title": "Last"}]
