"""Dynamic variables of rules, presets and filters: their names, their moments and their paths (spec items §4.7).

Everything here is pure. Who the current user is and what the database knows of them is the business of
:mod:`tabulary.access.store`.
"""

from __future__ import annotations

import re
from calendar import monthrange
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

NOW = "$NOW"
# The longest name first: `$CURRENT_ROLES` also begins with `$CURRENT_ROLE`.
_NAMES = ("$CURRENT_POLICIES", "$CURRENT_ROLES", "$CURRENT_ROLE", "$CURRENT_USER", NOW)

_UNITS: dict[str, float] = {
    **dict.fromkeys(("ms", "msec", "msecs", "millisecond", "milliseconds"), 0.001),
    **dict.fromkeys(("s", "sec", "secs", "second", "seconds"), 1),
    **dict.fromkeys(("m", "min", "mins", "minute", "minutes"), 60),
    **dict.fromkeys(("h", "hr", "hrs", "hour", "hours"), 3_600),
    **dict.fromkeys(("", "d", "day", "days"), 86_400),
    **dict.fromkeys(("w", "week", "weeks"), 604_800),
}
_MONTHS: dict[str, int] = {
    **dict.fromkeys(("mo", "mth", "mths", "month", "months"), 1),
    **dict.fromkeys(("y", "yr", "yrs", "year", "years"), 12),
}
_CURRENT = re.compile(r"\$CURRENT_(USER|ROLES|ROLE|POLICIES)(\.[^\s]+)?")
_ADJUSTMENT = re.compile(r"\s*([+-]?)\s*(\d+(?:\.\d*)?|\.\d+)\s*([a-z]*)\s*", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class VariableName:
    """A variable taken apart: ``$CURRENT_USER.role.name`` is the base ``$CURRENT_USER`` and the path ``role, name``."""

    base: str
    path: tuple[str, ...] = ()
    adjustment: str | None = None


def parse_variable(text: str) -> VariableName | None:
    """The parts of a variable, or None when the text is a literal that only looks like one."""
    for name in _NAMES:
        if text.startswith(name):
            rest = text[len(name) :]
            if name == NOW:
                called = rest.startswith("(") and rest.endswith(")")
                return VariableName(NOW, adjustment=rest[1:-1] if called else None)
            path = tuple(rest.removeprefix(".").split(".")) if rest.startswith(".") and len(rest) > 1 else ()
            return VariableName(name, path)
    return None


def adjusted(moment: datetime, adjustment: str | None) -> datetime:
    """``moment`` moved by an adjustment such as ``-1 day`` or ``+1.5h``; unchanged when it cannot be understood.

    Months and years are calendar steps that stop at the last day of the month; a fraction of a month counts 30 days.
    Moments outside the calendar stop at its first or last one.
    """
    match = _ADJUSTMENT.fullmatch(adjustment or "")
    if match is None:
        return moment
    sign, digits, unit = match[1], match[2], match[3].lower()
    amount = float(digits) * (-1 if sign == "-" else 1)
    if unit in _MONTHS:
        months = amount * _MONTHS[unit]
        return _add_days(_add_months(moment, int(months)), (months - int(months)) * 30)
    if unit in _UNITS:
        return _add_days(moment, amount * _UNITS[unit] / 86_400)
    return moment


def now(adjustment: str | None = None) -> datetime:
    """The current instant, aware and in UTC, moved by ``adjustment``."""
    return adjusted(datetime.now(UTC), adjustment)


def pluck(value: Any, path: Sequence[str]) -> Any:
    """Follow field names through objects; lists on the way are flattened into one list. Missing ends are None."""
    if not path:
        return value
    if isinstance(value, list):
        found = [pluck(entry, path) for entry in value]
        return [leaf for entry in found for leaf in (entry if isinstance(entry, list) else [entry])]
    if isinstance(value, dict):
        return pluck(value.get(path[0]), path[1:])
    return None


def mentioned(rule: Any) -> Iterator[str]:
    """The variables in a raw rule that depend on who asks."""
    if isinstance(rule, Mapping):
        for value in rule.values():
            yield from mentioned(value)
    elif isinstance(rule, list):
        for value in rule:
            yield from mentioned(value)
    elif isinstance(rule, str) and _CURRENT.fullmatch(rule):
        yield rule


def substituted(rule: Any, values: Mapping[str, Any]) -> Any:
    """A raw rule with such variables replaced; within a list, a list of values joins it."""
    if isinstance(rule, Mapping):
        return {name: substituted(value, values) for name, value in rule.items()}
    if isinstance(rule, list):
        found: list[Any] = []
        for entry in rule:
            value = substituted(entry, values)
            found.extend(value if isinstance(entry, str) and isinstance(value, list) else [value])
        return found
    return values.get(rule, rule) if isinstance(rule, str) else rule


def _add_months(moment: datetime, months: int) -> datetime:
    position = moment.year * 12 + moment.month - 1 + months
    year, month = position // 12, position % 12 + 1
    if not datetime.min.year <= year <= datetime.max.year:
        return _edge(moment, months)
    return moment.replace(year=year, month=month, day=min(moment.day, monthrange(year, month)[1]))


def _add_days(moment: datetime, days: float) -> datetime:
    try:
        return moment + timedelta(days=days)
    except OverflowError:
        return _edge(moment, days)


def _edge(moment: datetime, direction: float) -> datetime:
    return (datetime.max if direction > 0 else datetime.min).replace(tzinfo=moment.tzinfo)
