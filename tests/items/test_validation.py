"""Permissions, presets and rules of a payload (spec items-and-query §7.4)."""

from __future__ import annotations

from typing import Any, cast

import pytest

from tabulary.access.permissions import Permission
from tabulary.core.errors import ErrorGroup, FailedValidation, Forbidden
from tabulary.core.settings import Settings
from tabulary.items.blueprint import Blueprint
from tabulary.items.platform import Platform
from tabulary.items.validation import process_payload
from tabulary.schema.overview import Collection, Field, Schema

from .workbench import ADMIN, WRITER, Rights

pytestmark = pytest.mark.anyio

FIELDS = [
    Field("id", "integer", nullable=False, default_value="AUTO_INCREMENT"),
    Field("key", "uuid", nullable=False, special=("uuid",)),
    Field("age", "integer", nullable=False, validation={"age": {"_gte": 18}}),
    Field("kind", "string", nullable=False, default_value="a"),
    Field("total", "integer", nullable=False, generated=True),
    Field("name", "string", validation={"name": {"_neq": "$CURRENT_USER"}}),
]
SCHEMA = Schema.of([Collection("things", "id", {f.field: f for f in FIELDS})])
BLUEPRINT = Blueprint.of(SCHEMA, "things")


async def process(action: str, payload: dict[str, Any], *rows: Permission, who: Any = WRITER) -> dict[str, Any]:
    parts = cast(Any, (Settings.of(), None, None, None, Rights(list(rows)), None))
    return await process_payload(Platform(*parts), SCHEMA, BLUEPRINT, action, payload, who, ("way",))


def failures(problem: Any) -> list[tuple[str, str]]:
    errors = problem.value.errors if isinstance(problem.value, ErrorGroup) else [problem.value]
    return [(e.extensions["field"], e.extensions["type"]) for e in errors]


def grant(action: str = "create", fields: tuple[str, ...] = ("*",), **options: Any) -> Permission:
    return Permission("things", action, fields, **options)


async def test_internal_calls_are_not_checked() -> None:
    assert await process("create", {"age": 1}, who=None) == {"age": 1}


async def test_all_failures_at_once_in_the_order_of_fields() -> None:
    with pytest.raises(ErrorGroup) as problem:
        await process("create", {"kind": None, "name": ADMIN.user}, who=ADMIN)
    assert failures(problem) == [("age", "required"), ("kind", "nnull"), ("name", "neq")]
    assert problem.value.common_status == 400


async def test_one_failure_is_that_error() -> None:
    with pytest.raises(FailedValidation) as problem:
        await process("create", {"age": 17}, who=ADMIN)
    assert problem.value.extensions == {"field": "age", "path": ["way"], "type": "gte", "valid": 18}


async def test_updates_may_leave_out_but_not_empty() -> None:
    assert await process("update", {"name": "x"}, who=ADMIN) == {"name": "x"}
    with pytest.raises(ErrorGroup) as problem:
        await process("update", {"age": None}, who=ADMIN)
    assert failures(problem) == [("age", "nnull"), ("age", "required")]


async def test_without_permission() -> None:
    with pytest.raises(Forbidden) as problem:
        await process("create", {"age": 20})
    assert "reason" in problem.value.extensions


async def test_fields_are_the_union_of_all_rows() -> None:
    rows = (grant(fields=("age",)), grant(fields=("name",)))
    assert await process("create", {"age": 20, "name": "x"}, *rows) == {"age": 20, "name": "x"}
    for payload in ({"age": 20, "kind": "b"}, {"age": 20, "nope": 1}):
        with pytest.raises(Forbidden):
            await process("create", payload, *rows)
    assert await process("create", {"age": 20, "nope": 1}, grant()) == {"age": 20, "nope": 1}


async def test_presets_fill_what_the_client_left_out() -> None:
    rows = (
        grant(fields=("age",), presets={"name": "first", "kind": "p"}),
        grant(fields=(), presets={"name": {"who": ["$CURRENT_USER"]}}),
    )
    assert await process("create", {"age": 20}, *rows) == {"age": 20, "name": {"who": [WRITER.user]}, "kind": "p"}
    assert (await process("create", {"age": 20, "kind": "own"}, *rows, grant()))["kind"] == "own"


async def test_presets_are_validated_and_every_policy_has_a_say() -> None:
    rows = (
        grant(presets={"age": 5}),
        grant(validation={"name": {"_submitted": True}}),
        grant(validation={"age": {"_lt": 3}}),
    )
    with pytest.raises(ErrorGroup) as problem:
        await process("create", {}, *rows)
    assert failures(problem) == [("age", "gte"), ("name", "required"), ("age", "lt")]
