"""Comparisons in three-valued logic, as a database makes them: the model that tests hold SQL against."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

Verdict = bool | None
_COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "_eq": lambda a, b: a == b,
    "_neq": lambda a, b: a != b,
    "_lt": lambda a, b: a < b,
    "_lte": lambda a, b: a <= b,
    "_gt": lambda a, b: a > b,
    "_gte": lambda a, b: a >= b,
    "_contains": lambda a, b: b in a,
    "_starts_with": lambda a, b: a.startswith(b),
}


def leaf(value: Any, operator: str, operand: Any) -> Verdict:
    if operator in ("_null", "_nnull"):
        return (value is None) is (operand if operator == "_null" else not operand)
    if operator in ("_empty", "_nempty"):
        return (value is None or value == "") is (operand if operator == "_empty" else not operand)
    if operand is None:
        return (value is None) is (operator == "_eq")
    if value is None:
        return None
    if operator in ("_in", "_nin"):
        return (value in operand) is (operator == "_in")
    if operator == "_between":
        return bool(operand[0] <= value <= operand[1])
    return _COMPARE[operator](value, operand)


def conjoin(verdicts: list[Verdict]) -> Verdict:
    return False if False in verdicts else None if None in verdicts else True


def disjoin(verdicts: list[Verdict]) -> Verdict:
    return True if True in verdicts else None if None in verdicts else False
