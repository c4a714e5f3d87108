"""The denial matrix: for every protected route, what each kind of caller gets.

A row is a request that works for who may make it, and one that is wrong. ``{key}`` in a path stands for a fresh item,
``$name`` in a body for an item that is there from the beginning (:data:`THINGS`).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

MISSING = "f1f1f1f1-dead-4000-8000-000000000000"

# What rows refer to, made once and in this order.
THINGS: dict[str, tuple[str, dict[str, Any]]] = {
    "policy": ("directus_policies", {"name": "p"}),
    "role": ("directus_roles", {"name": "r"}),
    "person": ("directus_users", {"email": "person@example.org", "password": "secret"}),
    "book": ("books", {"title": "Emma"}),
    "dashboard": ("directus_dashboards", {"name": "d"}),
    "flow": ("directus_flows", {"name": "f"}),
    "record": ("directus_activity", {"action": "login", "collection": "books", "item": "1"}),
}


@dataclass(frozen=True)
class Row:
    """``statuses``: of the public, another user, a permitted user, an admin, an admin whose request is wrong.

    Attributes:
        route: method and path as in the route table.
        path: the path to call, when it is not the route's own.
        body: of the good request.
        make: the collection of which ``{key}`` is a fresh item, and what it is made of.
        bad_path, bad_body: what is wrong in the last call (the rest is as in the good one).
    """

    route: str
    statuses: tuple[int, int, int, int, int]
    path: str = ""
    body: Any = None
    make: tuple[str, dict[str, Any]] | None = None
    bad_path: str | None = None
    bad_body: Any = ...

    @property
    def method(self) -> str:
        return self.route.partition(" ")[0]

    @property
    def good_path(self) -> str:
        return self.path or self.route.partition(" ")[2]

    @property
    def wrong(self) -> tuple[str, Any]:
        return self.bad_path or self.good_path, self.body if self.bad_body is ... else self.bad_body


READ = (403, 403, 200, 200, 400)
WRITE = (403, 403, 200, 200, 400)
REMOVE = (403, 403, 204, 204, 400)
BY_KEY = (403, 403, 200, 200, 403)
REMOVE_BY_KEY = (403, 403, 204, 204, 403)


def lists(path: str, at: str = "") -> Iterator[Row]:
    at = at or path
    yield Row(f"GET {path}", READ, at, bad_path=f"{at}?limit=many")
    yield Row(f"SEARCH {path}", READ, at, {"query": {}}, bad_body={"query": "x"})


def items(
    path: str,
    collection: str,
    sample: dict[str, Any],
    change: dict[str, Any],
    *,
    at: str = "",
    creates: bool = True,
    bad_key: int = 403,
) -> Iterator[Row]:
    """The rows of a family that serves a collection with all its methods."""
    at, make = at or path, (collection, sample)
    one = f"{path}/{{key}}"
    yield from lists(path, at)
    yield Row(f"GET {one}", (403, 403, 200, 200, bad_key), f"{at}/{{key}}", make=make, bad_path=f"{at}/not-a-key")
    if creates:
        yield Row(f"POST {path}", WRITE, at, sample, bad_body="text")
    update = {"keys": ["{key}"], "data": change}
    yield Row(f"PATCH {path}", WRITE, at, update, make=make, bad_body={"keys": "x", "data": change})
    changed = (403, 403, 200, 200, bad_key)
    yield Row(f"PATCH {one}", changed, f"{at}/{{key}}", change, make, bad_path=f"{at}/not-a-key")
    yield Row(f"DELETE {path}", REMOVE, at, ["{key}"], make, bad_body={})
    removed = (403, 403, 204, 204, bad_key)
    yield Row(f"DELETE {one}", removed, f"{at}/{{key}}", make=make, bad_path=f"{at}/not-a-key")


def accounts() -> Iterator[Row]:
    """Users, roles, policies, permissions, access, shares, sessions."""
    user = {"email": "{address}", "password": "secret"}
    invited = ("directus_users", {"email": "{address}", "status": "invited"})
    yield from items("/users", "directus_users", user, {"title": "t"})
    yield from items("/roles", "directus_roles", {"name": "n"}, {"name": "m"})
    yield from items("/policies", "directus_policies", {"name": "n"}, {"name": "m"})
    yield from items("/access", "directus_access", {"policy": "$policy", "user": "$person"}, {"sort": 2})
    rule = {"policy": "$policy", "collection": "books", "action": "read"}
    yield from items("/permissions", "directus_permissions", rule, {"fields": ["title"]})
    share = {"collection": "books", "item": "$book"}
    yield from items("/shares", "directus_shares", share, {"name": "n"}, bad_key=404)
    yield Row(
        "POST /shares/invite",
        (403, 403, 204, 204, 400),
        body={"share": "{key}", "emails": []},
        make=("directus_shares", share),
        bad_body={"emails": []},
    )
    invitation = {"email": "{address}", "role": "$role"}
    yield Row("POST /users/invite", (403, 403, 204, 204, 400), body=invitation, bad_body={"email": "x"})
    yield Row("GET /users/invitations", READ, bad_path="/users/invitations?limit=many")
    yield Row(
        "POST /users/invitations/{key}/send",
        (403, 403, 204, 204, 403),
        body={},
        make=invited,
        bad_path="/users/invitations/not-a-key/send",
    )
    yield Row("DELETE /users/invitations/{key}", REMOVE_BY_KEY, make=invited, bad_path="/users/invitations/not-a-key")
    yield Row("GET /users/me", (401, 200, 200, 200, 400), bad_path="/users/me?limit=many")
    yield Row("PATCH /users/me", (401, 403, 200, 200, 400), body={"title": "t"}, bad_body={"tfa_secret": "x"})
    yield Row("PATCH /users/me/track/page", (401, 204, 204, 204, 400), body={"last_page": "/x"}, bad_body={})
    for step, body in (
        ("generate", {"password": "secret"}),
        ("enable", {"secret": "x", "otp": "1"}),
        ("disable", {"otp": "1"}),
    ):
        done = 200 if step == "generate" else 400
        yield Row(f"POST /users/me/tfa/{step}", (401, done, done, done, 400), body=body, bad_body={})
    yield Row(
        "POST /users/{key}/tfa/disable",
        (401, 403, 403, 204, 403),
        make=("directus_users", user),
        bad_path="/users/not-a-key/tfa/disable",
    )
    yield Row("GET /roles/me", (403, 200, 200, 200, 400), bad_path="/roles/me?limit=many")
    yield Row("GET /permissions/me", (403, 200, 200, 200, 200))
    yield Row(
        "GET /permissions/me/{collection}",
        (403, 200, 200, 200, 200),
        "/permissions/me/books",
        bad_path="/permissions/me/nowhere",
    )
    yield Row(
        "GET /permissions/me/{collection}/{key}",
        (403, 200, 200, 200, 200),
        "/permissions/me/books/1",
        bad_path="/permissions/me/nowhere/1",
    )
    yield Row(
        "GET /permissions/explain",
        (403, 403, 403, 200, 400),
        "/permissions/explain?collection=books",
        bad_path="/permissions/explain",
    )
    yield Row("GET /sessions", (401, 200, 200, 200, 403), bad_path="/sessions?user=nobody")
    yield Row("DELETE /sessions", (401, 204, 204, 204, 403), bad_path="/sessions?user=nobody")
    yield Row("DELETE /sessions/{key}", (401, 403, 403, 403, 403), "/sessions/unknown")


def around() -> Iterator[Row]:
    """Settings, files, versions, tools and what the server tells of itself."""
    yield Row("GET /settings", READ, bad_path="/settings?limit=many")
    yield Row("PATCH /settings", WRITE, body={"project_name": "n"}, bad_body={"auth_login_attempts": "x"})
    yield Row("POST /settings/owner", (403, 403, 204, 204, 204), body={"project_owner": "a@example.org"}, bad_body={})
    version = ("directus_versions", {"key": "{name}", "collection": "books", "item": "$book"})
    yield from items("/versions", *version, {"name": "m"})
    yield Row("GET /versions/{key}/compare", BY_KEY, make=version, bad_path="/versions/not-a-key/compare")
    yield Row(
        "POST /versions/{key}/save", BY_KEY, body={"title": "n"}, make=version, bad_path="/versions/not-a-key/save"
    )
    yield Row(
        "POST /versions/{key}/promote",
        (403, 403, 422, 422, 403),
        body={"mainHash": "x"},
        make=version,
        bad_path="/versions/not-a-key/promote",
    )
    picture = ("directus_files", {"storage": "local", "filename_download": "x.txt", "type": "text/plain"})
    yield from items("/files", *picture, {"title": "m"})
    yield Row("POST /files/import", (403, 403, 503, 503, 400), body={"url": "http://127.0.0.1:9/"}, bad_body={})
    yield Row("GET /assets/{key}", (403, 403, 403, 403, 403), f"/assets/{MISSING}")
    yield Row("GET /assets/{key}/{name}", (403, 403, 403, 403, 403), f"/assets/{MISSING}/x")
    yield Row("POST /assets/files", (403, 403, 400, 400, 400), body={"ids": [MISSING]}, bad_body={})
    yield Row("POST /assets/folder/{key}", (403, 403, 403, 403, 403), f"/assets/folder/{MISSING}")
    yield Row("GET /extensions", (403, 403, 200, 200, 200))
    yield Row("GET /extensions/registry", (403, 403, 403, 503, 503))
    yield Row("PATCH /extensions/{key:uuid}", (403, 403, 403, 400, 400), f"/extensions/{MISSING}", {})
    yield Row("DELETE /extensions/{key:uuid}", (403, 403, 403, 204, 204), f"/extensions/{MISSING}")
    for method, given in (("GET", 503), ("POST", 403), ("DELETE", 403)):
        statuses = (403, 403, 403, given, given)
        yield Row(f"{method} /extensions/registry/{{rest:path}}", statuses, "/extensions/registry/x")
    yield Row("GET /metrics", (403, 403, 403, 200, 200))
    yield Row("POST /utils/cache/clear", (403, 403, 403, 200, 200), body={})
    yield Row(
        "POST /utils/export/{collection}",
        (204, 204, 204, 204, 400),
        "/utils/export/books",
        {"query": {}, "format": "json", "file": {}},
        bad_body={},
    )
    yield Row("POST /utils/import/{collection}", (403, 403, 415, 415, 415), "/utils/import/books", {})
    yield Row("POST /utils/revert/{revision}", (403, 403, 403, 403, 403), "/utils/revert/999", {})
    yield Row(
        "POST /utils/sort/{collection}",
        (403, 403, 400, 400, 400),
        "/utils/sort/books",
        {"item": "$book", "to": "$book"},
        bad_body={},
    )
    yield Row("POST /utils/translations/generate", (403, 403, 403, 400, 400), body={}, bad_body={})


def content() -> Iterator[Row]:
    """Items of users' own collections, and the collections around them."""
    yield from items("/items/{collection}", "books", {"title": "n"}, {"title": "m"}, at="/items/books")
    yield from items("/folders", "directus_folders", {"name": "n"}, {"name": "m"})
    yield from items("/dashboards", "directus_dashboards", {"name": "n"}, {"name": "m"})
    panel = {"dashboard": "$dashboard", "type": "label", "position_x": 1, "position_y": 1, "width": 1, "height": 1}
    yield from items("/panels", "directus_panels", panel, {"name": "m"})
    yield from items("/presets", "directus_presets", {"collection": "books"}, {"bookmark": "m"})
    message = {"recipient": "$person", "subject": "s"}
    yield from items("/notifications", "directus_notifications", message, {"status": "archived"})
    remark = {"collection": "books", "item": "$book", "comment": "c"}
    yield from items("/comments", "directus_comments", remark, {"comment": "d"})
    word = {"language": "en-US", "key": "{address}", "value": "v"}
    yield from items("/translations", "directus_translations", word, {"value": "w"})
    yield from items("/flows", "directus_flows", {"name": "n"}, {"name": "m"})
    step = {"flow": "$flow", "key": "{address}", "type": "log", "position_x": 1, "position_y": 1}
    yield from items("/operations", "directus_operations", step, {"name": "m"})
    record = ("directus_activity", {"action": "login", "collection": "books", "item": "1"})
    change = ("directus_revisions", {"activity": "$record", "collection": "books", "item": "1"})
    for family, make in (("activity", record), ("revisions", change)):
        yield from lists(f"/{family}")
        yield Row(f"GET /{family}/{{key}}", BY_KEY, make=make, bad_path=f"/{family}/not-a-key")


