"""Filters evaluated in memory, against the payload of a write (spec items-and-query §4.8).

The same tree that becomes SQL elsewhere is a validation rule here: each comparison that does not hold gives one
:class:`FailedValidation`. A missing key passes every rule but ``_submitted``, so that partial updates are possible.
Each operator is one small function from the payload's value and the rule's operands to a failure or None.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from typing import Any

from tabulary.core.errors import FailedValidation
from tabulary.items.filter import And, Filter, Leaf, Null, Operand, Or, Value, Variable
from tabulary.items.moments import parse_iso, read_moment

Failure = tuple[str, dict[str, Any]]
"""The rule's wire name and the details of its error."""

_REQUIRED: Failure = ("required", {})
_FUNCTION = re.compile(r"(\w+)\((.+)\)")
_REGEX_SPECIAL = re.compile(r"[\\^$.*+?()\[\]{}|]")


@dataclass(frozen=True, slots=True)
class Operands:
    """Where the literals and variables of a tree have their values. ``requires``: a missing key breaks its rule."""

    values: Sequence[Any] = ()
    variables: Mapping[str, Any] = field(default_factory=dict)
    requires: bool = False

    def of(self, operand: Operand | tuple[Operand, ...] | bool) -> Any:
        if isinstance(operand, tuple):
            return [v for o in operand for v in self._spread(o)]
        if isinstance(operand, Value):
            return self.values[operand.index]
        if isinstance(operand, Variable):
            return self.variables.get(operand.text)
        return None if isinstance(operand, Null) else operand

    def _spread(self, operand: Operand) -> list[Any]:
        value = self.of(operand)
        return list(value) if isinstance(operand, Variable) and isinstance(value, list | tuple) else [value]


def evaluate(
    tree: Filter, payload: Mapping[str, Any], operands: Operands, nested: Sequence[str] = ()
) -> list[FailedValidation]:
    """All rules of the tree that the payload breaks; ``nested`` is the way from the root item to this payload.

    Rules about other items (``_some``, ``_none``) and geometry pass: they cannot be decided here.
    """
    if isinstance(tree, Leaf):
        failure = _leaf(tree, payload, operands)
        if failure is None:
            return []
        place = [step.partition(":")[0] for step in tree.path]
        return [FailedValidation(place[0], failure[0], (*nested, *place[1:]), **failure[1])]
    if isinstance(tree, And):
        return [error for child in tree.children for error in evaluate(child, payload, operands, nested)]
    if isinstance(tree, Or):
        failures: list[FailedValidation] = []
        for child in tree.children:
            found = evaluate(child, payload, operands, nested)
            if not found:
                return []
            failures += found
        return failures
    return []


def _leaf(leaf: Leaf, payload: Mapping[str, Any], operands: Operands) -> Failure | None:
    item: Any = payload
    for step in leaf.path[:-1]:
        if not isinstance(item, Mapping):
            return _REQUIRED
        if (name := step.partition(":")[0]) not in item:
            return _REQUIRED if operands.requires else None
        item = item[name]
    if not isinstance(item, Mapping):
        return _REQUIRED
    call = _FUNCTION.fullmatch(leaf.path[-1])
    name = call[2] if call else leaf.path[-1]
    if name not in item:
        return _REQUIRED if operands.requires or leaf.operator == "_submitted" else None
    check = _CHECKS.get(leaf.operator)
    if check is None:
        return None
    value = _apply(call[1], item[name]) if call else item[name]
    return check(value, operands.of(leaf.operand))


# --- equality -----------------------------------------------------------------------------------
def _eq(value: Any, bound: Any) -> Failure | None:
    if bound is None:
        return None if value is None else ("null", {})
    forms = _forms(bound)
    if any(_same(value, form) for form in forms):
        return None
    return ("in", {"valid": forms}) if len(forms) > 1 else ("eq", {"valid": _shown(bound)})


def _neq(value: Any, bound: Any) -> Failure | None:
    if bound is None:
        return None if value is not None else ("nnull", {})
    forms = _forms(bound)
    if not any(_same(value, form) for form in forms):
        return None
    return ("nin", {"invalid": forms}) if len(forms) > 1 else ("neq", {"invalid": _shown(bound)})


def _in(value: Any, bound: Any) -> Failure | None:
    if any(_same(value, entry) for entry in bound):
        return None
    shown = [_shown(entry) for entry in bound]
    return ("eq", {"valid": shown[0]}) if len(shown) == 1 else ("in", {"valid": shown})


def _nin(value: Any, bound: Any) -> Failure | None:
    if not any(_same(value, entry) for entry in bound):
        return None
    shown = [_shown(entry) for entry in bound]
    return ("neq", {"invalid": shown[0]}) if len(shown) == 1 else ("nin", {"invalid": shown})


def _forms(bound: Any) -> list[Any]:
    """A number and its text are the same to a rule."""
    number = _number(bound)
    if number is None:
        return [bound]
    return [number, bound if isinstance(bound, str) else str(number)]


def _same(left: Any, right: Any) -> bool:
    if isinstance(left, bool) != isinstance(right, bool):
        return False
    if isinstance(right, datetime):
        return _moment(left) == right
    return bool(left == right)


# --- order --------------------------------------------------------------------------------------
def _compare(value: Any, bound: Any, name: str, holds: Callable[[Any, Any], bool]) -> Failure | None:
    limit: Any = _number(bound)
    subject: Any = _number(value) if limit is not None else _moment(value)
    limit = _moment(bound) if limit is None else limit
    if subject is None:
        return _REQUIRED
    return None if limit is not None and holds(subject, limit) else (name, {"valid": _shown(bound)})


