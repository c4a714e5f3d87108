"""Rules that two requests at once could break together: one address, one admin (on every database)."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import httpx2
import pytest

from tabulary import Tabulary
from tabulary.access.links import fingerprint
from tabulary.core.errors import RecordNotUnique, UnprocessableContent
from tabulary.core.tokens import sign

from .conftest import SECRET

pytestmark = [pytest.mark.anyio, pytest.mark.filterwarnings("ignore:.*:DeprecationWarning:aiosmtpd")]

ADA = "ada@example.org"
Way = Callable[[Tabulary, dict[str, str]], Awaitable[Any]]


def spellings(count: int) -> list[str]:
    """Different spellings of one address, by case."""
    name = "adalovelace"
    return ["".join(c.upper() if n >> i & 1 else c for i, c in enumerate(name)) + "@example.org" for n in range(count)]


async def test_fifty_creations_leave_one_user(tabulary: Tabulary) -> None:
    users = await tabulary.service("directus_users")
    emails = spellings(50)
    results = await asyncio.gather(*(users.create_one({"email": e}) for e in emails), return_exceptions=True)
    assert sum(isinstance(result, str) for result in results) == 1, results
    assert sum(isinstance(result, RecordNotUnique) for result in results) == 49, results
    found = await users.read_by_query({"filter": {"email": {"_icontains": "adalovelace"}}, "fields": ["id"]})
    assert len(found) == 1


async def test_creations_and_updates_to_one_address(tabulary: Tabulary) -> None:
    users = await tabulary.service("directus_users")
    keys = [await users.create_one({"email": f"u{n}@example.org"}) for n in range(5)]
    work = [users.update_one(key, {"email": email}) for key, email in zip(keys, spellings(5), strict=True)]
    work += [users.create_many([{"email": email}]) for email in spellings(10)[5:]]
    results = await asyncio.gather(*work, return_exceptions=True)
    assert sum(isinstance(result, RecordNotUnique) for result in results) == 9, results


# Ways to lose an admin: each takes the keys of one admin and of what makes it one, by a role above its own …
WAYS: dict[str, Way] = {
    "delete": lambda t, a: t.users().delete_one(a["user"]),
    "delete by query": lambda t, a: t.users().delete_by_query({"filter": {"id": {"_eq": a["user"]}}}),
    "suspend": lambda t, a: t.users().update_one(a["user"], {"status": "suspended"}),
    "suspend by query": lambda t, a: t.users().update_by_query(
        {"filter": {"id": {"_eq": a["user"]}}}, {"status": "draft"}
    ),
    "batch": lambda t, a: t.users().update_batch([{"id": a["user"], "status": "archived"}]),
    "upsert": lambda t, a: t.users().upsert_one({"id": a["user"], "status": "invited"}),
    "role": lambda t, a: t.users().update_one(a["user"], {"role": None}),
    "policy flag": lambda t, a: t.items("directus_policies").update_one(a["policy"], {"admin_access": False}),
    "policy": lambda t, a: t.items("directus_policies").delete_one(a["policy"]),
    "grant": lambda t, a: t.items("directus_access").delete_one(a["grant"]),
    "grant moved": lambda t, a: t.items("directus_access").update_one(a["grant"], {"role": a["other role"]}),
    "grant of another policy": lambda t, a: t.items("directus_access").update_one(
        a["grant"], {"policy": a["other policy"]}
    ),
    "role deleted": lambda t, a: t.items("directus_roles").delete_one(a["role"]),
    "role above deleted": lambda t, a: t.items("directus_roles").delete_one(a["above"]),
    "role moved": lambda t, a: t.items("directus_roles").update_one(a["role"], {"parent": None}),
    "role's policies": lambda t, a: t.items("directus_roles").update_one(a["above"], {"policies": []}),
    "users of a role": lambda t, a: t.items("directus_roles").update_one(a["role"], {"users": []}),
    "nested in role": lambda t, a: t.items("directus_roles").update_one(a["role"], {"users": {"delete": [a["user"]]}}),
    "suspended in role": lambda t, a: t.items("directus_roles").update_one(
        a["role"], {"users": {"update": [{"id": a["user"], "status": "suspended"}]}}
    ),
    "nested in policy": lambda t, a: t.items("directus_policies").update_one(
        a["policy"], {"roles": {"delete": [a["grant"]]}}
    ),
    "through the role above": lambda t, a: t.items("directus_roles").update_one(
        a["above"], {"children": [], "description": "nobody below"}
    ),
    "flag in a nested grant": lambda t, a: t.items("directus_access").update_one(
        a["grant"], {"policy": {"id": a["policy"], "admin_access": False}}
    ),
}
# … or by a policy of its own.
OWN_WAYS: dict[str, Way] = {
    "own policies": lambda t, a: t.users().update_one(a["user"], {"policies": []}),
    "own grant": lambda t, a: t.users().update_one(a["user"], {"policies": {"delete": [a["grant"]]}}),
    "own grant in policy": lambda t, a: t.items("directus_policies").update_one(
        a["policy"], {"users": {"delete": [a["grant"]]}}
    ),
    "own grant moved": lambda t, a: t.items("directus_access").update_one(
        a["grant"], {"user": None, "role": a["other role"]}
    ),
    "own flag": lambda t, a: t.users().update_one(
        a["user"], {"policies": [{"id": a["grant"], "policy": {"id": a["policy"], "admin_access": False}}]}
    ),
}


async def two_admins(tabulary: Tabulary, *, own: bool = False) -> list[dict[str, str]]:
    """Exactly two admins, each by a policy, a grant and roles that nobody else has."""
    earlier = await tabulary.users().read_by_query({"fields": ["id"], "limit": -1})

    async def make(collection: str, **data: Any) -> str:
        return str(await tabulary.items(f"directus_{collection}").create_one(data))

    other = {"other role": await make("roles", name="nothing"), "other policy": await make("policies", name="nothing")}
    made = []
    for number in (1, 2):
        above = await make("roles", name=f"above {number}")
        role = await make("roles", name=f"role {number}", parent=above)
        policy = await make("policies", name=f"admin {number}", admin_access=True)
        user = await make("users", email=f"admin{number}.{role}@example.org", role=None if own else role)
        grant = await make("access", policy=policy, **({"user": user} if own else {"role": above}))
        made.append({"user": user, "role": role, "above": above, "policy": policy, "grant": grant, **other})
    await tabulary.users().delete_many([user["id"] for user in earlier])
    return made


async def an_admin_remains(tabulary: Tabulary) -> None:
    await (await tabulary.service("directus_users"))._check_remaining_admin_existence()


@pytest.mark.parametrize("own", [False, True])
async def test_the_last_two_admins_do_not_go_together(tabulary: Tabulary, own: bool) -> None:
    for name, way in (OWN_WAYS if own else WAYS).items():
        one, two = await two_admins(tabulary, own=own)
        results = await asyncio.gather(way(tabulary, one), way(tabulary, two), return_exceptions=True)
        assert sum(isinstance(result, UnprocessableContent) for result in results) == 1, (name, results)
        assert sum(isinstance(result, BaseException) for result in results) == 1, (name, results)
        await an_admin_remains(tabulary)


async def test_different_ways_at_once(tabulary: Tabulary) -> None:
    one, two = await two_admins(tabulary)
    work = (WAYS["policy flag"](tabulary, one), WAYS["suspend"](tabulary, two), WAYS["role deleted"](tabulary, two))
    results = await asyncio.gather(*work, return_exceptions=True)
    assert any(isinstance(result, UnprocessableContent) for result in results), results
    await an_admin_remains(tabulary)


async def test_applications_on_one_database(tabulary: Tabulary, installed_url: str) -> None:
    """What keeps the rules is in the database, not in a process."""
    async with Tabulary(installed_url, SECRET=SECRET) as second:
        both = (tabulary, second)
        work = [both[n % 2].users().create_one({"email": email}) for n, email in enumerate(spellings(10))]
        results = await asyncio.gather(*work, return_exceptions=True)
        assert sum(isinstance(result, RecordNotUnique) for result in results) == 9, results
        for name in ("delete", "policy flag", "grant", "role deleted"):
            admins = await two_admins(tabulary)
            ways = (WAYS[name](app, admin) for app, admin in zip(both, admins, strict=True))
            results = await asyncio.gather(*ways, return_exceptions=True)
            assert sum(isinstance(result, UnprocessableContent) for result in results) == 1, (name, results)
            await an_admin_remains(second)


async def test_an_invitation_is_accepted_once(client: httpx2.AsyncClient, tabulary: Tabulary) -> None:
    await tabulary.users().create_one({"email": ADA, "status": "invited"})
    token = sign({"email": ADA, "scope": "invite"}, SECRET)
    bodies = [{"token": token, "password": f"password-{n}"} for n in range(6)]
    answers = await asyncio.gather(*(client.post("/users/invite/accept", json=body) for body in bodies))
    assert sorted(answer.status_code for answer in answers) == [204, 400, 400, 400, 400, 400]
    winner = next(n for n, answer in enumerate(answers) if answer.status_code == 204)
    login = await client.post("/auth/login", json={"email": ADA, "password": f"password-{winner}"})
    assert login.status_code == 200


@pytest.mark.parametrize("password", ["secret", None])
async def test_a_password_is_reset_once(client: httpx2.AsyncClient, tabulary: Tabulary, password: str | None) -> None:
    key = await tabulary.users().create_one({"email": ADA, "password": password})
    user = await (await tabulary.service("directus_users")).get_user_by_key(key)
    claims = {"email": ADA, "scope": "password-reset", "hash": fingerprint(user["password"])}
    bodies = [{"token": sign(claims, SECRET), "password": f"password-{n}"} for n in range(5)]
    answers = await asyncio.gather(*(client.post("/auth/password/reset", json=body) for body in bodies))
    assert sorted(answer.status_code for answer in answers) == [204, 403, 403, 403, 403]


async def test_one_address_many_registrations(client: httpx2.AsyncClient, tabulary: Tabulary) -> None:
    settings = {"public_registration": True, "public_registration_verify_email": False}
    await tabulary.items("directus_settings").upsert_singleton(settings)
    bodies = [{"email": email, "password": "secret"} for email in spellings(5)]
    answers = await asyncio.gather(*(client.post("/users/register", json=body) for body in bodies))
    assert [answer.status_code for answer in answers] == [204] * 5
    found = await tabulary.users().read_by_query({"filter": {"email": {"_icontains": "adalove"}}, "fields": ["id"]})
    assert len(found) == 1
