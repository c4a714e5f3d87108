"""IP rules of policies."""

import pytest

from tabulary.access.networks import IpRange, IpRules


@pytest.mark.parametrize(
    ("rule", "inside", "outside"),
    [
        ("10.1.2.3", "10.1.2.3", "10.1.2.4"),
        (" 10.1.2.3 ", "10.1.2.3", "10.1.2.4"),
        ("10.1.2.3-10.1.2.9", "10.1.2.9", "10.1.2.10"),
        ("10.1.0.0/16", "10.1.255.255", "10.2.0.0"),
        ("10.1.2.3/16", "10.1.0.0", "10.2.0.0"),
        ("2001:db8::/32", "2001:db8::1", "2001:db9::1"),
        ("0.0.0.0/0", "8.8.8.8", "::1"),
        ("127.0.0.1", "::ffff:127.0.0.1", "::1"),
        ("::ffff:10.1.2.3", "10.1.2.3", "10.1.2.4"),
        ("::ffff:0:0/96", "10.1.2.3", "::1"),
    ],
)
def test_rule(rule: str, inside: str, outside: str) -> None:
    rules = IpRules.parse([rule])
    assert rules.admits(inside)
    assert not rules.admits(outside)
    assert not rules.admits(None)
    assert not rules.admits("unknown")


@pytest.mark.parametrize(
    "rule",
    [
        "10.0.0.*",
        "10.0.0.256",
        "10.0.0.0/33",
        "10.0.0.9-10.0.0.1",
        "10.0.0.0/255.0.0.0",
        "x",
        "",
        "1.1.1.1-::1",
        "fe80::1%0",
    ],
)
def test_bad_rule(rule: str) -> None:
    with pytest.raises(ValueError):
        IpRange.parse(rule)


def test_everybody_is_everybody() -> None:
    assert IpRules.parse(["::/0"]).admits("10.1.2.3")
    assert IpRules.parse(["::/0"]).admits("2001:db8::1")


def test_no_rules_admit_everybody_and_unreadable_ones_nobody() -> None:
    assert IpRules.parse([]).admits(None)
    assert IpRules.parse([""]).admits("1.1.1.1")
    assert not IpRules.parse(["10.0.0.*"]).admits("10.0.0.1")
