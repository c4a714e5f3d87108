"""Who asks: the accountability of a request (spec items-and-query §0.1, users-and-access §3.2)."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Accountability:
    """Who a service works for. ``None`` in its place means a trusted internal call.

    ``roles`` runs from the root ancestor to the own role. ``admin`` skips permission checks but not validation.
    ``lacks_tfa``: a policy demands a second factor that the user has not set up; doors let it only do that.
    """

    user: str | None = None
    role: str | None = None
    roles: tuple[str, ...] = ()
    admin: bool = False
    app: bool = False
    ip: str | None = None
    user_agent: str | None = None
    origin: str | None = None
    share: str | None = None
    session: str | None = None
    lacks_tfa: bool = False
