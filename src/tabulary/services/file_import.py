"""Files fetched from a URL (spec files §3.4): the answer is streamed into the storage, as an upload would be."""

from __future__ import annotations

import posixpath
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from urllib.parse import unquote

import httpx2

from tabulary.core.errors import ServiceUnavailable
from tabulary.core.settings import Settings
from tabulary.services.file_names import formatted_title
from tabulary.services.outgoing import guarded_client

SERVICE = "external-file"


@dataclass(frozen=True, slots=True)
class Fetched:
    """The file of an answer that is still coming in."""

    name: str
    media_type: str
    content: AsyncIterator[bytes]

    @property
    def title(self) -> str:
        return formatted_title(self.name)


@asynccontextmanager
async def fetched(url: str, settings: Settings) -> AsyncIterator[Fetched]:
    """Call a URL, following redirects.

    Raises :class:`ServiceUnavailable` for whatever keeps the file from us: the address is denied or does not answer,
    the status is no success, the answer breaks off.
    """
    if not url.lower().startswith(("http://", "https://")):
        raise _unavailable()
    try:
        async with guarded_client(settings) as client, client.stream("GET", url) as answer:
            if not answer.is_success:
                raise _unavailable()
            kind = answer.headers.get("content-type", "").partition(";")[0].strip().lower()
            name = unquote(posixpath.basename(answer.url.path)).replace("/", "_") or answer.url.host
            yield Fetched(name, kind or "application/octet-stream", _content(answer))
    except (httpx2.HTTPError, httpx2.InvalidURL, httpx2.StreamError, UnicodeError) as problem:
        raise _unavailable() from problem


async def _content(answer: httpx2.Response) -> AsyncIterator[bytes]:
    try:
        async for chunk in answer.aiter_bytes():
            yield chunk
    except httpx2.HTTPError as problem:
        raise _unavailable() from problem


def _unavailable() -> ServiceUnavailable:
    # one text for all causes: it must not tell what there is in the server's own network
    return ServiceUnavailable(SERVICE, "The file can't be fetched from that URL; check that it is public and answers")
