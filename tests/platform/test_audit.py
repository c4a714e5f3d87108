"""Activity and revisions: what is recorded for which collection, who reads it, and the way back."""

from __future__ import annotations

from typing import Any

import pytest

from tabulary import Tabulary

from .conftest import Client, collection, id_of, person

pytestmark = pytest.mark.anyio

ABOUT_BOOKS = "filter[collection][_eq]=books"


async def recorded(admin: Client) -> tuple[list[str], int]:
    """The actions on books, and how many revisions there are of them."""
    rows = await admin.data("GET", f"/activity?fields=action&sort=id&limit=-1&{ABOUT_BOOKS}")
    revisions = await admin.data("GET", f"/revisions?fields=id&limit=-1&{ABOUT_BOOKS}")
    return [row["action"] for row in rows], len(revisions)


async def change_everything(admin: Client) -> None:
    key = (await admin.data("POST", "/items/books", {"title": "Emma"}))["id"]
    await admin.data("PATCH", f"/items/books/{key}", {"title": "Emma!"})
    await admin.data("PATCH", "/items/books", {"keys": [key], "data": {"title": "Emma?"}})
    await admin.data("DELETE", f"/items/books/{key}", status=204)


@pytest.mark.parametrize(
    ("setting", "actions", "revisions"),
    [
        ("all", ["create", "update", "update", "delete"], 3),
        ("activity", ["create", "update", "update", "delete"], 0),
        (None, [], 0),
    ],
)
async def test_a_collection_says_what_is_recorded_of_it(
    admin: Client, setting: str | None, actions: list[str], revisions: int
) -> None:
    await collection(admin, "books", "title", accountability=setting)
    await change_everything(admin)
    assert await recorded(admin) == (actions, revisions)


async def test_the_setting_counts_from_the_next_write(admin: Client) -> None:
    await collection(admin, "books", "title", accountability=None)
    await admin.data("POST", "/items/books", {"title": "Emma"})
    await admin.data("PATCH", "/collections/books", {"meta": {"accountability": "all"}})
    await admin.data("PATCH", "/items/books/1", {"title": "Emma!"})
    assert await recorded(admin) == (["update"], 1)
    await admin.data("PATCH", "/collections/books", {"meta": {"accountability": "activity"}})
    await admin.data("PATCH", "/items/books/1", {"title": "Emma?"})
    assert await recorded(admin) == (["update", "update"], 1)


async def test_who_did_it_and_from_where(admin: Client) -> None:
    await collection(admin, "books", "title")
    rows = [{"collection": "books", "action": action} for action in ("create", "read")]
    ada = await person(admin, "ada", *rows)
    headers = {"User-Agent": "tests/1.0", "Origin": "http://elsewhere.example"}
    assert (await ada.post("/items/books", json={"title": "Emma"}, headers=headers)).status_code == 200
    [row] = await admin.data("GET", f"/activity?fields=user,ip,user_agent,origin&{ABOUT_BOOKS}")
    expected = {
        "user": await id_of(admin, "ada"),
        "ip": "127.0.0.1",
        "user_agent": "tests/1.0",
        "origin": headers["Origin"],
    }
    assert row == expected


async def test_reverting_goes_back_to_what_a_revision_holds(admin: Client) -> None:
    await collection(admin, "books", "title", {"field": "extra", "type": "json", "meta": {}, "schema": {}})
    await admin.data("POST", "/items/books", {"title": "Emma", "extra": {"a": [1, None]}})
    await admin.data("PATCH", "/items/books/1", {"title": "Changed", "extra": None})
    first, second = await admin.data("GET", f"/revisions?fields=id,data,delta&sort=id&{ABOUT_BOOKS}")
    await admin.data("POST", f"/utils/revert/{first['id']}", status=204)
    assert await admin.data("GET", "/items/books/1") == {"id": 1, "title": "Emma", "extra": {"a": [1, None]}}
    await admin.data("POST", f"/utils/revert/{second['id']}", status=204)
    assert (await admin.data("GET", "/items/books/1"))["title"] == "Changed"
    assert (await recorded(admin))[1] == 4, "going back is a change like any other"


