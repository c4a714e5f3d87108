"""An enforced second factor, enforced: until it is set up, a login is good for setting it up and nothing else.

A policy demands it (``enforce_tfa``); the reference only tells clients and leaves the rest to them. Static tokens are
for programs, which have no second factor, and are not meant.
"""

from __future__ import annotations

from tabulary.core.errors import Forbidden

_FAMILIES = ("/auth", "/users/me/tfa", "/sessions")
_READABLE = frozenset(
    {"/users/me", "/roles/me", "/policies/me/globals", "/permissions/me", "/server/info", "/settings"}
)
_REASON = (
    "This account needs a second factor before it can be used. "
    "Set one up: POST /users/me/tfa/generate, then POST /users/me/tfa/enable."
)


def check_second_factor(method: str, path: str) -> None:
    """For a caller without its second factor. Raises :class:`Forbidden` unless the way leads to getting one."""
    lowered = path.lower()
    if method in ("GET", "HEAD") and lowered in _READABLE:
        return
    if not any(lowered == family or lowered.startswith(f"{family}/") for family in _FAMILIES):
        raise Forbidden(_REASON)
