"""``DB_SLOW_QUERY_THRESHOLD``: slow reads are logged with their plan, and without anybody's data."""

from __future__ import annotations

import logging

import pytest

from tabulary import Tabulary
from tabulary.core.settings import Settings
from tabulary.items.query import Query
from tabulary.items.slow import read_of, without_values

pytestmark = pytest.mark.anyio


async def test_a_slow_read_is_logged_with_its_plan(installed_url: str, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "tabulary.slow"):
        async with Tabulary(installed_url, DB_SLOW_QUERY_THRESHOLD=0.000001) as tabulary:
            query = {"filter": {"email": {"_eq": "somebody@example.com"}}, "fields": ["id"]}
            await tabulary.users().read_by_query(query)
    lines = [record.getMessage() for record in caplog.records if record.name == "tabulary.slow"]
    assert lines and "directus_users" in lines[0]
    statement, _, plan = lines[0].partition("\n")
    assert "SELECT" in statement.upper() and plan and "no plan" not in plan
    assert all("somebody@example.com" not in line for line in lines)
    read = next(record.read for record in caplog.records if record.name == "tabulary.slow")  # type: ignore[attr-defined]
    assert read == {
        "collection": "directus_users",
        "filter": {"email": {"_eq": "$SAMPLE"}},
        "sort": [],
        "search": False,
    }


async def test_a_fast_read_is_not(installed_url: str, caplog: pytest.LogCaptureFixture) -> None:
    async with Tabulary(installed_url, DB_SLOW_QUERY_THRESHOLD=60_000) as tabulary:
        await tabulary.users().read_by_query({"fields": ["id"]})
    assert not [record for record in caplog.records if record.name == "tabulary.slow"]


def test_what_a_read_asked_for_is_told_without_values() -> None:
    asked = {
        "filter": {"_or": [{"a": {"b": {"_in": ["secret", 5]}}}, {"c": {"_null": True}}, {"d": {"_gt": "$NOW"}}]},
        "sort": ["-a"],
        "search": "secret",
    }
    told = read_of("things", Query.parse(asked, Settings.of()).root)
    assert told == {
        "collection": "things",
        "filter": {
            "_or": [{"a": {"b": {"_in": ["$SAMPLE", "$SAMPLE"]}}}, {"c": {"_null": True}}, {"d": {"_gt": "$NOW"}}]
        },
        "sort": ["-a"],
        "search": True,
    }


def test_plans_name_no_values() -> None:
    plan = "Seq Scan on users (cost=0.00..1.05 rows=1)\n  Filter: ((email = 'o''x@y'::text) AND (age > 41))\n  Index Cond: (id = 5)"
    cleaned = without_values(plan)
    assert "o''x" not in cleaned and "41" not in cleaned and "= 5" not in cleaned and "rows=1" in cleaned
