"""Many sockets, many changes: ``python benchmarks/realtime.py`` (2,000 clients, 100 changes a second, one minute).

Starts a server of its own on a fresh SQLite database (or on ``--database URL``, which should be empty) and speaks raw
WebSocket to it from one process, so that the client takes as little of the machine as it can. The clients belong to
``--groups`` users, each of whom may see one kind of item; every change is of one kind. Each client has to hear every
change of its kind, once and in order, and no other. Times are from sending the write to having read the event.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import resource
import socket
import subprocess
import sys
import tempfile
import time
from array import array
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

TOKEN = "admin-static-token"
MASK = b"\x00\x00\x00\x00"  # a mask of zeros leaves the payload as it is


@dataclass
class Run:
    """What is measured."""

    groups: int
    sent: list[float] = field(default_factory=list)
    delays: array[float] = field(default_factory=lambda: array("f"))
    wrong: int = 0
    lost: int = 0


def frame(text: bytes, opcode: int = 1) -> bytes:
    """A frame of a client."""
    size = bytes([0x80 | len(text)]) if len(text) < 126 else b"\xfe" + len(text).to_bytes(2, "big")
    return bytes([0x80 | opcode]) + size + MASK + text


class Client(asyncio.Protocol):
    """One subscriber. Frames are looked at, not decoded."""

    def __init__(self, run: Run, group: int, address: str, ready: asyncio.Semaphore) -> None:
        self.run, self.group, self.address, self.ready = run, group, address, ready
        self.buffer = b""
        self.upgraded = False
        self.heard = 0
        self.closed = False

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        transport.write(
            f"GET /websocket?access_token=token-{self.group:04} HTTP/1.1\r\nHost: {self.address}\r\n"
            "Upgrade: websocket\r\nConnection: Upgrade\r\n"
            "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n".encode()
        )

    def connection_lost(self, problem: Exception | None) -> None:
        self.closed = True

    def data_received(self, data: bytes) -> None:
        now = time.perf_counter()
        data = self.buffer + data
        if not self.upgraded:
            head, end, data = data.partition(b"\r\n\r\n")
            if not end:
                self.buffer = head
                return
            if b" 101 " not in head[:20]:
                raise SystemExit(f"refused: {head[:200]!r}")
            self.upgraded = True
            wish = {"type": "subscribe", "collection": "changes", "event": "create", "query": {"fields": ["n"]}}
            self.transport.write(frame(json.dumps({**wish, "uid": "b"}).encode()))
        start, end_ = 0, len(data)
        while end_ - start >= 2:
            size, body = data[start + 1], start + 2
            if size == 126:
                size, body = int.from_bytes(data[body : body + 2], "big"), body + 2
            if end_ < body + size:
                break
            self.take(data[start] & 15, data[body : body + size], now)
            start = body + size
        self.buffer = data[start:]

    def take(self, opcode: int, text: bytes, now: float) -> None:
        at = text.find(b'"n":')
        if opcode == 9:
            self.transport.write(frame(text, 10))
        elif at >= 0:
            number = int(text[at + 4 : text.index(b"}", at)])
            self.run.wrong += number != self.heard * self.run.groups + self.group
            self.heard += 1
            self.run.delays.append(now - self.run.sent[number])
        elif b'"init"' in text:
            self.ready.release()
        elif b'"ping"' in text:
            self.transport.write(frame(b'{"type":"pong"}'))
        elif opcode == 1:
            raise SystemExit(f"unexpected: {text[:200]!r}")


class Http:
    """A connection for writes, one after the other."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    async def post(self, path: str, body: Any) -> Any:
        content = json.dumps(body).encode()
        self.writer.write(
            f"POST {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {TOKEN}\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(content)}\r\n\r\n".encode()
            + content
        )
        head = await self.reader.readuntil(b"\r\n\r\n")
        length = next(int(line[16:]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length: "))
        answer = await self.reader.readexactly(length)
        if b" 200 " not in head[:20]:
            raise SystemExit(f"{path}: {head[:20]!r} {answer[:300]!r}")
        return json.loads(answer)["data"]


async def prepare(http: Http, groups: int) -> None:
    """The collection, and a user for each kind of item."""
    key = {"field": "id", "type": "integer", "schema": {"is_primary_key": True, "has_auto_increment": True}, "meta": {}}
    fields = [key, *({"field": name, "type": "integer", "schema": {}, "meta": {}} for name in ("n", "kind"))]
    await http.post("/collections", {"collection": "changes", "schema": {}, "meta": {}, "fields": fields})
    for group in range(groups):
        policy = (await http.post("/policies", {"name": f"kind {group}"}))["id"]
        seen = {"fields": ["id", "n"], "permissions": {"kind": {"_eq": group}}}
        await http.post("/permissions", {"collection": "changes", "action": "read", "policy": policy, **seen})
        user = {"email": f"user{group}@example.com", "token": f"token-{group:04}", "policies": [{"policy": policy}]}
        await http.post("/users", user)


async def write(run: Run, https: list[Http], rate: int, seconds: int) -> None:
    """The changes, each at its time; connections take turns."""
    started = time.perf_counter()
    free: asyncio.Queue[Http] = asyncio.Queue()
    for http in https:
        free.put_nowait(http)

    async def one(http: Http, number: int) -> None:
        await http.post("/items/changes?fields=id", {"n": number, "kind": number % run.groups})
        free.put_nowait(http)

    tasks = []
    for number in range(rate * seconds):
        await asyncio.sleep(max(0.0, started + number / rate - time.perf_counter()))
        http = await free.get()
        run.sent.append(time.perf_counter())
        tasks.append(asyncio.ensure_future(one(http, number)))
    await asyncio.gather(*tasks)


def start(folder: str, port: int, database: str | None) -> subprocess.Popen[bytes]:
    given = {
        "DATABASE_URL": database or f"sqlite:///{folder}/bench.db", "SECRET": "bench", "ADMIN_TOKEN": TOKEN,
        "ADMIN_PASSWORD": "bench", "HOST": "127.0.0.1", "PORT": str(port), "WEBSOCKETS_ENABLED": "true",
        "LOG_LEVEL": "warn", "PRESSURE_LIMITER_ENABLED": "false",
    }  # fmt: skip
    with Path(folder, "log").open("wb") as log:
        return subprocess.Popen(
            [sys.executable, "-m", "tabulary", "start"], cwd=folder, env={**os.environ, **given}, stdout=log, stderr=log
        )


def usage(pid: int) -> tuple[float, float]:
    """Memory in MB and CPU seconds of a process."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    parts = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return pages * resource.getpagesize() / 1e6, (int(parts[11]) + int(parts[12])) / os.sysconf("SC_CLK_TCK")


async def connect(port: int) -> Http:
    for _ in range(300):
        try:
            return Http(*await asyncio.open_connection("127.0.0.1", port))
        except OSError:
            await asyncio.sleep(0.1)
    raise SystemExit("the server does not answer")


async def measure(given: argparse.Namespace, folder: str, port: int, pid: int) -> None:
    await prepare(await connect(port), given.groups)
    print(f"idle: {usage(pid)[0]:.0f} MB")
    run, ready, address = Run(given.groups), asyncio.Semaphore(0), f"127.0.0.1:{port}"
    loop, clients = asyncio.get_running_loop(), []
    began = time.perf_counter()
    for number in range(given.clients):
        client = Client(run, number % given.groups, address, ready)
        await loop.create_connection(lambda client=client: client, "127.0.0.1", port)  # type: ignore[misc]
        clients.append(client)
        if number >= 50:  # not more than fifty under way
            await ready.acquire()
    for _ in range(min(50, given.clients)):
        await ready.acquire()
    memory, cpu = usage(pid)
    print(f"{given.clients} clients subscribed after {time.perf_counter() - began:.1f} s: {memory:.0f} MB")
    await write(run, [await connect(port) for _ in range(16)], given.rate, given.seconds)
    changes = given.rate * given.seconds
    each = [len(range(client.group, changes, given.groups)) for client in clients]
    for _ in range(100):
        if len(run.delays) >= sum(each):
            break
        await asyncio.sleep(0.1)
    at_end, spent = usage(pid)
    lost = sum(max(0, wanted - client.heard) for client, wanted in zip(clients, each, strict=True))
    found = sorted(run.delays)
    took = run.sent[-1] - run.sent[0]
    print(f"{changes} changes in {took:.1f} s, {len(found)} events ({len(found) / took:.0f} a second)")
    print(f"lost {lost}, twice or out of order or not permitted {run.wrong}, closed {sum(c.closed for c in clients)}")
    print("ms:", ", ".join(f"p{p} {found[int(len(found) * p / 100) - 1] * 1000:.0f}" for p in (50, 90, 99)), end="")
    print(f", longest {found[-1] * 1000:.0f}")
    print(f"server: {(spent - cpu) / took * 100:.0f} % of a core, {at_end:.0f} MB at the end", end="")
    for client in clients:
        client.transport.close()
    await asyncio.sleep(3)
    print(f", {usage(pid)[0]:.0f} MB without clients")
    if lost or run.wrong:
        raise SystemExit(1)


def main() -> None:
    options = argparse.ArgumentParser(description=(__doc__ or "").split(":")[0])
    for name, value in (("clients", 2000), ("groups", 20), ("rate", 100), ("seconds", 60)):
        options.add_argument(f"--{name}", type=int, default=value)
    options.add_argument("--database", help="URL of an empty database; SQLite otherwise")
    given = options.parse_args()
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    with tempfile.TemporaryDirectory() as folder:
        with socket.create_server(("127.0.0.1", 0)) as found:
            port = found.getsockname()[1]
        server = start(folder, port, given.database)
        try:
            asyncio.run(measure(given, folder, port, server.pid))
        finally:
            server.terminate()
            server.wait()


if __name__ == "__main__":
    main()
