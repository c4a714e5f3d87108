"""Reading JSON bodies (spec schema-and-platform §4.8).

Only ``application/json`` counts; other types are an empty body for everyone but the routes that read them themselves
(files). The body is read at most up to ``MAX_PAYLOAD_SIZE``, before authentication, whatever the method.
"""

from __future__ import annotations

from typing import Any

from starlette.types import Receive, Scope

from tabulary.core import json
from tabulary.core.errors import InvalidPayload

_CHARSETS = ("utf-8", "utf8", "us-ascii", "ascii")


class Disconnected(Exception):
    """The client went away in the middle of its body; nobody waits for an answer."""


async def read_json(scope: Scope, receive: Receive, limit: int) -> Any:
    """The decoded body, or ``{}`` when there is none or it is not JSON by type.

    Raises :class:`InvalidPayload` for broken or oversized JSON and for texts that are not an object or a list.
    """
    kind, length, chunked = _of_headers(scope["headers"])
    if not (length or chunked) or not kind or not _is_json(kind):
        return {}
    if length > limit:
        raise InvalidPayload("The body is larger than the server accepts")
    body = await _read(receive, limit)
    return _decoded(body) if body else {}


def _of_headers(headers: list[tuple[bytes, bytes]]) -> tuple[str, int, bool]:
    kind, length, chunked = "", 0, False
    for name, value in headers:
        if name == b"content-type":
            kind = value.decode("latin-1")
        elif name == b"content-length":
            length = int(value) if value.isdigit() else 0
        elif name == b"transfer-encoding":
            chunked = True
    return kind, length, chunked


def _is_json(kind: str) -> bool:
    media_type, *parameters = (part.strip().lower() for part in kind.split(";"))
    if media_type != "application/json":
        return False
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name.strip() == "charset" and value.strip().strip('"') not in _CHARSETS:
            raise InvalidPayload(f"Charset {value.strip()} is not supported, only UTF-8 is")
    return True


async def _read(receive: Receive, limit: int) -> bytes:
    chunks: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise Disconnected
        chunk = message.get("body", b"")
        size += len(chunk)
        if size > limit:
            raise InvalidPayload("The body is larger than the server accepts")
        chunks.append(chunk)
        if not message.get("more_body", False):
            return b"".join(chunks)


def _decoded(body: bytes) -> Any:
    try:
        value = json.decode(body.removeprefix(b"\xef\xbb\xbf"))
    except ValueError as problem:
        raise InvalidPayload(f"The body is not valid JSON: {problem}") from None
    if not isinstance(value, dict | list):
        raise InvalidPayload("The body has to be a JSON object or list")
    return value
