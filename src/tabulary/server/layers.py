"""The outer layers of the ASGI application: pure ASGI middleware (spec schema-and-platform §4.1, §4.2)."""

from __future__ import annotations

from base64 import b64encode
from hashlib import sha1
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tabulary.core.settings import Settings

RawHeaders = list[tuple[bytes, bytes]]

_CONTENT_SECURITY_POLICY = {
    "script-src": "'self' 'unsafe-eval'",
    "worker-src": "'self' blob:",
    "child-src": "'self' blob:",
    "img-src": "'self' data: blob: https://raw.githubusercontent.com https://avatars.githubusercontent.com",
    "media-src": "'self'",
    "connect-src": "'self' https://* wss://*",
    "default-src": "'self'",
    "base-uri": "'self'",
    "font-src": "'self' https: data:",
    "form-action": "'self'",
    "frame-ancestors": "'self'",
    "object-src": "'none'",
    "script-src-attr": "'none'",
    "style-src": "'self' https: 'unsafe-inline'",
}


class CommonHeaders:
    """Adds the headers that every answer carries, an ETag, and turns repeated reads into 304."""

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self.app = app
        self.headers = common_headers(settings)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        start: Message | None = None

        async def send_with_headers(message: Message) -> None:
            nonlocal start
            if message["type"] == "http.response.start":
                message["headers"] = _merged(self.headers, message["headers"])
                start = message
                return
            if start is not None:
                if message["type"] == "http.response.body" and not message.get("more_body"):
                    message = _with_etag(scope, start, message)
                pending, start = start, None
                await send(pending)
            await send(message)

        await self.app(scope, receive, send_with_headers)


def _merged(common: RawHeaders, own: RawHeaders) -> RawHeaders:
    """Both, except that an answer's own content security policy takes the place of the common one."""
    if any(name == b"content-security-policy" for name, _ in own):
        common = [header for header in common if header[0] != b"content-security-policy"]
    return [*common, *own]


def _with_etag(scope: Scope, start: Message, message: Message) -> Message:
    """Tag a complete body; answer 304 without it when the client has it already, and none at all to HEAD."""
    body: bytes = message.get("body", b"")
    if not body:
        return message
    tag = b'W/"%x-%b"' % (len(body), b64encode(sha1(body, usedforsecurity=False).digest())[:27])
    start["headers"].append((b"etag", tag))
    if scope["method"] in ("GET", "HEAD"):
        if 200 <= start["status"] < 300 and _has_tag(scope["headers"], tag):
            start["status"] = 304
            start["headers"] = [h for h in start["headers"] if h[0] not in (b"content-length", b"content-type")]
            return {**message, "body": b""}
        if scope["method"] == "HEAD":
            return {**message, "body": b""}
    return message


def _has_tag(headers: RawHeaders, tag: bytes) -> bool:
    for name, value in headers:
        if name == b"if-none-match":
            wanted = tag.removeprefix(b"W/")
            return value.strip() == b"*" or any(v.strip().removeprefix(b"W/") == wanted for v in value.split(b","))
    return False


def common_headers(settings: Settings) -> RawHeaders:
    """Headers of every answer: content security policy, opener policy, HSTS, powered-by (§4.2)."""
    changes = settings.group("CONTENT_SECURITY_POLICY_").get("directives", {})
    headers = {"Content-Security-Policy": content_policy(_CONTENT_SECURITY_POLICY, changes)}
    if settings["CROSS_ORIGIN_OPENER_POLICY_ENABLED"]:
        headers["Cross-Origin-Opener-Policy"] = str(settings["CROSS_ORIGIN_OPENER_POLICY"])
    if settings["HSTS_ENABLED"]:
        parts = [f"max-age={settings['HSTS_MAX_AGE']}"]
        parts += ["includeSubDomains"] if settings["HSTS_INCLUDE_SUB_DOMAINS"] else []
        parts += ["preload"] if settings["HSTS_PRELOAD"] else []
        headers["Strict-Transport-Security"] = "; ".join(parts)
    headers["X-Powered-By"] = "Directus"
    return [(name.lower().encode(), value.encode("latin-1")) for name, value in headers.items()]


def content_policy(base: dict[str, str], changes: dict[str, Any]) -> str:
    """A policy with ``CONTENT_SECURITY_POLICY_DIRECTIVES__IMG_SRC`` and its like laid over; false removes one."""
    directives = dict(base)
    for name, value in changes.items():
        directive = "".join(f"-{c.lower()}" if c.isupper() else c for c in name)
        if value is False:
            directives.pop(directive, None)
        else:
            directives[directive] = " ".join(map(str, value)) if isinstance(value, list) else str(value)
    return ";".join(f"{name} {value}".rstrip() for name, value in directives.items())


class Cors:
    """Cross-origin headers, only in place with ``CORS_ENABLED`` (spec users-and-access §6.4)."""

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self.app = app
        self.origin: Any = settings["CORS_ORIGIN"]
        self.fixed: RawHeaders = []
        if settings["CORS_CREDENTIALS"]:
            self.fixed.append((b"access-control-allow-credentials", b"true"))
        if settings["CORS_EXPOSED_HEADERS"]:
            self.fixed.append((b"access-control-expose-headers", _joined(settings["CORS_EXPOSED_HEADERS"])))
        self.preflight: RawHeaders = [
            *self.fixed,
            (b"access-control-allow-methods", _joined(settings["CORS_METHODS"])),
            (b"access-control-allow-headers", _joined(settings["CORS_ALLOWED_HEADERS"])),
            (b"access-control-max-age", str(settings["CORS_MAX_AGE"]).encode()),
            (b"content-length", b"0"),
        ]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        allowed = self._allowed(next((value for name, value in scope["headers"] if name == b"origin"), None))
        if scope["method"] == "OPTIONS":
            await send({"type": "http.response.start", "status": 204, "headers": [*allowed, *self.preflight]})
            await send({"type": "http.response.body", "body": b""})
            return

        async def send_with_cors(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*allowed, *self.fixed, *message["headers"]]
            await send(message)

        await self.app(scope, receive, send_with_cors)

    def _allowed(self, origin: bytes | None) -> RawHeaders:
        if self.origin == "*":
            return [(b"access-control-allow-origin", b"*")]
        vary = (b"vary", b"Origin")
        if isinstance(self.origin, str):
            return [(b"access-control-allow-origin", self.origin.encode("latin-1")), vary]
        listed = isinstance(self.origin, list) and origin is not None and origin.decode("latin-1") in self.origin
        if origin is not None and (self.origin is True or listed):
            return [(b"access-control-allow-origin", origin), vary]
        return [vary]


def _joined(value: Any) -> bytes:
    return (",".join(map(str, value)) if isinstance(value, list) else str(value)).encode("latin-1")
