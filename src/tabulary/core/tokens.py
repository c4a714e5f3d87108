"""Tokens: signed ones (JWT, HS256, issuer ``directus``) and random ones (spec users-and-access §3.2–3.4).

PyJWT is loaded by the first signed token, because it brings all of ``cryptography`` along.
"""

from __future__ import annotations

import secrets
import string
import time
from collections.abc import Mapping
from typing import Any

from tabulary.core.errors import InvalidToken, TokenExpired

ISSUER = "directus"
_ALGORITHM = "HS256"
_URL_SAFE = string.ascii_letters + string.digits + "_-"


def sign(claims: Mapping[str, Any], secret: str, lifetime: int | None = None) -> str:
    """A signed token of ``claims`` that expires after ``lifetime`` milliseconds (None: never)."""
    import jwt

    now = int(time.time())
    expiry = {} if lifetime is None else {"exp": now + lifetime // 1000}
    return jwt.encode({**claims, "iat": now, **expiry, "iss": ISSUER}, _key(secret), _ALGORITHM)


def verify(token: str, secret: str) -> dict[str, Any]:
    """The claims of a token that we signed.

    Raises :class:`TokenExpired` for an old one, :class:`InvalidToken` for everything else that is wrong with it.
    """
    import jwt

    try:
        claims: dict[str, Any] = jwt.decode(token, _key(secret), [_ALGORITHM], issuer=ISSUER, options=_OPTIONS)
    except jwt.ExpiredSignatureError:
        raise TokenExpired from None
    except jwt.PyJWTError:
        raise InvalidToken from None
    return claims


def is_signed(token: str) -> bool:
    """True when the token claims to be one of ours (not verified): tells JWTs from static tokens."""
    if token.count(".") != 2:
        return False
    import jwt

    try:
        return bool(jwt.decode(token, options={"verify_signature": False}).get("iss") == ISSUER)
    except (jwt.PyJWTError, ValueError):
        return False


def random_token(length: int = 64) -> str:
    """Cryptographically random text of ``A-Za-z0-9_-``."""
    return "".join(secrets.choice(_URL_SAFE) for _ in range(length))


_OPTIONS: Any = {"verify_aud": False, "verify_sub": False, "verify_jti": False}


def _key(secret: str) -> bytes:
    return secret.encode()
