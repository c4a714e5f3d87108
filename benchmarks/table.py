#!/usr/bin/env python3
"""The table of docs/performance.md: our server beside the physical limit and the reference, on the same data.

    python benchmarks/table.py --postgresql postgresql://postgres@127.0.0.1/bench --reference http://127.0.0.1:8090 \
        --sqlite /tmp/flights.db --reference-sqlite http://127.0.0.1:8091 --workers 1 2 --write

The databases hold the 2013 flights (``../shared/bench/flights.py`` loads and registers them, ``bench.py --prepare``
adds what the workloads need); the reference is running on PostgreSQL (``reference.sh``) and on a SQLite file of its own
(``reference.sh NAME PORT DB_CLIENT=sqlite3 DB_FILENAME=FILE``). Servers of ours and the floor are started here, one at
a time beside the reference, so that idle processes are all that is compared with what runs. Needs wrk, psutil, httpx.
``--write`` puts the table between the marks of docs/performance.md; else it is printed.
"""

from __future__ import annotations

import argparse
import importlib
import json
import math
import os
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psutil

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "performance.md"
BEGIN, END = "<!-- made by benchmarks/table.py -->\n", "<!-- end -->\n"
Figures = dict[str, dict[str, dict[str, float]]]


@contextmanager
def started(command: list[str], environment: dict[str, str], port: int, path: str) -> Iterator[dict[str, float]]:
    """A server until the end of the block: seconds to its first answer, resident megabytes of its processes."""
    with tempfile.TemporaryDirectory() as folder, Path(folder, "log").open("wb") as log:
        begin = time.monotonic()
        process = subprocess.Popen(command, env=os.environ | environment, cwd=folder, stdout=log, stderr=log)
        try:
            wait(f"http://127.0.0.1:{port}{path}", process)
            seconds = time.monotonic() - begin
            time.sleep(1)
            yield {"start": seconds, "memory": resident(process.pid)}
        finally:
            process.terminate()
            process.wait(30)


def wait(url: str, process: subprocess.Popen[bytes]) -> None:
    for _ in range(600):
        if process.poll() is not None:
            raise SystemExit(f"the server for {url} ended with {process.returncode}")
        try:
            urllib.request.urlopen(url, timeout=2).close()
            return
        except OSError:
            time.sleep(0.05)
    raise SystemExit(f"{url} did not answer")


def resident(pid: int) -> float:
    parent = psutil.Process(pid)
    return sum(p.memory_info().rss for p in [parent, *parent.children(recursive=True)]) / 1e6


def ours(url: str, workers: int, port: int) -> tuple[list[str], dict[str, str], int, str]:
    command = [sys.executable, "-m", "tabulary", "start", "--host", "127.0.0.1", "--port", str(port)]
    command += ["--workers", str(workers)] if workers > 1 else []
    settings = {"DATABASE_URL": url, "SECRET": "bench" * 8, "CONFIG_PATH": "none.env", "PYTHONPATH": str(ROOT / "src")}
    return command, settings, port, "/server/ping"


def measured(options: argparse.Namespace, servers: dict[str, str], only: list[str] | None = None) -> Figures:
    """What ``bench.py`` finds for the servers, by workload and server."""
    bench: Any = importlib.import_module("bench")
    bench.processes = processes
    with tempfile.NamedTemporaryFile(suffix=".json") as result:
        arguments = [*(f"{n}={u}" for n, u in servers.items()), "--json", result.name]
        arguments += ["--seconds", str(options.seconds), "--rounds", str(options.rounds)]
        for name in only or options.only or ():
            arguments += ["--only", name]
        sys.argv = ["bench.py", *arguments]
        bench.main()
        figures: Figures = json.load(result)
        return figures


def processes(base: str) -> list[psutil.Process]:
    """All that hold the port's socket, and their children. (``bench.py`` sees one of several that share a socket.)"""
    port = urlsplit(base).port
    found: dict[int, psutil.Process] = {}
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            sockets = process.net_connections("tcp")
            if any(c.status == psutil.CONN_LISTEN and c.laddr.port == port for c in sockets):
                found |= {p.pid: p for p in (process, *process.children(recursive=True))}
    return list(found.values())


