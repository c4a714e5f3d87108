"""Whole databases as streams, for backups: every dialect saves and loads in the way that its database does best.

A dump is faithful within one kind of database: it keeps the exact types, keys, indexes and counters of all tables, also
of those that the API does not know. What it cannot keep it names.
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import IO, Protocol, TypeVar

from tabulary.database.connection import Connection

T = TypeVar("T")
CHUNK = 1 << 20


class DumpError(Exception):
    """A database that cannot be saved faithfully, or a dump that cannot be loaded. The text says why."""


class Sink(Protocol):
    """Takes the parts of a dump, one after the other."""

    def member(self, name: str) -> AbstractContextManager[IO[bytes]]: ...


class Source(Protocol):
    """Gives the parts of a dump by name."""

    def open(self, name: str) -> AbstractContextManager[IO[bytes]]: ...


@dataclass(frozen=True, slots=True)
class Saved:
    """What a dump holds (``tables``: rows by name) and what of the database it does not (``left_out``)."""

    tables: Mapping[str, int]
    left_out: Sequence[str] = ()


class Dump(ABC):
    """Saving and loading one kind of database."""

    @abstractmethod
    async def save(self, connection: Connection, sink: Sink) -> Saved:
        """Write everything as it is at one moment, without keeping others from working. Raises :class:`DumpError`."""

    @abstractmethod
    async def load(self, connection: Connection, source: Source, expected: Mapping[str, int]) -> None:
        """Replace everything by a dump. Raises :class:`DumpError`, also when other rows than ``expected`` arrive.

        On databases that can, all or nothing.
        """


async def work(function: Callable[[], T]) -> T:
    """Run disk or compression work in a thread."""
    return await asyncio.to_thread(function)


async def chunks(file: IO[bytes]) -> AsyncIterator[bytes]:
    """The content of a part."""
    while chunk := await work(lambda: file.read(CHUNK)):
        yield chunk


def check_rows(table: str, rows: int, expected: Mapping[str, int]) -> None:
    """Raise :class:`DumpError` unless a table got the rows that it had."""
    if rows != expected.get(table):
        raise DumpError(f'Table "{table}" got {rows} rows, but had {expected.get(table)} when it was saved')