_ORDER: dict[str, Callable[[Any, Any], bool]] = {
    "gt": lambda a, b: a > b,
    "gte": lambda a, b: a >= b,
    "lt": lambda a, b: a < b,
    "lte": lambda a, b: a <= b,
}


def _between(value: Any, bound: Any) -> Failure | None:
    low, high = (*bound, None, None)[:2]
    return _compare(value, low, "gte", _ORDER["gte"]) or _compare(value, high, "lte", _ORDER["lte"])


def _nbetween(value: Any, bound: Any) -> Failure | None:
    """Outside of both bounds. The reference asks for below *and* above, which nothing is."""
    low, high = (*bound, None, None)[:2]
    below = _compare(value, low, "lt", _ORDER["lt"])
    return below and _compare(value, high, "gt", _ORDER["gt"]) and below


# --- text ---------------------------------------------------------------------------------------
def _contains(value: Any, bound: Any, negative: bool = False, fold: bool = False) -> Failure | None:
    name = "ncontains" if negative else "contains"
    needle = _text(bound)
    found = any(
        _fold(needle, fold) in _fold(_text(v), fold)
        for v in (value if isinstance(value, list) else [value])
        if v is not None
    )
    if value is not None and found != negative:
        return None
    return name, {"substring": bound}


def _edge(value: Any, bound: Any, name: str) -> Failure | None:
    if not isinstance(value, str):
        return _REQUIRED
    fold = "istarts" in name or "iends" in name
    subject, needle = _fold(value, fold), _fold(_text(bound), fold)
    found = subject.startswith(needle) if name.endswith("starts_with") else subject.endswith(needle)
    if found != name.startswith("n"):
        return None
    # The reference compares by a regular expression and shows its escaped source.
    return name, {"substring": _REGEX_SPECIAL.sub(r"\\\g<0>", _text(bound))}


def _regex(value: Any, bound: Any) -> Failure | None:
    if not isinstance(value, str):
        return _REQUIRED
    try:
        found = re.search(_pattern(_text(bound)), value, re.ASCII)
    except re.error:
        found = None
    return None if found else ("regex", {"invalid": value})


def _pattern(source: str) -> str:
    """A JavaScript pattern in Python's dialect: no slashes, named groups, ``$`` only at the very end."""
    if len(source) > 1 and source.startswith("/") and source.endswith("/"):
        source = source[1:-1]
    source = re.sub(r"\(\?<(?![=!])", "(?P<", source)
    return re.sub(r"(\\.|\[(?:\\.|[^\]\\])*\])|\$", lambda m: m[1] or r"\Z", source)


# --- presence -----------------------------------------------------------------------------------
def _null(value: Any, _: Any) -> Failure | None:
    return None if value is None else ("null", {})


def _nnull(value: Any, _: Any) -> Failure | None:
    return None if value is not None else ("nnull", {})


def _empty(value: Any, _: Any) -> Failure | None:
    return None if value == "" else ("empty", {})


def _nempty(value: Any, _: Any) -> Failure | None:
    return None if value != "" else ("nempty", {})


_CHECKS: dict[str, Callable[[Any, Any], Failure | None]] = {
    "_eq": _eq, "_neq": _neq, "_in": _in, "_nin": _nin, "_between": _between, "_nbetween": _nbetween,
    **{f"_{name}": partial(_compare, name=name, holds=holds) for name, holds in _ORDER.items()},
    "_contains": _contains,
    "_ncontains": partial(_contains, negative=True),
    "_icontains": partial(_contains, fold=True),
    **{
        f"_{name}": partial(_edge, name=name)
        for side in ("starts_with", "ends_with") for name in (side, f"n{side}", f"i{side}", f"ni{side}")
    },
    "_regex": _regex, "_null": _null, "_nnull": _nnull, "_empty": _empty, "_nempty": _nempty,
}  # fmt: skip


# --- values -------------------------------------------------------------------------------------
def _number(value: Any) -> int | float | None:
    if isinstance(value, bool):
        return None
    if isinstance(value, int | float):
        return value
    if not isinstance(value, str) or not value.strip() or "_" in value:
        return None
    for cast in (int, float):
        try:
            return cast(value)
        except ValueError:
            continue
    return None


def _moment(value: Any) -> datetime | None:
    if isinstance(value, int | float) and not isinstance(value, bool):
        try:
            return datetime.fromtimestamp(value / 1000, UTC)
        except (OverflowError, ValueError, OSError):
            return None
    parsed = parse_iso(value) if isinstance(value, str) else value
    return parsed.astimezone() if isinstance(parsed, datetime) else None


def _shown(value: Any) -> Any:
    return read_moment(value, "timestamp") if isinstance(value, datetime) else value


def _text(value: Any) -> str:
    return value if isinstance(value, str) else str(_shown(value))


def _fold(text: str, fold: bool) -> str:
    return text.lower() if fold else text


def _apply(function: str, value: Any) -> Any:
    """The value of a function key such as ``year(published)``, in UTC; weeks begin on Sundays."""
    if function == "count":
        return len(value) if isinstance(value, list) else None
    moment = _moment(value)
    if moment is None:
        return None
    moment = moment.astimezone(UTC)
    if function == "week":
        return int(moment.strftime("%U")) + 1
    if function == "weekday":
        return (moment.weekday() + 1) % 7
    return getattr(moment, function, None) if function in ("year", "month", "day", "hour", "minute", "second") else None
