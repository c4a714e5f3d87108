"""Files in a folder of this machine. Disk work happens in threads, a whole chunk a turn."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import secrets
import shutil
from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterator
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

from tabulary.core.storage.driver import (
    CHUNK,
    UNFINISHED,
    ObjectMissing,
    ReadOnlyStorage,
    Stat,
    StorageError,
    clean_path,
)

T = TypeVar("T")

_WRITE_AT_ONCE = 1 << 20
"""Bytes that are gathered before a thread writes them."""

_PARTIAL = ".part"
_READ_ONLY = (errno.EACCES, errno.EPERM, errno.EROFS)


class LocalDriver:
    """The ``local`` driver.

    Args:
        root: the folder; it is made when the first file arrives.
    """

    lists_by_prefix = False

    def __init__(self, root: str | Path) -> None:
        self._root = Path(root).absolute()

    def local_path(self, path: str) -> Path:
        return self._path(path)

    async def stat(self, path: str) -> Stat:
        found = await _in_thread(self._path(path).stat)
        return Stat(found.st_size, datetime.fromtimestamp(found.st_mtime, UTC))

    async def exists(self, path: str) -> bool:
        return await _in_thread(self._path(path).is_file)

    async def read(self, path: str, start: int = 0, end: int | None = None) -> AsyncIterator[bytes]:
        place = self._path(path)
        file, chunk = await _in_thread(lambda: _opened(place, start, _wanted(start, end)))
        try:
            while chunk:
                start += len(chunk)
                yield chunk
                if len(chunk) < CHUNK or start == end:
                    return
                chunk = await _in_thread(partial(file.read, _wanted(start, end)))
        finally:
            file.close()

    async def write(self, path: str, content: AsyncIterable[bytes], content_type: str | None = None) -> int:
        target = self._path(path)
        arriving = target.with_name(f"{UNFINISHED}{secrets.token_hex(8)}")
        try:
            file = await _in_thread(lambda: _created(arriving))
            try:
                size = await _pour(content, file)
            finally:
                await _in_thread(file.close)
            await _in_thread(lambda: os.replace(arriving, target))
        except BaseException:
            with contextlib.suppress(OSError):
                arriving.unlink(missing_ok=True)
            raise
        return size

    async def move(self, source: str, target: str) -> None:
        origin, destination = self._path(source), self._path(target)

        def work() -> None:
            destination.parent.mkdir(parents=True, exist_ok=True)
            os.replace(origin, destination)

        await _in_thread(work)

    async def copy(self, source: str, target: str) -> None:
        origin, destination = self._path(source), self._path(target)

        def work() -> None:
            destination.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(origin, destination)

        await _in_thread(work)

    async def delete(self, path: str) -> None:
        place = self._path(path)
        await _in_thread(lambda: place.unlink(missing_ok=True))

    async def paths(self, prefix: str = "") -> AsyncIterator[str]:
        for name in await _in_thread(lambda: list(_walk(self._root, prefix))):
            yield name

    async def append(self, path: str, offset: int, content: AsyncIterable[bytes]) -> int:
        place = self._unfinished(path)

        def opened() -> BinaryIO:
            place.parent.mkdir(parents=True, exist_ok=True)
            file: BinaryIO = open(place, "r+b" if offset else "w+b")  # noqa: SIM115 - closed below
            file.truncate(offset)
            file.seek(offset)
            return file

        file = await _in_thread(opened)
        try:
            await _pour(content, file)
        finally:
            await _in_thread(file.close)
        return place.stat().st_size - offset

    async def finish(self, path: str, content_type: str | None = None) -> None:
        unfinished, target = self._unfinished(path), self._path(path)
        await _in_thread(lambda: os.replace(unfinished, target))

    async def discard(self, path: str) -> None:
        unfinished = self._unfinished(path)
        await _in_thread(lambda: unfinished.unlink(missing_ok=True))

    async def sweep(self, before: datetime) -> int:
        return await _in_thread(lambda: _swept(self._root, before.timestamp()))

    def _path(self, path: str) -> Path:
        try:
            return self._root / clean_path(path)
        except ValueError as problem:
            raise ObjectMissing(f"The path {problem}") from None

    def _unfinished(self, path: str) -> Path:
        place = self._path(path)
        return place.with_name(f"{UNFINISHED}{place.name}{_PARTIAL}")


async def _in_thread(work: Callable[[], T]) -> T:
    """Run disk work in a thread; its ``OSError`` as one of ours."""
    try:
        return await asyncio.to_thread(work)
    except (FileNotFoundError, IsADirectoryError, NotADirectoryError) as problem:
        raise ObjectMissing("There is no such file") from problem
    except OSError as problem:
        kind = ReadOnlyStorage if problem.errno in _READ_ONLY else StorageError
        raise kind(problem.strerror or "The disk does not answer") from problem


def _wanted(start: int, end: int | None) -> int:
    return CHUNK if end is None else min(CHUNK, end - start)


def _opened(place: Path, start: int, size: int) -> tuple[BinaryIO, bytes]:
    """An open file and its first chunk: small files need one turn only."""
    file: BinaryIO = open(place, "rb", buffering=0)  # noqa: SIM115 - closed by the reader
    try:
        if start:
            file.seek(start)
        return file, file.read(size)
    except BaseException:
        file.close()
        raise


def _created(place: Path) -> BinaryIO:
    place.parent.mkdir(parents=True, exist_ok=True)
    return open(place, "xb", buffering=0)


async def _pour(content: AsyncIterable[bytes], file: Any) -> int:
    """Write a stream to a file; its size. What was gathered is written even when the stream breaks off."""
    gathered: list[bytes] = []
    waiting = size = 0

    async def flush() -> None:
        nonlocal waiting, size
        block = b"".join(gathered)
        gathered.clear()
        waiting = 0
        await _in_thread(lambda: _write_all(file, block))
        size += len(block)

    try:
        async for chunk in content:
            gathered.append(chunk)
            waiting += len(chunk)
            if waiting >= _WRITE_AT_ONCE:
                await flush()
    finally:
        if gathered:
            await flush()
    return size


def _write_all(file: BinaryIO, block: bytes) -> None:
    view = memoryview(block)
    while view:
        view = view[file.write(view) :]


def _walk(root: Path, prefix: str) -> Iterator[str]:
    """The paths of all files below the root that begin with the prefix; folders that cannot hold any are passed by."""
    folder, _, start = prefix.rpartition("/")
    top = root / folder
    for place, folders, names in os.walk(top):
        inner = Path(place).relative_to(root).as_posix()
        if Path(place) == top:
            folders[:] = [name for name in folders if name.startswith(start)]
        for name in names:
            path = name if inner == "." else f"{inner}/{name}"
            if path.startswith(prefix) and not name.startswith(UNFINISHED):
                yield path


def _swept(root: Path, before: float) -> int:
    """Remove unfinished files that were last written to before a moment; their number."""
    count = 0
    for place, _, names in os.walk(root):
        for name in names:
            if not name.startswith(UNFINISHED):
                continue
            path = Path(place) / name
            with contextlib.suppress(FileNotFoundError):  # another process sweeps as well, or finishes it right now
                if path.stat().st_mtime < before:
                    path.unlink()
                    count += 1
    return count
