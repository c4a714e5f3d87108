"""Read expressions of PostgreSQL: JSON by ``row_to_json`` over derived tables, formats by ``to_char``.

Bound values are text in the column's own input syntax; the driver's codecs are switched to text, so PostgreSQL parses
them and its errors are the reference's errors.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from functools import lru_cache
from typing import Any, ClassVar

import sqlalchemy as sa
from sqlalchemy.sql.elements import quoted_name

from tabulary.database.dialects.base import Caster, Column, Expressions, Output, Pairs
from tabulary.database.dialects.casts import js_number, moment, number_text
from tabulary.database.versions import TOKEN

_Element = sa.ColumnElement[Any]
_MOMENT = "'YYYY-MM-DD\"T\"HH24:MI:SS'"
_MAX_NAME = 63
_AS_TEXT = frozenset({"bigint", "int8", "bigserial", "numeric", "decimal", "money"})
_PARTS = {"weekday": "dow"}
_UUID = "^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$"
_KEYS: dict[str, tuple[str, sa.types.TypeEngine[Any]]] = {
    "integer": ("^-?[0-9]{1,9}$", sa.Integer()),
    "smallint": ("^-?[0-9]{1,4}$", sa.SmallInteger()),
    "bigint": ("^-?[0-9]{1,18}$", sa.BigInteger()),
    "uuid": (_UUID, sa.Uuid()),
}
"""What text may be a key of a type, and the type: a cast must never fail on somebody's stored text."""

_TEXT = r'"([^"\\\x01-\x1f]|\\(["\\/bfnrt]|u[0-9a-fA-F]{4}))*"'
_SCALAR = rf"({_TEXT}|-?(0|[1-9][0-9]*)([.][0-9]+)?([eE][+-]?[0-9]+)?|true|false|null)"
_JSON_LIST = rf"^\s*\[\s*({_SCALAR}(\s*,\s*{_SCALAR})*)?\s*\]\s*$"
"""Text that is a JSON list of plain values: what text columns of type json hold (the tags of files). ``IS JSON`` needs
PostgreSQL 16."""


@lru_cache(4096)
def _witnessed(sql: str) -> str:
    return f"SELECT ({sql}), ({TOKEN})"


