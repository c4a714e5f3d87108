"""``count=capped``: counts that stop in time, on every database."""

from __future__ import annotations

from typing import Any

import httpx2
import pytest

from tabulary import Tabulary

pytestmark = pytest.mark.anyio

ADMIN = {"Authorization": "Bearer admin-static-token"}


async def test_counting_stops_at_the_cap(installed_url: str) -> None:
    async with (
        Tabulary(installed_url, QUERY_COUNT_CAP=5) as tabulary,
        httpx2.AsyncClient(
            transport=httpx2.ASGITransport(app=tabulary.asgi), base_url="http://test", headers=ADMIN
        ) as client,
    ):
        names = [{"name": f"{'many' if n < 7 else 'few'} {n}"} for n in range(10)]
        assert (await client.post("/folders", json=names)).status_code == 200

        async def meta(query: str) -> Any:
            answer = await client.get(f"/folders?limit=1&{query}")
            assert answer.status_code == 200, answer.text
            return answer.json()["meta"]

        few = "filter[name][_starts_with]=few"
        assert await meta("meta=*") == {"total_count": 10, "filter_count": 10}
        assert await meta("meta=*&count=capped") == {"total_count": 5, "filter_count": 5, "count_cap": 5}
        assert await meta(f"meta=*&count=capped&{few}") == {"total_count": 5, "filter_count": 3, "count_cap": 5}
        assert await meta("meta=filter_count&count=capped&search=many") == {"filter_count": 5, "count_cap": 5}
        assert await meta(f"meta=filter_count&count=whatever&{few}") == {"filter_count": 3}
        body = {"query": {"meta": "filter_count", "count": "capped", "limit": 1}}
        assert (await client.request("SEARCH", "/folders", json=body)).json()["meta"]["count_cap"] == 5
        files = (await client.get("/files?meta=*&count=capped")).json()["meta"]
        assert files == {"total_count": 0, "filter_count": 0, "count_cap": 5}
