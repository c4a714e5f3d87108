"""One-time codes: setting them up, logging in with them, and policies that demand them."""

from __future__ import annotations

import time
from base64 import b32decode
from datetime import UTC, datetime
from typing import Any

import httpx2
import pytest

from tabulary import Tabulary
from tabulary.services.two_factor import _Codes, is_current

from .conftest import ADMIN, bearer, code

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.filterwarnings("ignore:.*:DeprecationWarning:aiosmtpd"),
    pytest.mark.parametrize("installed_url", ["sqlite"], indirect=True),
]

OWN = {"id": {"_eq": "$CURRENT_USER"}}
READ = {"collection": "directus_users", "action": "read", "permissions": OWN}
UPDATE = {"collection": "directus_users", "action": "update", "permissions": OWN, "fields": ["tfa_secret"]}


MOMENT = int(time.time())


@pytest.fixture(autouse=True)
def still(monkeypatch: pytest.MonkeyPatch) -> None:
    """Time stands still for codes, so that none ends on its way to the server."""
    verify, moment = _Codes.verify, datetime.fromtimestamp(MOMENT, UTC)
    monkeypatch.setattr(_Codes, "verify", lambda self, code, **more: verify(self, code, for_time=moment, **more))


def now(secret: str, steps: int = 0) -> str:
    return str(_Codes(secret).at(MOMENT + 30 * steps))


async def generate(client: httpx2.AsyncClient, headers: dict[str, str]) -> str:
    answer = await client.post("/users/me/tfa/generate", json={"password": "secret"}, headers=headers)
    data = answer.json()["data"]
    assert len(b32decode(data["secret"])) == 10
    assert data["otpauth_url"].startswith("otpauth://totp/")
    return str(data["secret"])


async def enable(client: httpx2.AsyncClient, headers: dict[str, str]) -> str:
    secret = await generate(client, headers)
    body = {"secret": secret, "otp": now(secret)}
    answer = await client.post("/users/me/tfa/enable", json=body, headers=headers)
    assert answer.status_code == 204, answer.text
    return secret


async def login(client: httpx2.AsyncClient, **more: Any) -> httpx2.Response:
    return await client.post("/auth/login", json={"email": "ada@example.org", "password": "secret", **more})


async def test_from_secret_to_login(client: httpx2.AsyncClient, person: Any) -> None:
    await person("ada", READ, UPDATE)
    wrong = await client.post("/users/me/tfa/generate", json={"password": "x"}, headers=bearer("ada"))
    assert code(wrong) == "INVALID_CREDENTIALS"
    secret = await enable(client, bearer("ada"))
    assert code(await login(client)) == "INVALID_OTP"
    assert code(await login(client, otp=now(secret, -2))) == "INVALID_OTP"
    assert code(await login(client, password="x", otp=now(secret))) == "INVALID_CREDENTIALS"
    assert (await login(client, otp=now(secret))).status_code == 200
    assert not is_current(secret, now(secret, -1)) or now(secret, -1) == now(secret)
    shown = await client.get("/users/me?fields=tfa_secret", headers=bearer("ada"))
    assert shown.json() == {"data": {"tfa_secret": "*" * 10}}
    off = await client.post("/users/me/tfa/disable", json={"otp": now(secret)}, headers=bearer("ada"))
    assert off.status_code == 204
    assert (await login(client)).status_code == 200


async def test_a_secret_needs_permission(client: httpx2.AsyncClient, person: Any) -> None:
    await person("ada", READ)
    secret = await generate(client, bearer("ada"))
    body = {"secret": secret, "otp": now(secret)}
    assert code(await client.post("/users/me/tfa/enable", json=body, headers=bearer("ada"))) == "FORBIDDEN"
    assert (await login(client)).status_code == 200


async def test_admins_help_who_lost_it(client: httpx2.AsyncClient, person: Any) -> None:
    key = await person("ada", READ, UPDATE)
    await enable(client, bearer("ada"))
    assert code(await client.post(f"/users/{key}/tfa/disable", headers=bearer("ada"))) == "FORBIDDEN"
    assert (await client.post(f"/users/{key}/tfa/disable", headers=ADMIN)).status_code == 204
    assert (await login(client)).status_code == 200


async def test_a_demanded_factor_is_demanded(client: httpx2.AsyncClient, person: Any, tabulary: Tabulary) -> None:
    """Until it is set up, a login is good for setting it up; then, with the same token, for everything."""
    await person("ada", READ, UPDATE, {"collection": "directus_roles", "action": "read"}, policy={"enforce_tfa": True})
    data = (await login(client)).json()["data"]
    access = {"Authorization": f"Bearer {data['access_token']}"}
    for path in ("/roles", "/items/books", "/graphql?query={__typename}", "/users", "/assets/x"):
        answer = await client.get(path, headers=access)
        assert (answer.status_code, code(answer)) == (403, "FORBIDDEN"), path
        assert "second factor" in answer.text
    assert code(await client.patch("/users/me", json={"title": "x"}, headers=access)) == "FORBIDDEN"
    for path in ("/users/me", "/policies/me/globals", "/server/info", "/permissions/me", "/sessions"):
        assert (await client.get(path, headers=access)).status_code == 200, path
    assert (await client.get("/roles", headers=bearer("ada"))).status_code == 200  # static tokens are for programs
    await enable(client, access)
    assert (await client.get("/roles", headers=access)).status_code == 200
    refreshed = await client.post("/auth/refresh", json={"refresh_token": data["refresh_token"]})
    assert refreshed.status_code == 200


async def test_a_new_demand_holds_for_running_sessions(
    client: httpx2.AsyncClient, person: Any, tabulary: Tabulary
) -> None:
    await person("ada", READ, {"collection": "directus_roles", "action": "read"})
    access = {"Authorization": f"Bearer {(await login(client)).json()['data']['access_token']}"}
    assert (await client.get("/roles", headers=access)).status_code == 200
    policies = tabulary.items("directus_policies")
    (policy,) = await policies.read_by_query({"filter": {"name": {"_eq": "ada"}}, "fields": ["id"]})
    await policies.update_one(policy["id"], {"enforce_tfa": True})
    assert code(await client.get("/roles", headers=access)) == "FORBIDDEN"
