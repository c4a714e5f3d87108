#!/usr/bin/env python3
"""Does a change count with the next request on every process? Changes against concurrent reads, through HTTP.

    python benchmarks/coherence.py http://127.0.0.1:8055 http://127.0.0.1:8056 --token ADMIN_TOKEN --changes 10000
    python benchmarks/coherence.py --own postgresql --redis --only permissions

The servers are different processes on one database: those given, or, with ``--own``, two that are started for the
purpose on a fresh SQLite file or a PostgreSQL of our own, on request with a Redis of our own. For each scenario a
writer grants and takes something again and again, each time through the next server, while readers ask all servers for
it. A read that begins after a revocation was acknowledged, and ends before the next grant is asked for, must not see
it; in the same way a read within a time when it was granted has to see it, so that a server which refuses everything
fails as well. Prints one line a scenario and ends with status 1 when any read was wrong.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import itertools
import signal
import sys
import tempfile
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2
from clusters import PostgreSQL, Redis, Server, Service

SECRET = "not for everybody"
COLLECTION = "coherence"
PASSWORD = "coherence-password"
QUICK = {"LOGIN_STALL_TIME": "0", "HASH_MEMORY_COST": "1024", "HASH_TIME_COST": "1", "HASH_PARALLELISM": "1"}
"""Settings of servers whose logins should cost little."""
KEEP = 1.0
"""Seconds for which idle connections are kept: fewer than the servers do, who must not hang up on a request."""


@dataclass
class Outcome:
    """What one scenario saw. ``wrong`` tells of reads that saw what was taken away, or did not see what was granted."""

    name: str
    changes: int = 0
    denied: int = 0
    granted: int = 0
    seconds: float = 0.0
    wrong: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        verdict = "ok" if not self.wrong else f"{len(self.wrong)} WRONG, first: {self.wrong[0]}"
        reads = f"{self.denied:7} reads refused {self.granted:7} allowed"
        return f"{self.name:12} {self.changes:6} changes {reads} in {self.seconds:5.0f} s   {verdict}"


@dataclass
class World:
    """The servers, and the person whose rights change."""

    servers: Sequence[httpx2.AsyncClient]
    admin: dict[str, str]
    policy: str = ""
    user: str = ""
    token: str = field(default_factory=lambda: f"coherence-{uuid.uuid4().hex}")
    session: str = ""
    number: int = 0
    _turn: Any = field(default_factory=itertools.count)

    def next(self) -> httpx2.AsyncClient:
        return self.servers[next(self._turn) % len(self.servers)]

    async def write(self, method: str, path: str, body: Any = None) -> Any:
        """A change by the admin through the next server; it has to work."""
        answer = await self.next().request(method, path, json=body, headers=self.admin)
        if answer.status_code >= 300:
            raise RuntimeError(f"{method} {path}: {answer.status_code} {answer.text}")
        return answer.json().get("data") if answer.content else None

    async def read(self, path: str, token: str | None = None) -> httpx2.Response:
        bearer = {"Authorization": f"Bearer {token or self.token}"}
        return await self.next().get(path, headers=bearer)


Change = Callable[[World], Awaitable[Any]]
Probe = Callable[[World], Awaitable[bool]]


@dataclass(frozen=True)
class Scenario:
    """``grant`` and ``revoke`` change something, ``sees`` asks whether a read shows it."""

    name: str
    grant: Change
    revoke: Change
    sees: Probe
    cost: int = 1
    """How many times fewer changes are made than of the others."""
    shared: bool = False
    """It changes what there is only once, not something of a person's."""


# --- scenarios ----------------------------------------------------------------------------------
async def _allow(world: World) -> None:
    rule = {"policy": world.policy, "collection": COLLECTION, "action": "read", "fields": ["*"]}
    world.number = (await world.write("POST", "/permissions", rule))["id"]


async def _sees_items(world: World) -> bool:
    answer = await world.read(f"/items/{COLLECTION}")
    return answer.status_code == 200 and SECRET in answer.text


async def _log_in(world: World) -> None:
    person = {"email": f"{world.token}@example.com", "password": PASSWORD, "mode": "session"}
    answer = await world.next().post("/auth/login", json=person)
    world.session = answer.headers["set-cookie"].partition("=")[2].partition(";")[0]
    world.next().cookies.clear()
    for server in world.servers:
        server.cookies.clear()


async def _log_out(world: World) -> None:
    cookie = {"Cookie": f"directus_session_token={world.session}"}
    answer = await world.next().post("/auth/logout", json={"mode": "session"}, headers=cookie)
    for server in world.servers:
        server.cookies.clear()
    if answer.status_code != 204:
        raise RuntimeError(f"logout: {answer.status_code} {answer.text}")


async def _sees_itself(world: World, token: str | None = None) -> bool:
    return (await world.read("/users/me?fields=id", token)).status_code == 200


async def _project_is(world: World) -> bool:
    return bool((await world.read("/server/info")).json()["data"]["project"]["project_name"] == "shown")


