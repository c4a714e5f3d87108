"""Explanations: they say what the rules say (by the model of :mod:`worlds`), and what requests then meet."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from tests.conftest import DIALECTS, Servers

from .stage import ADMIN, Stage, opened_stage
from .world_strategies import grants, worlds
from .worlds import COLUMNS, POLICIES, READER, ROLE, USERS, Grant, World, fields_of

WHO = {"user": READER}
BOOKS = Grant("books", ("id", "title"), {"title": {"_eq": "ant"}}, POLICIES[0])
NOTES = Grant("books", ("note",), {"owner": {"_eq": "$CURRENT_USER"}}, POLICIES[1])


def library() -> World:
    tables: dict[str, dict[Any, dict[str, Any]]] = {name: {} for name in COLUMNS}
    tables[USERS][READER] = {"id": READER, **dict.fromkeys(COLUMNS[USERS])}
    for key, (title, owner) in enumerate((("ant", READER), ("ant", None), ("bee", READER), ("bee", None)), 1):
        tables["books"][key] = {"id": key, **dict.fromkeys(COLUMNS["books"]), "title": title, "owner": owner}
    return World(tables)


@pytest.fixture(params=DIALECTS)
async def stage(request: pytest.FixtureRequest, servers: Servers) -> AsyncIterator[Stage]:
    async with AsyncExitStack() as stack:
        stage = await opened_stage(stack, servers, request.param)
        await stage.fill(library())
        await stage.permit([BOOKS, NOTES])
        yield stage


async def explained(stage: Stage, **question: Any) -> Any:
    answer = await stage.client.get("/permissions/explain", params={"collection": "books", **question}, headers=ADMIN)
    assert answer.status_code == 200, answer.text
    return answer.json()["data"]


async def refusal(stage: Stage, **question: Any) -> str:
    answer = await stage.client.get("/permissions/explain", params=question, headers=ADMIN)
    assert answer.status_code == 400
    return str(answer.json()["errors"][0]["message"])


@pytest.mark.anyio
async def test_an_item(stage: Stage) -> None:
    told = await explained(stage, **WHO, key="1")
    assert told["allowed"] is True
    assert [row["matches"] for row in told["rows"]] == [True, True]
    told = await explained(stage, **WHO, key="2")
    assert (told["allowed"], [row["matches"] for row in told["rows"]]) == (True, [True, False])
    assert {name: told["fields"][name] for name in ("title", "note", "pages")} == {
        "title": "granted",
        "note": "masked",
        "pages": "refused",
    }
    assert (await explained(stage, **WHO, key="4"))["allowed"] is False
    for missing in ("99", "x"):
        told = await explained(stage, **WHO, key=missing)
        assert (told["allowed"], told["reason"]) == (False, "There is no such item.")


@pytest.mark.anyio
async def test_a_collection_with_its_sql(stage: Stage) -> None:
    told = await explained(stage, **WHO)
    assert told["allowed"] is True
    assert told["fields"]["title"] == "by item"
    by_policy = {row["policy"]: row for row in told["rows"]}
    assert by_policy[POLICIES[0]]["values"] == ["ant"]
    assert by_policy[POLICIES[1]]["values"] == [READER]
    for row, keys in ((by_policy[POLICIES[0]], {1, 2}), (by_policy[POLICIES[1]], {1, 3}), (told, {1, 2, 3})):
        async with stage.tabulary.platform.database.connection() as connection:
            assert {int(key) for (key,) in await connection.fetch_rows(row["sql"], row["values"])} == keys


@pytest.mark.anyio
async def test_who_and_through_what(stage: Stage) -> None:
    told = await explained(stage, user="READER@example.com")
    assert told["user"]["id"] == READER
    assert [role["id"] for role in told["roles"]] == [ROLE]
    assert {policy["id"]: policy["through"] for policy in told["policies"]} == {
        POLICIES[0]: {"role": ROLE},
        POLICIES[1]: {"user": READER},
    }
    await stage.client.patch(f"/policies/{POLICIES[1]}", json={"ip_access": ["10.0.0.0/8"]}, headers=ADMIN)
    told = await explained(stage, **WHO, ip="192.168.0.1", key="3")
    assert [policy["in_force"] for policy in told["policies"]] == [True, False]
    assert told["allowed"] is False
    assert (await explained(stage, **WHO, ip="10.1.2.3", key="3"))["allowed"] is True


@pytest.mark.anyio
async def test_a_role_stands_for_somebody_who_has_nothing_else(stage: Stage) -> None:
    told = await explained(stage, role=ROLE)
    assert told["user"] is None
    assert [role["id"] for role in told["roles"]] == [ROLE]
    assert {policy["id"]: policy["through"] for policy in told["policies"]} == {POLICIES[0]: {"role": ROLE}}
    assert [row["policy"] for row in told["rows"]] == [POLICIES[0]], "not what a user of the role has besides"
    assert told["allowed"] is True
    assert (await explained(stage, role=ROLE, key="1"))["allowed"] is True
    assert (await explained(stage, role=ROLE, key="3"))["allowed"] is False
    assert "no role" in await refusal(stage, collection="books", role=READER)
    assert "not about both" in await refusal(stage, collection="books", role=ROLE, **WHO)


@pytest.mark.anyio
async def test_no_permission_at_all(stage: Stage) -> None:
    for question in ({"action": "delete", **WHO}, {"collection": "pages", **WHO}, {}):
        told = await explained(stage, **question)
        assert (told["allowed"], told["rows"]) == (False, [])
    admin = await explained(stage, user="admin@example.com", action="delete", key="1")
    assert (admin["allowed"], admin["admin"]) == (True, True)
    await stage.client.patch(f"/users/{READER}", json={"status": "suspended"}, headers=ADMIN)
    told = await explained(stage, **WHO, key="1")
    assert told["allowed"] is False
    assert '"suspended"' in told["reason"]


@pytest.mark.anyio
async def test_a_rule_that_cannot_be_used(stage: Stage) -> None:
    await stage.permit([Grant("books", ("*",), {"nothing": {"_eq": 1}}, POLICIES[0])])
    told = await explained(stage, **WHO)
    assert told["allowed"] is False
    assert "nothing" in told["reason"]


@pytest.mark.anyio
async def test_wrong_questions(stage: Stage) -> None:
    assert '"collection"' in await refusal(stage)
    assert "nowhere" in await refusal(stage, collection="nowhere")
    assert "nobody" in await refusal(stage, collection="books", user="nobody")
    assert "eat" in await refusal(stage, collection="books", action="eat")
    assert "somewhere" in await refusal(stage, collection="books", ip="somewhere")
    answer = await stage.client.get(
        "/permissions/explain?collection=books", headers={"Authorization": "Bearer reader-token"}
    )
    assert answer.status_code == 403


def test_explanations_and_the_model_agree(servers: Servers) -> None:
    """For every item and field of generated worlds. On SQLite: the rules' SQL is compared elsewhere on all."""
    with asyncio.Runner() as runner:
        stack = AsyncExitStack()
        stage = runner.run(opened_stage(stack, servers, "sqlite"))

        @settings(max_examples=12, deadline=None, database=None, suppress_health_check=list(HealthCheck))
        @given(worlds(), grants())
        def check(world: World, permissions: list[Grant]) -> None:
            runner.run(stage.fill(world))
            runner.run(stage.permit(permissions))
            view = world.view(permissions)
            for name in ("authors", "books", "blocks"):
                for key in world.tables[name]:
                    told = runner.run(explained(stage, **WHO, collection=name, key=key))
                    seen = view.get((name, key))
                    assert told["allowed"] is (seen is not None), (name, key, told)
                    granted = {field for field, verdict in told["fields"].items() if verdict == "granted"}
                    assert granted & set(fields_of(name)) == set(seen or ()), (name, key, told)

        try:
            check()
        finally:
            runner.run(stack.aclose())
