"""``/metrics`` tells where the time of requests goes."""

from __future__ import annotations

import re

import httpx2
import pytest

from tabulary import Tabulary

pytestmark = pytest.mark.anyio

ADMIN = {"Authorization": "Bearer admin-static-token"}


@pytest.mark.parametrize("installed_url", ["sqlite"], indirect=True)
async def test_stages_are_counted(installed_url: str) -> None:
    async with (
        Tabulary(installed_url, METRICS_ENABLED=True) as tabulary,
        httpx2.AsyncClient(
            transport=httpx2.ASGITransport(app=tabulary.asgi), base_url="http://test", headers=ADMIN
        ) as client,
    ):
        for _ in range(3):
            await client.get("/users/me")
        assert "server-timing" not in (await client.get("/users/me")).headers
        text = (await client.get("/metrics")).text
    for stage in ("auth", "work"):
        found = re.search(rf'stage_duration_seconds_count{{family="users",stage="{stage}"}} ([\d.]+)', text)
        assert found is not None and float(found[1]) == 4
    assert re.search(r"version_looks [\d.]+", text)
