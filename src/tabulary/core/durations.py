"""Durations (``15m``, ``7 days``) and sizes (``1mb``) as settings have them (spec schema-and-platform §6.1)."""

from __future__ import annotations

import re

_NUMBER_WITH_UNIT = re.compile(r"\s*(-?\d*\.?\d+)\s*([a-z]*)\s*", re.IGNORECASE)

_SECOND = 1000
_MINUTE = 60 * _SECOND
_HOUR = 60 * _MINUTE
_DAY = 24 * _HOUR
_MILLISECONDS = {
    name: factor
    for names, factor in (
        (" ms msec msecs millisecond milliseconds", 1),
        ("s sec secs second seconds", _SECOND),
        ("m min mins minute minutes", _MINUTE),
        ("h hr hrs hour hours", _HOUR),
        ("d day days", _DAY),
        ("w week weeks", 7 * _DAY),
        ("y yr yrs year years", 365.25 * _DAY),
    )
    for name in names.split(" ")
}
_BYTES = {"": 1, "b": 1, "kb": 1 << 10, "mb": 1 << 20, "gb": 1 << 30, "tb": 1 << 40, "pb": 1 << 50}


def milliseconds(value: object) -> int | None:
    """A duration in milliseconds; a bare number counts milliseconds. None for what is not a duration."""
    return _scaled(value, _MILLISECONDS)


def size(value: object) -> int | None:
    """A size in bytes, units being powers of 1024. None for what is not a size."""
    return _scaled(value, _BYTES)


def spoken(duration: float) -> str:
    """A duration in its largest whole unit, rounded: ``5s``, ``2m``. For messages such as "retry after 5s"."""
    for factor, unit in ((_DAY, "d"), (_HOUR, "h"), (_MINUTE, "m"), (_SECOND, "s")):
        if abs(duration) >= factor:
            return f"{round(duration / factor)}{unit}"
    return f"{round(duration)}ms"


def _scaled(value: object, units: dict[str, int] | dict[str, float]) -> int | None:
    if isinstance(value, bool) or value is None:
        return None
    if isinstance(value, int | float):
        return int(value) if abs(value) != float("inf") else None
    match = _NUMBER_WITH_UNIT.fullmatch(str(value))
    factor = units.get(match[2].lower()) if match else None
    return None if match is None or factor is None else int(float(match[1]) * factor)
