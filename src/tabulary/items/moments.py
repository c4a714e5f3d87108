"""Dates in payloads: what clients send, what columns hold, what revisions show (spec items-and-query §5.5).

An instant (``timestamp``) is an aware datetime, wall time (``dateTime``) a naive one in the server's zone, ``date`` a
date. Dialects turn these three into their storage format.
"""

from __future__ import annotations

import re
from datetime import UTC, date, datetime
from typing import Any

from tabulary.core.errors import InvalidPayload

MOMENT_TYPES = frozenset({"timestamp", "dateTime", "date"})
_ZERO_DATE = re.compile(r"[0.:\- ]{10,}")
_COARSE = re.compile(r"(\d{4})(?:-(\d{2}))?")


def parse_iso(text: str) -> datetime | None:
    """ISO 8601 text in any usual form (``20200131``, ``2020-01``, ``2020-01-31T10:20``); None for anything else."""
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        match = _COARSE.fullmatch(text)
    if match is None:
        return None
    try:
        return datetime(int(match[1]), int(match[2] or 1), 1)
    except ValueError:
        return None


def write_moment(value: Any, kind: str, field: str) -> Any:
    """A payload's value as a moment of ``kind``; zero dates become null, what is no text passes through.

    Unreadable text is the database's business for a ``timestamp``; else it raises :class:`InvalidPayload`.
    """
    if isinstance(value, str):
        if not value:
            return value
        if _ZERO_DATE.fullmatch(value):
            return None
        parsed = parse_iso(value)
        if parsed is None:
            if kind == "timestamp":
                return value
            raise InvalidPayload(f'Invalid format for the {kind} field "{field}"')
        value = parsed
    if isinstance(value, datetime):
        return _of_kind(value, kind)
    if isinstance(value, date) and kind != "date":
        return _of_kind(datetime(value.year, value.month, value.day), kind)
    return value


def read_moment(value: Any, kind: str) -> Any:
    """The wire format of a moment, from what a payload or :func:`write_moment` holds."""
    if isinstance(value, str):
        parsed = parse_iso(value)
        if parsed is None:
            return value
        value = _of_kind(parsed, kind)
    if isinstance(value, datetime):
        value = _of_kind(value, kind)
    if isinstance(value, datetime):
        return _instant_text(value) if kind == "timestamp" else value.replace(microsecond=0).isoformat()
    return value.isoformat() if isinstance(value, date) else value


def now() -> datetime:
    """The current instant, cut to the milliseconds that the wire format carries."""
    moment = datetime.now(UTC)
    return moment.replace(microsecond=moment.microsecond // 1000 * 1000)


def _instant_text(value: datetime) -> str:
    return value.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="milliseconds") + "Z"


def _of_kind(value: datetime, kind: str) -> datetime | date:
    if kind == "timestamp":
        return value.astimezone() if value.tzinfo is None else value
    local = value if value.tzinfo is None else value.astimezone().replace(tzinfo=None)
    return local.date() if kind == "date" else local
