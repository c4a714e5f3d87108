"""Verdicts against the database: what is certain has to be what the database says, with every collation."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tabulary import Tabulary
from tabulary.core.errors import InvalidQuery
from tabulary.items.evaluate import Operands
from tabulary.items.query import Query
from tabulary.services.verdicts import judge, needed

from ..graphql.shelf import KEY, SETTINGS, client_of, post

pytestmark = pytest.mark.anyio

IDS = (
    "a1b2c3d4-0000-4000-8000-00000000000a",
    "A1B2C3D4-0000-4000-8000-00000000000A",
    "a1b2c3d4-0000-4000-8000-00000000000b",
)
VALUES: dict[str, list[Any]] = {
    "name": [None, "", "a", "A", "a ", "ä", "b", "0", "null"],
    "size": [None, 0, 5, -1],
    "big": [None, "9007199254740993", 5],
    "flag": [None, True, False],
    "key": [None, IDS[0], IDS[2]],
}
OPERATORS = ["_eq", "_neq", "_in", "_nin", "_null", "_nnull", "_lt", "_lte", "_gt", "_gte", "_contains", "_empty"]
OPERANDS: dict[str, list[Any]] = {
    "name": ["a", "A", "a ", "ä", "Ä", "b", "zz", "0", "5", 5],
    "size": [0, 5, -1, "5", "5.0", 5.5, 99],
    "big": ["9007199254740993", "9007199254740992", 5, "5"],
    "flag": [True, False, "true", "1", 1],
    "key": [*IDS, "a1b2c3d4-0000-4000-8000-00000000000c"],
}


@st.composite
def conditions(draw: st.DrawFn, deep: int = 2) -> dict[str, Any]:
    if deep and draw(st.integers(0, 2)) == 0:
        return {draw(st.sampled_from(["_and", "_or"])): draw(st.lists(conditions(deep - 1), min_size=1, max_size=3))}
    field = draw(st.sampled_from(sorted(VALUES)))
    operator = draw(st.sampled_from(OPERATORS))
    if operator in ("_null", "_nnull", "_empty"):
        operand: Any = draw(st.booleans())
    elif operator in ("_in", "_nin"):
        operand = draw(st.lists(st.sampled_from(OPERANDS[field]), min_size=1, max_size=3))
    else:
        operand = draw(st.sampled_from(OPERANDS[field]))
    condition = {field: {operator: operand}}
    return {"parent": condition} if draw(st.booleans()) else condition


async def test_verdicts_agree_with_the_database(installed_url: str) -> None:
    async with Tabulary(installed_url, **SETTINGS) as tabulary, client_of(tabulary) as client:
        kinds = {
            "name": "string",
            "size": "integer",
            "big": "bigInteger",
            "flag": "boolean",
            "key": "uuid",
            "parent": "integer",
        }
        fields = [
            {"field": n, "type": k, "schema": {}, "meta": {"special": ["cast-boolean"] if n == "flag" else None}}
            for n, k in kinds.items()
        ]
        await post(client, "/collections", {"collection": "things", "schema": {}, "meta": {}, "fields": [KEY, *fields]})
        link = {"collection": "things", "field": "parent", "related_collection": "things", "schema": {}, "meta": {}}
        await post(client, "/relations", link)
        rows = [{n: values[i % len(values)] for n, values in VALUES.items()} for i in range(14)]
        things = tabulary.items("things")
        for number, row in enumerate(rows):
            await things.create_one({**row, "parent": number if number % 3 else None})
        filters: list[dict[str, Any]] = []

        @settings(max_examples=250, database=None, deadline=None, suppress_health_check=list(HealthCheck))
        @given(conditions())
        def gather(condition: dict[str, Any]) -> None:
            filters.append(condition)

        gather()
        schema = await tabulary.schema()
        certain = sum([await _compare(tabulary, schema, condition) for condition in filters])
        assert certain > 500


async def _compare(tabulary: Tabulary, schema: Any, condition: dict[str, Any]) -> int:
    """How many verdicts were certain."""
    reader = tabulary.platform.reader
    try:
        query = Query.parse({"filter": condition, "fields": ["id"], "limit": -1}, tabulary.settings)
        found = {item["id"] for item in await reader.read(schema, "things", query)}
    except InvalidQuery:
        return 0
    except Exception as problem:
        assert tabulary.platform.database.dialect.classify(problem) or "operator" in str(problem), condition
        return 0
    names = ["id", *needed(query.root.filter, schema, "things")]
    items = await reader.read(schema, "things", Query.parse({"fields": names, "limit": -1}, tabulary.settings))
    ask = judge(query.root.filter, Operands(query.values), schema, "things")
    verdicts = {item["id"]: ask(item) for item in items}
    for key, verdict in verdicts.items():
        assert verdict is None or verdict == (key in found), (condition, key, verdict)
    return sum(verdict is not None for verdict in verdicts.values())
