"""The file of a backup: a zip archive whose last member, the manifest, has the size and the checksum of all others.

Members are written and read as streams. The file is readable by its owner only, for it holds everything, password
hashes included; it takes its name when it is complete.
"""

from __future__ import annotations

import hashlib
import io
import os
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, Final

from tabulary.core import json
from tabulary.core.errors import InvalidPayload

FORMAT: Final = 1
MANIFEST: Final = "manifest.json"
_CHUNK = 1 << 20

Watch = Callable[[str, int], None]
"""Called with the name of the member at hand and the number of its bytes that have passed."""


class ArchiveWriter:
    """A backup being written. Use :func:`writing`."""

    def __init__(self, archive: zipfile.ZipFile, watch: Watch) -> None:
        self._archive = archive
        self._watch = watch
        self.members: dict[str, dict[str, Any]] = {}

    @contextmanager
    def member(self, name: str) -> Iterator[IO[bytes]]:
        """A new member, to be written before the next one begins."""
        with self._archive.open(name, "w", force_zip64=True) as raw:
            counting = _Counting(raw, name, self._watch)
            yield counting  # type: ignore[misc]
        self.members[name] = {"size": counting.size, "sha256": counting.digest.hexdigest()}

    def finish(self, manifest: Mapping[str, Any]) -> None:
        """Write the manifest."""
        told = {"tabulary": FORMAT, **manifest, "members": self.members}
        self._archive.writestr(MANIFEST, json.encode(told))


@contextmanager
def writing(path: Path, watch: Watch) -> Iterator[ArchiveWriter]:
    """A new archive at ``path``, which appears there only when the block ends well."""
    growing = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        descriptor = os.open(growing, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600)
        with os.fdopen(descriptor, "w+b") as file:
            with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, compresslevel=4) as archive:
                yield ArchiveWriter(archive, watch)
            file.flush()
            os.fsync(file.fileno())
        os.replace(growing, path)
    except BaseException:
        growing.unlink(missing_ok=True)
        raise


class ArchiveReader:
    """A backup being read. Use :func:`reading`."""

    def __init__(self, archive: zipfile.ZipFile, watch: Watch) -> None:
        self._archive = archive
        self._watch = watch
        self.manifest = self._manifest()

    @contextmanager
    def open(self, name: str) -> Iterator[IO[bytes]]:
        """A member. Raises :class:`InvalidPayload` when it is not there."""
        try:
            raw = self._archive.open(name)
        except KeyError:
            raise InvalidPayload(f'The backup has no "{name}"') from None
        with raw:
            yield raw

    def verify(self) -> None:
        """Raise :class:`InvalidPayload` unless every member is there, complete and unchanged."""
        for name, told in self.manifest["members"].items():
            digest, size = hashlib.sha256(), 0
            try:
                with self.open(name) as file:
                    while chunk := file.read(_CHUNK):
                        digest.update(chunk)
                        size += len(chunk)
                        self._watch(name, size)
            except (zipfile.BadZipFile, OSError, EOFError) as problem:
                raise InvalidPayload(f'"{name}" of the backup is damaged: {problem}') from None
            if (size, digest.hexdigest()) != (told["size"], told["sha256"]):
                raise InvalidPayload(f'"{name}" of the backup is damaged: its checksum differs from the manifest\'s')

    def _manifest(self) -> dict[str, Any]:
        with self.open(MANIFEST) as file:
            found: dict[str, Any] = json.decode(file.read())
        if found.get("tabulary") != FORMAT:
            raise InvalidPayload("The backup has a format that this version does not know")
        return found


@contextmanager
def reading(path: Path, watch: Watch) -> Iterator[ArchiveReader]:
    """An archive. Raises :class:`InvalidPayload` for a file that is none."""
    try:
        archive = zipfile.ZipFile(path)
    except zipfile.BadZipFile:
        raise InvalidPayload(f"{path} is no backup, or only the beginning of one") from None
    with archive:
        yield ArchiveReader(archive, watch)


class _Counting(io.RawIOBase):
    """Passes bytes on, and keeps their number and checksum."""

    def __init__(self, target: IO[bytes], name: str, watch: Watch) -> None:
        self._target, self._name, self._watch = target, name, watch
        self.digest = hashlib.sha256()
        self.size = 0

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self._target.write(data)
        self.digest.update(data)
        self.size += len(data)
        self._watch(self._name, self.size)
        return len(data)
