"""Values for SQLite in the storage format of the reference: moments are milliseconds since 1970, booleans 0 and 1."""

from __future__ import annotations

import datetime as dt
import sys
from typing import Any

from tabulary.core import json
from tabulary.database.dialects.base import Column
from tabulary.database.dialects.values import BOOLEANS, Values, canonical_uuid, check_whole

_MAX_INTEGER = 2**63


class SQLiteValues(Values):
    def write(self, value: Any, column: Column) -> Any:
        if value is None:
            return value
        if isinstance(value, str):
            return _text(value, column)
        if isinstance(value, bool):
            return int(value)
        if isinstance(value, int):
            return _whole(value)
        if isinstance(value, float):
            check_whole(value, column)
            return int(value) if value.is_integer() and abs(value) < _MAX_INTEGER else value
        if isinstance(value, dt.datetime):
            return _milliseconds(value)
        if isinstance(value, dt.date):
            return _milliseconds(dt.datetime(value.year, value.month, value.day))
        return value if isinstance(value, bytes) else str(value)


def _text(value: str, column: Column) -> Any:
    """Text for a column, checked here because SQLite itself would store anything anywhere."""
    match column.type:
        case "integer" | "bigInteger":
            return _whole(int(value))
        case "float" | "decimal":
            return float(value)
        case "boolean":
            return BOOLEANS[value.lower()] if value.lower() in BOOLEANS else int(float(value) != 0)
        case "uuid":
            return canonical_uuid(value)
        case "json" if column.db_type == "json":  # text that is cast may be anything, as elsewhere
            _check_json(json.decode(value))
        case "timestamp" | "dateTime" | "date":
            raise ValueError("not a date")
    return value


def _check_json(value: Any) -> None:
    """Raise ``ValueError`` for a bare number that SQLite, whose JSON columns are numeric, would keep as infinite."""
    if isinstance(value, int | float) and abs(value) > sys.float_info.max:
        raise ValueError("beyond the range of numbers")


def _whole(number: int) -> int:
    if not -_MAX_INTEGER <= number < _MAX_INTEGER:
        raise ValueError("beyond 64 bits")
    return number


def _milliseconds(moment: dt.datetime) -> int:
    return round(moment.timestamp() * 1000)
