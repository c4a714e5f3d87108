"""Casting of JSON values that several dialects share: numbers the JavaScript way, moments as ISO text."""

from __future__ import annotations

import datetime as dt
import math
import re
from typing import Any

_NUMBER = re.compile(r"[+-]?(\d+\.?\d*([eE][+-]?\d+)?|\.\d+([eE][+-]?\d+)?)")
_RADIX = re.compile(r"0[xX][0-9a-fA-F]+|0[bB][01]+|0[oO][0-7]+")
_EXACT = re.compile(r"[+-]?\d+(\.\d+)?")
MAX_DIGITS = 1000


def js_number(value: Any) -> int | float | str:
    """A value compared with a number, converted as the reference does (spec items-and-query §4.5).

    Plain decimal text stays text, so that no digit is lost. Raises ``ValueError`` for what is no number.
    """
    if value is None or value is False:
        return 0
    if value is True:
        return 1
    if isinstance(value, int | float):
        if isinstance(value, float) and not math.isfinite(value):
            raise ValueError("not a finite number")
        return value
    if isinstance(value, str):
        text = value.strip()
        if not text:
            return 0
        if len(text) <= MAX_DIGITS and _EXACT.fullmatch(text):
            return text
        if len(text) <= MAX_DIGITS and _RADIX.fullmatch(text):
            return int(text, 0)
        if len(text) <= MAX_DIGITS and _NUMBER.fullmatch(text):
            number = float(text)
            if math.isfinite(number):
                return number
    raise ValueError("not a number")


def number_text(value: int | float | str) -> str:
    """The shortest plain text of a number: ``10`` for ``10.0``."""
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e21:
        return str(int(value))
    return str(value)


def plain_number(value: int | float | str) -> int | float:
    """A number for drivers that take numbers: exact integers stay integers."""
    if isinstance(value, str):
        return float(value) if "." in value else int(value)
    return int(value) if isinstance(value, float) and value.is_integer() and abs(value) < 2**63 else value


def moment(value: dt.datetime) -> str:
    """ISO text in UTC with milliseconds."""
    return value.astimezone(dt.UTC).strftime("%Y-%m-%dT%H:%M:%S.") + f"{value.microsecond // 1000:03d}Z"
