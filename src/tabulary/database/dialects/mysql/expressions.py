"""Read expressions of MariaDB and MySQL.

Derived tables cannot see the outer row here, so a to-many list is ``JSON_ARRAYAGG(… ORDER BY … LIMIT …)`` (MariaDB),
and the root is one JSON text a row. JSON inside JSON is marked with ``JSON_EXTRACT(x, '$')``, or it would be quoted
as text.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import Any, ClassVar

import sqlalchemy as sa
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.elements import ColumnElement

from tabulary.database.dialects.base import Caster, Column, Expressions, Output, Pairs
from tabulary.database.dialects.casts import js_number, plain_number
from tabulary.database.dialects.dates import local_text

_Element = sa.ColumnElement[Any]
_PARTS = {
    "year": "year",
    "month": "month",
    "day": "dayofmonth",
    "week": "week",
    "weekday": "dayofweek",
    "hour": "hour",
    "minute": "minute",
    "second": "second",
}
_BLOBS = ("blob", "binary", "varbinary", "longblob", "mediumblob", "tinyblob")
_NO_LIMIT = 18446744073709551615


class OrderedArray(ColumnElement[Any]):
    """``JSON_ARRAYAGG(item ORDER BY … LIMIT …)``."""

    inherit_cache = False

    def __init__(self, item: _Element, order: Sequence[_Element], limit: int | None, offset: int) -> None:
        self.item, self.order, self.limit, self.offset = item, list(order), limit, offset
        self.type = sa.types.NullType()

    @property
    def _from_objects(self) -> list[sa.FromClause]:
        return [f for e in (self.item, *self.order) for f in e._from_objects]


@compiles(OrderedArray)
def _compile_ordered_array(element: OrderedArray, compiler: SQLCompiler, **kw: Any) -> str:
    kw.pop("within_columns_clause", None)
    text = compiler.process(element.item, **kw)
    if element.order:
        text += " ORDER BY " + ", ".join(compiler.process(o, **kw) for o in element.order)
    if element.limit is not None or element.offset:
        text += f" LIMIT {element.offset}, {_NO_LIMIT if element.limit is None else element.limit}"
    return f"JSON_ARRAYAGG({text})"


class MySQLExpressions(Expressions):
    single_value: ClassVar[bool] = False

    def rows(self, pairs: Pairs, select: sa.Select[Any], order: Sequence[_Element]) -> sa.Select[Any]:
        return select.add_columns(self.object(pairs).expression.label("v")).order_by(*order)

    def to_many(
        self,
        pairs: Pairs | Output,
        select: sa.Select[Any],
        order: Sequence[_Element],
        limit: int | None,
        offset: int,
    ) -> Output:
        item = _member(pairs) if isinstance(pairs, Output) else self.object(pairs).expression
        if limit == 0:
            return Output(_json(sa.literal_column("'[]'")), is_json=True)
        whole = sa.func.coalesce(OrderedArray(item, order, limit, offset), sa.literal_column("'[]'"))
        return Output(select.add_columns(whole).scalar_subquery(), is_json=True)

    def object(self, pairs: Pairs) -> Output:
        parts: list[_Element] = []
        for key, value in pairs:
            parts += [sa.bindparam(None, key, unique=True), _member(value)]
        return Output(sa.func.json_object(*parts), is_json=True)

    # --- formats ----------------------------------------------------------------------------
    def read(self, column: _Element, of: Column) -> Output:
        db_type = (of.db_type or "").lower()
        if "conceal" in of.special or "encrypt" in of.special:
            present = sa.and_(column.is_not(None), column != sa.literal_column("''"))
            return Output(sa.case((present, sa.literal_column("'**********'"))))
        if of.type == "timestamp":
            seconds = sa.func.date_format(column, sa.literal_column("'%Y-%m-%dT%H:%i:%s'"))
            milliseconds = sa.func.lpad(sa.func.floor(sa.func.microsecond(column) / 1000), 3, sa.literal_column("'0'"))
            return Output(sa.func.concat(seconds, sa.literal_column("'.'"), milliseconds, sa.literal_column("'Z'")))
        if of.type == "dateTime":
            return Output(sa.func.date_format(column, sa.literal_column("'%Y-%m-%dT%H:%i:%s'")))
        if of.type == "date":
            return Output(sa.func.date_format(column, sa.literal_column("'%Y-%m-%d'")))
        if of.type == "boolean" or "cast-boolean" in of.special:
            flag = sa.case(
                (column == sa.literal_column("0"), sa.literal_column("'false'")), else_=sa.literal_column("'true'")
            )
            return Output(sa.case((column.is_not(None), flag)), is_json=True)
        if of.type == "json" or "cast-json" in of.special or db_type == "json":
            valid = sa.func.json_valid(column)
            return Output(sa.case((valid, column), else_=sa.func.json_quote(column)), is_json=True)
        if of.type == "csv":
            quoted = sa.func.replace(sa.func.json_quote(column), sa.literal_column("','"), sa.literal_column("'\",\"'"))
            listed = sa.func.concat(sa.literal_column("'['"), quoted, sa.literal_column("']'"))
            return Output(
                sa.case((column == sa.literal_column("''"), sa.literal_column("'[]'")), else_=listed), is_json=True
            )
        if of.type.startswith("geometry"):
            return Output(sa.func.st_asgeojson(column), is_json=True)
        if db_type in _BLOBS:
            return Output(_buffer(column), is_json=True)
        if db_type.startswith("decimal"):
            return Output(sa.func.concat(column))
        if db_type == "time":
            return Output(sa.func.concat(column))
        return Output(column)

    # --- functions --------------------------------------------------------------------------
    def date_part(self, part: str, column: _Element, of: Column) -> _Element:
        function: _Element = getattr(sa.func, _PARTS[part])(column)
        return function

    def json_length(self, column: _Element, of: Column) -> _Element:
        kind = sa.func.json_type(column)
        length = sa.case(
            (kind == sa.literal_column("'ARRAY'"), sa.func.json_length(column)), else_=sa.literal_column("0")
        )
        return sa.case((column.is_not(None), length))

    def json_path(self, column: _Element, path: Sequence[str | int]) -> Output:
        steps = "".join(f"[{s}]" if isinstance(s, int) else f'."{s}"' for s in path)
        return Output(sa.func.json_extract(column, sa.bindparam(None, "$" + steps, unique=True)), is_json=True)

    def number(self, expression: _Element, kind: str, of: Column | None = None) -> Output:
        floating = of is not None and of.type == "float"
        return Output(sa.func.concat(expression) if kind in ("sum", "avg") and not floating else expression)

    # --- comparing --------------------------------------------------------------------------
    def caster(self, of: Column) -> Caster:
        if of.type in ("integer", "float", "decimal"):
            return lambda value: plain_number(js_number(value))
        if of.type in ("timestamp", "dateTime", "date"):
            return lambda value: local_text(value, of.type)
        if of.type == "boolean":
            return _flag
        return _plain

    def exact(self, expression: _Element, of: Column) -> _Element:
        # a float's own text is rounded; as a double it is the number that comparisons see
        return sa.cast(expression + sa.literal_column("0e0") if of.type == "float" else expression, sa.CHAR())

    def exact_caster(self, of: Column) -> Caster:
        # numbers compared with text would be compared as rounded ones
        return {"integer": int, "bigInteger": int, "boolean": int, "float": float}.get(of.type, str)

    def exact_value(self, parameter: _Element, of: Column) -> _Element:
        return sa.cast(parameter, sa.DECIMAL(65, 30)) if of.type == "decimal" else parameter

    def text(self, expression: _Element) -> _Element:
        return sa.cast(expression, sa.CHAR(255))

    def as_json(self, value: Output) -> _Element:
        if value.is_json:
            return value.expression
        return sa.func.json_extract(sa.func.json_array(value.expression), sa.literal_column("'$[0]'"))

    def intersects(self, column: _Element, wkt: _Element, bbox: bool) -> sa.ColumnElement[bool]:
        function: sa.ColumnElement[bool] = (sa.func.mbrintersects if bbox else sa.func.st_intersects)(
            column, sa.func.st_geomfromtext(wkt)
        )
        return function


def _json(text: _Element) -> _Element:
    return sa.func.json_extract(text, sa.literal_column("'$'"))


def _member(value: Output) -> _Element:
    return _json(value.expression) if value.is_json else value.expression


def _buffer(column: _Element) -> _Element:
    """``{"type": "Buffer", "data": [bytes]}``: hex digits, two by two, through a sequence table."""
    place: _Element = sa.literal_column("b.i")
    series = sa.text(
        "(WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 65535) SELECT i FROM n) AS b"
    )
    byte = sa.func.ord(sa.func.substr(column, place, sa.literal_column("1")))
    data = (
        sa.select(OrderedArray(byte, [place], None, 0))
        .select_from(series)
        .where(place <= sa.func.length(column))
        .scalar_subquery()
    )
    whole = sa.func.json_object(
        sa.literal_column("'type'"),
        sa.literal_column("'Buffer'"),
        sa.literal_column("'data'"),
        _json(sa.func.coalesce(data, sa.literal_column("'[]'"))),
    )
    return sa.case((column.is_not(None), whole))


def _plain(value: Any) -> Any:
    return value.isoformat() if isinstance(value, dt.datetime) else value


def _flag(value: Any) -> Any:
    if isinstance(value, str):
        return {"1": 1, "true": 1, "t": 1, "0": 0, "false": 0, "f": 0}.get(value.lower(), value)
    return value
