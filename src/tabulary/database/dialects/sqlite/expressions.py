"""Read expressions of SQLite: ``json_object`` and ``json_group_array``.

SQLite's JSON marker does not survive subqueries, so nested JSON is wrapped in ``json()`` where it is used. Moments are
milliseconds since 1970 (spec items-and-query §5.5); text from foreign databases is understood as well.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import Any, ClassVar

import sqlalchemy as sa

from tabulary.database.dialects.base import Caster, Column, Expressions, Output, Pairs
from tabulary.database.dialects.casts import js_number, plain_number
from tabulary.database.dialects.dates import epoch_milliseconds
from tabulary.database.dialects.sqlite import search

_Element = sa.ColumnElement[Any]
_MAX_MEMBERS = 60
"""``json_object`` takes at most 127 arguments in SQLite's default build."""
_DATE_PARTS = {
    "year": "%Y",
    "month": "%m",
    "week": "%W",
    "day": "%d",
    "weekday": "%w",
    "hour": "%H",
    "minute": "%M",
    "second": "%S",
}
_BLOBS = ("blob", "binary", "varbinary", "longblob", "mediumblob", "tinyblob")


class SQLiteExpressions(Expressions):
    single_value: ClassVar[bool] = True

    def rows(self, pairs: Pairs, select: sa.Select[Any], order: Sequence[_Element]) -> sa.Select[Any]:
        table = select.add_columns(self.object(pairs).expression.label("v")).order_by(*order).subquery("x")
        return sa.select(_group(sa.literal_column("x.v"))).select_from(table)

    def to_many(
        self,
        pairs: Pairs | Output,
        select: sa.Select[Any],
        order: Sequence[_Element],
        limit: int | None,
        offset: int,
    ) -> Output:
        limit = -1 if limit is None and offset else limit
        is_json = not isinstance(pairs, Output) or pairs.is_json
        value = pairs.expression if isinstance(pairs, Output) else self.object(pairs).expression
        table = select.add_columns(value.label("v")).order_by(*order).limit(limit).offset(offset or None).subquery("x")
        item: _Element = sa.literal_column("x.v")
        return Output(
            sa.select(_group(item) if is_json else sa.func.json_group_array(item)).select_from(table).scalar_subquery(),
            is_json=True,
        )

    def object(self, pairs: Pairs) -> Output:
        if len(pairs) <= _MAX_MEMBERS:
            return Output(_object(pairs), is_json=True)
        whole: _Element | None = None
        for start in range(0, len(pairs), _MAX_MEMBERS):
            text = _object(pairs[start : start + _MAX_MEMBERS])
            inner = sa.func.substr(text, 2, sa.func.length(text) - sa.literal_column("2"))
            whole = inner if whole is None else whole.op("||")(sa.literal_column("','")).op("||")(inner)
        assert whole is not None
        return Output(sa.literal_column("'{'").op("||")(whole).op("||")(sa.literal_column("'}'")), is_json=True)

    # --- formats ----------------------------------------------------------------------------
    def read(self, column: _Element, of: Column) -> Output:
        if "conceal" in of.special or "encrypt" in of.special:
            present = sa.and_(column.is_not(None), column != sa.literal_column("''"))
            return Output(sa.case((present, sa.literal_column("'**********'"))))
        if of.type == "timestamp":
            return Output(_format("%Y-%m-%dT%H:%M:%fZ", column))
        if of.type == "dateTime":
            return Output(_format("%Y-%m-%dT%H:%M:%S", column, local=True))
        if of.type == "date":
            return Output(_format("%Y-%m-%d", column, local=True))
        if of.type == "boolean" or "cast-boolean" in of.special:
            false = sa.func.lower(column).in_(
                [sa.literal_column("'0'"), sa.literal_column("'false'"), sa.literal_column("0")]
            )
            shown = sa.case(
                (sa.or_(column.is_(None), column == sa.literal_column("''")), None),
                (false, sa.literal_column("'false'")),
                else_=sa.literal_column("'true'"),
            )
            return Output(shown, is_json=True)
        if of.type == "json" or "cast-json" in of.special:
            valid = sa.func.json_valid(column) == sa.literal_column("1")
            return Output(sa.case((valid, sa.func.json(column)), else_=sa.func.json_quote(column)), is_json=True)
        if of.type == "csv":
            quoted = sa.func.replace(
                sa.func.json_quote(sa.cast(column, sa.Text())), sa.literal_column("','"), sa.literal_column("'\",\"'")
            )
            listed = sa.literal_column("'['").op("||")(quoted).op("||")(sa.literal_column("']'"))
            empty = column == sa.literal_column("''")
            return Output(
                sa.case((column.is_(None), None), (empty, sa.literal_column("'[]'")), else_=listed), is_json=True
            )
        if (of.db_type or "").lower() in _BLOBS:
            return Output(_buffer(column), is_json=True)
        return Output(column)

    # --- functions --------------------------------------------------------------------------
    def date_part(self, part: str, column: _Element, of: Column) -> _Element:
        return sa.cast(_format(_DATE_PARTS[part], column, local=of.type in ("date", "dateTime")), sa.Integer())

    def json_length(self, column: _Element, of: Column) -> _Element:
        return sa.case((sa.func.json_valid(column) == sa.literal_column("1"), sa.func.json_array_length(column)))

    def json_path(self, column: _Element, path: Sequence[str | int]) -> Output:
        steps = "".join(f"[{s}]" if isinstance(s, int) else f'."{s}"' for s in path)
        valid = sa.func.json_valid(column) == sa.literal_column("1")
        found = column.op("->")(sa.bindparam(None, "$" + steps, unique=True))
        return Output(sa.case((valid, found)), is_json=True)

    def number(self, expression: _Element, kind: str, of: Column | None = None) -> Output:
        return Output(expression)

    # --- comparing --------------------------------------------------------------------------
    def caster(self, of: Column) -> Caster:
        if of.type in ("integer", "float", "decimal"):
            return lambda value: plain_number(js_number(value))
        if of.type in ("timestamp", "dateTime", "date"):
            return lambda value: epoch_milliseconds(value, of.type)
        if of.type == "boolean":
            return _flag
        if of.type == "bigInteger":
            return _big
        return _plain

    def exact(self, expression: _Element, of: Column) -> _Element:
        return sa.case((expression.is_not(None), sa.func.quote(expression)))

    def exact_caster(self, of: Column) -> Caster:
        return _unquoted

    def text(self, expression: _Element) -> _Element:
        return sa.cast(expression, sa.Text())

    def as_json(self, value: Output) -> _Element:
        return value.expression if value.is_json else sa.func.json_quote(value.expression)

    def search_keys(self, table: str, term: _Element) -> sa.Select[Any]:
        index = sa.table(search.index_name(table), sa.column("rowid"))
        itself: _Element = sa.literal_column(_quoted(index.name))
        return sa.select(index.c.rowid).where(itself.op("MATCH", is_comparison=True)(term))

    def search_term(self, term: Any) -> str:
        return search.match(term)


