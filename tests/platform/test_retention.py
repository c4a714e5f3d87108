"""Deleting old activity, revisions and flow logs; and the clock that does it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tabulary import Tabulary
from tabulary.core.errors import ConfigurationError
from tabulary.services.retention import Retention
from tabulary.services.schedules import Schedules, next_time

from ..waiting import until
from .conftest import Make

pytestmark = pytest.mark.anyio


async def record(tabulary: Tabulary, days: int, action: str = "update", revisions: int = 1) -> int:
    """An activity so many days old, with revisions of which the later ones lie below the first; its key."""
    moment = (datetime.now(UTC) - timedelta(days=days)).isoformat()
    about = {"collection": "books", "item": "1"}
    activity = tabulary.items("directus_activity")
    key = await activity.create_one({"action": action, **about})
    await activity.update_one(key, {"timestamp": moment})
    parent = None
    for _ in range(revisions):
        row = {"activity": key, **about, "data": {}, "delta": {}, "parent": parent}
        made = await tabulary.items("directus_revisions").create_one(row)
        parent = parent or made
    return int(key)


async def left(tabulary: Tabulary, collection: str) -> int:
    return len(await tabulary.items(collection).get_keys_by_query({"limit": -1}))


async def test_each_kind_has_its_own_age(make: Make) -> None:
    tabulary = await make(ACTIVITY_RETENTION="30d", REVISIONS_RETENTION="10d", FLOW_LOGS_RETENTION="5d")
    fresh = await record(tabulary, 1)
    middle = await record(tabulary, 20)
    await record(tabulary, 40)
    await record(tabulary, 7, action="run", revisions=0)
    done = await Retention(tabulary.platform).run()
    assert done == {"revisions": 2, "activity": 1, "flow logs": 1}
    keys = await tabulary.items("directus_activity").get_keys_by_query({"limit": -1, "sort": "id"})
    assert keys == [fresh, middle]
    rows = await tabulary.items("directus_revisions").read_by_query({"fields": ["activity"]})
    assert [row["activity"] for row in rows] == [fresh]


async def test_small_batches_get_everything_whatever_hangs_together(make: Make) -> None:
    tabulary = await make(RETENTION_BATCH=2, REVISIONS_RETENTION="9000d", FLOW_LOGS_RETENTION="90d")
    for _ in range(5):
        await record(tabulary, 100, revisions=3)
    kept = await record(tabulary, 1, revisions=3)
    # a fresh revision below an old one, as when the two fell on both sides of the limit
    old = (await tabulary.items("directus_revisions").get_keys_by_query({"limit": 1, "sort": "id"}))[0]
    own = await tabulary.items("directus_revisions").get_keys_by_query({"filter": {"activity": {"_eq": kept}}})
    await tabulary.items("directus_revisions").update_many(own, {"parent": old})
    assert (await Retention(tabulary.platform).run())["activity"] == 5
    assert await left(tabulary, "directus_activity") == 1
    assert await left(tabulary, "directus_revisions") == 3
    parents = await tabulary.items("directus_revisions").read_by_query({"fields": ["parent"]})
    assert parents == [{"parent": None}] * 3


async def test_nothing_old_nothing_done_and_an_empty_age_keeps_all(make: Make) -> None:
    tabulary = await make(ACTIVITY_RETENTION=None, REVISIONS_RETENTION="90d", FLOW_LOGS_RETENTION="90d")
    await record(tabulary, 1000, revisions=0)
    assert await Retention(tabulary.platform).run() == {"revisions": 0, "flow logs": 0}
    assert await left(tabulary, "directus_activity") == 1


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("0 0 * * *", "2026-03-02T00:00:00"),
        ("*/15 * * * *", "2026-03-01T10:45:00"),
        ("30 * * * * *", "2026-03-01T10:30:30"),
    ],
)
def test_cron_expressions(expression: str, expected: str) -> None:
    assert next_time(expression, datetime(2026, 3, 1, 10, 30, 0)).isoformat() == expected


def test_a_bad_expression_is_named() -> None:
    with pytest.raises(ConfigurationError, match="every day"):
        Schedules().add("x", "every day", _nothing)


async def test_a_job_that_fails_runs_again() -> None:
    runs: list[int] = []
    schedules = Schedules()

    async def job() -> None:
        runs.append(1)
        raise RuntimeError("once more")

    schedules.add("x", "* * * * * *", job)
    schedules.start()
    await until(lambda: len(runs) >= 2)
    await schedules.stop()


async def _nothing(*_: Any) -> None: ...
