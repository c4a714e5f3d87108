"""Values of a payload on their way into columns and into revisions (spec items-and-query §5.4, §5.5).

:func:`transform` turns what a client sent into plain values (text, numbers, moments) for the real columns, applying
specials; :func:`bound` hands them to the dialect. :func:`reveal` is the way back, for revisions: secrets masked, JSON
and lists as such, moments in the wire format.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from tabulary.access.accountability import Accountability
from tabulary.core import json
from tabulary.core.errors import InvalidPayload
from tabulary.core.passwords import Passwords
from tabulary.database.dialects.base import Dialect
from tabulary.database.dialects.values import well_known_text
from tabulary.items.blueprint import CREATE, Blueprint, FieldPlan
from tabulary.items.moments import MOMENT_TYPES, now, parse_iso, read_moment, write_moment
from tabulary.items.specials import encrypt

MASK = "**********"
_HUGE = re.compile(r"\d[eE]\+?\d{3}")
"""Numbers of a JSON text that some databases store and no reader takes back, such as 1e400."""
_SECRET = frozenset({"conceal", "hash", "encrypt"})


@dataclass(frozen=True, slots=True)
class Stamp:
    """Who writes and when: the values of ``user-created``, ``date-updated`` and their kin."""

    user: Any
    role: Any
    moment: datetime

    @classmethod
    def of(cls, accountability: Accountability | None, defaults: Mapping[str, Any] | None = None) -> Stamp:
        """``defaults`` may replace user and date (``overwrite_defaults``, spec §1.2)."""
        user = accountability.user if accountability else None
        role = accountability.role if accountability else None
        moment: Any = None
        if defaults:
            user = defaults.get("_user", user)
            moment = defaults.get("_date")
            moment = parse_iso(moment) if isinstance(moment, str) else moment
        return cls(user, role, moment if isinstance(moment, datetime) else now())


@dataclass(frozen=True, slots=True)
class Secrets:
    """What hashing and encrypting need."""

    passwords: Passwords
    secret: str


async def transform(
    blueprint: Blueprint, action: str, payload: Mapping[str, Any], stamp: Stamp, secrets: Secrets
) -> dict[str, Any]:
    """Plain values for the real columns of the payload and the automatic ones; other keys are dropped.

    Raises :class:`InvalidPayload` for unreadable dates and geometries.
    """
    row: dict[str, Any] = {}
    for name, value in payload.items():
        plan = blueprint.fields.get(name)
        if plan is not None:
            row[name] = await _written(plan, value, secrets) if plan.special else _plain(plan, value)
    for plan in blueprint.automatic[action]:
        row[plan.name] = _plain(plan, _automatic(plan, action, row.get(plan.name), stamp))
    return row


def bound(dialect: Dialect, plans: Sequence[FieldPlan], row: Mapping[str, Any]) -> list[Any]:
    """The driver's values of a row, in the order of ``plans``. Raises :class:`InvalidPayload` for a wrong type."""
    values = []
    for plan in plans:
        value = row[plan.name]
        try:
            if plan.type == "json" and isinstance(value, str) and _HUGE.search(value):
                json.decode(value)
            values.append(dialect.values.write(value, plan.column))
        except ValueError:
            raise InvalidPayload(f'A value does not fit the type of "{plan.name}"') from None
    return values


def revealed(blueprint: Blueprint, values: Mapping[str, Any], without: frozenset[str] = frozenset()) -> dict[str, Any]:
    """Values as a revision shows them; keys that are no columns stay as they are."""
    return {name: reveal(blueprint.fields.get(name), value) for name, value in values.items() if name not in without}


def reveal(plan: FieldPlan | None, value: Any) -> Any:
    """One value as a reader would see it."""
    if plan is None:
        return value
    if _SECRET.intersection(plan.special):
        return MASK if value else None
    if "cast-boolean" in plan.special:
        return _boolean(value)
    if plan.type == "csv" and isinstance(value, str):
        return value.split(",") if value else []
    if plan.type == "json" and isinstance(value, str):
        try:
            return json.decode(value)
        except ValueError:
            return value
    return read_moment(value, plan.type) if plan.type in MOMENT_TYPES else value


# --- writing ------------------------------------------------------------------------------------
async def _written(plan: FieldPlan, value: Any, secrets: Secrets) -> Any:
    for special in plan.special:
        if special == "hash" and value:
            value = await secrets.passwords.hash(_js_text(value))
        elif special == "cast-csv" and isinstance(value, list | tuple):
            value = ",".join(_js_text(entry) for entry in value)
        elif special == "encrypt" and isinstance(value, str) and value:
            value = encrypt(value, secrets.secret)
    return _plain(plan, value)


def _plain(plan: FieldPlan, value: Any) -> Any:
    if value is None:
        return None
    if plan.type in MOMENT_TYPES:
        value = write_moment(value, plan.type, plan.name)
    elif plan.type.startswith("geometry"):
        try:
            return well_known_text(value)
        except ValueError:
            raise InvalidPayload(f'"{plan.name}" is not a valid geometry') from None
    elif isinstance(value, datetime):
        return read_moment(value, "timestamp")
    if isinstance(value, str):
        if "\x00" in value:
            raise InvalidPayload(f'"{plan.name}" can\'t contain the character NUL')
        return value
    if isinstance(value, dict | list | tuple):
        return json.encode(value).decode()
    if isinstance(value, Decimal | uuid.UUID) or (isinstance(value, date) and plan.type not in MOMENT_TYPES):
        return str(value)
    return value


def _automatic(plan: FieldPlan, action: str, value: Any, stamp: Stamp) -> Any:
    verb = "created" if action == CREATE else "updated"
    for special in plan.special:
        if special == "uuid" and action == CREATE:
            value = value or str(uuid.uuid4())
        elif special == f"user-{verb}":
            value = stamp.user
        elif special == f"role-{verb}":
            value = stamp.role
        elif special == f"date-{verb}":
            value = stamp.moment.astimezone().strftime("%H:%M:%S") if plan.type == "time" else stamp.moment
    return value


def _js_text(value: Any) -> str:
    """A value in a text, as JavaScript would put it."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return value if isinstance(value, str) else json.encode(value).decode() if isinstance(value, dict) else str(value)


def _boolean(value: Any) -> Any:
    if value in (True, 1, "1", "true"):
        return True
    if value in (False, 0, "0", "false"):
        return False
    return None if value in (None, "") else value
