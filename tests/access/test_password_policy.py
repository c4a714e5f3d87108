"""Password policies are JavaScript patterns."""

import re

import pytest

from tabulary.access.password_policy import allows


@pytest.mark.parametrize(
    ("policy", "password", "allowed"),
    [
        ("/^.{8,}$/", "12345678", True),
        ("/^.{8,}$/", "1234567", False),
        ("^.{8,}$", "12345678\n", False),
        ("[0-9]", "abc1", True),
        ("/abc/i", "ABC", False),
        ("/(?=.*[a-z])(?=.*[A-Z])(?=.*\\d)(?=.*[!@#$%^&*()_+}{';'?>.<,])(?!.*\\s).*$/", "aB3$", True),
        ("/(?=.*[a-z])(?=.*[A-Z])(?=.*\\d)(?=.*[!@#$%^&*()_+}{';'?>.<,])(?!.*\\s).*$/", "aB3", False),
        (r"^\d+$", "١٢", False),
        (r"(?<first>.)\k<first>", "aa", True),
        (r"(?<first>.)\k<first>", "ab", False),
        (r"(?<=a)b", "ab", True),
        (r"^[^]$", "\n", True),
        (r"[[a]", "[", True),
        (r"[$]", "$", True),
        (r"\/x", "/x", True),
        (r"\y", "y", True),
        (r"\cA", "\x01", True),
        (r"[\b]", "\x08", True),
        ("/", "a/b", True),
        ("/", "ab", True),
    ],
)
def test_policy(policy: str, password: str, allowed: bool) -> None:
    assert allows(policy, password) is allowed


def test_bad_pattern() -> None:
    with pytest.raises(re.error):
        allows("(", "x")
