"""What every storage driver offers, and the paths and errors that all of them share (spec files §3.12).

Content is always a stream of chunks: no call holds a whole file in memory. Paths are relative, with ``/`` between
their parts, and never lead out of the location's root.
"""

from __future__ import annotations

import posixpath
from collections.abc import AsyncIterable, AsyncIterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Protocol

CHUNK = 256 * 1024
"""Bytes that a driver reads at once."""

UNFINISHED = ".upload-"
"""Names of what is still arriving begin so; no listing shows them, no client may choose them."""

MAX_NAME = 255
"""Bytes of one part of a path; no file system takes more."""


class StorageError(Exception):
    """The storage does not answer or refuses. The text names no secrets."""


class ObjectMissing(StorageError):
    """There is nothing at that path."""


class ReadOnlyStorage(StorageError):
    """The storage may be read but not written: a matter for the operator, not for the client."""


@dataclass(frozen=True, slots=True)
class Stat:
    """Size in bytes and moment of the last change of a stored object."""

    size: int
    modified: datetime


class Driver(Protocol):
    """One location. All methods raise :class:`StorageError`; reads and moves :class:`ObjectMissing`."""

    lists_by_prefix: bool
    """True when listing a long prefix is cheap whatever else is stored (object stores)."""

    async def stat(self, path: str) -> Stat:
        """Size and age of an object."""

    async def exists(self, path: str) -> bool:
        """True when there is an object at the path."""

    def read(self, path: str, start: int = 0, end: int | None = None) -> AsyncIterator[bytes]:
        """The bytes from ``start`` up to, and without, ``end``, in chunks."""

    async def write(self, path: str, content: AsyncIterable[bytes], content_type: str | None = None) -> int:
        """Store a stream, replacing what was there only once all of it has arrived; its size."""

    async def move(self, source: str, target: str) -> None:
        """Give an object another path, replacing what is there."""

    async def copy(self, source: str, target: str) -> None:
        """Store an object a second time."""

    async def delete(self, path: str) -> None:
        """Remove an object; fine when there is none."""

    def paths(self, prefix: str = "") -> AsyncIterator[str]:
        """All paths that begin with ``prefix`` and go on, in folders too."""

    async def append(self, path: str, offset: int, content: AsyncIterable[bytes]) -> int:
        """Add a stream at ``offset`` to an unfinished object that may not be read yet; the bytes that arrived.

        What lies beyond ``offset`` is dropped. When the stream breaks off, what came before is kept.
        """

    async def finish(self, path: str, content_type: str | None = None) -> None:
        """Make an object of what :meth:`append` collected."""

    async def discard(self, path: str) -> None:
        """Drop what :meth:`append` collected."""

    async def sweep(self, before: datetime) -> int:
        """Remove what uploads that broke off have left and nobody has touched since ``before``; how many objects."""

    def local_path(self, path: str) -> Path | None:
        """Where the object lies on this machine's disk, or None when it lies elsewhere."""


def clean_path(path: str) -> str:
    """The path as it counts from the root: ``sub/../dir/x`` → ``dir/x``, ``../x`` → ``x``.

    Raises ``ValueError`` for what can be no path: empty, with control characters, or with a part that is too long.
    """
    if any(ord(character) < 32 for character in path):
        raise ValueError("contains control characters")
    cleaned = posixpath.normpath("/" + path.replace("\\", "/")).lstrip("/")
    if not cleaned:
        raise ValueError("is empty")
    if any(len(part.encode()) > MAX_NAME for part in cleaned.split("/")):
        raise ValueError(f"has a part of more than {MAX_NAME} bytes")
    return cleaned
