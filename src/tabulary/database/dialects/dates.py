"""Dates and moments on their way into SQLite and MariaDB, which take no ISO text with a zone.

``timestamp`` is an instant (UTC), ``dateTime`` and ``date`` are the server's local wall time (spec items §5.5).
What cannot be read as a date is passed on as it is: comparing with it matches nothing.
"""

from __future__ import annotations

import datetime as dt
import re
from typing import Any

_TIME = re.compile(r"\d{1,2}:\d{2}(:\d{2}(\.\d+)?)?")


def parse_moment(value: str) -> dt.datetime | None:
    """ISO 8601 text as a moment: without a zone it is local wall time; None when it is no date."""
    text = value.strip()
    try:
        found = dt.datetime.fromisoformat(text)
    except ValueError:
        return None
    try:
        return found.astimezone() if found.tzinfo is None else found
    except (OverflowError, ValueError, OSError):
        return None


def epoch_milliseconds(value: Any, kind: str) -> Any:
    """The storage format of the reference on SQLite; ``hh:mm:ss`` and anything that is no date pass through."""
    if isinstance(value, str):
        if _TIME.fullmatch(value.strip()):
            return value
        found = parse_moment(value)
        if found is None:
            return value
        value = found
    if isinstance(value, dt.datetime):
        if kind == "date":
            value = value.astimezone().replace(hour=0, minute=0, second=0, microsecond=0)
        return round(value.timestamp() * 1000)
    return value


def local_text(value: Any, kind: str) -> Any:
    """``YYYY-MM-DD hh:mm:ss[.mmm]``: UTC for a timestamp, local wall time otherwise."""
    if isinstance(value, str):
        found = parse_moment(value)
        if found is None:
            return value
        value = found
    if isinstance(value, dt.datetime):
        if kind == "date":
            return value.astimezone().strftime("%Y-%m-%d")
        zoned = value.astimezone(dt.UTC) if kind == "timestamp" else value.astimezone()
        text = zoned.strftime("%Y-%m-%d %H:%M:%S")
        return f"{text}.{zoned.microsecond // 1000:03d}" if zoned.microsecond else text
    return value
