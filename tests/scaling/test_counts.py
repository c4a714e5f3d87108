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


BOOKS = [{"field": "pages", "type": "integer"}, {"field": "secret", "type": "integer"}]


async def test_guesses_for_large_numbers(installed_url: str) -> None:
    async with (
        Tabulary(installed_url, QUERY_COUNT_CAP=10) as tabulary,
        httpx2.AsyncClient(transport=httpx2.ASGITransport(app=tabulary.asgi), base_url="http://test") as client,
    ):
        await (await tabulary.collections()).create_one({"collection": "books", "schema": {}, "fields": BOOKS})
        await tabulary.items("books").create_many([{"pages": n % 2, "secret": n} for n in range(2000)])
        dialect = tabulary.platform.database.dialect.name
        async with tabulary.platform.database.connection(True) as connection:
            await connection.fetch_rows("ANALYZE TABLE books PERSISTENT FOR ALL" if dialect == "mysql" else "ANALYZE")

        async def meta(query: str, who: dict[str, str] | None = ADMIN) -> Any:
            answer = await client.get(f"/items/books?limit=1&count=estimated&{query}", headers=who)
            assert answer.status_code == 200, answer.text
            return answer.json()["meta"]

        half, few = "filter[pages][_eq]=1", "filter[secret][_lt]=7"
        capped = {"count_cap": 10, "count_estimated": []}
        whole = await meta("meta=total_count")
        assert whole["count_estimated"] == ["total_count"] and 1000 <= whole["total_count"] <= 4000
        found = await meta(f"meta=filter_count&{half}")
        if dialect == "sqlite":  # whose plans say no numbers
            assert found == {"filter_count": 10, **capped}
        else:
            assert found["count_estimated"] == ["filter_count"] and 500 <= found["filter_count"] <= 2000
        assert await meta(f"meta=filter_count&{few}") == {"filter_count": 7, **capped}

        # Statistics know of items that a rule hides: who has one gets no guess, and nor does who looks through relations.
        policy = await tabulary.items("directus_policies").create_one({"name": "Readers"})
        await tabulary.items("directus_access").create_one({"policy": policy, "role": None, "user": None})
        grant = {"policy": policy, "collection": "books", "action": "read", "fields": ["*"]}
        rights = tabulary.items("directus_permissions")
        key = await rights.create_one({**grant, "permissions": {"secret": {"_lt": 1000}}})
        assert await meta(f"meta=*&{half}", {}) == {"total_count": 10, "filter_count": 10, **capped}
        await rights.update_one(key, {"permissions": {}})
        assert (await meta("meta=total_count", {}))["count_estimated"] == ["total_count"]
        if dialect != "sqlite":
            assert (await meta(f"meta=filter_count&{half}", {}))["count_estimated"] == ["filter_count"]