class PostgreSQLExpressions(Expressions):
    row: ClassVar[str] = "x"
    """The derived table whose rows become JSON."""
    row_value: ClassVar[str] = "x.*"
    """A row of it. "x" alone would be the column of that name, where there is one."""
    single_value: ClassVar[bool] = True
    has_witness: ClassVar[bool] = True
    nulls_are_greatest: ClassVar[bool] = True
    compares_rows: ClassVar[bool] = True

    def witnessed(self, sql: str) -> str:
        return _witnessed(sql)

    def rows(self, pairs: Pairs, select: sa.Select[Any], order: Sequence[_Element]) -> sa.Select[Any]:
        table, row = self._table(pairs, select.order_by(*order))
        return sa.select(
            sa.cast(sa.func.coalesce(sa.func.json_agg(row), sa.literal_column("'[]'::json")), sa.Text())
        ).select_from(table)

    def to_one(self, pairs: Pairs, select: sa.Select[Any]) -> Output:
        table, row = self._table(pairs, select)
        return Output(sa.select(row).select_from(table).scalar_subquery(), is_json=True)

    def to_many(
        self,
        pairs: Pairs | Output,
        select: sa.Select[Any],
        order: Sequence[_Element],
        limit: int | None,
        offset: int,
    ) -> Output:
        select = (
            select.order_by(*order)
            .limit(limit if limit is None else sa.literal_column(str(limit), sa.Integer()))
            .offset(offset or None)
        )
        if isinstance(pairs, Output):
            table: sa.FromClause = select.add_columns(pairs.expression.label("v")).subquery("x")
            row: _Element = sa.literal_column("x.v")
        else:
            table, row = self._table(pairs, select)
        whole = sa.func.coalesce(sa.func.json_agg(row), sa.literal_column("'[]'::json"))
        return Output(sa.select(whole).select_from(table).scalar_subquery(), is_json=True)

    def object(self, pairs: Pairs) -> Output:
        parts: list[_Element] = []
        for key, value in pairs:
            parts += [sa.cast(sa.bindparam(None, key, unique=True), sa.Text()), value.expression]
        return Output(sa.func.json_build_object(*parts), is_json=True)

    def _table(self, pairs: Pairs, select: sa.Select[Any]) -> tuple[sa.FromClause, _Element]:
        """A derived table with one column a member, and the expression that makes a row of it JSON."""
        if pairs and all(len(key.encode()) <= _MAX_NAME and key != self.row_value for key, _ in pairs):
            columns = [value.expression.label(quoted_name(key, quote=True)) for key, value in pairs]
            row = sa.func.row_to_json(sa.literal_column(self.row_value))
            return select.add_columns(*columns).subquery(self.row), row
        return select.add_columns(self.object(pairs).expression.label("v")).subquery("x"), sa.literal_column("x.v")

    # --- formats ----------------------------------------------------------------------------
    def read(self, column: _Element, of: Column) -> Output:
        db_type = (of.db_type or "").lower()
        if "conceal" in of.special or "encrypt" in of.special:
            present = sa.and_(column.is_not(None), sa.cast(column, sa.Text()) != sa.literal_column("''"))
            return Output(sa.case((present, sa.literal_column("'**********'"))))
        if of.type == "timestamp":
            utc = (
                column
                if "without" in db_type or db_type == "timestamp"
                else sa.func.timezone(sa.literal_column("'UTC'"), column)
            )
            return Output(sa.func.to_char(utc, sa.literal_column('\'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"\'')))
        if of.type == "dateTime":
            return Output(sa.func.to_char(column, sa.literal_column(_MOMENT)))
        if of.type == "date":
            return Output(sa.func.to_char(column, sa.literal_column("'YYYY-MM-DD'")))
        if of.type == "csv":
            split = sa.func.array_to_json(sa.func.string_to_array(column, sa.literal_column("','")))
            return Output(
                sa.case((column == sa.literal_column("''"), sa.literal_column("'[]'::json")), else_=split), is_json=True
            )
        if of.type == "json" and db_type not in ("json", "jsonb"):
            listed = sa.cast(column, sa.Text()).op("~")(sa.literal_column(f"'{_JSON_LIST}'"))
            parsed = sa.case((listed, sa.cast(column, sa.JSON())), else_=sa.func.to_json(column))
            return Output(sa.case((column.is_not(None), parsed)), is_json=True)
        if of.type == "json":
            return Output(column, is_json=True)
        if db_type == "bytea":
            return Output(self._buffer(column), is_json=True)
        if of.type.startswith("geometry"):
            return Output(sa.cast(sa.func.st_asgeojson(column), sa.JSON()), is_json=True)
        if db_type == "interval":
            return Output(self._interval(column), is_json=True)
        if db_type in _AS_TEXT:
            return Output(sa.cast(column, sa.Text()))
        if "cast-boolean" in of.special and db_type not in ("boolean", "bool"):
            return Output(sa.cast(sa.cast(column, sa.Text()), sa.Boolean()))
        return Output(column)

    @staticmethod
    def _buffer(column: _Element) -> _Element:
        index: _Element = sa.literal_column("i")
        numbers = sa.func.generate_series(
            sa.literal_column("0"), sa.func.octet_length(column) - sa.literal_column("1")
        ).alias("i")
        bytes_ = sa.select(
            sa.func.coalesce(sa.func.json_agg(sa.func.get_byte(column, index)), sa.literal_column("'[]'::json"))
        ).select_from(numbers)
        whole = sa.func.json_build_object(
            sa.literal_column("'type'"),
            sa.literal_column("'Buffer'"),
            sa.literal_column("'data'"),
            bytes_.scalar_subquery(),
        )
        return sa.case((column.is_not(None), whole))

    @staticmethod
    def _interval(column: _Element) -> _Element:
        """The parts that are not zero, as the reference's client names them."""
        members: list[_Element] = []
        for name, part in (
            ("years", "year"),
            ("months", "month"),
            ("days", "day"),
            ("hours", "hour"),
            ("minutes", "minute"),
        ):
            members += [
                sa.literal_column(f"'{name}'"),
                sa.func.nullif(sa.cast(sa.extract(part, column), sa.Integer()), sa.literal_column("0")),
            ]
        seconds = sa.cast(sa.func.trunc(sa.extract("second", column)), sa.Integer())
        members += [sa.literal_column("'seconds'"), sa.func.nullif(seconds, sa.literal_column("0"))]
        return sa.case((column.is_not(None), sa.func.json_strip_nulls(sa.func.json_build_object(*members))))

    # --- functions --------------------------------------------------------------------------
    def date_part(self, part: str, column: _Element, of: Column) -> _Element:
        if of.type == "timestamp":
            column = sa.func.timezone(sa.literal_column("'UTC'"), column)
        return sa.extract(_PARTS.get(part, part), column)

    def json_length(self, column: _Element, of: Column) -> _Element:
        binary = (of.db_type or "") == "jsonb"
        kind = (sa.func.jsonb_typeof if binary else sa.func.json_typeof)(column)
        length = (sa.func.jsonb_array_length if binary else sa.func.json_array_length)(column)
        return sa.case((kind == sa.literal_column("'array'"), length), (column.is_not(None), sa.literal_column("0")))

    def json_path(self, column: _Element, path: Sequence[str | int]) -> Output:
        for step in path:
            bound: sa.BindParameter[Any] = sa.bindparam(None, str(step), unique=True)
            column = column.op("->")(sa.cast(bound, sa.Integer() if isinstance(step, int) else sa.Text()))
        return Output(column, is_json=True)

    def number(self, expression: _Element, kind: str, of: Column | None = None) -> Output:
        if kind == "length":
            return Output(expression)
        if kind == "whole":
            return Output(sa.cast(sa.func.trunc(expression), sa.BigInteger()))
        floating = of is not None and (of.db_type or "") in ("real", "double precision", "float4", "float8")
        return Output(expression if floating and kind != "count" else sa.cast(expression, sa.Text()))

    # --- comparing --------------------------------------------------------------------------
    def caster(self, of: Column) -> Caster:
        if of.type in ("integer", "float", "decimal"):
            return lambda value: number_text(js_number(value))
        if of.type in ("timestamp", "dateTime", "date", "time"):
            return _moment_text
        return _text

    def exact(self, expression: _Element, of: Column) -> _Element:
        return sa.cast(expression, sa.Text())

    def text(self, expression: _Element) -> _Element:
        return sa.cast(expression, sa.String(255))

    def key_of_text(self, text: _Element, of: Column) -> _Element:
        pattern, kind = _KEYS.get(of.db_type or "", (None, None))
        if pattern is None or kind is None:
            return text
        return sa.case((text.op("~")(sa.literal_column(f"'{pattern}'")), sa.cast(text, kind)))

    def as_json(self, value: Output) -> _Element:
        return value.expression if value.is_json else sa.func.to_json(value.expression)


def _moment_text(value: Any) -> Any:
    return moment(value) if isinstance(value, dt.datetime) else _text(value)


def _text(value: Any) -> Any:
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer():
        return number_text(value)
    return str(value)
