"""CockroachDB saves and loads whole databases itself."""

from __future__ import annotations

from collections.abc import Mapping

from tabulary.database.connection import Connection
from tabulary.database.dump import Dump, DumpError, Saved, Sink, Source


class CockroachDBDump(Dump):
    async def save(self, connection: Connection, sink: Sink) -> Saved:
        raise DumpError("CockroachDB can't be saved here; use its own BACKUP statement")

    async def load(self, connection: Connection, source: Source, expected: Mapping[str, int]) -> None:
        raise DumpError("CockroachDB can't be loaded here; use its own RESTORE statement")
