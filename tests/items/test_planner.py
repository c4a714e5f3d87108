"""Plans without a database: wildcards, relations, permissions, limits."""

from __future__ import annotations

from typing import Any

import pytest

from tabulary.access.permissions import UNRESTRICTED, Permission, PermissionSet
from tabulary.core.errors import Forbidden, InvalidQuery
from tabulary.core.settings import Settings
from tabulary.items.conditions import Compare
from tabulary.items.plan import Node, Plain, ToAny, ToMany, ToOne
from tabulary.items.planner import Limits, Planner
from tabulary.items.query import Query

from .library import library

SCHEMA = library()


def plan(collection: str, permissions: PermissionSet = UNRESTRICTED, **raw: Any) -> Node:
    query = Query.parse(raw, Settings.of())
    return Planner(SCHEMA, permissions, Limits(), query.backlink).root(collection, query.root)


def keys(node: Node) -> list[str]:
    return [output.key for output in node.outputs]


def child(node: Node, key: str) -> Node:
    member = next(o.member for o in node.outputs if o.key == key)
    assert isinstance(member, ToOne | ToMany)
    return member.node


def reader(*rows: tuple[str, list[str], Any]) -> PermissionSet:
    return PermissionSet.of(Permission(name, "read", tuple(fields), rule) for name, fields, rule in rows)


def test_star_lists_columns_and_then_relations_as_keys() -> None:
    node = plan("books")
    assert keys(node) == [
        "id",
        "title",
        "pages",
        "price",
        "published",
        "in_print",
        "attributes",
        "keywords",
        "author",
        "reviews",
        "genres",
    ]
    assert child(node, "reviews").limit == 100
    assert keys(child(node, "reviews")) == ["id"]


def test_expanded_form_wins_over_the_key() -> None:
    node = plan("books", fields="author,author.name,title")
    assert keys(node) == ["title", "author"]
    assert keys(child(node, "author")) == ["name"]


def test_wildcards_follow_relations_back_unless_told_not_to() -> None:
    back = child(plan("books", fields="reviews.*.*"), "reviews")
    assert isinstance(back.outputs[-1].member, ToOne)
    plain = child(plan("books", fields="reviews.*.*", backlink=False), "reviews")
    assert all(isinstance(o.member, Plain) for o in plain.outputs)


def test_any_relation_has_a_node_for_each_collection() -> None:
    node = child(plan("pages", fields="blocks.item:genres.name,blocks.item:books.title"), "blocks")
    member = node.outputs[0].member
    assert isinstance(member, ToAny)
    assert [(name, keys(n), bare) for name, n, bare in member.nodes] == [
        ("genres", ["name"], False),
        ("books", ["title"], False),
    ]


def test_alias_and_deep_address_the_same_relation_twice() -> None:
    node = plan(
        "books",
        fields="good.stars,bad.stars",
        alias={"good": "reviews", "bad": "reviews"},
        deep={"good": {"_limit": 1}, "bad": {"_limit": 2}},
    )
    assert [child(node, k).limit for k in ("good", "bad")] == [1, 2]


def test_default_order_is_sort_field_then_key() -> None:
    assert plan("authors").order[0].target.field.field == "name"
    assert plan("books").order[0].target.field.field == "id"
    assert child(plan("books", fields="genres.id"), "genres").order[0].target.field.field == "sort"


@pytest.mark.parametrize(
    "raw",
    [
        {"fields": "nope"},
        {"fields": "author.nope"},
        {"fields": "TITLE"},
        {"fields": "id;drop"},
        {"fields": "***"},
        {"sort": "nope"},
        {"sort": "title.name"},
        {"sort": "--id"},
        {"filter": {"nope": 1}},
        {"filter": {"title": {"name": {"_eq": "x"}}}},
        {"filter": {"id": {"eq": 1}}},
        {"aggregate": {"count": "nope"}},
        {"groupBy": "nope"},
        {"sort": "json(attributes, a)"},
    ],
)
def test_unknown_names_are_forbidden(raw: dict[str, Any]) -> None:
    with pytest.raises(Forbidden):
        plan("books", **raw)


@pytest.mark.parametrize(
    "raw",
    [
        {"fields": "year(title)"},
        {"fields": "nope(title)"},
        {"fields": "json(attributes)"},
        {"fields": "json(attributes, a[*])"},
        {"fields": "json(title, a)"},
        {"fields": "count(title)"},
        {"filter": {"title": {"_gt": "a"}}},
        {"filter": {"title": {"_nope": 1}}},
        {"filter": {"attributes": {"_eq": "x"}}},
        {"filter": {"author": {"_some": {"name": "x"}}}},
        {"filter": {"year(published)": {"_contains": "1"}}},
        {"aggregate": {"sum": "title"}},
        {"aggregate": {"sum": "*"}},
        {"groupBy": "author.name"},
        {"groupBy": "attributes"},
        {"filter": {"author": {"pin": {"_eq": "1"}}}},
    ],
)
def test_what_types_do_not_take_is_invalid(raw: dict[str, Any]) -> None:
    with pytest.raises(InvalidQuery):
        plan("books", **raw)


def test_explosion_of_wildcards_is_refused() -> None:
    with pytest.raises(InvalidQuery):
        plan("books", fields=".".join(["*"] * 10))


def test_permissions_limit_fields_rows_and_relations() -> None:
    rights = reader(("books", ["id", "title", "author"], None), ("books", ["pages"], {"in_print": {"_eq": True}}))
    node = plan("books", rights)
    assert keys(node) == ["id", "title", "author", "pages"]
    assert node.rows is None
    masks = {o.key: o.mask is not None for o in node.outputs}
    assert masks == {"id": False, "title": False, "author": False, "pages": True}
    assert plan("books", rights, fields="pages").rows is not None
    assert keys(plan("books", rights, fields="id,author.name")) == ["id"]
    for raw in (
        {"fields": "price"},
        {"filter": {"price": {"_gt": 1}}},
        {"sort": "price"},
        {"aggregate": {"sum": "price"}},
    ):
        with pytest.raises(Forbidden):
            plan("books", rights, **raw)
    with pytest.raises(Forbidden):
        plan("authors", rights)


def test_a_masked_field_is_masked_in_filter_and_sort() -> None:
    rights = reader(("books", ["id"], None), ("books", ["pages"], {"in_print": {"_eq": True}}))
    node = plan("books", rights, fields="id", filter={"pages": {"_gt": 3}}, sort="pages")
    assert node.filter.target.mask is not None  # type: ignore[union-attr]
    assert node.order[0].target.mask is not None


def test_masks_of_many_policies_are_compared_as_often_as_there_are_rules(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each mask was compared with each rule: fifty policies spent their time there."""
    compared = 0
    original = Compare.__eq__

    def spy(self: Compare, other: object) -> bool:
        nonlocal compared
        compared += 1
        return original(self, other)

    def comparisons(policies: int, fields: list[str]) -> int:
        nonlocal compared
        names = SCHEMA.collections["books"].fields
        chosen = fields or [name for name in names if SCHEMA.relation("books", name) is None]
        rules = [("books", fields or [chosen[n % len(chosen)], "id"], {"pages": {"_gt": n}}) for n in range(policies)]
        compared = 0
        found = plan("books", reader(*rules), fields=",".join(chosen))
        masked = [output.key for output in found.outputs if output.mask is not None]
        assert masked == ([] if fields else [name for name in chosen if name != "id"])
        return compared

    monkeypatch.setattr(Compare, "__eq__", spy)
    assert comparisons(40, []) <= 2 * 40
    assert comparisons(40, ["id", "title", "pages"]) <= 40
