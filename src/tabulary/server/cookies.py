"""Cookies that carry tokens, and answers to logins in the three modes (spec users §3.4, §6.4)."""

from __future__ import annotations

from typing import Any
from urllib.parse import unquote

from starlette.responses import Response

from tabulary.core.durations import milliseconds
from tabulary.core.settings import Settings
from tabulary.server import respond
from tabulary.services.tokens import Mode, Tokens


def read_cookies(header: str | None) -> dict[str, str]:
    """The cookies of a request by name; the first of equal names counts."""
    cookies: dict[str, str] = {}
    for part in (header or "").split(";"):
        name, separator, value = part.strip().partition("=")
        if separator:
            cookies.setdefault(name, unquote(value.strip('"')))
    return cookies


def cookie(settings: Settings, kind: str, value: str, lifetime: str | int | None = None) -> str:
    """A ``Set-Cookie`` header for the ``SESSION`` or the ``REFRESH_TOKEN`` cookie; an empty value makes it expire."""
    seconds = (milliseconds(lifetime) or 0) // 1000 if value else 0
    prefix = f"{kind}_COOKIE"
    parts = [f"{settings[f'{prefix}_NAME']}={value}", "HttpOnly", "Path=/", f"Max-Age={seconds}"]
    if not value:
        parts.append("Expires=Thu, 01 Jan 1970 00:00:00 GMT")
    if domain := settings.get(f"{prefix}_DOMAIN"):
        parts.append(f"Domain={domain}")
    if settings.get(f"{prefix}_SECURE"):
        parts.append("Secure")
    if same_site := settings.get(f"{prefix}_SAME_SITE"):
        parts.append(f"SameSite={str(same_site).capitalize()}")
    return "; ".join(parts)


def token_answer(settings: Settings, tokens: Tokens, mode: Mode) -> Response:
    """What a client gets for a login or refresh: tokens in the body, or some of them as a cookie."""
    data: dict[str, Any] = {"expires": tokens.expires}
    if mode == "json":
        data |= {"refresh_token": tokens.refresh_token}
    if mode != "session":
        data |= {"access_token": tokens.access_token}
    response = respond.plain(data, cached=False)
    if mode == "cookie":
        kind, value, lifetime = "REFRESH_TOKEN", tokens.refresh_token, settings["REFRESH_TOKEN_TTL"]
    elif mode == "session":
        kind, value, lifetime = "SESSION", tokens.access_token, settings["SESSION_COOKIE_TTL"]
    else:
        return response
    response.headers.append("set-cookie", cookie(settings, kind, value, lifetime))
    return response
