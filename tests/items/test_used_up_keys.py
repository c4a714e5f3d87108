"""A table whose greatest key is the greatest there can be: the next item gets a clear error, its own key still works."""

from __future__ import annotations

import pytest

from tabulary import Tabulary
from tabulary.core.errors import UnprocessableContent

pytestmark = pytest.mark.anyio

GREATEST = {"sqlite": 2**63 - 1, "postgresql": 2**31 - 1, "mysql": 2**32 - 1}


async def test_a_table_without_keys_left_says_so(installed_url: str) -> None:
    async with Tabulary(installed_url) as tabulary:
        key = {"field": "id", "type": "integer", "schema": {"is_primary_key": True, "has_auto_increment": True}}
        for name in ("books", "authors"):
            title = {"field": "title", "type": "string"}
            await (await tabulary.collections()).create_one({"collection": name, "schema": {}, "fields": [key, title]})
        books = tabulary.items("books")
        last = GREATEST[tabulary.platform.database.dialect.name]
        await books.create_one({"id": str(last), "title": "The last"})
        for payloads in ([{"title": "One more"}], [{"title": "And"}, {"title": "many"}]):
            with pytest.raises(UnprocessableContent, match='"books" has no keys left'):
                await books.create_many(payloads)
        assert await books.create_one({"id": 7, "title": "With a key of its own"}) == 7
        assert len(await books.read_by_query()) == 2
        assert await tabulary.items("authors").create_one({"title": "Somebody else's keys"}) == 1
