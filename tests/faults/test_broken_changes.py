"""A change of the data model that is killed, or loses its database, has happened as a whole or not at all.

Where DDL is part of transactions the database sees to that; elsewhere the journal does (schema_recovery).
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from tabulary.database.connection import Connection
from tabulary.services.schema_recovery import recover

from . import child
from .conftest import facts, kill_in, opened

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize(
    ("work", "place", "when"),
    [
        ("make_collections", 1, "after"),
        ("make_collections", 3, "before"),
        ("apply_snapshot", 4, "after"),
        ("apply_snapshot", 6, "after"),
    ],
)
async def test_killed(work: str, place: int, when: str, url: str, tmp_path: Path) -> None:
    """Collections with their fields and relations, by ``kill -9``."""
    async with opened(url, tmp_path) as tabulary:
        before = await facts(tabulary)
    kill_in(work, "DDL", place, when, url, tmp_path)
    async with opened(url, tmp_path) as tabulary:
        assert await facts(tabulary) == before
        await child.make_library(tabulary)
        key = await tabulary.items("books").create_one({"title": "Emma", "author": {"name": "Jane"}})
        book = await tabulary.items("books").read_one(key, {"fields": ["author.name"]})
        assert book == {"author": {"name": "Jane"}}


@pytest.mark.parametrize("work", ["remove_collection", "remove_field"])
async def test_killed_while_removing(work: str, url: str, tmp_path: Path) -> None:
    async with opened(url, tmp_path) as tabulary:
        await child.make_library(tabulary)
        before = await facts(tabulary)
    kill_in(work, "DDL", 1 if work == "remove_collection" else 2, "after", url, tmp_path)
    async with opened(url, tmp_path) as tabulary:
        left = await facts(tabulary)
        if left == before:
            await getattr(child, work)(tabulary)
            left = await facts(tabulary)
        assert not [r for r in left["relations"] if r["many_field"] == "author"]
        assert not [f for f in left["fields"] if f["field"] in ("author", "books")]
        assert not [f for f in left["fields"] if f["collection"] == "books" and work == "remove_collection"]


WORKS = (
    "apply_snapshot", "make_field", "change_field", "make_relation", "change_relation", "remove_relation",
    "remove_field", "remove_collection",
)  # fmt: skip
"""In this order each begins where a library is, but for the first; ``prepare`` sees to that."""


async def prepare(tabulary: Any, work: str) -> None:
    if work == "apply_snapshot":
        return
    await child.make_library(tabulary)
    if work == "make_relation":
        await child.remove_relation(tabulary)


@pytest.mark.parametrize("url", ["postgresql", "mysql"], indirect=True)
@pytest.mark.parametrize("work", WORKS)
async def test_the_connection_breaks_at_any_statement(work: str, url: str, tmp_path: Path) -> None:
    """Before and after each statement that changes a table, one after the other."""
    async with opened(url, tmp_path) as tabulary:
        await prepare(tabulary, work)
        before, done, place = await facts(tabulary), False, 0
        while not done:
            place += 1
            done = await _broken(tabulary, work, place)
            await recover(tabulary.platform)
            after = await facts(tabulary)
            if after != before:
                assert place > 1
                break
        assert place < 40
        if not done:  # a removal that had begun was finished
            assert work.startswith("remove")
        else:
            assert after != before


async def _broken(tabulary: Any, work: str, place: int) -> bool:
    """Do the work; its connection breaks at the place-th opportunity. True when there was none any more."""
    met = 0

    async def break_off(connection: Connection, when: str, sql: str) -> None:
        nonlocal met
        met += 1
        if met == place:
            raw: Any = connection
            close = raw.raw.close if connection.dialect.name == "mysql" else raw.raw.terminate
            close()
            await asyncio.sleep(0)

    try:
        with child.watching("DDL", break_off):
            await getattr(child, work)(tabulary)
    except Exception:
        return False
    return True
