#!/usr/bin/env python3
"""Does anything get lost while everything breaks? Mixed reads and writes against servers that are killed all the time.

    python benchmarks/chaos.py --database postgresql://postgres@127.0.0.1/chaos --redis redis://127.0.0.1 --seconds 600

Starts servers on a database that it may fill, lets clients write (nested items, updates, deletions) and read, and
meanwhile kills and restarts servers, cuts all connections to PostgreSQL (``pg_terminate_backend``) and to Redis
(``CLIENT KILL``). A client that gets no answer, or an error of the server, goes on elsewhere. At the end it checks what
must hold:

* no acknowledged write is lost,
* every parent has all of its children, or was not written at all,
* there is an activity row for every change, and none for a change that is not there,
* once the breaking has stopped and all servers answer, no request fails.

Ends with status 1 when any of it does not hold. Cuts only connections to its own database, and of Redis only those of
its own servers (by the name of the client).
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import random
import signal
import socket
import sys
import tempfile
import time
import uuid
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2

TOKEN = "chaos-admin-token"
ADMIN = {"Authorization": f"Bearer {TOKEN}"}
CHILDREN = 3
CALM = 3.0
"""Seconds of requests after the breaking, in which none may fail."""
_KEY = {
    "field": "id", "type": "integer", "meta": {}, "schema": {"is_primary_key": True, "has_auto_increment": True},
}  # fmt: skip


@dataclass
class Server:
    """A process that can be killed and comes back on the same port."""

    environment: dict[str, str]
    folder: Path
    port: int = 0
    process: asyncio.subprocess.Process | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def start(self) -> None:
        if not self.port:
            with socket.socket() as probe:
                probe.bind(("127.0.0.1", 0))
                self.port = probe.getsockname()[1]
        command = (sys.executable, "-m", "tabulary", "start", "--host", "127.0.0.1", "--port", str(self.port))
        with (self.folder / f"log{self.port}").open("a") as log:
            self.process = await asyncio.create_subprocess_exec(
                *command, env=self.environment, cwd=self.folder, stdout=log, stderr=log
            )

    async def ready(self, within: float = 60) -> None:
        """Wait until it says that it is well. Raises ``TimeoutError``."""
        async with asyncio.timeout(within), httpx2.AsyncClient(base_url=self.url, timeout=5) as client:
            while True:
                with contextlib.suppress(httpx2.TransportError):
                    if (await client.get("/server/health")).status_code == 200:
                        return
                await asyncio.sleep(0.1)

    async def stop(self, how: int = signal.SIGKILL) -> None:
        if self.process is not None and self.process.returncode is None:
            self.process.send_signal(how)
            await self.process.wait()


@dataclass
class Ledger:
    """What clients were told. ``parents``: key → the number that was acknowledged last."""

    parents: dict[int, int] = field(default_factory=dict)
    deleted: set[int] = field(default_factory=set)
    answers: Counter[str] = field(default_factory=Counter)
    calm: bool = False
    wrong: list[str] = field(default_factory=list)


class Client:
    """One client. It changes only items that it has made itself."""

    def __init__(self, servers: list[Server], ledger: Ledger, number: int) -> None:
        self._servers = servers
        self._ledger = ledger
        self._number = number
        self._random = random.Random(number)
        self._mine: list[int] = []
        self._clients = {s.url: httpx2.AsyncClient(base_url=s.url, headers=ADMIN, timeout=20) for s in servers}

    async def run(self, until: asyncio.Event) -> None:
        try:
            while not until.is_set():
                await self._random.choice((self._create, self._update, self._update, self._read, self._delete))()
        finally:
            for client in self._clients.values():
                await client.aclose()

    async def _ask(self, method: str, path: str, body: Any = None) -> httpx2.Response | None:
        """The answer; None when there was none or the server had a problem: the outcome is unknown then."""
        calm = self._ledger.calm
        server = self._random.choice(self._servers)
        try:
            answer = await self._clients[server.url].request(method, path, json=body)
        except httpx2.TransportError as problem:
            if calm:
                self._ledger.wrong.append(f"{method} {path} failed after recovery: {problem!r}")
            self._ledger.answers["no answer"] += 1
            await asyncio.sleep(0.05)
            return None
        self._ledger.answers[str(answer.status_code)] += 1
        if answer.status_code >= 500:
            if calm:
                self._ledger.wrong.append(f"{method} {path}: {answer.status_code} after recovery: {answer.text}")
            elif answer.status_code != 503:
                self._ledger.answers["unclear 5xx"] += 1
            await asyncio.sleep(0.05)
            return None
        return answer

    async def _create(self) -> None:
        tag = f"{self._number}-{uuid.uuid4().hex}"
        children = [{"text": f"{tag}-{n}"} for n in range(CHILDREN)]
        answer = await self._ask("POST", "/items/chaos_parents", {"tag": tag, "n": 0, "children": children})
        if answer is not None and self._expect(answer, 200):
            key = answer.json()["data"]["id"]
            self._ledger.parents[key] = 0
            self._mine.append(key)

    async def _update(self) -> None:
        if not self._mine:
            return
        key = self._random.choice(self._mine)
        known = self._ledger.parents[key]
        answer = await self._ask("PATCH", f"/items/chaos_parents/{key}", {"n": known + 1})
        if answer is None:
            await self._settle(key)
        elif self._expect(answer, 200):
            self._ledger.parents[key] = known + 1

    async def _settle(self, key: int) -> None:
        """Learn whether an update without an answer has happened."""
        answer = await self._ask("GET", f"/items/chaos_parents/{key}?fields=n")
        if answer is not None and self._expect(answer, 200):
            self._ledger.parents[key] = max(self._ledger.parents[key], answer.json()["data"]["n"])

    async def _delete(self) -> None:
        if len(self._mine) < 5:
            return
        key = self._mine.pop(0)
        answer = await self._ask("DELETE", f"/items/chaos_parents/{key}")
        if answer is not None and self._expect(answer, 204):
            self._ledger.deleted.add(key)
        self._ledger.parents.pop(key)  # with or without an answer: nobody looks at it again

    async def _read(self) -> None:
        answer = await self._ask("GET", "/items/chaos_parents?limit=5&sort=-id&fields=id,n,children.text")
        if answer is not None and self._expect(answer, 200):
            for item in answer.json()["data"]:
                if len(item["children"]) != CHILDREN:
                    self._ledger.wrong.append(f"a read saw {len(item['children'])} children of {item['id']}")

    def _expect(self, answer: httpx2.Response, status: int) -> bool:
        if answer.status_code != status:
            self._ledger.wrong.append(f"{answer.request.method} {answer.request.url.path}: {answer.text}")
        return answer.status_code == status


class Chaos:
    """Breaks things, one after the other, until it is told to stop."""

    def __init__(self, servers: list[Server], database: str, redis: str | None, names: str) -> None:
        self._servers, self._database, self._redis, self._names = servers, database, redis, names
        self.done: Counter[str] = Counter()

    async def run(self, until: asyncio.Event, pause: float) -> None:
        ways = [self._kill]
        if self._database.startswith("postgres"):
            ways.append(self._cut_database)
        if self._redis:
            ways.append(self._cut_redis)
        turn = 0
        while not until.is_set():
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(until.wait(), pause)
                return
            way = ways[turn % len(ways)]
            turn += 1
            await way()
            self.done[way.__name__.strip("_")] += 1

    async def _kill(self) -> None:
        server = random.choice(self._servers)
        await server.stop()
        await server.start()
        await server.ready()

    async def _cut_database(self) -> None:
        import asyncpg

        connection = await asyncpg.connect(self._database)
        try:
            await connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
        finally:
            await connection.close()

    async def _cut_redis(self) -> None:
        from redis.asyncio import Redis

        async with Redis.from_url(self._redis) as client:
            for other in await client.client_list():
                if other["name"] == self._names:
                    with contextlib.suppress(Exception):
                        await client.client_kill_filter(_id=other["id"])


async def prepare(url: str) -> None:
    """The two collections, related."""
    async with httpx2.AsyncClient(base_url=url, headers=ADMIN, timeout=60) as client:

        async def post(path: str, body: Any) -> None:
            answer = await client.post(path, json=body)
            if answer.status_code != 200:
                raise RuntimeError(f"{path}: {answer.text}")

        def of(name: str, kind: str) -> dict[str, Any]:
            return {"field": name, "type": kind, "schema": {}, "meta": {}}

        for name, fields in (
            ("chaos_parents", [_KEY, of("tag", "string"), of("n", "integer")]),
            ("chaos_children", [_KEY, of("text", "string"), of("parent", "integer")]),
        ):
            await post("/collections", {"collection": name, "schema": {}, "meta": {}, "fields": fields})
        await post("/fields/chaos_parents", {"field": "children", "type": "alias", "meta": {"special": ["o2m"]}})
        relation = {"collection": "chaos_children", "field": "parent", "related_collection": "chaos_parents"}
        await post("/relations", {**relation, "schema": {"on_delete": "CASCADE"}, "meta": {"one_field": "children"}})


async def verify(url: str, ledger: Ledger) -> None:
    """Compare what is in the database with what clients were told."""
    async with httpx2.AsyncClient(base_url=url, headers=ADMIN, timeout=120) as client:

        async def rows(path: str) -> list[dict[str, Any]]:
            answer = await client.get(path)
            if answer.status_code != 200:
                raise RuntimeError(f"{path}: {answer.text}")
            found: list[dict[str, Any]] = answer.json()["data"]
            return found

        parents = {row["id"]: row for row in await rows("/items/chaos_parents?limit=-1&fields=id,n,children")}
        of_chaos = "filter[collection][_starts_with]=chaos_"
        activity = await rows(f"/activity?limit=-1&fields=action,item,collection&{of_chaos}")
    seen = Counter((row["action"], row["collection"], int(row["item"])) for row in activity)
    wrong = ledger.wrong
    for key, number in ledger.parents.items():
        if key not in parents:
            wrong.append(f"the acknowledged item {key} is lost")
        elif parents[key]["n"] < number:
            wrong.append(f"item {key}: update {number} was acknowledged, {parents[key]['n']} is there")
    wrong += [f"item {key} is there although its deletion was acknowledged" for key in ledger.deleted & parents.keys()]
    for key, row in parents.items():
        if len(row["children"]) != CHILDREN:
            wrong.append(f"item {key} has {len(row['children'])} children: half written")
        if seen["create", "chaos_parents", key] != 1:
            wrong.append(f"item {key} has {seen['create', 'chaos_parents', key]} activity rows of its creation")
        if seen["update", "chaos_parents", key] < row["n"]:
            wrong.append(f"item {key}: {row['n']} updates, {seen['update', 'chaos_parents', key]} activity rows")
        for child in row["children"]:
            if seen["create", "chaos_children", child] != 1:
                wrong.append(f"child {child} has no activity row")
    for action, collection, key in seen:
        gone = collection == "chaos_parents" and action == "create" and key not in parents
        if gone and not seen["delete", collection, key]:
            wrong.append(f"activity tells of the creation of {key}, which is not there")


async def run(
    database: str, redis: str | None = None, *, seconds: float = 600, processes: int = 2, clients: int = 64
) -> tuple[Ledger, Counter[str]]:
    """Everything, from the first server to the verdict in the ledger; what was broken how often."""
    names = f"chaos-{uuid.uuid4().hex[:8]}"
    with tempfile.TemporaryDirectory() as folder:
        environment = {
            **{name: value for name, value in os.environ.items() if name in ("PATH", "HOME", "PYTHONPATH")},
            "DATABASE_URL": database,
            "CONFIG_PATH": "/nonexistent",
            "SECRET": "c" * 32,
            "ADMIN_EMAIL": "chaos@example.com",
            "ADMIN_PASSWORD": "chaos-password",
            "ADMIN_TOKEN": TOKEN,
            "LOG_LEVEL": "error",
            "PRESSURE_LIMITER_ENABLED": "false",
            **({"REDIS": f"{redis}?client_name={names}", "REDIS_BUS_NAMESPACE": names} if redis else {}),
        }
        servers = [Server(environment, Path(folder)) for _ in range(processes)]
        ledger, until, stop = Ledger(), asyncio.Event(), asyncio.Event()
        try:
            for server in servers:
                await server.start()
                await server.ready()
            await prepare(servers[0].url)
            chaos = Chaos(servers, database, redis, names)
            working = [asyncio.ensure_future(Client(servers, ledger, n).run(stop)) for n in range(clients)]
            breaking = asyncio.ensure_future(chaos.run(until, pause=min(5.0, seconds / 8)))
            await asyncio.sleep(seconds)
            until.set()
            await breaking
            for server in servers:
                await server.ready()
            await asyncio.sleep(1)
            ledger.calm = True
            await asyncio.sleep(CALM)
            stop.set()
            await asyncio.gather(*working)
            await verify(servers[0].url, ledger)
        finally:
            stop.set()
            for server in servers:
                await server.stop(signal.SIGTERM)
    return ledger, chaos.done


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--database", required=True, help="URL of a database that may be filled")
    parser.add_argument("--redis", help="URL of Redis")
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--clients", type=int, default=64)
    args = parser.parse_args()
    began = time.monotonic()
    work = run(args.database, args.redis, seconds=args.seconds, processes=args.processes, clients=args.clients)
    ledger, broken = asyncio.run(work)
    print(f"{time.monotonic() - began:.0f} s; broken: {dict(broken)}")
    print(f"answers: {dict(ledger.answers)}")
    print(f"{len(ledger.parents)} items acknowledged, {len(ledger.deleted)} deletions; {len(ledger.wrong)} WRONG")
    for line in ledger.wrong[:20]:
        print(f"  {line}")
    sys.exit(bool(ledger.wrong))


if __name__ == "__main__":
    main()
