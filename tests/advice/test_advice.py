"""``Tabulary.advise``: indexes for reads in use, tried for real, made on request, and nothing else changed."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from tabulary import Tabulary
from tabulary.core.errors import InvalidPayload
from tabulary.database.catalog import IndexFacts
from tabulary.services.advice.report import Advice, Proposal

from .shelf import found, make_notes, make_orders

pytestmark = pytest.mark.anyio


@pytest.fixture
async def tabulary(installed_url: str) -> AsyncIterator[Tabulary]:
    async with Tabulary(installed_url) as opened:
        await make_orders(opened)
        if opened.platform.database.dialect.name == "postgresql":
            async with opened.platform.database.connection() as connection:
                await connection.execute("ANALYZE")
        yield opened


def kind_of(tabulary: Tabulary) -> str:
    return tabulary.platform.database.dialect.name


def places(proposals: list[Proposal]) -> set[tuple[str, tuple[str, ...]]]:
    return {(proposal.collection, proposal.columns) for proposal in proposals}


def by_columns(advice: Advice, *columns: str) -> Proposal:
    return next(proposal for proposal in advice.proposals if proposal.columns == columns)


async def indexes(tabulary: Tabulary, table: str = "orders") -> list[IndexFacts]:
    async with tabulary.platform.database.connection() as connection:
        return await connection.dialect.catalog.indexes(connection, table)


async def test_what_helps_is_told_with_reason_and_effect(tabulary: Tabulary) -> None:
    before = await indexes(tabulary)
    advice = await tabulary.advise()
    assert await indexes(tabulary) == before  # nothing was changed
    latest = by_columns(advice, "placed")
    assert latest.why == ['bookmark "Latest"']
    if kind_of(tabulary) == "mysql":
        assert latest.status == "not measured" and "--apply" in str(latest.problem)
        return
    assert latest.status == "helps"
    effect = latest.best
    assert effect is not None and effect.after_work is not None and effect.after_work * 2 <= effect.before_work
    assert latest.bytes and latest.bytes > 10_000
    assert "CREATE INDEX orders_placed_index ON orders (placed)" in latest.sql[0].replace('"', "")
    assert latest.undo[0].replace('"', "") == "DROP INDEX orders_placed_index"
    assert any("Clerks" in why for proposal in advice.of("helps") for why in proposal.why)
    assert by_columns(advice, "sort").why == ["the collection's sort field", "the collection's archive"]
    # the same in all rows: tried, and of no use beside the index of the sort field
    assert by_columns(advice, "kind", "sort").status == "no effect"
    # a table of forty rows needs none
    assert not [proposal for proposal in advice.proposals if proposal.collection == "people"]
    assert any("people" in note and "fewer than 1,000" in note for note in advice.notes)
    assert not [proposal for proposal in advice.proposals if proposal.collection.startswith("directus_")]
    json.dumps(advice.as_dict())


async def test_the_foreign_key_of_a_shown_relation(tabulary: Tabulary) -> None:
    """MariaDB has the index by itself; elsewhere a list inside a list has to read all children without one."""
    advice = await tabulary.advise(search=False)
    ours = [p for p in advice.proposals if any("people.orders" in why for why in p.why)]
    if kind_of(tabulary) == "mysql":
        assert ours == []
    else:
        assert len(ours) == 1 and ours[0].status == "helps" and ours[0].columns[0] == "person"


async def test_applying_makes_what_helps_and_is_done_then(tabulary: Tabulary) -> None:
    expected = await found(tabulary, "number1234x", "orders")
    advice = await tabulary.advise(apply=True)
    made = advice.of("made")
    assert ("orders", ("placed",)) in places(made) and not advice.of("failed")
    names = {index.name for index in await indexes(tabulary)}
    assert {p.name for p in made if p.kind == "index"} <= names
    assert not {p.name for p in advice.of("no effect")} & names
    again = await tabulary.advise(apply=True)
    assert again.of("made", "failed", "helps") == []
    assert {index.name for index in await indexes(tabulary)} == names
    assert await found(tabulary, "number1234x", "orders") == expected == [1235]
    if kind_of(tabulary) != "mysql":
        assert ("orders", ("state", "kind", "note")) in places(made)
        # what was made can be undone by what it said
        async with tabulary.platform.database.connection(write=True) as connection:
            for proposal in made:
                for statement in proposal.undo:
                    await connection.execute(statement)
            assert await connection.dialect.catalog.search_indexes(connection) == []


async def test_one_collection_alone(tabulary: Tabulary) -> None:
    assert (await tabulary.advise("people")).proposals == []
    with pytest.raises(InvalidPayload, match="nowhere"):
        await tabulary.advise("nowhere")


async def test_slow_reads_of_a_log_count(tabulary: Tabulary) -> None:
    read = {"collection": "orders", "filter": {"state": {"_eq": "$SAMPLE"}, "placed": {"_gt": "$SAMPLE"}}, "sort": []}
    lines = ["no json", "[]", json.dumps({"logger": "tabulary.slow", "event": "a read took", "read": read})]
    advice = await tabulary.advise(log=lines, search=False)
    logged = [p for p in advice.proposals if "a slow read in the log" in p.why]
    assert ("orders", ("state", "placed")) in places(logged)


async def test_a_rule_about_what_is_gone_is_a_note(tabulary: Tabulary) -> None:
    policy = (await tabulary.items("directus_policies").read_by_query({"filter": {"name": {"_eq": "Clerks"}}}))[0]["id"]
    await tabulary.items("directus_permissions").create_one(
        {
            "policy": policy,
            "collection": "orders",
            "action": "read",
            "permissions": {"gone": {"_eq": 1}},
            "fields": ["*"],
        }
    )
    advice = await tabulary.advise(search=False)
    assert any("gone" in note for note in advice.notes)
    assert advice.proposals


async def test_system_collections_only_when_asked(tabulary: Tabulary) -> None:
    await tabulary.items("directus_activity").create_many(
        [{"action": "create", "collection": f"c{n % 40}", "item": str(n), "ip": "::1"} for n in range(1500)]
    )
    advice = await tabulary.advise(system=True, search=False)
    assert any(p.collection == "directus_activity" for p in advice.proposals)
    assert not any(p.collection == "directus_activity" for p in (await tabulary.advise(search=False)).proposals)


async def test_big_tables_are_not_tried(tabulary: Tabulary) -> None:
    advice = await tabulary.advise(most_rows=1500, apply=True)
    assert {p.status for p in advice.proposals} == {"not measured"}
    assert all("1,500" in str(p.problem) for p in advice.proposals)


async def test_what_searching_lacks_is_said(tabulary: Tabulary) -> None:
    advice = await tabulary.advise()
    searching = [p for p in advice.proposals if p.kind == "search"]
    if kind_of(tabulary) == "mysql":
        assert searching == [] and any("FULLTEXT" in note for note in advice.notes)
    else:
        assert [(p.collection, p.columns, p.status) for p in searching] == [
            ("orders", ("state", "kind", "note"), "helps")
        ]
        assert not [p for p in (await tabulary.advise(search=False)).proposals if p.kind == "search"]


async def test_a_failure_is_told_and_leaves_nothing(tabulary: Tabulary) -> None:
    """Something else has the name already."""
    if kind_of(tabulary) == "mysql":
        pytest.skip("names of indexes are the table's own there")
    async with tabulary.platform.database.connection(write=True) as connection:
        await connection.execute("CREATE TABLE orders_placed_index (id integer primary key)")
    advice = await tabulary.advise(apply=True, search=False)
    taken = by_columns(advice, "placed")
    assert taken.status in ("failed", "not measured") and "already" in str(taken.problem)
    assert ("orders", ("sort",)) in places(advice.of("made"))


async def test_what_a_broken_off_making_left_is_no_index(tabulary: Tabulary) -> None:
    if kind_of(tabulary) != "postgresql":
        pytest.skip("only PostgreSQL leaves such")
    async with tabulary.platform.database.connection(write=True) as connection:
        await connection.execute("CREATE INDEX orders_placed_index ON orders (placed)")
        await connection.execute(
            "UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'orders_placed_index'::regclass"
        )
    advice = await tabulary.advise(apply=True, search=False)
    assert by_columns(advice, "placed").status == "made"
    assert [index.is_valid for index in await indexes(tabulary) if index.columns == ("placed",)] == [True]


async def test_a_bigger_search_index_takes_the_place_of_ours(tabulary: Tabulary) -> None:
    if kind_of(tabulary) == "mysql":
        pytest.skip("MariaDB has no such index")
    await tabulary.advise("orders", apply=True)
    field: dict[str, Any] = {"field": "remark", "type": "string", "schema": {}}
    await (await tabulary.fields()).create_field("orders", field)
    advice = await tabulary.advise("orders", apply=True)
    assert [p.columns for p in advice.of("made") if p.kind == "search"] == [("state", "kind", "note", "remark")]
    async with tabulary.platform.database.connection() as connection:
        searched = await connection.dialect.catalog.search_indexes(connection)
    assert [index.columns for index in searched] == [("state", "kind", "note", "remark")]


async def test_collections_without_rows_or_texts_pass(installed_url: str) -> None:
    async with Tabulary(installed_url) as opened:
        await make_notes(opened)
        advice = await opened.advise(system=True)
        assert advice.proposals == []
