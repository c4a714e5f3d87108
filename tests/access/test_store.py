"""Access on real databases: policies, permissions, variables, integrity under races, identities."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from tabulary import Tabulary
from tabulary.access.accountability import Accountability
from tabulary.access.identities import Identities
from tabulary.access.permissions import UNRESTRICTED
from tabulary.core.errors import (
    Forbidden,
    InvalidCredentials,
    InvalidQuery,
    InvalidToken,
    LimitExceeded,
    RecordNotUnique,
    TokenExpired,
    UnprocessableContent,
)
from tabulary.core.tokens import sign

pytestmark = pytest.mark.anyio

SECRET = "0123456789abcdef0123456789abcdef"
CLAIMS = {"role": None, "app_access": False, "admin_access": True}


@pytest.fixture
async def tabulary(installed_url: str) -> AsyncIterator[Tabulary]:
    async with Tabulary(installed_url, SECRET=SECRET, HASH_MEMORY_COST=1024, HASH_TIME_COST=1) as tabulary:
        yield tabulary


async def create(tabulary: Tabulary, resource: str, /, **data: Any) -> Any:
    service = await tabulary.service(f"directus_{resource}")
    return await service.create_one(data)


async def reader_of_settings(tabulary: Tabulary, **policy: Any) -> tuple[str, str, str]:
    """A user whose parent role may read settings: user, role, policy."""
    parent = await create(tabulary, "roles", name="parent", description="above")
    role = await create(tabulary, "roles", name="role", parent=parent)
    granted = await create(tabulary, "policies", name="p", **policy)
    await create(tabulary, "access", role=parent, policy=granted)
    await create(
        tabulary,
        "permissions",
        policy=granted,
        collection="directus_settings",
        action="read",
        fields=["project_name"],
        permissions={"id": {"_gt": 0}},
    )
    user = await create(tabulary, "users", email="ada@example.org", role=role, token="ada-token", tags=["a", "b"])
    return user, role, granted


async def caller(tabulary: Tabulary, token: str, ip: str | None = None) -> Accountability:
    platform = tabulary.platform
    found = await Identities(platform.database, platform.access, platform.settings).resolve(token, ip)
    return Accountability(found.user, found.role, found.roles, found.admin, found.app, ip)


async def test_permissions_come_down_the_tree_and_go_at_once(tabulary: Tabulary) -> None:
    _, role, policy = await reader_of_settings(tabulary)
    access, schema = tabulary.platform.access, await tabulary.schema()
    ada = await caller(tabulary, "ada-token")
    assert ada.roles[-1] == role
    assert len(ada.roles) == 2
    permissions = await access.permissions(ada, schema)
    assert [row.fields for row in permissions.of_action("directus_settings", "read")] == [("project_name",)]
    assert permissions.of_action("directus_settings", "read")[0].permissions == {"id": {"_gt": 0}}
    assert await access.permissions(ada, schema) is permissions
    assert await access.permissions(None, schema) is UNRESTRICTED

    await (await tabulary.service("directus_policies")).delete_one(policy)
    assert not (await access.permissions(ada, schema)).allows("directus_settings", "read")


async def test_ip_rules_hold_for_each_ip(tabulary: Tabulary) -> None:
    await reader_of_settings(tabulary, ip_access=["10.0.0.0/8"], app_access=True)
    access, schema = tabulary.platform.access, await tabulary.schema()
    for ip, inside in (("10.1.1.1", True), ("11.1.1.1", False), ("10.2.2.2", True)):
        ada = await caller(tabulary, "ada-token", ip)
        assert ada.app is inside
        assert (await access.permissions(ada, schema)).allows("directus_settings", "read") is inside


async def test_variables(tabulary: Tabulary) -> None:
    user, role, policy = await reader_of_settings(tabulary)
    access, schema = tabulary.platform.access, await tabulary.schema()
    ada = await caller(tabulary, "ada-token")
    texts = {
        "$CURRENT_USER": user,
        "$CURRENT_ROLE": role,
        "$CURRENT_ROLES": list(ada.roles),
        "$CURRENT_POLICIES": [policy],
        "$CURRENT_USER.email": "ada@example.org",
        "$CURRENT_USER.tags": ["a", "b"],
        "$CURRENT_USER.role.parent.description": "above",
        "$CURRENT_POLICIES.name": ["p"],
        "$OTHER": "$OTHER",
    }
    assert await access.variables(texts, ada, schema, of_rules=True) == texts
    names = await access.variables(["$CURRENT_ROLES.name"], ada, schema, of_rules=True)
    assert sorted(names["$CURRENT_ROLES.name"]) == ["parent", "role"]
    nobody = await access.variables(texts, None, schema)
    assert nobody["$CURRENT_USER"] is nobody["$CURRENT_USER.email"] is None
    assert nobody["$CURRENT_ROLES"] == nobody["$CURRENT_POLICIES"] == nobody["$CURRENT_POLICIES.name"] == []
    for name in ("nothing", "email"):  # unknown, and not readable for her
        with pytest.raises(InvalidQuery):
            await access.variables([f"$CURRENT_USER.{name}"], ada, schema)
    with pytest.raises(Forbidden):
        await access.variables(["$CURRENT_USER.nothing"], ada, schema, of_rules=True)


async def test_identities_follow_the_user(tabulary: Tabulary) -> None:
    user, _, _ = await reader_of_settings(tabulary)
    users = await tabulary.service("directus_users")
    platform = tabulary.platform
    identities = Identities(platform.database, platform.access, platform.settings)
    assert (await identities.resolve("ada-token", None)).user == user
    for token in ("ADA-TOKEN", "", "ada-token ", "a\0b", "x" * 10_000):
        with pytest.raises(InvalidCredentials):
            await identities.resolve(token, None)
    await users.update_one(user, {"status": "suspended"})
    with pytest.raises(InvalidCredentials):
        await identities.resolve("ada-token", None)
    await users.update_one(user, {"status": "active", "token": "other"})
    with pytest.raises(InvalidCredentials):
        await identities.resolve("ada-token", None)
    assert (await identities.resolve("other", None)).user == user


async def test_signed_tokens(tabulary: Tabulary) -> None:
    user, role, _ = await reader_of_settings(tabulary, app_access=True)
    platform = tabulary.platform
    identities = Identities(platform.database, platform.access, platform.settings)
    found = await identities.resolve(sign({**CLAIMS, "id": user, "role": role}, SECRET, 60_000), None)
    assert (found.user, found.role, found.admin, found.app) == (user, role, False, True)  # claims do not make admins
    with pytest.raises(TokenExpired):
        await identities.resolve(sign({**CLAIMS, "id": user}, SECRET, -60_000), None)
    for token in (
        sign({**CLAIMS, "id": user}, "another-secret-another-secret-32"),
        sign({"id": user}, SECRET),
        sign({**CLAIMS, "id": 5}, SECRET),
    ):
        with pytest.raises(InvalidToken):
            await identities.resolve(token, None)
    for session in (None, "unknown"):
        with pytest.raises(InvalidCredentials):
            await identities.resolve(sign({**CLAIMS, "id": user, "session": session}, SECRET), None)
    for nobody in ("no-uuid", "f1f1f1f1-dead-4000-8000-000000000000"):
        with pytest.raises(InvalidCredentials):
            await identities.resolve(sign({**CLAIMS, "id": nobody, "role": role}, SECRET), None)
    public = await identities.resolve(sign({**CLAIMS, "role": "neither"}, SECRET), None)
    assert (public.user, public.roles, public.admin) == (None, (), False)


async def test_signed_tokens_end_with_their_user(tabulary: Tabulary) -> None:
    user, role, _ = await reader_of_settings(tabulary)
    platform = tabulary.platform
    users = await tabulary.service("directus_users")
    identities = Identities(platform.database, platform.access, platform.settings)
    token = sign({**CLAIMS, "id": user, "role": role}, SECRET, 60_000)
    for status in ("suspended", "archived", "draft"):
        assert (await identities.resolve(token, None)).user == user
        await users.update_one(user, {"status": status})
        with pytest.raises(InvalidCredentials):
            await identities.resolve(token, None)
        await users.update_one(user, {"status": "active"})
    await users.delete_one(user)
    with pytest.raises(InvalidCredentials):
        await identities.resolve(token, None)


async def second_admin(tabulary: Tabulary) -> tuple[Any, list[str]]:
    users = await tabulary.service("directus_users")
    (first,) = await users.read_by_query({"fields": ["id", "role"]})
    second = await users.create_one({"email": "b@example.org", "role": first["role"]})
    return users, [first["id"], second]


@pytest.mark.parametrize("change", [{"status": "suspended"}, {"role": None}, "delete"])
async def test_one_admin_survives_a_race(tabulary: Tabulary, change: Any) -> None:
    users, admins = await second_admin(tabulary)

    def remove(key: str) -> Any:
        return users.delete_one(key) if change == "delete" else users.update_one(key, change)

    results = await asyncio.gather(*map(remove, admins), return_exceptions=True)
    assert sum(isinstance(result, UnprocessableContent) for result in results) == 1, results
    assert sum(isinstance(result, str) for result in results) == 1, results


async def test_an_address_is_unique_in_a_race(tabulary: Tabulary) -> None:
    users = await tabulary.service("directus_users")
    emails = ["ada@example.org", "Ada@Example.org", "ADA@EXAMPLE.ORG"]
    results = await asyncio.gather(*(users.create_one({"email": e}) for e in emails), return_exceptions=True)
    assert sum(isinstance(result, RecordNotUnique) for result in results) == 2, results
    assert len(await users.read_by_query({"filter": {"email": {"_icontains": "ada@"}}, "fields": ["id"]})) == 1


async def test_the_role_tree_stays_a_tree_in_a_race(tabulary: Tabulary) -> None:
    roles = await tabulary.service("directus_roles")
    one, two = await roles.create_many([{"name": "one"}, {"name": "two"}])
    moves = (roles.update_one(one, {"parent": two}), roles.update_one(two, {"parent": one}))
    results = await asyncio.gather(*moves, return_exceptions=True)
    assert sum(isinstance(result, Exception) for result in results) == 1, results


async def test_user_limits(installed_url: str) -> None:
    async with Tabulary(installed_url, SECRET=SECRET, USERS_ADMIN_ACCESS_LIMIT=1, USERS_API_ACCESS_LIMIT=1) as tabulary:
        users = await tabulary.service("directus_users")
        (admin,) = await users.read_by_query({"fields": ["role"]})
        plain = await users.create_one({"email": "a@example.org"})
        for data in ({"email": "b@example.org"}, {"email": "b@example.org", "role": admin["role"]}):
            with pytest.raises(Exception, match="limit exceeded"):
                await users.create_one(data)
        await users.create_one({"email": "b@example.org", "status": "invited"})
        policy = await create(tabulary, "policies", name="p")
        await create(tabulary, "access", user=plain, policy=policy)
        for flag in (True, "true", 1):
            with pytest.raises(LimitExceeded):
                await tabulary.items("directus_policies").update_one(policy, {"admin_access": flag})
