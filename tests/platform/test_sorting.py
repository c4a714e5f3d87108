"""``/utils/sort``: the manual order of a collection."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tabulary import Tabulary

from .conftest import Client, collection, person

pytestmark = pytest.mark.anyio


async def shelf(admin: Client, *places: int | None) -> None:
    await collection(admin, "shelf", "sort", "name", sort_field="sort")
    await admin.data("POST", "/items/shelf", [{"id": i + 1, "sort": place} for i, place in enumerate(places)])


async def order(admin: Client) -> list[tuple[int, int]]:
    rows = await admin.data("GET", "/items/shelf?fields=id,sort&sort=sort,id")
    return [(row["id"], row["sort"]) for row in rows]


async def move(client: Client, item: Any, to: Any) -> int:
    return (await client.post("/utils/sort/shelf", json={"item": item, "to": to})).status_code


@pytest.mark.parametrize(
    ("places", "item", "to", "expected"),
    [
        ((1, 2, 3, 4), 1, 3, [(2, 1), (3, 2), (1, 3), (4, 4)]),
        ((1, 2, 3, 4), 3, 1, [(3, 1), (1, 2), (2, 3), (4, 4)]),
        ((1, 2, 3), 2, 2, [(1, 1), (2, 2), (3, 3)]),
        ((10, 20, 30), 3, 1, [(3, 10), (1, 11), (2, 21)]),
        ((1, 1, 2), 3, 1, [(3, 1), (1, 2), (2, 3)]),
        ((None, 5, None), 1, 2, [(1, 5), (2, 6), (3, 7)]),
        ((None, None, None), 3, 1, [(3, 1), (1, 2), (2, 3)]),
        ((1, 2, 3), "3", "1", [(3, 1), (1, 2), (2, 3)]),
    ],
)
async def test_moving(admin: Client, places: Any, item: Any, to: Any, expected: Any) -> None:
    await shelf(admin, *places)
    assert await move(admin, item, to) == 200
    assert await order(admin) == expected


async def test_unknown_keys_and_wrong_bodies_change_nothing(admin: Client) -> None:
    await shelf(admin, 1, 2)
    for body, status in (
        ({"item": 9, "to": 1}, 403),
        ({"item": 1, "to": 9}, 403),
        ({"item": "x", "to": 1}, 403),
        ({"item": 1}, 400),
        ({"item": None, "to": 1}, 400),
        ({"item": [1], "to": 2}, 400),
        ({}, 400),
        ([], 400),
    ):
        assert (await admin.post("/utils/sort/shelf", json=body)).status_code == status, body
    assert await order(admin) == [(1, 1), (2, 2)]
    assert await admin.code("POST", "/utils/sort/nowhere", {"item": 1, "to": 2}) == (403, "FORBIDDEN")


async def test_collection_without_an_order(admin: Client) -> None:
    await collection(admin, "shelf", "sort")
    assert await admin.code("POST", "/utils/sort/shelf", {"item": 1, "to": 2}) == (400, "INVALID_PAYLOAD")


async def test_needs_update_of_the_sort_field(admin: Client) -> None:
    await shelf(admin, 1, 2)
    update = {"collection": "shelf", "action": "update"}
    writer = await person(admin, "writer", {**update, "fields": ["sort"]})
    painter = await person(admin, "painter", {**update, "fields": ["name"]})
    reader = await person(admin, "reader", {"collection": "shelf", "action": "read"})
    for client in (painter, reader, admin.as_(None)):
        assert await client.code("POST", "/utils/sort/shelf", {"item": 1, "to": 2}) == (403, "FORBIDDEN")
    assert await move(writer, 1, 2) == 200
    assert await order(admin) == [(2, 1), (1, 2)]


async def test_moves_at_once_keep_every_place_single(admin: Client) -> None:
    await shelf(admin, *range(1, 9))
    done = await asyncio.gather(*(move(admin, i, 9 - i) for i in range(1, 9)))
    assert done == [200] * 8
    assert sorted(place for _, place in await order(admin)) == list(range(1, 9))


async def test_tells_hooks(admin: Client, tabulary: Tabulary) -> None:
    heard: list[Any] = []

    async def hear(meta: Any, context: Any) -> None:
        heard.append((meta["event"], meta["item"], meta["to"]))

    tabulary.hooks.action("items.sort", hear)
    tabulary.hooks.action("shelf.items.sort", hear)
    await shelf(admin, 1, 2)
    await move(admin, 1, 2)
    await tabulary.hooks.drain()
    assert heard == [("items.sort", 1, 2), ("shelf.items.sort", 1, 2)]
