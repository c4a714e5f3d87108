"""gzip for texts, with ``COMPRESSION_ENABLED`` (RFC 9110 §8.4, §12.5.3). The reference leaves it to the proxy.

Starlette's layer would also pack pictures, archives, and parts of files, whose ranges then mean something else.
"""

from __future__ import annotations

import asyncio
import zlib
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tabulary.core.durations import size
from tabulary.core.settings import Settings

_TEXTS = ("text/", "application/json", "application/health+json", "application/javascript", "image/svg+xml")
_GZIP_WINDOW = 31
_LEVEL = 5
_IN_THREAD = 1 << 18
"""Bytes that take so long to pack that others should not wait for it."""


class Compression:
    """Packs the answers of ``app`` for clients that take gzip."""

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self.app = app
        self._least = size(settings["COMPRESSION_MIN_SIZE"]) or 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        wanted = _takes_gzip(scope["headers"])
        start: Message | None = None
        packer: Any = None

        async def send_packed(message: Message) -> None:
            nonlocal start, packer
            if message["type"] == "http.response.start":
                start = message  # until the body shows how long it is
                return
            if start is not None:
                pending, start = start, None
                if _is_text(pending):
                    pending["headers"] = [*pending["headers"], (b"vary", b"Accept-Encoding")]
                    if wanted and (message.get("more_body") or len(message.get("body", b"")) >= max(1, self._least)):
                        packer = zlib.compressobj(_LEVEL, zlib.DEFLATED, _GZIP_WINDOW)
                        pending["headers"] = _packed_headers(pending["headers"])
                await send(pending)
            if packer is not None:
                message = {**message, "body": await _pack(packer, message)}
            await send(message)

        await self.app(scope, receive, send_packed)


def _takes_gzip(headers: list[tuple[bytes, bytes]]) -> bool:
    """Whether ``Accept-Encoding`` names gzip (or everything) and does not refuse it by ``q=0``."""
    for name, value in headers:
        if name == b"accept-encoding":
            for part in value.decode("latin-1").lower().split(","):
                coding, _, quality = part.partition(";")
                if coding.strip() in ("gzip", "*"):
                    return quality.replace(" ", "").rstrip("0").rstrip(".") not in ("q=", "q=0")
    return False


def _is_text(start: Message) -> bool:
    found = dict(start["headers"])
    if start["status"] in (204, 206, 304) or b"content-encoding" in found or b"content-range" in found:
        return False
    kind = found.get(b"content-type", b"").decode("latin-1")
    return kind.startswith(_TEXTS) and not kind.startswith("text/event-stream")


def _packed_headers(headers: list[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    """With the coding, without the length of what was not packed and without ranges. Tags are weak ones already."""
    kept = [header for header in headers if header[0] not in (b"content-length", b"accept-ranges")]
    return [*kept, (b"content-encoding", b"gzip")]


async def _pack(packer: Any, message: Message) -> bytes:
    body: bytes = message.get("body", b"")
    packed: bytes = await asyncio.to_thread(packer.compress, body) if len(body) > _IN_THREAD else packer.compress(body)
    return packed if message.get("more_body") else packed + packer.flush()
