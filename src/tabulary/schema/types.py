"""From the words of a database to the platform's types (spec schema-and-platform §1.3, §1.6).

Pure functions: a column's catalog type and its ``special`` decide the type, the type decides how a default value of the
catalog is read.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from types import MappingProxyType
from typing import Any

import msgspec

from tabulary.schema.overview import ALIAS_SPECIALS

FIELD_TYPES = frozenset(
    {
        "bigInteger",
        "boolean",
        "date",
        "dateTime",
        "decimal",
        "float",
        "integer",
        "json",
        "string",
        "text",
        "time",
        "timestamp",
        "binary",
        "uuid",
        "hash",
        "csv",
        "unknown",
        "geometry",
        "geometry.Point",
        "geometry.LineString",
        "geometry.Polygon",
        "geometry.MultiPoint",
        "geometry.MultiLineString",
        "geometry.MultiPolygon",
        *ALIAS_SPECIALS,
    }
)
"""The types that ``POST /fields`` takes (§2.4)."""

_FAMILIES: Mapping[str, str] = MappingProxyType(
    {
        "boolean": "boolean bool bit",
        "integer": "tinyint smallint mediumint int integer serial serial4 int2 int4 year number numeric",
        "bigInteger": "bigint bigserial serial8 int8",
        "decimal": "decimal",
        "float": "float double real float4 float8 money smallmoney",
        "string": "varchar varchar2 nvarchar longvarchar char character bpchar interval _varchar",
        "text": "text tinytext mediumtext longtext ntext clob nchar citext string",
        "date": "date",
        "dateTime": "datetime datetime2 smalldatetime",
        "timestamp": "timestamp timestamptz datetimeoffset",
        "time": "time timetz",
        "json": "json jsonb",
        "uuid": "uuid uniqueidentifier",
        "binary": "blob mediumblob binary varbinary image",
        "geometry": "geometry sdo_geometry",
        "geometry.Point": "point",
        "geometry.LineString": "linestring",
        "geometry.Polygon": "polygon",
        "geometry.MultiPoint": "multipoint",
        "geometry.MultiLineString": "multilinestring",
        "geometry.MultiPolygon": "multipolygon",
    }
)
_TYPES: Mapping[str, str] = MappingProxyType(
    {
        **{word: kind for kind, words in _FAMILIES.items() for word in words.split()},
        "double precision": "float",
        "character varying": "string",
        "timestamp without time zone": "dateTime",
        "timestamp without local time zone": "dateTime",
        "timestamp with time zone": "timestamp",
        "timestamp with local time zone": "timestamp",
        "time without time zone": "time",
        "time with time zone": "time",
        **{f"{word} unsigned": "integer" for word in ("int", "tinyint", "smallint", "mediumint", "bigint")},
    }
)
_BY_SPECIAL = (
    ("cast-json", "json"),
    ("hash", "hash"),
    ("cast-csv", "csv"),
    ("uuid", "uuid"),
    ("file", "uuid"),
    ("cast-timestamp", "timestamp"),
    ("cast-datetime", "dateTime"),
)
_UNLIMITED_IS_TEXT = frozenset({"varchar", "nvarchar"})


def platform_type(
    db_type: str | None,
    special: Collection[str] = (),
    *,
    precision: int | None = None,
    scale: int | None = None,
    max_length: int | None = None,
) -> str:
    """The platform type of a column, or ``alias`` when there is none (``db_type`` None). First match wins (§1.3)."""
    if db_type is None:
        return "alias"
    for name, kind in _BY_SPECIAL:
        if name in special:
            return kind
    word = db_type.lower().partition("(")[0].strip()
    kind = _TYPES.get(word, "unknown")
    if kind.startswith("geometry"):
        return next((s for s in special if s.startswith("geometry")), kind)
    if word == "numeric" and precision is not None and scale is not None:
        return "decimal"
    if word in _UNLIMITED_IS_TEXT and max_length in (None, -1):
        return "text"
    return kind


def default_value(raw: Any, kind: str) -> Any:
    """The default of a column as a value of its type (§1.6); what cannot be read as such stays the catalog's text."""
    if raw is None or raw == "0000-00-00 00:00:00":
        return None
    if kind in ("integer", "bigInteger", "decimal", "float"):
        return _number(raw)
    if kind == "boolean":
        return _boolean(raw)
    if kind == "json" and isinstance(raw, str):
        try:
            return msgspec.json.decode(raw)
        except msgspec.DecodeError:
            return raw
    return raw


def is_alias(special: Collection[str]) -> bool:
    """True when the specials say that the field has no column of its own."""
    return not ALIAS_SPECIALS.isdisjoint(special)


def _number(raw: Any) -> Any:
    if not isinstance(raw, str):
        return raw
    for read in (int, float):
        try:
            return read(raw)
        except ValueError:
            continue
    return raw


def _boolean(raw: Any) -> Any:
    text = str(raw).lower()
    if text in ("true", "1"):
        return True
    return False if text in ("false", "0") else raw
