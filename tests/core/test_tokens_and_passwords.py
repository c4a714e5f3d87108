"""Tokens and password hashes."""

from __future__ import annotations

import asyncio
import os
import sys
import threading

import pytest

from tabulary.core import tokens
from tabulary.core.errors import InvalidToken, TokenExpired
from tabulary.core.passwords import Passwords, hash_password

pytestmark = pytest.mark.anyio

SECRET = "0123456789abcdef0123456789abcdef"
CHEAP = {"memoryCost": 1024, "timeCost": 1, "parallelism": 1}


def test_a_token_comes_back_with_its_claims() -> None:
    token = tokens.sign({"id": "x", "role": None}, SECRET, 60_000)
    claims = tokens.verify(token, SECRET)
    assert claims["id"] == "x"
    assert claims["iss"] == "directus"
    assert claims["exp"] - claims["iat"] == 60


def test_without_lifetime_a_token_never_expires() -> None:
    assert "exp" not in tokens.verify(tokens.sign({}, SECRET), SECRET)


@pytest.mark.parametrize("token", ["", "x", "a.b.c", tokens.sign({}, SECRET[::-1]), "ü.ü.ü"])
def test_wrong_tokens(token: str) -> None:
    with pytest.raises(InvalidToken):
        tokens.verify(token, SECRET)


def test_old_tokens() -> None:
    with pytest.raises(TokenExpired):
        tokens.verify(tokens.sign({}, SECRET, -1000), SECRET)


def test_signed_tokens_are_told_from_static_ones() -> None:
    assert tokens.is_signed(tokens.sign({}, SECRET))
    assert not any(map(tokens.is_signed, ("", "static", "a.b.c", "ü.b.c")))


def test_random_tokens() -> None:
    assert len(tokens.random_token(10)) == 10
    assert tokens.random_token() != tokens.random_token()


async def test_a_hash_verifies_only_its_text() -> None:
    passwords = Passwords(CHEAP)
    hashed = await passwords.hash("secret")
    assert hashed.startswith("$argon2id$v=19$m=1024,t=1,p=1$")
    assert await passwords.verify(hashed, "secret")
    assert not await passwords.verify(hashed, "other")
    assert not await passwords.verify("nope", "secret")
    assert passwords.is_hash(hashed)
    assert not passwords.is_hash("nope")
    assert await Passwords().verify(hashed, "secret"), "parameters come from the hash"


async def test_few_threads_hash_and_let_others_go_first() -> None:
    passwords = Passwords(CHEAP)
    hashed = await asyncio.gather(*(passwords.hash("secret") for _ in range(20)))
    assert len(set(hashed)) == 20
    assert len(passwords._threads._threads) <= min(4, os.cpu_count() or 1)

    def priority() -> int:
        return os.getpriority(os.PRIO_PROCESS, threading.get_native_id())

    if sys.platform == "linux":
        assert await asyncio.get_running_loop().run_in_executor(passwords._threads, priority) == 19
        assert priority() < 19


async def test_default_cost_is_the_reference_s() -> None:
    assert (await hash_password("x")).startswith("$argon2id$v=19$m=65536,t=3,p=4$")