async def _add_field(world: World) -> None:
    body = {"field": "extra", "type": "string", "schema": {"default_value": SECRET}, "meta": {}}
    await world.write("POST", f"/fields/{COLLECTION}", body)


def _patched(path: Callable[[World], str], body: Callable[[World], Any]) -> Change:
    return lambda world: world.write("PATCH", path(world), body(world))


def _user(world: World) -> str:
    return f"/users/{world.user}"


def _row(world: World) -> str:
    return f"/permissions/{world.number}"


def _settings(world: World) -> str:
    return "/settings"


async def _sees_extra(world: World) -> bool:
    answer = await world.read(f"/items/{COLLECTION}?fields=extra")
    if answer.status_code not in (200, 403):
        raise RuntimeError(f"{answer.status_code} {answer.text}")
    return answer.status_code == 200


SCENARIOS = (
    Scenario("permissions", _allow, lambda w: w.write("DELETE", _row(w)), _sees_items),
    Scenario(
        "rules",
        _patched(_row, lambda w: {"permissions": {}}),
        _patched(_row, lambda w: {"permissions": {"id": {"_lt": 0}}}),
        _sees_items,
    ),
    Scenario(
        "policies",
        _patched(_user, lambda w: {"policies": [{"policy": w.policy}]}),
        _patched(_user, lambda w: {"policies": []}),
        _sees_items,
    ),
    Scenario(
        "tokens",
        _patched(_user, lambda w: {"token": w.token}),
        _patched(_user, lambda w: {"token": f"another-{w.token}"}),
        _sees_items,
    ),
    Scenario(
        "suspension",
        _patched(_user, lambda w: {"status": "active"}),
        _patched(_user, lambda w: {"status": "suspended"}),
        _sees_itself,
    ),
    Scenario("sessions", _log_in, _log_out, lambda w: _sees_itself(w, w.session), cost=4),
    Scenario(
        "settings",
        _patched(_settings, lambda w: {"project_name": "shown"}),
        _patched(_settings, lambda w: {"project_name": "hidden"}),
        _project_is,
        shared=True,
    ),
    Scenario(
        "schema",
        _add_field,
        lambda w: w.write("DELETE", f"/fields/{COLLECTION}/extra"),
        _sees_extra,
        cost=8,
        shared=True,
    ),
)


# --- running ------------------------------------------------------------------------------------
async def prepare(world: World) -> None:
    """Make the collection and the person; safe to repeat."""
    server = world.servers[0]
    if (await server.get(f"/collections/{COLLECTION}", headers=world.admin)).status_code != 200:
        key = {"field": "id", "type": "integer", "schema": {"is_primary_key": True, "has_auto_increment": True}}
        text = {"field": "text", "type": "string", "schema": {}, "meta": {}}
        body = {"collection": COLLECTION, "schema": {}, "meta": {}, "fields": [{**key, "meta": {}}, text]}
        await world.write("POST", "/collections", body)
        await world.write("POST", f"/items/{COLLECTION}", {"text": SECRET})
    world.policy = (await world.write("POST", "/policies", {"name": "coherence"}))["id"]
    person = {"email": f"{world.token}@example.com", "password": PASSWORD, "token": world.token}
    world.user = (await world.write("POST", "/users", {**person, "policies": [{"policy": world.policy}]}))["id"]
    await _allow(world)


