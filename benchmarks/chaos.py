#!/usr/bin/env python3
"""Does anything get lost while everything breaks? Mixed reads and writes against servers that are killed all the time.

    python benchmarks/chaos.py --own --seconds 600
    python benchmarks/chaos.py --database postgresql://postgres@127.0.0.1/chaos --redis redis://127.0.0.1 --seconds 600

Lets clients write (nested items, updates, deletions) and read, and meanwhile kills and restarts servers (``SIGKILL``).
With ``--own`` PostgreSQL and Redis are started for the purpose, and stopped and started, too: PostgreSQL in turn by a
shutdown that cuts everybody off and by a crash. Else the servers run on a database that may be filled, and their
connections to it (``pg_terminate_backend``) and to Redis (``CLIENT KILL``) are cut; those of others are left alone.

A client that gets no answer, or an error of the server, goes on elsewhere. At the end it checks what must hold:

* no acknowledged write is lost,
* every item has all of its children with what was written last, or was not written at all,
* each change has its activity row and revision, and none tells of a change that is not there,
* once the breaking has stopped and all servers answer, no request fails.

Ends with status 1 when any of it does not hold, and tells for each kind of trouble for how long what was broken was
away, and for how long clients noticed it after that.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import itertools
import random
import signal
import statistics
import sys
import tempfile
import time
import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

from chaos_clients import TOKEN, Client, Ledger, judge, look, prepare
from clusters import PostgreSQL, Redis, Server

CALM = 5.0
"""Seconds of requests after the breaking, in which none may fail."""
DOWN = 1.0
"""Seconds that a stopped service stays away."""


@dataclass(frozen=True)
class Trouble:
    """Something was broken; ``back``: the moment when it had come back (``time.monotonic``)."""

    kind: str
    began: float
    back: float


class Chaos:
    """Breaks things, one after the other and each at least once, until it is told to stop.

    Args:
        servers: are killed and started again.
        names: what the servers call themselves to Redis.
        database, redis: services of one's own, which are stopped, or URLs, whose connections are cut.
    """

    def __init__(
        self, servers: list[Server], names: str, database: PostgreSQL | str, redis: Redis | str | None
    ) -> None:
        self._servers, self._database, self._redis, self._names = servers, database, redis, names
        self.done: list[Trouble] = []

    async def run(self, until: asyncio.Event, pause: float) -> None:
        ways = [self._kill]
        if isinstance(self._database, PostgreSQL):
            ways += [self._shut_database, self._kill, self._crash_database]
        elif self._database.startswith("postgres"):
            ways.append(self._cut_database)
        if self._redis:
            ways.append(self._stop_redis if isinstance(self._redis, Redis) else self._cut_redis)
        for turn, way in enumerate(itertools.cycle(ways)):
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(until.wait(), pause)
            if until.is_set() and turn >= len(ways):  # each at least once, however slow the machine
                return
            began = time.monotonic()
            await way()
            self.done.append(Trouble(way.__name__.strip("_"), began, time.monotonic()))

    async def _kill(self) -> None:
        server = random.choice(self._servers)
        await server.stop(signal.SIGKILL)
        await server.start()

    async def _shut_database(self) -> None:
        await self._restart(self._database, signal.SIGINT)

    async def _crash_database(self) -> None:
        await self._restart(self._database, signal.SIGQUIT)

    async def _stop_redis(self) -> None:
        await self._restart(self._redis, signal.SIGTERM)

    async def _restart(self, service: object, how: signal.Signals) -> None:
        assert isinstance(service, PostgreSQL | Redis)
        await service.stop(how)
        await asyncio.sleep(DOWN)
        await service.start()

    async def _cut_database(self) -> None:
        import asyncpg

        connection = await asyncpg.connect(self._database)
        try:
            others = "FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
            cut = await connection.fetch(f"SELECT pid, pg_terminate_backend(pid) {others}")
            pids = [row["pid"] for row in cut]
            while await connection.fetchval(f"SELECT count(*) {others} AND pid = ANY($1)", pids):  # noqa: ASYNC110
                await asyncio.sleep(0.02)  # they are told, and end when they get to it
        finally:
            await connection.close()

    async def _cut_redis(self) -> None:
        from redis.asyncio import Redis as RedisClient

        async with RedisClient.from_url(self._redis) as client:
            for other in await client.client_list():
                if other["name"] == self._names:
                    with contextlib.suppress(Exception):
                        await client.client_kill_filter(_id=other["id"])


@dataclass
class Report:
    """What was broken, what clients were told, and how long they noticed."""

    ledger: Ledger
    done: list[Trouble] = field(default_factory=list)

    @property
    def broken(self) -> dict[str, int]:
        """How often each kind of trouble was made."""
        kinds = [trouble.kind for trouble in self.done]
        return {kind: kinds.count(kind) for kind in dict.fromkeys(kinds)}

    def recoveries(self, kind: str) -> list[float]:
        """For each trouble of a kind: seconds until the last request failed after what was broken had come back."""
        found = []
        for trouble, following in itertools.zip_longest(self.done, self.done[1:]):
            if trouble.kind == kind:
                end = following.began if following else float("inf")
                late = [moment - trouble.back for moment in self.ledger.failures if trouble.back <= moment < end]
                found.append(max(late, default=0.0))
        return found

    def __str__(self) -> str:
        ledger = self.ledger
        lines = [f"answers: {dict(sorted(ledger.answers.items()))}"]
        for kind, times in self.broken.items():
            away = [trouble.back - trouble.began for trouble in self.done if trouble.kind == kind]
            late = self.recoveries(kind)
            lines.append(
                f"{kind}: {times} times, away for {statistics.median(away):.1f} s ({max(away):.1f}), the last failure"
                f" {statistics.median(late):.2f} s after that ({max(late):.2f})"
            )
        lines.append(
            f"{len(ledger.parents)} items with {ledger.updates} changes acknowledged, {len(ledger.deleted)} deletions;"
            f" {len(ledger.odd)} errors other than 503 meanwhile; {len(ledger.wrong)} WRONG"
        )
        return "\n  ".join([*lines, *ledger.odd[:10], *ledger.wrong[:20]])


@contextlib.asynccontextmanager
async def services(
    folder: Path, database: str | None, redis: str | None
) -> AsyncIterator[tuple[PostgreSQL | str, Redis | str | None]]:
    """The database and Redis to work with: those given, or, without a database, ones of our own."""
    if database is not None:
        yield database, redis
        return
    own = PostgreSQL(folder / "postgresql"), Redis(folder / "redis")
    try:
        for service in own:
            await service.start()
        yield own
    finally:
        for service in own:
            await service.stop(signal.SIGINT)


async def run(
    database: str | None,
    redis: str | None = None,
    *,
    seconds: float = 600,
    processes: int = 2,
    clients: int = 64,
    pause: float = 0.0,
) -> Report:
    """Everything, from the first server to the verdict. Without a database on a PostgreSQL and a Redis of our own."""
    names = f"chaos-{uuid.uuid4().hex[:8]}"
    ledger, until, stop = Ledger(), asyncio.Event(), asyncio.Event()
    with tempfile.TemporaryDirectory() as folder:
        async with services(Path(folder), database, redis) as (base, bus):
            environment = settings(base if isinstance(base, str) else base.url, bus, names)
            servers = [Server(Path(folder), environment) for _ in range(processes)]
            try:
                for server in servers:
                    await server.start()
                await prepare(servers[0].url)
                chaos = Chaos(servers, names, base, bus)
                urls = [server.url for server in servers]
                working = [asyncio.ensure_future(Client(urls, ledger, n, pause).run(stop)) for n in range(clients)]
                breaking = asyncio.ensure_future(chaos.run(until, pause=min(5.0, seconds / 8)))
                await asyncio.sleep(seconds)
                async with asyncio.timeout(600):  # a slow machine gets so far later
                    while not ledger.deleted and not any(task.done() for task in working):  # noqa: ASYNC110
                        await asyncio.sleep(0.1)
                until.set()
                await breaking
                for server in servers:
                    await server.recover()
                await asyncio.sleep(1)
                ledger.calm = True
                await asyncio.sleep(CALM)
                stop.set()
                await asyncio.gather(*working)
                judge(ledger, await look(servers[0].url))
            finally:
                stop.set()
                for server in servers:
                    await server.stop(signal.SIGTERM)
    return Report(ledger, chaos.done)


def settings(database: str, redis: Redis | str | None, names: str) -> dict[str, str]:
    """The settings of a server."""
    bus = redis.url if isinstance(redis, Redis) else redis
    return {
        "DATABASE_URL": database,
        "ADMIN_TOKEN": TOKEN,
        "LOG_LEVEL": "error",
        "PRESSURE_LIMITER_ENABLED": "false",
        **({"REDIS": f"{bus}?client_name={names}", "REDIS_BUS_NAMESPACE": names} if bus else {}),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    where = parser.add_mutually_exclusive_group(required=True)
    where.add_argument("--own", action="store_true", help="start a PostgreSQL and a Redis, and break these, too")
    where.add_argument("--database", metavar="URL", help="a database that may be filled")
    parser.add_argument("--redis", metavar="URL", help="beside --database")
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--clients", type=int, default=64)
    parser.add_argument("--pause", type=float, default=0.0, help="mean seconds between two requests of a client")
    args = parser.parse_args()
    began = time.monotonic()
    report = asyncio.run(
        run(
            args.database,
            args.redis,
            seconds=args.seconds,
            processes=args.processes,
            clients=args.clients,
            pause=args.pause,
        )
    )
    print(f"{time.monotonic() - began:.0f} s with {args.clients} clients\n  {report}")
    sys.exit(bool(report.ledger.wrong))


if __name__ == "__main__":
    main()
