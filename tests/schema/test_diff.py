"""Differences lead from one value to the other (spec schema-and-platform §3.2)."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from tabulary.schema.diff import applied, differences, is_creation, is_deletion, snapshot_diff

plain = st.one_of(st.none(), st.booleans(), st.integers(-9, 9), st.text(max_size=3))
values = st.recursive(
    plain,
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(st.sampled_from("abcd"), inner, max_size=4)),
    max_leaves=12,
)


@given(values, values)
def test_applying_the_differences_yields_the_other_value(lhs: Any, rhs: Any) -> None:
    # below a member of "meta", where deletions are meant
    before, after = {"meta": {"x": lhs}}, {"meta": {"x": rhs}}
    assert applied(before, list(differences(before, after))) == after


def test_members_that_a_trimmed_snapshot_lacks_stay() -> None:
    elements = list(differences({"meta": {"note": "n", "icon": "i"}}, {"meta": {"icon": "j"}}))
    assert applied({"meta": {"note": "n", "icon": "i"}}, elements) == {"meta": {"note": "n", "icon": "j"}}


def snapshot(**lists: list[dict[str, Any]]) -> dict[str, Any]:
    return {"collections": [], "fields": [], "systemFields": [], "relations": [], **lists}


def field(name: str, kind: str = "string", **schema: Any) -> dict[str, Any]:
    return {"collection": "a", "field": name, "type": kind, "meta": {}, "schema": schema or None}


def test_equal_snapshots_have_no_difference() -> None:
    assert snapshot_diff(snapshot(fields=[field("x")]), snapshot(fields=[field("x")])) is None


def test_new_gone_and_edited_fields() -> None:
    before = snapshot(fields=[field("gone"), field("same", max_length=1)])
    after = snapshot(fields=[field("same", max_length=2), field("new")])
    diff = snapshot_diff(before, after)
    assert diff is not None
    gone, same, new = diff["fields"]
    assert is_deletion(gone) and is_creation(new)
    assert same["diff"] == [{"kind": "E", "path": ["schema", "max_length"], "lhs": 1, "rhs": 2}]


def test_a_change_to_alias_is_a_delete_and_a_create() -> None:
    diff = snapshot_diff(snapshot(fields=[field("x")]), snapshot(fields=[field("x", "alias")]))
    assert diff is not None
    assert [e["diff"][0]["kind"] for e in diff["fields"]] == ["D", "N"]


def test_generated_keys_are_compared_without_their_schema() -> None:
    before = snapshot(fields=[field("id", "integer", has_auto_increment=True, default_value="nextval('x')")])
    after = snapshot(fields=[field("id", "integer", has_auto_increment=True, default_value=None)])
    assert snapshot_diff(before, after) is None


def test_parts_of_a_deleted_collection_are_not_listed() -> None:
    before = snapshot(collections=[{"collection": "a", "meta": {}, "schema": {"name": "a"}}], fields=[field("x")])
    diff = snapshot_diff(before, snapshot())
    assert diff is not None
    assert len(diff["collections"]) == 1 and diff["fields"] == []


def test_system_fields_change_their_index_only() -> None:
    indexed = {"collection": "directus_users", "field": "email", "schema": {"is_indexed": True}}
    diff = snapshot_diff(snapshot(systemFields=[indexed]), snapshot())
    assert diff is not None
    assert diff["systemFields"][0]["diff"] == [
        {"kind": "E", "path": ["schema", "is_indexed"], "lhs": True, "rhs": False}
    ]