def _object(pairs: Pairs) -> _Element:
    parts: list[_Element] = []
    for key, value in pairs:
        parts += [
            sa.bindparam(None, key, unique=True),
            sa.func.json(value.expression) if value.is_json else value.expression,
        ]
    return sa.func.json_object(*parts)


def _group(item: _Element) -> _Element:
    return sa.func.json_group_array(sa.func.json(item))


def _format(pattern: str, column: _Element, local: bool = False) -> _Element:
    """A stored moment as text: a number is milliseconds since 1970, text is what SQLite understands of it."""
    form: _Element = sa.literal_column(f"'{pattern}'")
    zone: list[_Element] = [sa.literal_column("'localtime'")] if local else []
    number = sa.func.typeof(column).in_([sa.literal_column("'integer'"), sa.literal_column("'real'")])
    from_number = sa.func.strftime(form, column / sa.literal_column("1000.0"), sa.literal_column("'unixepoch'"), *zone)
    return sa.case((number, from_number), else_=sa.func.strftime(form, column))


def _buffer(column: _Element) -> _Element:
    """``{"type": "Buffer", "data": [bytes]}``: every two hex digits become a number."""
    digits: _Element = sa.literal_column("'0123456789ABCDEF'")
    place: _Element = sa.literal_column("b.i")
    series = sa.text(
        "(WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1000000) SELECT i FROM n) AS b"
    )

    def digit(offset: str) -> _Element:
        at = (place - sa.literal_column("1")) * sa.literal_column("2") + sa.literal_column(offset)
        return sa.func.instr(
            digits, sa.func.substr(sa.func.hex(column), at, sa.literal_column("1"))
        ) - sa.literal_column("1")

    byte = digit("1") * sa.literal_column("16") + digit("2")
    data = (
        sa.select(sa.func.json_group_array(byte))
        .select_from(series)
        .where(place <= sa.func.length(column))
        .scalar_subquery()
    )
    whole = sa.func.json_object(
        sa.literal_column("'type'"), sa.literal_column("'Buffer'"), sa.literal_column("'data'"), sa.func.json(data)
    )
    return sa.case((column.is_not(None), whole))


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _plain(value: Any) -> Any:
    return value.isoformat() if isinstance(value, dt.datetime) else value


def _unquoted(text: str) -> Any:
    """The value of an SQL literal: any type can stand in any column here. Raises ``ValueError`` for other text."""
    if text.startswith("X'"):
        return bytes.fromhex(text[2:-1])
    if text.startswith("'"):
        return text[1:-1].replace("''", "'")
    return int(text) if text.lstrip("-").isdigit() else float(text)


def _big(value: Any) -> Any:
    if isinstance(value, str) and value.lstrip("+-").isdigit() and len(value) < 20:
        return int(value)
    return value


def _flag(value: Any) -> Any:
    if isinstance(value, str):
        return {"1": 1, "true": 1, "t": 1, "0": 0, "false": 0, "f": 0}.get(value.lower(), value)
    return value
