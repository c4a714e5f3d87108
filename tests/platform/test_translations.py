"""Texts of the project, and making collections translatable."""

from __future__ import annotations

import asyncio

import pytest

from .conftest import Client, collection, person

pytestmark = pytest.mark.anyio

HELLO = {"key": "hello", "language": "en-US", "value": "Hello"}


async def test_key_and_language_are_single(admin: Client) -> None:
    first = await admin.data("POST", "/translations", HELLO)
    assert await admin.code("POST", "/translations", HELLO) == (400, "INVALID_PAYLOAD")
    assert await admin.code("POST", "/translations", [{**HELLO, "key": "a"}] * 2) == (400, "INVALID_PAYLOAD")
    german = await admin.data("POST", "/translations", {**HELLO, "language": "de-DE"})
    path = f"/translations/{german['id']}"
    assert await admin.code("PATCH", path, {"language": "en-US"}) == (400, "INVALID_PAYLOAD")
    assert await admin.code("PATCH", path, {"language": "fr-FR", "key": "x"}) == (400, "INVALID_PAYLOAD")
    assert (await admin.data("PATCH", path, {"value": "Hallo"}))["language"] == "de-DE"
    assert (await admin.data("PATCH", f"/translations/{first['id']}", {"key": "hi"}))["key"] == "hi"
    assert len(await admin.data("GET", "/translations")) == 2


async def test_two_at_once_leave_one(admin: Client) -> None:
    answers = await asyncio.gather(*(admin.post("/translations", json=HELLO) for _ in range(6)))
    assert sorted(a.status_code for a in answers) == [200] + [400] * 5
    assert len(await admin.data("GET", "/translations")) == 1


async def test_a_collection_becomes_translatable(admin: Client) -> None:
    await collection(admin, "books", "title", "isbn")
    wish = {"collection": "books", "fields": ["title"]}
    made = await admin.data("POST", "/utils/translations/generate", wish)
    names = {"translationsCollection": "books_translations", "languagesCollection": "languages"}
    assert made == {"created": True, "fields": ["title"], **names}
    assert len(await admin.data("GET", "/items/languages")) == 8
    book = {"isbn": "1", "translations": [{"languages_code": "de-DE", "title": "Überredung"}]}
    await admin.data("POST", "/items/books", book)
    fields = "isbn,translations.title,translations.languages_code.name"
    assert await admin.data("GET", f"/items/books?fields={fields}") == [
        {"isbn": "1", "translations": [{"title": "Überredung", "languages_code": {"name": "German"}}]}
    ]
    again = await admin.data("POST", "/utils/translations/generate", wish)
    assert again == {"created": False, "translationsCollection": "books_translations", "fields": ["title"]}


async def test_only_admins_and_only_for_what_is_there(admin: Client) -> None:
    await collection(admin, "books", "title")
    ada = await person(admin, "ada")
    wish = {"collection": "books", "fields": ["title"]}
    assert await ada.code("POST", "/utils/translations/generate", wish) == (403, "FORBIDDEN")
    for bad, status in (
        ({}, 400),
        ({**wish, "fields": []}, 400),
        ({**wish, "fields": ["nope"]}, 400),
        ({**wish, "fields": ["id"]}, 400),
        ({**wish, "seedLanguages": "yes"}, 400),
        ({**wish, "createLanguagesCollection": False}, 400),
        ({**wish, "collection": "nope"}, 403),
        ({**wish, "collection": "directus_users"}, 403),
    ):
        assert (await admin.post("/utils/translations/generate", json=bad)).status_code == status, bad
    names = [c["collection"] for c in await admin.data("GET", "/collections")]
    assert "books_translations" not in names and "languages" not in names


@pytest.mark.parametrize(
    ("target", "provider", "status"),
    [
        ("/admin/content", None, 200),
        ("https://cms.example.com/x", None, 200),
        ("https://app.example.com/done", "github", 200),
        ("https://app.example.com/done", None, 400),
        ("https://evil.example.com/", "github", 400),
        ("//evil.example.com", None, 400),
        ("/\\evil.example.com", None, 400),
        ("javascript:alert(1)", None, 400),
        ("https://cms.example.com@evil.example.com/", None, 400),
        ("", None, 400),
        (["/"], None, 400),
    ],
)
async def test_where_a_login_may_lead(make, target, provider, status) -> None:  # type: ignore[no-untyped-def]
    tabulary = await make(
        PUBLIC_URL="https://cms.example.com", AUTH_GITHUB_REDIRECT_ALLOW_LIST="https://app.example.com/done"
    )
    async with Client(tabulary.asgi) as client:
        answer = await client.post("/utils/resolve-redirect", json={"redirect": target, "provider": provider})
    assert answer.status_code == status
    assert status != 200 or answer.json() == {"data": target}
