"""A short storm: servers killed, connections cut, and nothing lost (``benchmarks/chaos.py`` makes the long one)."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from .conftest import benchmark

pytestmark = pytest.mark.anyio

SECONDS = 15


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
async def test_nothing_is_lost_while_everything_breaks(
    database_url: str, redis_settings: Callable[[], dict[str, str]]
) -> None:
    chaos = benchmark("chaos")
    redis = redis_settings()["REDIS"]
    report = await chaos.run(database_url, redis, seconds=SECONDS, clients=16)
    assert report.ledger.wrong == []
    assert report.ledger.updates > len(report.ledger.parents) and report.ledger.deleted
    assert report.broken["kill"] and report.broken["cut_database"]