def run(options: argparse.Namespace) -> str:
    text = ""
    sources = {
        "PostgreSQL": (options.postgresql, options.reference),
        "SQLite": (options.sqlite and f"sqlite:///{options.sqlite}", options.reference_sqlite),
    }
    for database, (url, reference) in sources.items():
        compared = {"reference": reference} if reference else {}
        for workers in options.workers if url else ():
            with started(*ours(url, workers, options.port)) as facts:
                figures = measured(options, {"ours": f"http://127.0.0.1:{options.port}"} | compared)
            some = "1 worker" if workers == 1 else f"{workers} workers"
            text += f"\n### {database}, {some}\n\n{table(figures)}\n"
            text += f"First answer after {facts['start']:.1f} s, {facts['memory']:.0f} MB idle.\n"
    if options.postgresql:
        text += f"\n### Against the floor\n\n{against_floor(options)}"
    return text


def against_floor(options: argparse.Namespace) -> str:
    command = [sys.executable, "-m", "uvicorn", "--app-dir", str(options.bench), "floor:app", "--port", "8101"]
    command += ["--log-level", "warning"]
    floor = (command, {"DATABASE": options.postgresql}, 8101, "/server/ping")
    with started(*ours(options.postgresql, 1, options.port)), started(*floor):
        servers = {"ours": f"http://127.0.0.1:{options.port}", "floor": "http://127.0.0.1:8101"}
        figures = measured(options, servers, ["one", "list25", "nested", "o2m"])
    rows = ["| workload | ours req/s | floor req/s | ratio |", "|---|---|---|---|"]
    for name, found in figures.items():
        ratio = found["ours"]["rps"] / found["floor"]["rps"]
        rows.append(f"| {name} | {found['ours']['rps']:,.0f} | {found['floor']['rps']:,.0f} | {ratio:.2f} |")
    return "\n".join(rows) + "\n"


def table(figures: Figures) -> str:
    head = "| workload | req/s | p50 ms | p99 ms | CPU ms |"
    compared = any("reference" in found for found in figures.values())
    lines = [head + (" reference req/s | ratio | CPU ratio |" if compared else "")]
    lines.append("|---" * (lines[0].count("|") - 1) + "|")
    for name, found in figures.items():
        mine, other = found["ours"], found.get("reference")
        line = f"| {name} | {mine['rps']:,.0f} | {mine['p50']:.2f} | {mine['p99']:.1f} | {mine['cpu']:.3f} |"
        if other and math.isnan(other["rps"]):
            line += " none in time | | |"
        elif other:
            ratio, cpu = mine["rps"] / other["rps"], other["cpu"] / max(mine["cpu"], 1e-9)
            line += f" {other['rps']:,.0f} | {ratio:.1f} | {cpu:.0f} |"
        lines.append(line)
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bench", type=Path, default=ROOT.parent / "shared" / "bench")
    parser.add_argument("--postgresql", metavar="URL")
    parser.add_argument("--sqlite", metavar="FILE")
    parser.add_argument("--reference", metavar="URL", help="on PostgreSQL")
    parser.add_argument("--reference-sqlite", metavar="URL")
    parser.add_argument("--workers", type=int, nargs="+", default=[1])
    parser.add_argument("--only", action="append", metavar="WORKLOAD")
    parser.add_argument("--seconds", type=int, default=5)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--port", type=int, default=8055)
    parser.add_argument("--write", action="store_true", help="into docs/performance.md")
    options = parser.parse_args()
    sys.path.insert(0, str(options.bench))
    text = run(options)
    if not options.write:
        print(text)
        return
    page = PAGE.read_text()
    before, after = page.split(BEGIN)[0], page.split(END)[1]
    PAGE.write_text(before + BEGIN + text + END + after)


if __name__ == "__main__":
    main()
