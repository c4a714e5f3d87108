"""Which operators a field takes in a query (spec items-and-query §4.4)."""

from __future__ import annotations

from tabulary.schema.overview import Field

_NULL = frozenset({"_null", "_nnull"})
_EQUAL = _NULL | {"_eq", "_neq"}
_LISTED = frozenset({"_in", "_nin"})
_ORDERED = frozenset({"_lt", "_lte", "_gt", "_gte", "_between", "_nbetween"})
_EMPTY = frozenset({"_empty", "_nempty"})
_MATCHING = frozenset(
    {
        "_contains",
        "_ncontains",
        "_icontains",
        "_starts_with",
        "_nstarts_with",
        "_istarts_with",
        "_nistarts_with",
        "_ends_with",
        "_nends_with",
        "_iends_with",
        "_niends_with",
    }
)
_GEOMETRY = frozenset({"_intersects", "_nintersects", "_intersects_bbox", "_nintersects_bbox"})

_TEXTUAL = _EQUAL | _LISTED | _EMPTY | _MATCHING
_NUMERIC = _EQUAL | _LISTED | _ORDERED
_SECRET = _NULL | _EMPTY
_OTHER = _EQUAL | _LISTED | _ORDERED | _EMPTY | {"_contains", "_ncontains"}

_BY_TYPE: dict[str, frozenset[str]] = {
    **dict.fromkeys(("string", "text", "csv", "binary"), _TEXTUAL),
    **dict.fromkeys(("integer", "bigInteger", "decimal", "float"), _NUMERIC),
    **dict.fromkeys(("date", "dateTime", "time"), _NUMERIC),
    "boolean": _EQUAL,
    "uuid": _EQUAL | _LISTED,
    "json": _NULL,
    "hash": _SECRET,
    "geometry": _EQUAL | _GEOMETRY,
}


def operators_of(field: Field) -> frozenset[str]:
    """The operators that may compare this field. Secrets can only be tested for null and empty."""
    if field.concealed:
        return _SECRET
    if field.type.startswith("geometry."):
        return _OTHER | _GEOMETRY
    return _BY_TYPE.get(field.type, _OTHER)


NUMBER_OPERATORS = _NUMERIC
"""For computed numbers: ``year(x)``, ``count(x)``."""

ORDER_OPERATORS = frozenset({"<", "<=", ">", ">="})
"""For reading lists in parts: any field, in the database's own order. No filter of a request can have them."""
