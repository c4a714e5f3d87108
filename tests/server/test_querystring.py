"""Query strings with brackets."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tabulary.server.querystring import parse


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("", {}),
        ("a=1", {"a": "1"}),
        ("a", {"a": ""}),
        ("a=1&&b=2&", {"a": "1", "b": "2"}),
        ("a=1&a=2", {"a": ["1", "2"]}),
        ("a[]=1&a[]=2", {"a": ["1", "2"]}),
        ("a[1]=2&a[0]=1", {"a": ["1", "2"]}),
        ("a[501]=x", {"a": {"501": "x"}}),
        ("a%5Bb%5D=1", {"a": {"b": "1"}}),
        ("f[_or][0][a][_eq]=1&f[_or][1][b]=2", {"f": {"_or": [{"a": {"_eq": "1"}}, {"b": "2"}]}}),
        ("f[a][_eq]=1&f[a][_eq]=2", {"f": {"a": {"_eq": ["1", "2"]}}}),
        ("a=x+y%2Cz", {"a": "x y,z"}),
        ("a[b=1", {"a[b": "1"}),
        ("a=1&a[b]=2", {"a": {"1": True, "b": "2"}}),
    ],
)
def test_shapes(text: str, value: Any) -> None:
    assert parse(text) == value


def test_depth_is_bounded() -> None:
    assert parse("a[b][c][d]=1", depth=2) == {"a": {"b": {"c": {"[d]": "1"}}}}


def test_lists_are_bounded() -> None:
    assert parse("a[]=0&a[]=1&a[]=2", array_limit=2) == {"a": {"0": "0", "1": "1", "2": "2"}}
    assert len(parse("&".join(f"a[]={i}" for i in range(20_000)))["a"]) == 20_000


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.text(alphabet="ab[]=&%05+", max_size=40))
def test_nothing_breaks_it(text: str) -> None:
    assert isinstance(parse(text), dict)
