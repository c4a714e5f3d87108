#!/usr/bin/env python3
"""How cost grows with rows, fields, collections, policies and nesting, beside what the database itself needs for it.

    python benchmarks/growth.py                           # all axes, printed
    python benchmarks/growth.py --write                   # into docs/performance.md and docs/images
    python benchmarks/growth.py --axis policies --rounds 3

Starts a PostgreSQL of its own and sends requests to a Tabulary in this process, one after the other. Costs are CPU
time: of this process (``process_time``), and of all of PostgreSQL's (``/proc/PID/schedstat``, so Linux only), which
other work on the machine touches less than the clock; the median of several rounds. Latency is the median time on the
clock. The law of a workload is the exponent *b* of cost ~ size^b, fitted to the upper half of the sizes, where fixed
costs matter least.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import platform
import statistics
import tempfile
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack, suppress
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil
import uvloop
from clusters import PostgreSQL
from growth_axes import ADMIN, AXES, Api, Axis, Workload, memory
from growth_plot import plot

from tabulary import Tabulary

ROOT = Path(__file__).resolve().parents[1]
PAGE, IMAGES = ROOT / "docs" / "performance.md", ROOT / "docs" / "images"
BEGIN, END = "<!-- made by benchmarks/growth.py -->\n", "<!-- end of growth -->\n"
BATCH = 0.15
"""Seconds of a round; short work is repeated until they are over."""
STEEPER = 0.15
"""By how much an exponent has to be the greater one to be called so."""
MATTERS = 2.0
"""Costs that do not even grow by this factor over a whole axis are called flat."""


@dataclass(frozen=True)
class Cost:
    """Milliseconds of CPU a request, of our process and of the database's; milliseconds until the answer."""

    ours: float
    database: float
    latency: float


