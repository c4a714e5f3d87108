"""The password policy: a JavaScript regular expression, searched in the password (spec users §1.4)."""

from __future__ import annotations

import re

_TOKEN = re.compile(
    r"""(?P<escape>\\(?:u\{[0-9a-fA-F]+\}|c[A-Za-z]|k<\w+>|.))   # an escape sequence
      | (?P<group>\(\?<(?![=!]))                                 # the begin of a named group
      | (?P<any>\[\^\])                                          # any character at all
      | (?P<none>\[\])                                           # no character
      | (?P<end>\$)
      | (?P<bracket>[\[\]])""",
    re.VERBOSE | re.DOTALL,
)
_SAME_IN_PYTHON = frozenset("dDwWsSbBfnrtvxu0123456789")


def allows(policy: str, password: str) -> bool:
    """True when the pattern occurs in the password.

    A pair of enclosing slashes is taken off (one alone is both); flags behind it are not understood, as in the
    reference, and make the slashes literal. Raises :class:`re.error` for a pattern that is not one.
    """
    if policy.startswith("/") and policy.endswith("/"):
        policy = policy[1:-1]
    return re.search(_translated(policy), password, re.ASCII) is not None


def _translated(pattern: str) -> str:
    """The pattern in Python's dialect: ``$`` is the very end only, named groups and odd escapes are spelled anew."""
    inside = False

    def replace(match: re.Match[str]) -> str:
        nonlocal inside
        text = match[0]
        if match["escape"]:
            return _escape(text, inside)
        if match["bracket"]:
            if inside and text == "[":
                return r"\["
            inside = text == "["
            return text
        if inside:
            return text
        if match["group"]:
            return "(?P<"
        if match["any"]:
            return r"(?:.|\n)"
        if match["none"]:
            return r"(?!)"
        return r"\Z"

    return _TOKEN.sub(replace, pattern)


def _escape(text: str, inside: bool) -> str:
    letter = text[1]
    if text.startswith("\\u{"):
        return text[1:]  # without the flag u it is the letter, so many times
    if letter == "c" and len(text) == 3:
        return re.escape(chr(ord(text[2]) % 32))
    if letter == "k" and len(text) > 2:
        return f"(?P={text[3:-1]})"
    if letter == "b" and inside:
        return r"\x08"
    return text if letter in _SAME_IN_PYTHON or not letter.isalnum() else letter
