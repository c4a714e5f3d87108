"""Each promise of docs/security.md names tests, and they exist."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "security.md").read_text()
NAMED = re.compile(r"`(tests/[\w/]+\.py)::(\w+)`")
PROMISES = re.findall(r"^- .*(?:\n  .*)*", PAGE, re.MULTILINE)


@cache
def functions_of(path: str) -> frozenset[str]:
    tree = ast.parse((ROOT / path).read_text())
    return frozenset(node.name for node in tree.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))


@pytest.mark.parametrize("promise", PROMISES, ids=lambda text: text[2:50])
def test_a_promise_is_tested(promise: str) -> None:
    named = NAMED.findall(promise)
    assert named, "a promise without a test"
    for path, name in named:
        assert name.startswith("test_")
        assert name in functions_of(path), f"{path} has no {name}"


def test_nothing_is_named_elsewhere_on_the_page() -> None:
    """Every test stands at a promise; every file that is named is there."""
    assert len(PROMISES) > 20
    assert len(NAMED.findall(PAGE)) == sum(len(NAMED.findall(promise)) for promise in PROMISES)
    for path in re.findall(r"tests/[\w/]+\.py", PAGE):
        assert (ROOT / path).exists(), path