@dataclass
class Series:
    """The costs of a workload at the sizes of an axis."""

    workload: str
    sizes: list[int] = field(default_factory=list)
    costs: list[Cost] = field(default_factory=list)

    def law(self, values: Sequence[float]) -> float:
        """The exponent of a power law through the upper half of the points."""
        if len(self.sizes) < 2:
            return 0.0
        start = min(len(self.sizes) // 2, len(self.sizes) - 2)
        x = [math.log(size) for size in self.sizes[start:]]
        y = [math.log(max(value, 1e-6)) for value in values[start:]]
        return statistics.linear_regression(x, y).slope

    @property
    def ours(self) -> list[float]:
        return [cost.ours for cost in self.costs]

    @property
    def database(self) -> list[float]:
        return [cost.database for cost in self.costs]

    @property
    def is_worse(self) -> bool:
        """Whether our part grows by a steeper law than the database's."""
        grows = self.ours[-1] > MATTERS * self.ours[0]
        return grows and self.law(self.ours) > max(0.0, self.law(self.database)) + STEEPER


class Meter:
    """Measures work by the CPU time that it takes of this process and of the children of ``postmaster``."""

    def __init__(self, postmaster: int, rounds: int) -> None:
        self._postmaster, self._rounds = psutil.Process(postmaster), rounds

    async def cost(self, workload: Workload) -> Cost:
        """The median round, after some work that nobody measures."""
        for _ in range(2 if workload.heavy else 5):
            await self._once(workload)
        found = [await self._round(workload) for _ in range(self._rounds)]
        return Cost(*(statistics.median(column) for column in zip(*found, strict=True)))

    async def _round(self, workload: Workload) -> tuple[float, float, float]:
        costs: list[tuple[float, float, float]] = []
        end = time.monotonic() + BATCH
        while not costs or time.monotonic() < end:
            costs.append(await self._once(workload, 1 if workload.before or workload.heavy else 10))
        ours, database, latency = zip(*costs, strict=True)
        return statistics.fmean(ours), statistics.fmean(database), statistics.median(latency)

    async def _once(self, workload: Workload, times: int = 1) -> tuple[float, float, float]:
        """Milliseconds a time."""
        if workload.before is not None:
            await workload.before()
        server, mine, clock = self._database(), time.process_time(), time.perf_counter()
        for _ in range(times):
            await workload.do()
        clock, mine = time.perf_counter() - clock, time.process_time() - mine
        used = max(0.0, self._database() - server)
        if workload.after is not None:
            await workload.after()
        return mine * 1e3 / times, used * 1e3 / times, clock * 1e3 / times

    def _database(self) -> float:
        """Seconds of CPU of its processes. Workloads keep their connections open until this was read."""
        spent = 0.0
        for child in self._postmaster.children():
            with suppress(FileNotFoundError, ProcessLookupError):  # it has just ended
                spent += int(Path(f"/proc/{child.pid}/schedstat").read_text().split()[0]) / 1e9
        return spent


async def measure(axis: Axis, cluster: PostgreSQL, rounds: int, sizes: Sequence[int]) -> dict[str, Any]:
    """All workloads of an axis at its sizes; each size gets a fresh database."""
    series: dict[str, Series] = {}
    remembered = []
    for size in sizes:
        url = await cluster.database(f"growth_{axis.name}_{size}")
        async with Tabulary(url, secret="g" * 32, ADMIN_TOKEN=ADMIN, ADMIN_EMAIL="growth@example.org") as tabulary:
            meter = Meter(cluster.pid, rounds)
            async for workload in axis.make(Api(tabulary), size):
                cost = await meter.cost(workload)
                one = series.setdefault(workload.name, Series(workload.name))
                one.sizes.append(size)
                one.costs.append(cost)
                print(f"{axis.name:12} {size:9,} {workload.name:18} {cost.ours:9.3f} {cost.database:9.3f}", flush=True)
            if axis.name == "collections":
                remembered.append((size, await memory(tabulary)))
    return {"series": list(series.values()), "memory": remembered}


# --- telling ------------------------------------------------------------------------------------
def told(axis: Axis, found: dict[str, Any]) -> str:
    """The section of an axis: the plot and the table of laws."""
    series: list[Series] = found["series"]
    first, last = series[0].sizes[0], series[0].sizes[-1]
    lines = [
        f"#### {axis.title[0].upper()}{axis.title[1:]}: {first:,} to {last:,}",
        "",
        f"![CPU time a request by {axis.title}](images/growth-{axis.name}.svg)",
        "",
        f"| | ours at {first:,} | at {last:,} | law "
        f"| PostgreSQL at {first:,} | at {last:,} | law | latency at {last:,} |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for one in series:
        cells = [one.workload]
        for values in (one.ours, one.database):
            cells += [shown(values[0]), shown(values[-1]), law(one, values)]
        cells.append(shown(one.costs[-1].latency))
        lines.append(f"| {' | '.join(cells)} |")
    if len(found["memory"]) > 1:
        (few, little), (many, much) = found["memory"][0], found["memory"][-1]
        lines += ["", f"What a process remembers of a collection: {(much - little) / (many - few):.1f} kB."]
    return "\n".join([*lines, ""])


def shown(milliseconds: float) -> str:
    return f"{milliseconds:,.0f} ms" if milliseconds >= 10 else f"{milliseconds:.2f} ms"


def law(series: Series, values: Sequence[float]) -> str:
    """The exponent, or that there is nothing to fit."""
    if max(values) < MATTERS * max(values[0], 0.05):
        return "flat"
    return f"^{series.law(values):.2f}"


async def run(args: argparse.Namespace) -> dict[str, dict[str, Any]]:
    """The findings by the name of the axis."""
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        cluster = PostgreSQL(folder / "postgresql", options=QUIET)
        stack.push_async_callback(cluster.stop)
        await cluster.start()
        chosen = [axis for axis in AXES if not args.axis or axis.name in args.axis]
        return {
            axis.name: await measure(axis, cluster, args.rounds, [s for s in axis.sizes if s <= args.up_to])
            for axis in chosen
        }


QUIET = {"autovacuum": "off", "max_parallel_workers_per_gather": "0", "fsync": "off"}
"""So that PostgreSQL works for our requests only, and in processes that do not end with their CPU time unread."""


def write(found: dict[str, dict[str, Any]], text: str) -> None:
    """Into the page of figures and the folder of its pictures."""
    for axis in AXES:
        if axis.name in found:
            lines = [(s.workload, s.sizes, s.ours, s.database) for s in found[axis.name]["series"]]
            (IMAGES / f"growth-{axis.name}.svg").write_text(plot(axis.title, lines))
    page = PAGE.read_text()
    before, after = page.split(BEGIN)[0], page.split(END)[1]
    PAGE.write_text(before + BEGIN + text + END + after)


def read(path: Path) -> dict[str, dict[str, Any]]:
    """The findings of an earlier run."""
    found = json.loads(path.read_text())
    for axis in found.values():
        axis["series"] = [
            Series(one["workload"], one["sizes"], [Cost(**cost) for cost in one["costs"]]) for one in axis["series"]
        ]
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--axis", action="append", choices=[axis.name for axis in AXES])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--up-to", type=int, default=1_000_000, help="leave out greater sizes")
    parser.add_argument("--json", type=Path, help="write all figures there")
    parser.add_argument("--from", dest="earlier", type=Path, help="measure nothing, tell what --json has written")
    parser.add_argument("--write", action="store_true", help="into docs/performance.md and docs/images")
    args = parser.parse_args()
    found = read(args.earlier) if args.earlier else uvloop.run(run(args))  # the loop of the server
    if args.json:
        raw = {name: {**axis, "series": [asdict(one) for one in axis["series"]]} for name, axis in found.items()}
        args.json.write_text(json.dumps(raw, indent=1))
    head = (
        f"\nMeasured on {datetime.now(UTC):%Y-%m-%d} with Python {platform.python_version()}, {os.cpu_count()} cores.\n"
    )
    text = head + "".join(f"\n{told(axis, found[axis.name])}" for axis in AXES if axis.name in found)
    worse = [f"{name}: {s.workload}" for name, axis in found.items() for s in axis["series"] if s.is_worse]
    print(text, f"\nsteeper than the database: {', '.join(worse) or 'nothing'}")
    if args.write:
        write(found, text)


if __name__ == "__main__":
    main()
