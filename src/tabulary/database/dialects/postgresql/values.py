"""Values for PostgreSQL: text in each type's own input syntax, as the driver's codecs are text."""

from __future__ import annotations

import datetime as dt
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import REGCLASS
from sqlalchemy.sql.elements import quoted_name

from tabulary.database.dialects.base import Column
from tabulary.database.dialects.casts import number_text
from tabulary.database.dialects.values import Values


class PostgreSQLValues(Values):
    def write(self, value: Any, column: Column) -> Any:
        if value is None or isinstance(value, str):
            return value
        if isinstance(value, bool):
            return "true" if value else "false"
        if isinstance(value, int | float):
            return number_text(value)
        if isinstance(value, dt.datetime):
            return value.isoformat(sep=" ")
        if isinstance(value, bytes):
            return "\\x" + value.hex()
        return str(value)

    def sequence_reset(self, table: str, column: str) -> sa.Select[Any] | None:
        """``setval`` to the greatest key, but never back behind numbers that the sequence gave to others already.

        Keys below 1 are none of a sequence's numbers; with nothing else it stays as it is (``setval`` of null).
        """
        quoted = '"' + table.replace('"', '""') + '"'
        sequence = sa.cast(sa.func.pg_get_serial_sequence(quoted, column), REGCLASS)
        used: sa.ColumnElement[Any] = sa.func.max(sa.column(quoted_name(column, True)))
        positive = sa.case((used > 0, used))
        greatest = sa.func.greatest(positive, sa.func.pg_sequence_last_value(sequence))
        return sa.select(sa.func.setval(sequence, greatest)).select_from(sa.table(quoted_name(table, True)))
