"""E-mail addresses."""

import pytest

from tabulary.access.addresses import AddressRules

RULES = AddressRules.load()


@pytest.mark.parametrize(
    "address",
    ["ada@example.org", "A+b@EXAMPLE.ORG", "ädä@exämple.org", "o'x/y%z@a-b.co.uk", "a@b.museum", "x@例え.テスト.jp",
     "😀@example.org", "a@😀.org", "€@©.org", "😀" * 16 + "@b.org", "a!#$%&'*+/=?^_`{|}~-b@b.org"],
)  # fmt: skip
def test_valid(address: str) -> None:
    assert RULES.is_valid(address)


@pytest.mark.parametrize(
    "address",
    [
        None, 7, True, "", "ada", "a@b@example.org", "a b@example.org", " a@example.org", "a@example.org ",
        "a..b@example.org",
        ".a@example.org", "a.@example.org", '"a b"@example.org', "a@localhost", "a@b.test", "a@127.0.0.1", "a@-b.org",
        "a@b-.org", "a@b_c.org", "a@b..org", "a@b.org.", "a@b.org\n", "x" * 65 + "@b.org", "a@" + "x" * 64 + ".org",
        "ä" * 33 + "@b.org", "a@" + "ä" * 63 + ".org", "a@exשmple.org", "a\u200bb@b.org", "a@b\u00adc.org", "a\u00a0b@b.org",
        "a@b。org", "a@b\uff0ec.org", 'a"b@b.org', "a,b@b.org", "a(b)@b.org", "mailto:a@b.org",
    ],
)  # fmt: skip
def test_invalid(address: object) -> None:
    assert not RULES.is_valid(address)
