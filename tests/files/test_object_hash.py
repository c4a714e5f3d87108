"""The hash that names variants; the expected values are those of the reference (spec files §3.7)."""

from __future__ import annotations

from typing import Any

import pytest

from tabulary.core.object_hash import UNDEFINED as U
from tabulary.core.object_hash import js_number, object_hash


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (
            [["resize", {"width": 100, "height": U, "fit": U, "withoutEnlargement": U}]],
            "3dccd14fe26fc538a8e5634f9c86b1cbe3290bd1",
        ),
        ([["toFormat", "webp", {"quality": U}]], "90813c85f3858d08a07c08944e7ef83f0e411a13"),
        (
            [["resize", {"width": 64, "height": 64, "fit": "cover"}], ["toFormat", "jpeg", {"quality": U}]],
            "5b7fe6070aa6be5d0a2013646f0ff71ed585210a",
        ),
        ([["toFormat", "jpeg", {"quality": 10}]], "f9645cf88cf08a395ac3c73e1da80f1792bf676f"),
    ],
)
def test_known_hashes(value: Any, expected: str) -> None:
    assert object_hash(value) == expected


def test_what_counts() -> None:
    base = object_hash([["a", {"x": 1}]])
    assert object_hash([["a", {"x": 1.0}]]) == base
    assert object_hash([["a", {"x": "1"}]]) != base
    assert object_hash([["a", {"x": 1, "y": U}]]) != base
    assert object_hash([["a", {"x": None}]]) != object_hash([["a", {"x": U}]])
    assert object_hash({"b": 1, "a": 2}) == object_hash({"a": 2, "b": 1})


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (1, "1"),
        (1.0, "1"),
        (0.1, "0.1"),
        (-2.5, "-2.5"),
        (1e21, "1e+21"),
        (1e-7, "1e-7"),
        (1.5e-5, "0.000015"),
        (float("nan"), "NaN"),
    ],
)
def test_numbers_as_javascript_writes_them(number: float, text: str) -> None:
    assert js_number(number) == text
