"""Which indexes the reads in use could use, what each really brings, and making those that help."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager, nullcontext
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Literal

import sqlalchemy as sa

from tabulary.core.errors import Forbidden, InvalidPayload, InvalidQuery
from tabulary.database.catalog import IndexFacts
from tabulary.database.connection import Connection
from tabulary.database.ddl import NoSearchIndex
from tabulary.database.engine import Database
from tabulary.database.versions import SCHEMA
from tabulary.items.platform import Platform
from tabulary.schema.model import DataModel
from tabulary.schema.overview import Schema
from tabulary.services.advice import uses as sources
from tabulary.services.advice.report import Advice, Effect, Proposal, without_prefixes
from tabulary.services.advice.samples import Samples
from tabulary.services.advice.tries import Measure, Read, Reads, is_better, measured, texts_of
from tabulary.services.advice.uses import Use
from tabulary.services.advice.wanted import Wanted

logger = logging.getLogger("tabulary.advice")

FEWEST_ROWS = 1_000
"""Tables with fewer rows need no advice: they are read in no time."""
MOST_ROWS = 5_000_000
"""Tables with more are not tried on their own account: writers would wait too long."""


@dataclass(frozen=True, slots=True)
class Request:
    """What advice is asked for.

    Args:
        collections: only indexes of these; all without any.
        apply: make the indexes that help.
        system: also for system collections.
        search: also indexes for searching.
        log: lines of a log in JSON, whose slow reads count as uses.
        most_rows: tables with more rows are not tried.
    """

    collections: tuple[str, ...] = ()
    apply: bool = False
    system: bool = False
    search: bool = True
    log: Iterable[str] = ()
    most_rows: int = MOST_ROWS


class Advisor:
    """Advice about one platform, for its operator."""

    def __init__(self, platform: Platform) -> None:
        self._platform = platform
        self._database = platform.database
        self._dialect = platform.database.dialect

    async def advise(self, request: Request) -> Advice:
        """Look at all reads in use and try the indexes that they lack.

        On PostgreSQL an index is tried in a transaction that is rolled back (writers of the table wait meanwhile), on
        SQLite on a copy of the file. MariaDB commits what is made at once: there an index is only tried with ``apply``,
        and dropped again when it brings nothing.

        Raises :class:`InvalidPayload` for a collection that does not exist.
        """
        await self._database.versions.check()
        model = await self._platform.schemas.model()
        for name in request.collections:
            if name not in model.schema.collections:
                raise InvalidPayload(f'There is no collection "{name}"')
        advice = Advice(self._dialect.vendor, self._dialect.trial.unit)
        # simple ones first: their indexes may be all that others need
        uses = sorted(sources.merged([use async for use in self._uses(model, request)]), key=sources.weight)
        async with self._dialect.trial.place(self._database) as place:
            work = _Work(self._platform, model, request, place, advice)
            await work.look()
            for use in uses:
                await work.consider(use)
        advice.proposals = without_prefixes(list(work.found.values()))
        if request.apply and self._dialect.trial.can_take_back:
            for proposal in advice.of("helps"):
                await self._make(model.schema, proposal)
        if advice.of("made"):
            await self._database.outdate({SCHEMA})
        advice.proposals.sort(key=lambda p: p.best.saved_ms if p.best else 0.0, reverse=True)
        return advice

    async def _uses(self, model: DataModel, request: Request) -> AsyncIterator[Use]:
        schema = model.schema
        found = [
            *await sources.of_rules(self._platform, schema),
            *await sources.of_presets(self._platform, schema),
            *sources.of_relations(schema),
            *sources.of_collections(model),
            *sources.of_log(request.log),
            *(sources.of_searches(schema) if request.search else ()),
            *(sources.of_system(schema) if request.system else ()),
        ]
        for use in found:
            known = schema.collections.get(use.collection)
            if known is None or (known.is_system and not request.system) or (use.search and not request.search):
                continue
            yield use

    async def _make(self, schema: Schema, proposal: Proposal) -> None:
        """Make an index for good, without locking writers out where there is a way."""
        try:
            async with self._database.connection(write=True) as connection:
                await connection.dialect.ddl.drop_remains(connection, proposal.name)
                try:
                    proposal.sql = await make(connection, schema, proposal.wanted, concurrently=True)
                except BaseException:
                    await connection.dialect.ddl.drop_remains(connection, proposal.name)
                    raise
                if proposal.kind == "search":
                    await _drop_outgrown(connection, proposal)
                await connection.dialect.trial.settle(connection, proposal.collection)
        except Exception as problem:
            proposal.status, proposal.problem = "failed", str(problem)
            logger.warning("the index %s could not be made: %s", proposal.name, problem)
        else:
            proposal.status = "made"
            logger.info("made the index %s: %s", proposal.name, "; ".join(proposal.sql))


async def make(connection: Connection, schema: Schema, wanted: Wanted, concurrently: bool = False) -> list[str]:
    """Make an index; the statements. Where it is not made concurrently, all of them run or none."""
    statements = await texts_of(connection, schema, wanted, concurrently)
    alone = concurrently and connection.dialect.ddl.indexes_concurrently
    async with nullcontext() if alone else connection.transaction():
        for statement in statements:
            await connection.execute(statement)
    return statements


async def _drop_outgrown(connection: Connection, proposal: Proposal) -> None:
    """Drop our search indexes of fewer columns, which the new one takes the place of."""
    ddl = connection.dialect.ddl
    for index in await connection.dialect.catalog.search_indexes(connection):
        ours = index.table == proposal.collection and index.name == ddl.search_index_name(index.table, index.columns)
        if ours and index.name != proposal.name and set(index.columns) < set(proposal.columns):
            for statement in ddl.drop_index_texts(index.table, index.name):
                await connection.execute(statement)


class _TakeBack(Exception):
    """Ends the transaction of a try."""


class _Work:
    """One round of advice: what is known of the tables, and what was found so far."""

    def __init__(self, platform: Platform, model: DataModel, request: Request, place: Database, advice: Advice) -> None:
        self._platform, self._model, self._request, self._place = platform, model, request, place
        self._advice = advice
        self._rows: dict[str, int] = {}
        self._indexes: dict[str, list[IndexFacts]] = {}
        self._searched: dict[str, set[str]] = {}
        self.found: dict[tuple[str, tuple[str, ...], bool], Proposal] = {}

    async def look(self) -> None:
        """Which tables are how big (counted up to the limit), and which indexes they have."""
        async with self._place.connection() as connection:
            for name, base in self._model.schema.collections.items():
                if self._passes_over(name):
                    continue
                some: sa.Select[Any] = (
                    sa.select(sa.literal_column("1")).select_from(sa.table(name)).limit(self._request.most_rows + 1)
                )
                rows = await connection.select(sa.select(sa.func.count().label("count")).select_from(some.subquery()))
                self._rows[name] = rows[0]["count"]
                known = [i for i in await connection.dialect.catalog.indexes(connection, name) if i.is_valid]
                self._indexes[name] = [*known, IndexFacts("", (base.primary,), True)]
            for index in await connection.dialect.catalog.search_indexes(connection):
                self._searched.setdefault(index.table, set()).update(index.columns)
        small = [name for name, rows in self._rows.items() if rows < FEWEST_ROWS]
        if small:
            self._advice.notes.append(
                f"{len(small)} collections with fewer than {FEWEST_ROWS:,} rows need no indexes: {', '.join(small)}"
            )

    def _passes_over(self, name: str) -> bool:
        return self._model.schema.collections[name].is_system and not self._request.system

    async def consider(self, use: Use) -> None:
        """Try the indexes that a use lacks."""
        try:
            async with self._place.connection(write=True) as connection:
                await self._consider(use, connection)
        except (Forbidden, InvalidQuery) as problem:
            self._note(use, f"can't be read: {problem}")
        except NoSearchIndex as problem:
            self._note(use, str(problem))

    async def _consider(self, use: Use, connection: Connection) -> None:
        reads = Reads(self._platform, self._model.schema, Samples(self._model.schema, connection, self._rows))
        read = await reads.read(use)
        missing = [] if read is None else self._missing(read.wanted)
        if read is None or not missing:
            return
        proposals = [await self._proposal(connection, wanted) for wanted in missing]
        too_big = [w.collection for w in missing if self._rows[w.collection] > self._request.most_rows]
        trial = self._place.dialect.trial
        if too_big:
            reason = f'"{too_big[0]}" has more than {self._request.most_rows:,} rows (--max-rows raises the limit)'
            self._unmeasured(use, proposals, reason)
            return
        try:
            if trial.can_take_back:
                await self._try(use, connection, read, proposals)
            elif self._request.apply:
                await self._try_for_good(use, connection, read, proposals)
            else:
                before = await measured(connection, read)
                for proposal in proposals:
                    proposal.add(Effect.of(use.why, before))
                self._unmeasured(use, proposals, "this database can't take a try back: --apply makes it and measures")
        except (Forbidden, InvalidQuery, NoSearchIndex):
            raise
        except TimeoutError:
            self._unmeasured(use, proposals, "the read takes too long to try")
        except Exception as problem:
            self._unmeasured(use, proposals, str(problem))

    # --- what is missing --------------------------------------------------------------------
    def _missing(self, wanted: Sequence[Wanted]) -> list[Wanted]:
        found: dict[tuple[str, tuple[str, ...], bool], Wanted] = {}
        for entry in wanted:
            fitting = self._indexable(entry)
            if fitting is None or self._rows.get(entry.collection, 0) < FEWEST_ROWS:
                continue
            if self._request.collections and entry.collection not in self._request.collections:
                continue
            if not self._is_there(fitting):
                found.setdefault(_key(fitting), fitting)
        return list(found.values())

    def _indexable(self, wanted: Wanted) -> Wanted | None:
        """As much of an index as columns can be indexed."""
        if wanted.searches:
            return wanted
        names = []
        for name in wanted.columns:
            column = self._model.column(wanted.collection, name)
            if column is None or not self._place.dialect.ddl.can_index(column):
                break
            names.append(name)
        return replace(wanted, columns=tuple(names), equal=min(wanted.equal, len(names))) if names else None

    def _is_there(self, wanted: Wanted) -> bool:
        if wanted.searches:
            return set(wanted.columns) <= self._searched.get(wanted.collection, set())
        return wanted.covered_by(self._indexes.get(wanted.collection, ()))

    async def _proposal(self, connection: Connection, wanted: Wanted) -> Proposal:
        key = _key(wanted)
        if key not in self.found:
            ddl = connection.dialect.ddl
            texts = await texts_of(connection, self._model.schema, wanted)
            table, columns = wanted.collection, wanted.columns
            name = ddl.search_index_name(table, columns) if wanted.searches else ddl.index_name(table, *columns)
            undo = ddl.drop_index_texts(table, name)
            self.found[key] = Proposal(table, columns, "search" if wanted.searches else "index", name, texts, undo)
        return self.found[key]

    # --- trying -----------------------------------------------------------------------------
    async def _try(self, use: Use, connection: Connection, read: Read, proposals: Sequence[Proposal]) -> None:
        """Compare with how it is now, and with how it will be by what has helped other reads."""
        tables = {proposal.collection for proposal in proposals}
        known = [p for p in self.found.values() if p.status == "helps" and p.collection in tables]
        known = [p for p in known if p not in proposals]
        async with _taken_back(connection):
            await connection.dialect.trial.prepare(connection)
            before = otherwise = await measured(connection, read)
            for proposal in known:
                await self._make(connection, proposal)
            if known:
                otherwise = await measured(connection, await self._again(use, connection, read, known))
            new = [p for p in proposals if p.status != "helps"]
            for proposal in proposals:
                await self._make(connection, proposal)
            after = await measured(connection, await self._again(use, connection, read, proposals))
        better = partial(is_better, connection.dialect.trial)
        if better(before, otherwise) and not better(otherwise, after):
            _give(known, "helps", use, before, otherwise)
            for proposal in new:
                proposal.problem = f"{' and '.join(sorted(otherwise.indexes))} would serve that read"
        elif better(otherwise, after):
            _give([*known, *proposals], "helps", use, before, after)
        for proposal in new:
            if proposal.status != "helps":
                proposal.add(Effect.of(use.why, before, after))

    async def _try_for_good(self, use: Use, connection: Connection, read: Read, proposals: Sequence[Proposal]) -> None:
        """Make the indexes, and drop those that bring nothing."""
        before = await measured(connection, read)
        made = []
        try:
            for proposal in proposals:
                await self._make(connection, proposal)
                made.append(proposal)
            after = await measured(connection, read)
            if is_better(connection.dialect.trial, before, after):
                for proposal in _give(proposals, "made", use, before, after):
                    self._indexes[proposal.collection].append(IndexFacts(proposal.name, proposal.columns, False))
                    logger.info("made the index %s: %s", proposal.name, "; ".join(proposal.sql))
            for proposal in proposals:
                if proposal.status != "made":
                    proposal.add(Effect.of(use.why, before, after))
        finally:
            useless = [statement for p in made if p.status != "made" for statement in p.undo]
            if useless:  # by a connection that no broken-off read has spoilt
                async with self._place.connection(write=True) as fresh:
                    for statement in useless:
                        await fresh.execute(statement)

    async def _make(self, connection: Connection, proposal: Proposal) -> None:
        trial = connection.dialect.trial
        await connection.dialect.ddl.drop_remains(connection, proposal.name)
        size = await trial.bytes(connection, proposal.collection)
        await make(connection, self._model.schema, proposal.wanted)
        await trial.settle(connection, proposal.collection)
        proposal.bytes = max(0, await trial.bytes(connection, proposal.collection) - size)

    async def _again(self, use: Use, connection: Connection, read: Read, proposals: Sequence[Proposal]) -> Read:
        """The read as it will be with the indexes: a search may go by another way then."""
        searched = {p.collection: p.columns for p in proposals if p.kind == "search"}
        if not searched:
            return read
        schema = self._model.schema
        changed = [
            replace(base, search_index=searched.get(name, base.search_index))
            for name, base in schema.collections.items()
        ]
        later = Schema.of(changed, schema.relations, schema.version)
        found = await Reads(self._platform, later, Samples(later, connection, self._rows)).read(use)
        return found or read

    def _unmeasured(self, use: Use, proposals: Sequence[Proposal], reason: str) -> None:
        for proposal in proposals:
            if proposal.status in ("no effect", "not measured"):
                proposal.status, proposal.problem = "not measured", reason
                proposal.why = list(dict.fromkeys((*proposal.why, *use.why)))

    def _note(self, use: Use, text: str) -> None:
        note = f"{use.collection} ({', '.join(use.why)}): {text}"
        if note not in self._advice.notes:
            self._advice.notes.append(note)


def _give(
    proposals: Sequence[Proposal], status: Literal["helps", "made"], use: Use, before: Measure, after: Measure
) -> list[Proposal]:
    """Give the proposals that a read used a status and the effect; they are the result."""
    used = [proposal for proposal in proposals if proposal.name in after.indexes]
    for proposal in used:
        if proposal.status != status:
            proposal.effects, proposal.why = [], []  # of reads that it did not help
        proposal.status, proposal.problem = status, None
        proposal.add(Effect.of(use.why, before, after))
    return used


def _key(wanted: Wanted) -> tuple[str, tuple[str, ...], bool]:
    return wanted.collection, wanted.columns, wanted.searches


@asynccontextmanager
async def _taken_back(connection: Connection) -> AsyncIterator[None]:
    """A transaction that is rolled back in any case."""
    try:
        async with connection.transaction():
            yield
            raise _TakeBack
    except _TakeBack:
        pass
