"""E-mail addresses of users: which texts are valid ones (spec users §1.4, ``validate_email``)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

_LOCAL_ATOM = r"[A-Za-z0-9_!#$%&'*+/=?^`{|}~\x80-\U0010ffff-]+"
_LOCAL = re.compile(rf"{_LOCAL_ATOM}(\.{_LOCAL_ATOM})*")
_LABEL = re.compile(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?")
_MAX_LOCAL = 64
"""Bytes, as everywhere in mail."""

_MAX_LABEL = 63
_MAX_DOMAIN = 255


@dataclass(frozen=True)
class AddressRules:
    """The grammar, with the list of top-level domains that exist (IANA)."""

    top_level_domains: frozenset[str]

    @classmethod
    def load(cls) -> AddressRules:
        """Read the packaged list."""
        text = files("tabulary.access").joinpath("top_level_domains.txt").read_text("ascii")
        return cls(frozenset(text.split()))

    def is_valid(self, value: Any) -> bool:
        """True for ``local@domain``: a dot-atom and at least two labels, the last of them a known top-level domain."""
        if not isinstance(value, str) or value.count("@") != 1 or not value.isprintable():
            return False
        local, domain = value.split("@")
        labels = [_ascii(label) for label in domain.split(".")]
        return (
            len(local.encode()) <= _MAX_LOCAL
            and _LOCAL.fullmatch(local) is not None
            and len(labels) > 1
            and len(domain) <= _MAX_DOMAIN
            and all(len(label) <= _MAX_LABEL and _LABEL.fullmatch(label) for label in labels)
            and labels[-1] in self.top_level_domains
        )


def _ascii(label: str) -> str:
    """A label as the DNS knows it, with what is not ASCII in its IDNA form; empty when it has none."""
    try:
        return label.encode("idna").decode("ascii").lower()
    except UnicodeError:
        return ""
