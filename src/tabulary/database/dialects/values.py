"""Values on their way into columns: what the payload engine hands over, in the form each driver takes.

The engine (``tabulary.items.payload``) has done all that is the same everywhere. What arrives here is None, text, bool,
number, bytes, JSON text, or one of three moments: an aware datetime (instant), a naive one (wall time of the server),
a date.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from tabulary.database.dialects.base import Column

SRID = 4326
BOOLEANS = {"true": 1, "t": 1, "yes": 1, "on": 1, "false": 0, "f": 0, "no": 0, "off": 0}
"""Words for truth, as PostgreSQL takes them, for databases that keep it as a number."""
_UUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")


class Values(ABC):
    """How one dialect writes values. Stateless."""

    @abstractmethod
    def write(self, value: Any, column: Column) -> Any:
        """The driver's form of a value for ``column``. Raises ``ValueError`` for a value that its type cannot be."""

    def expression(self, parameter: sa.ColumnElement[Any], column: Column) -> sa.ColumnElement[Any]:
        """The SQL around the bound value: a plain parameter, but for geometry."""
        if column.type.startswith("geometry"):
            return sa.func.st_geomfromtext(parameter, SRID)
        return parameter

    def sequence_reset(self, table: str, column: str) -> sa.Select[Any] | None:
        """A statement that moves the table's sequence beyond keys that callers chose; None where nothing is to do."""
        return None


def check_whole(number: float, column: Column) -> None:
    """Raise ``ValueError`` for a fraction on its way into a column of whole numbers."""
    if column.type in ("integer", "bigInteger") and not number.is_integer():
        raise ValueError("not a whole number")


def canonical_uuid(text: str) -> str:
    """A uuid in lower case, where the database keeps it as text. Raises ``ValueError`` for what is none."""
    if not _UUID.fullmatch(text):
        raise ValueError("not a uuid")
    return text.lower()


def well_known_text(shape: Any) -> Any:
    """A GeoJSON object as WKT; text and null stay what they are. Raises ``ValueError`` for what is no geometry."""
    if shape is None or isinstance(shape, str):
        return shape
    if not isinstance(shape, Mapping):
        raise ValueError("not a geometry")
    kind = str(shape.get("type", ""))
    if kind == "GeometryCollection":
        return f"GEOMETRYCOLLECTION({', '.join(well_known_text(g) for g in shape.get('geometries', ()))})"
    if kind not in _DEPTHS:
        raise ValueError("not a geometry")
    text = _positions(shape.get("coordinates"), _DEPTHS[kind])
    return f"{kind.upper()}({text})" if kind == "Point" else f"{kind.upper()}{text}"


_DEPTHS = {"Point": 0, "MultiPoint": 1, "LineString": 1, "MultiLineString": 2, "Polygon": 2, "MultiPolygon": 3}


def _positions(coordinates: Any, depth: int) -> str:
    if not isinstance(coordinates, Sequence) or isinstance(coordinates, str) or not coordinates:
        raise ValueError("not a list of coordinates")
    if depth:
        return f"({', '.join(_positions(c, depth - 1) for c in coordinates)})"
    if not all(isinstance(c, int | float) and not isinstance(c, bool) for c in coordinates):
        raise ValueError("coordinates are numbers")
    return " ".join(repr(c) for c in coordinates)
