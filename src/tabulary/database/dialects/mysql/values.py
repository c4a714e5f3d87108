"""Values for MariaDB and MySQL: moments as text without a zone, instants in UTC as the session's time zone is."""

from __future__ import annotations

import datetime as dt
from typing import Any

from tabulary.database.dialects.base import Column
from tabulary.database.dialects.values import BOOLEANS, Values, canonical_uuid, check_whole


class MySQLValues(Values):
    def write(self, value: Any, column: Column) -> Any:
        if value is None or isinstance(value, bytes):
            return value
        if isinstance(value, str):
            return _text(value, column)
        if isinstance(value, bool):
            return int(value)
        if isinstance(value, int):
            return value
        if isinstance(value, float):
            check_whole(value, column)
            return int(value) if value.is_integer() and abs(value) < 2**63 else value
        if isinstance(value, dt.datetime):
            zoned = value if value.tzinfo is None else value.astimezone(dt.UTC).replace(tzinfo=None)
            return zoned.isoformat(sep=" ", timespec="milliseconds" if zoned.microsecond else "seconds")
        if isinstance(value, dt.date):
            return value.isoformat()
        return str(value)


def _text(value: str, column: Column) -> Any:
    """Text for a column, in the words that the server takes: it knows no ``true`` and no uuid."""
    if column.type == "boolean" and value.lower() in BOOLEANS:
        return BOOLEANS[value.lower()]
    return canonical_uuid(value) if column.type == "uuid" else value