async def test_reverting_takes_the_rights_to_read_the_revision_and_to_write_the_item(admin: Client) -> None:
    await collection(admin, "books", "title", "secret")
    await admin.data("POST", "/items/books", {"title": "Emma", "secret": "s"})
    await admin.data("PATCH", "/items/books/1", {"title": "Changed", "secret": "t"})
    first = (await admin.data("GET", f"/revisions?fields=id&sort=id&{ABOUT_BOOKS}"))[0]["id"]
    reads = {"collection": "directus_revisions", "action": "read"}
    reading, writing = ({"collection": "books", "action": action} for action in ("read", "update"))
    refused = {
        "a": [reading, writing],
        "b": [reads, reading],
        "c": [reads, reading, {**writing, "fields": ["title"]}],
        "d": [reads, reading, {**writing, "permissions": {"title": {"_eq": "Emma"}}}],
    }
    for name, rows in refused.items():
        client = await person(admin, name, *rows)
        assert (await client.code("POST", f"/utils/revert/{first}"))[0] == 403, name
    assert (await admin.data("GET", "/items/books/1"))["title"] == "Changed"
    allowed = await person(admin, "e", reads, reading, writing)
    await allowed.data("POST", f"/utils/revert/{first}", status=204)
    assert (await admin.data("GET", "/items/books/1"))["title"] == "Emma"
    for key in ("999999", "x", "-1", "9" * 30):
        assert (await admin.code("POST", f"/utils/revert/{key}"))[0] in (400, 403), key


async def test_nobody_writes_the_record(admin: Client) -> None:
    await collection(admin, "books", "title")
    await admin.data("POST", "/items/books", {"title": "Emma"})
    every = [{"collection": name, "action": action} for name in ("directus_activity", "directus_revisions")
             for action in ("create", "read", "update", "delete")]  # fmt: skip
    ada = await person(admin, "ada", *every)
    for client in (admin, ada):
        for path in ("/activity", "/revisions"):
            for method, target in (
                ("POST", path),
                ("PATCH", path),
                ("DELETE", path),
                ("PATCH", f"{path}/1"),
                ("DELETE", f"{path}/1"),
            ):
                assert (await client.request(method, target, json={})).status_code == 404, (method, target)
        for method in ("POST", "PATCH", "DELETE"):
            answer = await client.request(method, "/items/directus_activity", json={})
            assert answer.status_code == 403
    assert await recorded(admin) == (["create"], 1)


async def test_a_record_is_read_within_its_rules(admin: Client) -> None:
    await collection(admin, "books", "title")
    ada = await person(
        admin, "ada",
        {"collection": "books", "action": "create"},
        {"collection": "directus_activity", "action": "read", "fields": ["action", "item"], "permissions": {"user": {"_eq": "$CURRENT_USER"}}},
    )  # fmt: skip
    await admin.data("POST", "/items/books", {"title": "not hers"})
    await ada.data("POST", "/items/books", {"title": "hers"}, status=204)
    assert await ada.data("GET", "/activity?filter[item][_nnull]=true") == [{"action": "create", "item": "2"}]
    assert await ada.code("GET", f"/activity?{ABOUT_BOOKS}") == (403, "FORBIDDEN"), "no filter by what is not granted"
    assert await ada.code("GET", "/revisions") == (403, "FORBIDDEN")


async def test_secrets_are_not_kept_in_revisions(admin: Client) -> None:
    await person(admin, "ada", password="hunter2-hunter2")
    rows: list[Any] = await admin.data(
        "GET", "/revisions?fields=data,delta&limit=-1&filter[collection][_eq]=directus_users"
    )
    assert rows and "hunter2" not in str(rows) and "token-of-ada" not in str(rows) and "$argon2" not in str(rows)


async def test_both_tables_have_the_indexes_that_lists_and_retention_need(tabulary: Tabulary) -> None:
    wanted = {"directus_activity": {"timestamp"}, "directus_revisions": {"activity", "parent"}}
    async with tabulary.platform.database.connection() as connection:
        for table, columns in wanted.items():
            found = await connection.dialect.catalog.indexes(connection, table)
            assert columns <= {index.columns[0] for index in found}, table
