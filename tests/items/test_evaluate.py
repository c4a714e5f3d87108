"""Filters against payloads (spec items-and-query §4.8)."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from tabulary.items.evaluate import Operands, evaluate
from tabulary.items.filter import parse_rule


def failures(
    rule: dict[str, Any], payload: dict[str, Any], variables: dict[str, Any] | None = None
) -> list[dict[str, Any]]:
    values: list[Any] = []
    tree = parse_rule(rule, values)
    return [e.extensions for e in evaluate(tree, payload, Operands(values, variables or {}))]


def kinds(rule: dict[str, Any], payload: dict[str, Any]) -> list[str]:
    return [f["type"] for f in failures(rule, payload)]


@pytest.mark.parametrize(
    ("operator", "bound", "good", "bad", "kind", "details"),
    [
        ("_eq", "a", ["a"], ["b", None], "eq", {"valid": "a"}),
        ("_eq", 5, [5, "5", 5.0], [6, "x", True], "in", {"valid": [5, "5"]}),
        ("_eq", None, [None], [0, ""], "null", {}),
        ("_neq", "a", ["b", None], ["a"], "neq", {"invalid": "a"}),
        ("_neq", 5, [6], [5, "5"], "nin", {"invalid": [5, "5"]}),
        ("_neq", None, [0], [None], "nnull", {}),
        ("_in", ["a", "b"], ["a", "b"], ["c", None], "in", {"valid": ["a", "b"]}),
        ("_in", ["a"], ["a"], ["c"], "eq", {"valid": "a"}),
        ("_nin", ["a", "b"], ["c"], ["a"], "nin", {"invalid": ["a", "b"]}),
        ("_nin", ["a"], ["c"], ["a"], "neq", {"invalid": "a"}),
        ("_gt", 5, [6, "6", 5.1], [5, "5"], "gt", {"valid": 5}),
        ("_gte", "5", [5], [4], "gte", {"valid": "5"}),
        ("_lt", 5, [4], [5], "lt", {"valid": 5}),
        ("_lte", 5, [5], [6], "lte", {"valid": 5}),
        ("_gte", "2020-01-01", ["2020-01-01", "2021-05-06T10:00:00Z"], ["2019-12-31"], "gte", {"valid": "2020-01-01"}),
        ("_gt", 5, [], [None, "old", [], {}], "required", {}),
        ("_between", [1, 5], [1, 3, "5"], [6], "lte", {"valid": 5}),
        ("_between", [1, 5], [], [0], "gte", {"valid": 1}),
        ("_nbetween", [1, 5], [0, 6], [1, 3, 5], "lt", {"valid": 1}),
        ("_contains", "at", ["cat", ["dog", "rat"]], ["dog", ["x"], None, 5], "contains", {"substring": "at"}),
        ("_ncontains", "at", ["dog", ["x"]], ["cat", ["rat"]], "ncontains", {"substring": "at"}),
        ("_icontains", "MiX", ["remixed"], ["x"], "contains", {"substring": "MiX"}),
        ("_starts_with", "g", ["go"], ["no"], "starts_with", {"substring": "g"}),
        ("_nstarts_with", "g", ["no"], ["go"], "nstarts_with", {"substring": "g"}),
        ("_istarts_with", "G", ["go"], ["no"], "istarts_with", {"substring": "G"}),
        ("_ends_with", "@a.b", ["x@a.b"], ["x@aab"], "ends_with", {"substring": "@a\\.b"}),
        ("_niends_with", "Z", ["a"], ["az"], "niends_with", {"substring": "Z"}),
        ("_ends_with", "z", [], [None, 5], "required", {}),
        ("_null", True, [None], ["", 0], "null", {}),
        ("_nnull", True, ["", 0, False], [None], "nnull", {}),
        ("_empty", True, [""], [None, "x"], "empty", {}),
        ("_nempty", True, [None, "x"], [""], "nempty", {}),
        ("_regex", "^n\\.", ["n.x"], ["nx"], "regex", None),
        ("_regex", "/^[^@ ]+@[^@ ]+$/", ["a@b"], ["a", "a b@c"], "regex", None),
        ("_regex", "^a$", ["a"], ["a\n", "ab"], "regex", None),
        ("_regex", "^n", [], [None, 5], "required", {}),
        ("_submitted", True, [None, 0, "x"], [], "required", {}),
    ],
)
def test_operator(
    operator: str, bound: Any, good: list[Any], bad: list[Any], kind: str, details: dict[str, Any] | None
) -> None:
    rule = {"a": {operator: bound}}
    for value in good:
        assert failures(rule, {"a": value}) == [], value
    for value in bad:
        expected = {"invalid": value} if details is None else details
        assert failures(rule, {"a": value}) == [{"field": "a", "path": [], "type": kind, **expected}], value


def test_missing_keys_pass_but_submitted() -> None:
    assert kinds({"a": {"_gt": 5}, "b": {"_nnull": True}}, {}) == []
    assert kinds({"a": {"_submitted": True}}, {}) == ["required"]


def test_or_needs_one_branch_and_reports_all() -> None:
    rule = {"_or": [{"a": {"_eq": "x"}}, {"b": {"_gt": 5}}]}
    assert kinds(rule, {"a": "x", "b": 1}) == []
    assert kinds(rule, {"b": 6}) == []
    assert kinds(rule, {"a": "y", "b": 1}) == ["eq", "gt"]


def test_and_reports_all() -> None:
    assert kinds({"_and": [{"a": {"_nnull": True}}, {"a": {"_gt": 1}}]}, {"a": None}) == ["nnull", "required"]


def test_rules_look_into_objects() -> None:
    rule = {"author": {"name": {"_eq": "x"}}}
    assert failures(rule, {"author": {"name": "y"}}) == [
        {"field": "author", "path": ["name"], "type": "eq", "valid": "x"}
    ]
    assert failures(rule, {"author": 3})[0]["type"] == "required"
    assert failures(rule, {"author": {}}) == []


def test_functions_are_computed_first() -> None:
    assert failures({"year(a)": {"_gte": 2024}}, {"a": "2020-05-06"}) == [
        {"field": "year(a)", "path": [], "type": "gte", "valid": 2024}
    ]
    assert kinds({"count(a)": {"_lt": 3}}, {"a": [1, 2]}) == []
    assert kinds({"count(a)": {"_lt": 3}}, {"a": [1, 2, 3]}) == ["lt"]


def test_variables_are_resolved() -> None:
    moment = datetime(2024, 1, 1, tzinfo=UTC)
    rule = {"seen": {"_lt": "$NOW"}}
    assert failures(rule, {"seen": "2023-01-01T00:00:00Z"}, {"$NOW": moment}) == []
    assert failures(rule, {"seen": "2990-01-01"}, {"$NOW": moment})[0]["valid"] == "2024-01-01T00:00:00.000Z"
    assert failures({"user": {"_in": ["$CURRENT_ROLES"]}}, {"user": "a"}, {"$CURRENT_ROLES": ["a", "b"]}) == []


def test_what_cannot_be_decided_here_passes() -> None:
    assert kinds({"children": {"_some": {"a": {"_eq": 1}}}}, {"children": []}) == []
    assert kinds({"place": {"_intersects": {"type": "Point", "coordinates": [1, 2]}}}, {"place": "x"}) == []