async def run(scenario: Scenario, world: World, changes: int, readers: int, seconds: float = float("inf")) -> Outcome:
    """Change back and forth while ``readers`` ask: each during a change, and then until a read was judged after it.

    Ends after so many changes or seconds, whichever comes first. Raises ``RuntimeError`` when a change fails.
    """
    outcome, start = Outcome(scenario.name), time.monotonic()
    epoch, granted = 0, None
    begun, judged = asyncio.Event(), asyncio.Semaphore(0)
    done = False

    async def read() -> None:
        while not done:
            began, expected, next_change = epoch, granted, begun
            seen = await scenario.sees(world)
            if began != epoch or expected is None:
                continue
            if expected:
                outcome.granted += 1
            else:
                outcome.denied += 1
            if seen != expected:
                outcome.wrong.append(f"change {outcome.changes}: {'unseen though granted' if expected else 'seen'}")
            judged.release()
            await next_change.wait()

    async def change(do: Change, leaves: bool) -> None:
        nonlocal epoch, granted, begun
        epoch, granted = epoch + 1, None
        begun.set()
        begun = asyncio.Event()
        await do(world)
        epoch, granted = epoch + 1, leaves
        outcome.changes += 1
        for _ in range(readers):
            await judged.acquire()

    async def work() -> None:
        nonlocal done
        for _ in range(max(1, changes // 2 // scenario.cost)):
            await change(scenario.revoke, False)
            await change(scenario.grant, True)
            if time.monotonic() - start > seconds:
                break
        done = True
        begun.set()

    await change_quietly(scenario, world)
    async with asyncio.TaskGroup() as tasks:
        for _ in range(readers):
            tasks.create_task(read())
        tasks.create_task(work())
    outcome.seconds = time.monotonic() - start
    return outcome


async def change_quietly(scenario: Scenario, world: World) -> None:
    """Scenarios begin granted; some have to be made so."""
    if scenario.name in ("sessions", "settings", "schema"):
        await scenario.grant(world)


async def run_side_by_side(
    scenario: Scenario, worlds: Sequence[World], changes: int, readers: int, seconds: float
) -> Outcome:
    """The scenario for all persons at once, or for one where they would change the same; the sum of what was seen."""
    chosen = worlds[:1] if scenario.shared else worlds
    outcomes = await asyncio.gather(
        *(run(scenario, world, changes // len(chosen), readers, seconds) for world in chosen)
    )
    return Outcome(
        scenario.name,
        sum(o.changes for o in outcomes),
        sum(o.denied for o in outcomes),
        sum(o.granted for o in outcomes),
        max(o.seconds for o in outcomes),
        [line for o in outcomes for line in o.wrong],
    )


async def check(
    urls: Sequence[str],
    token: str,
    changes: int,
    names: Sequence[str] = (),
    report: Callable[[Outcome], Any] = print,
    persons: int = 1,
    readers: int = 6,
    seconds: float = float("inf"),
) -> list[Outcome]:
    """Run the scenarios (all, or those named) and report each."""
    admin = {"Authorization": f"Bearer {token}"}
    limits = httpx2.Limits(keepalive_expiry=KEEP)
    worlds = [
        World([httpx2.AsyncClient(base_url=url, timeout=60, limits=limits) for url in urls], admin)
        for _ in range(persons)
    ]
    outcomes = []
    try:
        for world in worlds:
            await prepare(world)
        for scenario in SCENARIOS:
            if not names or scenario.name in names:
                outcomes.append(await run_side_by_side(scenario, worlds, changes, readers, seconds))
                report(outcomes[-1])
        for world in worlds:
            await world.write("DELETE", f"/users/{world.user}")
            await world.write("DELETE", f"/policies/{world.policy}")
    finally:
        for world in worlds:
            for server in world.servers:
                await server.aclose()
    return outcomes


@contextlib.asynccontextmanager
async def own_servers(kind: str, with_redis: bool, token: str) -> AsyncIterator[list[str]]:
    """The URLs of two fresh servers on a fresh database (``postgresql`` or ``sqlite``)."""
    async with contextlib.AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))

        async def started(service: Service, ending: signal.Signals) -> str:
            stack.push_async_callback(service.stop, ending)
            await service.start()
            return service.url

        settings = {"ADMIN_TOKEN": token, "DATABASE_URL": f"sqlite:///{folder}/data.db"} | QUICK
        if kind == "postgresql":
            settings["DATABASE_URL"] = await started(PostgreSQL(folder / "postgresql"), signal.SIGINT)
        if with_redis:
            settings["REDIS"] = await started(Redis(folder / "redis"), signal.SIGTERM)
        yield [await started(Server(folder, settings), signal.SIGTERM) for _ in range(2)]


async def run_all(args: argparse.Namespace) -> list[Outcome]:
    share = sum(1 / s.cost for s in SCENARIOS if not args.only or s.name in args.only)
    given = int(args.changes / share) + 1, args.only, print, args.persons, args.readers, args.seconds
    if not args.own:
        return await check(args.server, args.token, *given)
    token = args.token or uuid.uuid4().hex
    async with own_servers(args.own, args.redis, token) as urls:
        return await check(urls, token, *given)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("server", nargs="*", help="URLs of processes on one database")
    parser.add_argument("--own", choices=("postgresql", "sqlite"), help="start two servers on a fresh database")
    parser.add_argument("--redis", action="store_true", help="beside --own: with a Redis")
    parser.add_argument("--token", help="static token of an administrator of the servers given")
    parser.add_argument("--changes", type=int, default=10_000, help="changes in all")
    parser.add_argument("--seconds", type=float, default=float("inf"), help="at most, for each scenario")
    parser.add_argument("--persons", type=int, default=1, help="whose rights change, side by side")
    parser.add_argument("--readers", type=int, default=6, help="who ask all the time, for each person")
    parser.add_argument("--only", action="append", default=[], choices=[s.name for s in SCENARIOS])
    args = parser.parse_args()
    if bool(args.own) == bool(args.server) or (args.server and not args.token):
        parser.error("give the URLs of servers and --token, or --own")
    began = time.monotonic()
    outcomes = asyncio.run(run_all(args))
    reads = sum(o.granted + o.denied for o in outcomes)
    print(f"{sum(o.changes for o in outcomes)} changes, {reads} reads judged in {time.monotonic() - began:.0f} s")
    sys.exit(any(o.wrong for o in outcomes))


if __name__ == "__main__":
    main()