def structure() -> Iterator[Row]:
    """The data model: seen by who may read something in it, changed by admins alone."""
    bad: Any = {"collection": 5}
    yield Row("GET /collections", (403, 403, 200, 200, 200))
    yield Row("SEARCH /collections", (403, 403, 200, 200, 200), body={})
    yield Row(
        "GET /collections/{collection}",
        (403, 403, 200, 200, 403),
        "/collections/books",
        bad_path="/collections/nowhere",
    )
    yield Row(
        "POST /collections",
        (403, 403, 403, 200, 400),
        body={"collection": "{name}", "schema": {}, "meta": {}},
        bad_body=bad,
    )
    yield Row("PATCH /collections", (403, 403, 403, 200, 400), body=[{"collection": "books", "meta": {}}], bad_body={})
    yield Row(
        "PATCH /collections/{collection}",
        (403, 403, 403, 200, 200),
        "/collections/books",
        {"meta": {}},
        bad_path="/collections/nowhere",
    )
    yield Row("DELETE /collections/{collection}", (403, 403, 403, 403, 403), "/collections/nowhere")
    yield Row("GET /fields", (403, 403, 200, 200, 200))
    yield Row("GET /fields/{collection}", (403, 403, 200, 200, 403), "/fields/books", bad_path="/fields/nowhere")
    yield Row(
        "GET /fields/{collection}/{field}",
        (403, 403, 200, 200, 403),
        "/fields/books/title",
        bad_path="/fields/books/nothing",
    )
    yield Row(
        "POST /fields/{collection}",
        (403, 403, 403, 200, 400),
        "/fields/books",
        {"field": "{name}", "type": "string"},
        bad_body={},
    )
    yield Row(
        "PATCH /fields/{collection}",
        (403, 403, 403, 200, 400),
        "/fields/books",
        [{"field": "title", "meta": {"note": "n"}}],
        bad_body={},
    )
    yield Row(
        "PATCH /fields/{collection}/{field}",
        (403, 403, 403, 200, 403),
        "/fields/books/title",
        {"meta": {"note": "n"}},
        bad_path="/fields/nowhere/nothing",
    )
    yield Row("DELETE /fields/{collection}/{field}", (403, 403, 403, 403, 403), "/fields/nowhere/nothing")
    yield Row("GET /relations", (403, 403, 200, 200, 200))
    yield Row(
        "GET /relations/{collection}",
        (403, 403, 200, 200, 403),
        "/relations/directus_users",
        bad_path="/relations/nowhere",
    )
    yield Row(
        "GET /relations/{collection}/{field}",
        (403, 403, 200, 200, 403),
        "/relations/directus_users/role",
        bad_path="/relations/nowhere/nothing",
    )
    yield Row(
        "POST /relations",
        (403, 403, 403, 400, 400),
        body={"collection": "books", "field": "nothing", "related_collection": "directus_users"},
        bad_body={},
    )
    yield Row("PATCH /relations/{collection}/{field}", (403, 403, 403, 403, 403), "/relations/nowhere/nothing", {})
    yield Row("DELETE /relations/{collection}/{field}", (403, 403, 403, 403, 403), "/relations/nowhere/nothing")
    yield Row("GET /schema/snapshot", (403, 403, 403, 200, 200))
    yield Row("POST /schema/diff", (403, 403, 403, 400, 400), body={})
    yield Row("POST /schema/apply", (403, 403, 403, 400, 400), body={})


def rows() -> dict[str, Row]:
    """The matrix by route."""
    return {row.route: row for part in (accounts, content, structure, around) for row in part()}
