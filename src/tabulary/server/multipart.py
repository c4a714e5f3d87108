"""``multipart/form-data`` as it arrives: fields and files in order, each file a stream, read as fast as it is used.

Nothing is kept but the fields and one chunk of the body, whatever the size of a file (spec files §3.2).
"""

from __future__ import annotations

import posixpath
from collections import deque
from collections.abc import AsyncIterator
from dataclasses import dataclass

from python_multipart.exceptions import MultipartParseError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.requests import ClientDisconnect, Request

from tabulary.core.errors import InvalidPayload
from tabulary.server.body import Disconnected

_MOST_PARTS = 1000


@dataclass(frozen=True, slots=True)
class Field:
    """A part that is text."""

    name: str
    value: str


class FilePart:
    """A part that is a file. ``content`` has to be read, or left, before the next part comes."""

    def __init__(self, name: str, filename: str, media_type: str, content: AsyncIterator[bytes]) -> None:
        self.name = name
        self.filename = filename
        self.media_type = media_type
        self.content = content


def is_multipart(request: Request) -> bool:
    return request.headers.get("content-type", "").lower().startswith("multipart/form-data")


async def parts(request: Request, most_text: int) -> AsyncIterator[Field | FilePart]:
    """The parts of a request's body.

    Args:
        request: its body must not have been read yet.
        most_text: bytes that all fields together may have.

    Raises :class:`InvalidPayload` for a broken body or too much text, :class:`Disconnected` when it breaks off.
    """
    _, options = parse_options_header(request.headers.get("content-type"))
    boundary = options.get(b"boundary")
    if not boundary:
        raise InvalidPayload("The content type names no boundary between the parts")
    reader = _Reader(request, boundary)
    text = 0
    while (part := await reader.next_part()) is not None:
        if part.filename:
            yield FilePart(part.name, part.filename, part.media_type, reader.content())
        else:
            value = bytearray()
            async for chunk in reader.content():
                text += len(chunk)
                if text > most_text:
                    raise InvalidPayload("The fields of the form are larger than the server accepts")
                value += chunk
            yield Field(part.name, value.decode("utf-8", "replace"))
            text += len(part.name)


@dataclass(slots=True)
class _Part:
    name: str
    filename: str
    media_type: str


_END = b""


class _Reader:
    """Feeds the body to the parser and keeps what it reports until somebody takes it."""

    def __init__(self, request: Request, boundary: bytes) -> None:
        self._body = request.stream()
        self._found: deque[_Part | bytes] = deque()  # a part, its data, and an empty chunk at its end
        self._headers: dict[bytes, bytes] = {}
        self._name, self._value = bytearray(), bytearray()
        self._count = 0
        self._complete = False
        self._parser = MultipartParser(
            boundary,
            {
                "on_part_begin": self._on_part_begin,
                "on_header_field": lambda data, start, end: self._name.extend(data[start:end]),
                "on_header_value": lambda data, start, end: self._value.extend(data[start:end]),
                "on_header_end": self._on_header_end,
                "on_headers_finished": self._on_headers_finished,
                "on_part_data": lambda data, start, end: self._found.append(bytes(data[start:end])),
                "on_part_end": lambda: self._found.append(_END),
                "on_end": self._on_end,
            },
        )

    # --- for the consumer -------------------------------------------------------------------
    async def next_part(self) -> _Part | None:
        """The next part, past whatever is left of the one before; None after the last."""
        while True:
            while self._found:
                found = self._found.popleft()
                if isinstance(found, _Part):
                    return found
            if not await self._feed():
                return None

    async def content(self) -> AsyncIterator[bytes]:
        """The data of the part that came last."""
        while True:
            while self._found:
                if isinstance(self._found[0], _Part):
                    return
                chunk = self._found.popleft()
                if chunk == _END:
                    return
                assert isinstance(chunk, bytes)
                yield chunk
            if not await self._feed():
                return

    async def _feed(self) -> bool:
        """Parse one more chunk of the body; False at its proper end."""
        try:
            chunk = await anext(self._body, None)
        except ClientDisconnect:
            raise Disconnected from None
        if chunk is None:
            if self._count and not self._complete:
                raise InvalidPayload("The body ends in the middle of a part")
            return False
        try:
            self._parser.write(chunk)
        except MultipartParseError as problem:
            raise InvalidPayload(f"The body is no valid multipart form: {problem}") from None
        return True

    # --- for the parser ---------------------------------------------------------------------
    def _on_part_begin(self) -> None:
        self._headers = {}
        self._count += 1
        if self._count > _MOST_PARTS:
            raise InvalidPayload(f"A form can have {_MOST_PARTS} parts at most")

    def _on_header_end(self) -> None:
        self._headers[bytes(self._name).lower()] = bytes(self._value)
        self._name.clear()
        self._value.clear()

    def _on_headers_finished(self) -> None:
        _, options = parse_options_header(self._headers.get(b"content-disposition", b""))
        name = options.get(b"name")
        if name is None:
            raise InvalidPayload("A part of the form has no name")
        media_type = _text(self._headers.get(b"content-type", b"")).strip().lower() or "text/plain"
        filename = posixpath.basename(_text(options.get(b"filename", b"")).replace("\\", "/"))
        self._found.append(_Part(_text(name), filename, media_type.partition(";")[0].strip()))

    def _on_end(self) -> None:
        self._complete = True


def _text(raw: bytes) -> str:
    return raw.decode("utf-8", "replace").replace("\x00", "")
