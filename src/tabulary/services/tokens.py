"""Tokens that logins give: what is in them and how long they live (spec users §3.3)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from tabulary.core.settings import Settings
from tabulary.core.tokens import sign

Mode = Literal["json", "cookie", "session"]


@dataclass(frozen=True, slots=True)
class Tokens:
    """What a login gives: a signed access (or session) token, the refresh token, and milliseconds until it expires."""

    access_token: str
    refresh_token: str
    expires: int


def share_claims(share: str) -> dict[str, Any]:
    """The claims of somebody who came with a share."""
    return {"share": share, "role": None, "app_access": False, "admin_access": False}


def signed_tokens(
    settings: Settings, claims: Mapping[str, Any], token: str, mode: Mode, longest: float = math.inf
) -> Tokens:
    """The tokens around ``token``, which is the refresh token or, in session mode, the session of the claims.

    They live for at most ``longest`` milliseconds.
    """
    name = "SESSION_COOKIE_TTL" if mode == "session" else "ACCESS_TOKEN_TTL"
    lifetime = settings.duration(name) or 0
    # A bare number counts seconds here and milliseconds in the answer (spec §0).
    real = lifetime * 1000 if isinstance(settings[name], int | float) else lifetime
    signed = sign(claims, settings["SECRET"], int(min(real, longest)))
    return Tokens(signed, token, int(min(lifetime, longest)))
