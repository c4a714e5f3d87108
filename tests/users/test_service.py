"""The users service from Python: every method, without HTTP, on every database."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import parse_qs, urlsplit
from uuid import uuid4

import pytest

from tabulary import Accountability, Tabulary
from tabulary.core.errors import (
    FailedValidation,
    Forbidden,
    InvalidCredentials,
    InvalidInvite,
    InvalidPayload,
    RecordNotUnique,
    TabularyError,
    UnprocessableContent,
)
from tabulary.core.tokens import verify
from tabulary.services.authentication import AuthenticationService

from .conftest import SECRET, Mailbox

pytestmark = [pytest.mark.anyio, pytest.mark.filterwarnings("ignore:.*:DeprecationWarning:aiosmtpd")]

ADA = "Ada@example.org"
NOBODY = Accountability()
SHORT = {"auth_password_policy": "/^.{8,}$/"}


async def token_in(mailbox: Mailbox, address: str, number: int = 1) -> str:
    return parse_qs(urlsplit(await mailbox.link(address, number)).query)["token"][0]


async def login(tabulary: Tabulary, email: str, password: str) -> Any:
    service = AuthenticationService(tabulary.platform)
    return await service.login({"email": email, "password": password}, NOBODY, await tabulary.schema())


async def set_up(tabulary: Tabulary, **settings: Any) -> None:
    await tabulary.items("directus_settings").upsert_singleton(settings)


# --- items ----------------------------------------------------------------------------------------
async def test_created_changed_and_deleted(tabulary: Tabulary) -> None:
    users = tabulary.users()
    ada = await users.create_one({"email": ADA, "password": "secret", "tags": ["a"]})
    bob, eve = sorted([str(uuid4()), str(uuid4())])
    made = [{"id": bob, "email": "bob@example.org"}, {"id": eve, "email": "eve@example.org", "status": "draft"}]
    assert await users.create_many(made) == [bob, eve]
    assert (await users.read_one(ada, {"fields": ["email", "password", "tags", "status"]})) == {
        "email": ADA, "password": "*" * 10, "tags": ["a"], "status": "active",
    }  # fmt: skip
    assert await users.update_one(ada, {"title": "Countess"}) == ada
    assert await users.update_many([bob, eve], {"location": "here"}) == [bob, eve]
    assert await users.update_batch([{"id": bob, "title": "b"}, {"id": eve, "title": "e"}]) == [bob, eve]
    here = {"filter": {"location": {"_eq": "here"}}, "sort": ["title"], "fields": ["title", "location"]}
    assert await users.update_by_query(here, {"location": "there"}) == [bob, eve]
    assert await users.read_by_query(here) == []
    assert await users.upsert_one({"id": ada, "title": "Lady"}) == ada
    (new, _) = await users.upsert_many([{"email": "new@example.org"}, {"id": eve, "title": "E"}])
    titles = {
        row["id"]: row["title"] for row in await users.read_many([ada, bob, eve, new], {"fields": ["id", "title"]})
    }
    assert titles == {ada: "Lady", bob: "b", eve: "E", new: None}
    assert await users.delete_one(new) == new
    assert await users.delete_many([bob]) == [bob]
    assert await users.delete_by_query({"filter": {"title": {"_eq": "E"}}}) == [eve]
    left = await users.read_by_query({"fields": ["email"], "sort": ["title"]})
    assert sorted(row["email"] for row in left) == [ADA, "admin@example.com"]


async def test_addresses_are_valid_and_unique_in_any_case(tabulary: Tabulary) -> None:
    users = tabulary.users()
    ada = await users.create_one({"email": ADA})
    bob = await users.create_one({"email": "bob@example.org"})
    for bad in (None, "", "ada", "ada@example", " ada@example.org"):
        with pytest.raises(FailedValidation, match="email"):
            await users.create_one({"email": bad})
    taken = "[ada@example.org]"
    for attempt in (
        users.create_one({"email": "ADA@example.org"}),
        users.create_many([{"email": "ADA@example.org"}]),
        users.update_one(bob, {"email": "ADA@EXAMPLE.org"}),
        users.upsert_one({"id": bob, "email": "ada@EXAMPLE.org"}),
    ):
        with pytest.raises(RecordNotUnique) as caught:
            await attempt
        assert caught.value.extensions["value"] == taken
    with pytest.raises(RecordNotUnique) as caught:
        await users.create_many([{"email": "x@example.org"}, {"email": "X@example.org"}, {"email": "y@example.org"}])
    assert caught.value.extensions["value"] == "[x@example.org]"
    with pytest.raises(RecordNotUnique):
        await users.update_many([ada, bob], {"email": "z@example.org"})
    await users.update_one(ada, {"email": ADA.upper()})  # another spelling of the own one
    await users.update_batch(
        [{"id": ada, "email": "one@example.org"}, {"id": bob, "email": ADA}]
    )  # one after the other
    assert (await users.get_user_by_email(ADA.lower()) or {})["id"] == bob


async def test_the_password_policy_is_asked_for_what_was_sent(tabulary: Tabulary) -> None:
    users = tabulary.users()
    await set_up(tabulary, **SHORT)
    for refused in ({"password": "short"}, {"password": None}, {"password": ""}):
        with pytest.raises(FailedValidation) as caught:
            await users.create_one(refused)
        assert caught.value.extensions["invalid"] == refused["password"]
    (key,) = await users.create_many([{"password": None}])
    with pytest.raises(FailedValidation):
        await users.create_many([{"password": "long-enough"}, {"password": "short"}])
    with pytest.raises(FailedValidation):
        await users.update_one(key, {"password": "short"})
    with pytest.raises(FailedValidation):
        await users.update_one(key, {"password": []})
    await users.update_one(key, {"password": "long-enough"})
    await users.update_one(key, {"password": None})
    assert (await users.read_one(key, {"fields": ["password"]})) == {"password": None}


async def test_a_policy_that_is_no_pattern_is_the_admins_trouble(tabulary: Tabulary, person: Any) -> None:
    key = await person("ada")
    await set_up(tabulary, auth_password_policy="/(/")
    with pytest.raises(Forbidden):
        await tabulary.users(Accountability(user=key)).update_one(key, {"password": "x"})
    with pytest.raises(re.error):
        await tabulary.users().update_one(key, {"password": "x"})


async def test_what_nobody_may_is_told_before_what_is_wrong(tabulary: Tabulary) -> None:
    """Errors of users wait until permissions are checked; who has none learns nothing."""
    ada = await tabulary.users().create_one({"email": ADA})
    strangers = tabulary.users(NOBODY)
    for attempt in (
        strangers.create_one({"email": ADA}),
        strangers.create_many([{"email": "bad"}]),
        strangers.update_one(ada, {"email": "admin@example.com"}),
        strangers.update_one(ada, {"tfa_secret": "x"}),
        strangers.delete_many([ada]),
        strangers.invite_user(ADA, None),
        strangers.invite_url(ADA),
    ):
        with pytest.raises(Forbidden):
            await attempt


async def test_fields_that_only_admins_or_nobody_sets(tabulary: Tabulary, person: Any) -> None:
    users = tabulary.users()
    key = await person("ada", {"collection": "directus_users", "action": "update"})
    with pytest.raises(InvalidPayload, match="tfa_secret"):
        await users.update_one(key, {"tfa_secret": None})
    own = tabulary.users(Accountability(user=key))
    for name in ("provider", "external_identifier"):
        with pytest.raises(InvalidPayload, match=name):
            await own.update_one(key, {name: "x"})
    await users.update_one(key, {"auth_data": {"x": 1}})
    await users.update_one(key, {"external_identifier": "x"})
    assert await users.read_one(key, {"fields": ["auth_data", "external_identifier"]}) == {
        "auth_data": None, "external_identifier": "x",
    }  # fmt: skip


async def test_who_is_deleted_is_mentioned_nowhere(tabulary: Tabulary) -> None:
    users = tabulary.users()
    admin = (await users.get_user_by_email("admin@example.com") or {})["id"]
    ada = await users.create_one({"email": ADA})
    notice = {"recipient": admin, "sender": ada, "subject": "x"}
    note = await tabulary.items("directus_notifications").create_one(notice)
    await tokens_of(tabulary, ada)
    with pytest.raises(UnprocessableContent):
        await users.delete_many([ada, admin])
    assert (await tabulary.items("directus_notifications").read_one(note, {"fields": ["sender"]})) == {"sender": ada}
    await users.delete_one(ada)
    assert (await tabulary.items("directus_notifications").read_one(note, {"fields": ["sender"]})) == {"sender": None}


async def tokens_of(tabulary: Tabulary, user: str) -> list[Any]:
    await tabulary.users().update_one(user, {"password": "secret"})
    email = (await tabulary.users().read_one(user, {"fields": ["email"]}))["email"]
    return [await login(tabulary, email, "secret") for _ in range(2)]


# --- accounts -------------------------------------------------------------------------------------
async def test_invited_and_accepted(tabulary: Tabulary, mailbox: Mailbox, role: str) -> None:
    users = tabulary.users()
    await users.invite_user([ADA, "bob@example.org"], role, "http://app.example.com/invite?x=1", "Come in")
    await users.invite_user("eve@example.org, mia@example.org", role)
    for email in (ADA, "bob@example.org", "eve@example.org", "mia@example.org"):
        assert await mailbox.link(email)
        user = await users.get_user_by_email(email) or {}
        assert (user["status"], user["role"], user["password"]) == ("invited", role, None)
    link = await users.invite_url(ADA.lower(), "http://app.example.com/invite#top")
    assert link.startswith("http://app.example.com/invite?token=")
    assert link.endswith("#top")
    assert verify(parse_qs(urlsplit(link).query)["token"][0], SECRET)["email"] == ADA
    for email, url, problem in (
        ("admin@example.com", None, InvalidInvite),
        ("nobody@example.org", None, InvalidInvite),
        (ADA, "http://evil.example/", InvalidPayload),
    ):
        with pytest.raises(problem):
            await users.invite_url(email, url)
    with pytest.raises(InvalidPayload, match="invite users"):
        await users.invite_user("new@example.org", role, "http://evil.example/")
    assert await users.get_user_by_email("new@example.org") is None
    await users.accept_invite(await token_in(mailbox, ADA), "welcome")
    assert await login(tabulary, ADA, "welcome")
    with pytest.raises(InvalidInvite):
        await users.accept_invite(await token_in(mailbox, ADA), "again")
    await users.invite_user(ADA, None)  # who is here already is left alone
    assert (await users.get_user_by_email(ADA) or {})["role"] == role
    await tabulary.platform.mail.drain()
    assert len(mailbox.to(ADA)) == 1


async def test_another_invitation_brings_the_new_role(tabulary: Tabulary, mailbox: Mailbox, role: str) -> None:
    users = tabulary.users()
    await users.invite_user(ADA, None)
    await users.invite_user(ADA.upper(), role)
    assert await token_in(mailbox, ADA, 2)
    assert (await users.get_user_by_email(ADA) or {})["role"] == role


async def test_registered_and_confirmed(tabulary: Tabulary, mailbox: Mailbox) -> None:
    users = tabulary.users()
    person = {"email": ADA, "password": "secret", "first_name": "Ada", "last_name": "L"}
    with pytest.raises(Forbidden):
        await users.register_user(person)
    await set_up(tabulary, public_registration=True)
    with pytest.raises(InvalidPayload, match="verify registered users"):
        await users.register_user(person | {"verification_url": "http://evil.example/"})
    await users.register_user(person | {"verification_url": "http://app.example.com/verify"})
    with pytest.raises(InvalidCredentials):
        await login(tabulary, ADA, "secret")
    key = await users.verify_registration(await token_in(mailbox, ADA))
    assert await users.read_one(key, {"fields": ["first_name", "status"]}) == {"first_name": "Ada", "status": "active"}
    assert await login(tabulary, ADA, "secret")
    with pytest.raises(InvalidPayload, match="Invalid verification code"):
        await users.verify_registration(await token_in(mailbox, ADA))


async def test_a_new_password_by_mail(tabulary: Tabulary, mailbox: Mailbox) -> None:
    users = tabulary.users()
    await users.create_one({"email": ADA, "password": "secret"})
    with pytest.raises(Forbidden):
        await users.request_password_reset("nobody@example.org")
    with pytest.raises(InvalidPayload, match="reset passwords"):
        await users.request_password_reset(ADA, "http://evil.example/")
    await users.request_password_reset(ADA.upper(), "http://app.example.com/reset", "Forgotten?")
    token = await token_in(mailbox, ADA)
    await users.reset_password(token, "new")
    assert await login(tabulary, ADA, "new")
    with pytest.raises(Forbidden):
        await users.reset_password(token, "again")


async def test_sessions_are_cleared_but_for_one(tabulary: Tabulary) -> None:
    users = tabulary.users()
    ada = await users.create_one({"email": ADA})
    kept, ended = await tokens_of(tabulary, ada)
    await users.clear_user_sessions([ada], kept.refresh_token)
    authentication, schema = AuthenticationService(tabulary.platform), await tabulary.schema()
    with pytest.raises(InvalidCredentials):
        await authentication.refresh(ended.refresh_token, NOBODY, schema)
    assert (await authentication.refresh(kept.refresh_token, NOBODY, schema)).access_token
    await users.clear_user_sessions([ada])
    async with tabulary.platform.database.connection() as connection:
        assert await connection.fetch_rows("SELECT token FROM directus_sessions") == []


async def test_checks_for_who_builds_on_them(tabulary: Tabulary) -> None:
    users = await tabulary.service("directus_users")
    admin = await users.get_user_by_email("ADMIN@example.com")
    assert set(admin) == {"id", "role", "status", "password", "email", "provider"}
    assert await users.get_user_by_key(admin["id"]) == admin
    users.validate_email([ADA, "bob@example.org"])
    await set_up(tabulary, **SHORT)
    problems: list[tuple[Any, type[TabularyError]]] = [
        (users._check_unique_emails(["Admin@example.com"]), RecordNotUnique),
        (users._check_unique_emails(["a@example.org", "A@example.org"]), RecordNotUnique),
        (users._check_password_policy(["long-enough", "short"]), FailedValidation),
        (users._check_remaining_admin_existence([admin["id"]]), UnprocessableContent),
        (users._check_remaining_active_admin([admin["id"]]), UnprocessableContent),
    ]
    for check, problem in problems:
        with pytest.raises(problem):
            await check
    with pytest.raises(FailedValidation):
        users.validate_email([ADA, "bob"])
    await users._check_unique_emails(["Admin@example.com"], admin["id"])
    await users._check_remaining_admin_existence()
    version = tabulary.platform.access.version
    await users.clear_caches()
    assert tabulary.platform.access.version > version
