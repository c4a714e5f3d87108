"""Whatever callers ask and whatever changes meanwhile: a cached answer is the answer that would have been worked out.

Random steps, always the same ones: somebody reads something twice, or something changes (items, permissions, who has
which policy, the data model). Every read is compared with one that passes the cache by.
"""

from __future__ import annotations

from random import Random
from typing import Any

import httpx2
import pytest

from .conftest import Client, Make, collection, person
from .test_cache import STATUS, store

pytestmark = pytest.mark.anyio

__all__ = ["store"]

STEPS = 120
FIELDS = (["*"], ["id"], ["id", "title"], ["id", "owner", "price"])
RULES: tuple[Any, ...] = (
    None,
    {},
    {"owner": {"_eq": "$CURRENT_USER.first_name"}},
    {"price": {"_gt": 2}},
    {"_or": [{"owner": {"_eq": "Bob"}}, {"id": {"_in": [1, 2]}}]},
)
PATHS = (
    "/items/books",
    "/items/books?fields=id,title",
    "/items/books?fields=*&sort=-price",
    "/items/books/1",
    "/items/books/2?fields=title",
    "/items/books?aggregate[count]=*",
    "/items/books?filter[owner][_eq]=$CURRENT_USER.first_name",
    "/items/books?search=a&meta=*",
    "/users/me?fields=first_name,role",
    "/users/me/",
    "/permissions/me",
    "/collections/books",
    "/fields/books",
    "/server/info",
    "/server/specs/oas",
)
NO_STORE = {"Cache-Control": "no-store"}


class Walk:
    """Callers, and the random steps they take."""

    def __init__(self, seed: int, admin: Client, callers: list[Client]) -> None:
        self.random = Random(seed)
        self.admin = admin
        self.callers = [*callers, admin, admin.as_(None), admin.as_("nobody-has-this-token")]
        self.hits = 0

    async def read(self) -> None:
        client = self.random.choice(self.callers)
        if self.random.random() < 0.2:
            request: tuple[Any, ...] = ("POST", "/graphql", {"query": "{ books { id title } }"})
        else:
            request = ("GET", self.random.choice(PATHS), None)
        answers = [await self._ask(client, *request, headers) for headers in ({}, {}, NO_STORE)]
        *found, expected = [(a.status_code, a.content) for a in answers]
        assert found == [expected] * 2, (client.headers.get("authorization"), request)
        self.hits += answers[1].headers.get("x-cache") == "HIT"

    @staticmethod
    async def _ask(client: Client, method: str, path: str, body: Any, headers: dict[str, str]) -> httpx2.Response:
        return await client.request(method, path, json=body, headers=headers)

    async def change(self) -> None:
        await self.random.choice([self.write_item, self.change_permission, self.change_person, self.change_model])()

    async def write_item(self) -> None:
        values = {
            "title": self._word(),
            "owner": self.random.choice(["Ada", "Bob"]),
            "price": self.random.randint(0, 5),
        }
        await self.admin.data("PATCH", f"/items/books/{self.random.randint(1, 4)}", values)

    async def change_permission(self) -> None:
        rows = await self.admin.data("GET", "/permissions?filter[collection][_eq]=books&fields=id&limit=-1")
        row = {"fields": self.random.choice(FIELDS), "permissions": self.random.choice(RULES)}
        await self.admin.data("PATCH", f"/permissions/{self.random.choice(rows)['id']}", row)

    async def change_person(self) -> None:
        people = await self.admin.data("GET", "/users?fields=id&limit=-1")
        policies = await self.admin.data("GET", "/policies?fields=id&filter[admin_access][_eq]=false&limit=-1")
        chosen = self.random.choice([p["id"] for p in people if p["id"] != await self._own_id()])
        some = self.random.sample(policies, k=self.random.randint(0, 2))
        await self.admin.data("PATCH", f"/users/{chosen}", {"policies": [{"policy": p["id"]} for p in some]})

    async def change_model(self) -> None:
        await self.admin.data("PATCH", "/fields/books/title", {"meta": {"note": self._word()}})

    async def _own_id(self) -> str:
        return str((await self.admin.data("GET", "/users/me?fields=id"))["id"])

    def _word(self) -> str:
        return "".join(self.random.choices("abc", k=4))


@pytest.mark.parametrize("seed", [1, 2])
async def test_a_cached_answer_is_the_callers_own_and_of_now(make: Make, store: dict[str, Any], seed: int) -> None:
    tabulary = await make(CACHE_AUTO_PURGE=True, CACHE_SKIP_ALLOWED=True, **STATUS, **store)
    async with Client(tabulary.asgi, "admin-static-token") as admin:
        await collection(
            admin, "books", "title", "owner", {"field": "price", "type": "integer", "meta": {}, "schema": {}}
        )
        books = [{"title": f"t{n}", "owner": name, "price": n} for n, name in enumerate(("Ada", "Bob", "Ada", "Cy"))]
        await admin.data("POST", "/items/books", books)
        callers = [
            await person(admin, name, {"collection": "books", "action": "read", "permissions": RULES[n], "fields": FIELDS[n]}, app=n == 2)
            for n, name in enumerate(("ada", "bob", "cy"))
        ]  # fmt: skip
        walk = Walk(seed, admin, callers)
        for _ in range(STEPS):
            await (walk.read() if walk.random.random() < 0.8 else walk.change())
        assert walk.hits > STEPS // 4, "the cache was at work"
