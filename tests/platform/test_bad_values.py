"""Values of every wrong kind in the system's own collections: an answer below 500, whatever the field."""

from __future__ import annotations

from typing import Any

import pytest

from .conftest import Client, collection

pytestmark = pytest.mark.anyio

VALUES: tuple[Any, ...] = (
    None, -1, 2**70, 1.5, True, "", "x", "\x00", [None], [[]], {"a": 1}, {"create": 1},
    {"create": [], "update": [], "delete": ["x"]}, "9" * 400, [{"id": "x"}],
)  # fmt: skip
BODIES: dict[str, tuple[dict[str, Any], tuple[str, ...]]] = {
    "/comments": ({"collection": "books", "item": "1", "comment": "x"}, ("collection", "item", "comment")),
    "/notifications": ({"subject": "x"}, ("recipient", "subject", "collection")),
    "/presets": ({}, ("user", "refresh_interval", "filter")),
    "/dashboards": ({"name": "x"}, ("name", "panels")),
    "/translations": ({"key": "k", "language": "en-US", "value": "v"}, ("key", "language")),
    "/versions": ({"collection": "books", "item": "1", "key": "z"}, ("collection", "item", "key")),
    "/folders": ({"name": "x"}, ("name", "parent")),
    "/flows": ({"name": "x"}, ("operations", "options")),
    "/shares": ({"collection": "books", "item": "1"}, ("collection", "item", "max_uses", "date_start")),
}
SETTINGS = ("project_name", "storage_asset_presets", "auth_login_attempts", "basemaps")
READS = (
    "limit",
    "page",
    "sort",
    "fields",
    "filter",
    "search",
    "aggregate",
    "deep",
    "alias",
    "meta",
    "export",
    "version",
)


async def test_writes(admin: Client) -> None:
    await collection(admin, "books", "title", versioning=True)
    await admin.data("POST", "/items/books", {"title": "x"})
    made = 0
    for path, (body, fields) in BODIES.items():
        for value in VALUES:
            for wrong in (value, *({**body, field: value} for field in fields)):
                answer = await admin.post(path, json=wrong)
                assert answer.status_code < 500, (path, wrong, answer.text)
                data = answer.json().get("data") if answer.status_code == 200 else None
                if isinstance(data, dict):
                    made += 1
                    assert (await admin.delete(f"{path}/{data['id']}")).status_code == 204, (path, wrong)
    for value in VALUES:
        for field in SETTINGS:
            answer = await admin.patch("/settings", json={field: value})
            assert answer.status_code < 500, (field, value, answer.text)
    assert made > 50, "some are right, after all"
    assert (await admin.get("/settings")).status_code == 200


async def test_versions_and_utilities(admin: Client) -> None:
    await collection(admin, "books", "title", "sort", versioning=True, sort_field="sort")
    await admin.data("POST", "/items/books", {"title": "x"})
    version = (await admin.data("POST", "/versions", {"collection": "books", "item": "1", "key": "a"}))["id"]
    paths = (f"/versions/{version}/save", f"/versions/{version}/promote", "/utils/sort/books", "/utils/revert/1",
             "/utils/translations/generate", "/utils/hash/verify", "/settings/owner", "/server/setup")  # fmt: skip
    for value in VALUES:
        bodies = [(path, value) for path in paths]
        bodies += [(paths[0], {name: value}) for name in ("title", "id", "nope")]
        bodies += [(paths[1], {"mainHash": "x", name: value}) for name in ("mainHash", "fields")]
        bodies += [(paths[2], {"item": 1, "to": 1, name: value}) for name in ("item", "to")]
        for path, body in bodies:
            answer = await admin.post(path, json=body)
            assert answer.status_code < 500, (path, body, answer.text)
        assert (await admin.get("/items/books/1?version=a")).status_code < 500, value


async def test_reads(admin: Client) -> None:
    await collection(admin, "books", "title")
    for value in VALUES:
        text = value if isinstance(value, str) else str(value).replace("'", '"').replace("None", "null")
        for name in READS:
            for path in ("/activity", "/settings", "/items/books"):
                answer = await admin.get(path, params={name: text})
                assert answer.status_code < 500, (path, name, value, answer.text)
