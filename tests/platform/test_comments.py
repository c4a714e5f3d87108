"""Comments, mentions, and the notifications and mails that follow."""

from __future__ import annotations

import pytest

from tabulary import Tabulary

from .conftest import Client, Outbox, collection, id_of, person

pytestmark = pytest.mark.anyio

READS = ({"collection": "books", "action": "read"}, {"collection": "directus_users", "action": "read"})
WRITES = tuple({"collection": "directus_comments", "action": action} for action in ("create", "read"))


@pytest.fixture
async def books(admin: Client) -> None:
    await collection(admin, "books", "title")
    await admin.data("POST", "/items/books", [{"title": "Emma"}, {"title": "Persuasion"}])


def about(item: int, text: str) -> dict[str, str]:
    return {"collection": "books", "item": str(item), "comment": text}


async def test_needs_text_collection_and_item(admin: Client, books: None) -> None:
    for missing in ("collection", "item", "comment"):
        body = {k: v for k, v in about(1, "x").items() if k != missing}
        assert await admin.code("POST", "/comments", body) == (400, "INVALID_PAYLOAD")
    for name in ("nope", ["books"], {"books": 1}):
        body = {**about(1, "x"), "collection": name}
        assert await admin.code("POST", "/comments", body) == (403, "FORBIDDEN")


async def test_only_people_comment_and_only_on_what_they_see(admin: Client, books: None) -> None:
    assert await admin.as_(None).code("POST", "/comments", about(1, "x")) == (403, "FORBIDDEN")
    sees_second = {"collection": "books", "action": "read", "permissions": {"id": {"_eq": 2}}}
    ada = await person(admin, "ada", sees_second, *WRITES)
    assert await ada.code("POST", "/comments", about(1, "x")) == (403, "FORBIDDEN")
    assert await ada.code("POST", "/comments", {**about(1, "x"), "item": "x"}) == (403, "FORBIDDEN")
    made = await ada.data("POST", "/comments?fields=item,user_created", about(2, "x"))
    assert made == {"item": "2", "user_created": await id_of(admin, "ada")}
    assert len(await admin.data("GET", "/comments")) == 1


async def test_a_mention_notifies_once_and_mails(
    admin: Client, tabulary: Tabulary, books: None, outbox: Outbox
) -> None:
    await person(admin, "ada", *READS, first_name="<b>Ada</b>")
    ada = await id_of(admin, "ada")
    await admin.data("POST", "/comments", about(1, f"Look @{ada} and @{ada.upper()} <script>alert(1)</script>"))
    found = await admin.data("GET", "/notifications?fields=recipient,collection,item,subject,status")
    assert found == [
        {
            "recipient": ada,
            "collection": "books",
            "item": "1",
            "subject": "You were mentioned in books",
            "status": "inbox",
        }
    ]
    await tabulary.platform.mail.drain()
    [html] = outbox.to("ada@example.com")
    assert "admin/content/books/1" in html and "Look" in html and "&lt;b&gt;Ada" in html
    assert "<script>" not in html and "<b>Ada" not in html


async def test_who_may_not_see_the_item_or_users_hears_nothing(
    admin: Client, tabulary: Tabulary, books: None, outbox: Outbox
) -> None:
    await person(admin, "eve", READS[1])
    await person(admin, "bob", READS[0])
    await person(admin, "ada", *READS, email_notifications=False)
    people = [await id_of(admin, name) for name in ("eve", "bob", "ada")]
    await admin.data("POST", "/comments", about(1, " ".join(f"@{user}" for user in people)))
    found = await admin.data("GET", "/notifications?fields=recipient")
    assert [row["recipient"] for row in found] == [people[2]]
    await tabulary.platform.mail.drain()
    assert outbox.mails == []


async def test_mentioning_nobody_is_an_error_but_the_comment_stands(admin: Client, books: None) -> None:
    body = about(1, "@00000000-dead-4000-8000-000000000000")
    assert await admin.code("POST", "/comments", body) == (403, "FORBIDDEN")
    assert len(await admin.data("GET", "/comments")) == 1


async def test_a_notification_mails_its_markdown_safely(admin: Client, tabulary: Tabulary, outbox: Outbox) -> None:
    await person(admin, "ada", app=True)
    ada = await id_of(admin, "ada")
    message = "Hello **you** <img src=x onerror=alert(1)> [x](javascript:alert(1))"
    await admin.data("POST", "/notifications", {"recipient": ada, "subject": "Look\nBcc: x@y.z", "message": message})
    await tabulary.platform.mail.drain()
    [html] = outbox.to("ada@example.com")
    assert "<strong>you</strong>" in html and "onerror" not in html and '"javascript:' not in html
    assert f"admin/users/{ada}" in html
    assert outbox.mails[0][1]["Subject"] == "Look Bcc: x@y.z"


async def test_no_mail_for_a_notification_that_was_rolled_back(
    admin: Client, tabulary: Tabulary, outbox: Outbox
) -> None:
    await person(admin, "ada")
    ada = await id_of(admin, "ada")
    body = [{"recipient": ada, "subject": "x"}, {"recipient": ada}]
    assert (await admin.code("POST", "/notifications", body))[0] == 400
    await tabulary.platform.mail.drain()
    assert outbox.mails == [] and await admin.data("GET", "/notifications") == []
