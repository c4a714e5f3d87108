"""Database types, specials and defaults become platform types and values (spec schema-and-platform §1.3, §1.6)."""

from __future__ import annotations

from typing import Any

import pytest

from tabulary.schema.types import default_value, is_alias, platform_type


@pytest.mark.parametrize(
    ("db_type", "expected"),
    [
        (None, "alias"),
        ("character varying", "string"),
        ("VARCHAR", "text"),
        ("char", "string"),
        ("interval", "string"),
        ("money", "float"),
        ("bit", "boolean"),
        ("bigint", "bigInteger"),
        ("bigint unsigned", "integer"),
        ("int unsigned", "integer"),
        ("double precision", "float"),
        ("timestamp without time zone", "dateTime"),
        ("timestamp with time zone", "timestamp"),
        ("timestamp", "timestamp"),
        ("time with time zone", "time"),
        ("decimal(10,5)", "decimal"),
        ("numeric", "integer"),
        ("jsonb", "json"),
        ("bytea", "unknown"),
        ("text[]", "unknown"),
        ("point", "geometry.Point"),
        ("geometry", "geometry"),
    ],
)
def test_types_without_special(db_type: str | None, expected: str) -> None:
    assert platform_type(db_type) == expected


def test_details_of_the_column_decide() -> None:
    assert platform_type("numeric", precision=10, scale=0) == "decimal"
    assert platform_type("varchar", max_length=255) == "string"
    assert platform_type("varchar", max_length=-1) == "text"


@pytest.mark.parametrize(
    ("special", "expected"),
    [
        (["cast-json"], "json"),
        (["hash", "conceal"], "hash"),
        (["cast-csv"], "csv"),
        (["uuid"], "uuid"),
        (["file"], "uuid"),
        (["cast-timestamp"], "timestamp"),
        (["cast-datetime"], "dateTime"),
        (["cast-boolean"], "text"),
    ],
)
def test_special_wins_over_the_column(special: list[str], expected: str) -> None:
    assert platform_type("text", special) == expected


def test_geometry_takes_its_kind_from_special() -> None:
    assert platform_type("geometry", ["geometry.Polygon"]) == "geometry.Polygon"


@pytest.mark.parametrize(
    ("raw", "kind", "expected"),
    [
        (None, "string", None),
        ("0000-00-00 00:00:00", "timestamp", None),
        ("1.5", "decimal", 1.5),
        ("5", "integer", 5),
        ("nextval('a')", "integer", "nextval('a')"),
        ("TRUE", "boolean", True),
        ("0", "boolean", False),
        ('{"a": 1}', "json", {"a": 1}),
        ("{a", "json", "{a"),
        ("it''s", "string", "it''s"),
    ],
)
def test_defaults(raw: Any, kind: str, expected: Any) -> None:
    assert default_value(raw, kind) == expected


def test_alias_specials() -> None:
    assert is_alias(["o2m"]) and is_alias(["no-data", "alias"])
    assert not is_alias(["m2o"]) and not is_alias([])
