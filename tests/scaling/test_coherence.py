"""What is taken away is gone with the next request on every process: permissions, tokens, sessions, users, fields."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from .conftest import Cluster, check_coherence

pytestmark = pytest.mark.anyio

CHANGES = 12
"""Of each kind, on each database with and without Redis; ``benchmarks/coherence.py`` makes 10,000."""


@pytest.mark.parametrize("with_redis", [False, True], ids=["alone", "redis"])
async def test_no_read_sees_what_was_taken_away_before_it(
    installed_url: str,
    with_redis: bool,
    cluster: Cluster,
    redis_settings: Callable[[], dict[str, str]],
) -> None:
    settings = redis_settings() if with_redis else {}
    servers = [cluster.start(installed_url, **settings) for _ in range(2)]
    await check_coherence(servers, CHANGES)
