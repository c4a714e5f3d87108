"""Durations and sizes as people write them."""

from __future__ import annotations

from typing import Any

import pytest

from tabulary.core.durations import milliseconds, size, spoken


@pytest.mark.parametrize(
    ("text", "value"),
    [("15m", 900_000), ("7d", 604_800_000), ("1 day", 86_400_000), ("2 hrs", 7_200_000), ("100", 100), (250, 250),
     ("1.5h", 5_400_000), ("-3 min", -180_000), ("1y", 31_557_600_000), ("soon", None), ("", None), (None, None)],
)  # fmt: skip
def test_milliseconds(text: Any, value: int | None) -> None:
    assert milliseconds(text) == value


@pytest.mark.parametrize(
    ("text", "value"), [("1mb", 1 << 20), ("100KB", 102_400), ("1.5gb", 3 << 29), (10, 10), ("10", 10), ("x", None)]
)
def test_size(text: Any, value: int | None) -> None:
    assert size(text) == value


def test_spoken() -> None:
    assert [spoken(x) for x in (400, 5_000, 90_000, 7_200_000)] == ["400ms", "5s", "2m", "2h"]
