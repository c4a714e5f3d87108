"""Reads that are asked by many at once run in turns: nobody gets an answer older than the own question."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from tabulary.core.turns import LONG_RUN, LONGEST_PAUSE, Turns

pytestmark = pytest.mark.anyio


class Table:
    """A value that is read slowly: a run sees the state at its beginning."""

    def __init__(self) -> None:
        self.value, self.runs, self.gate = 0, 0, asyncio.Event()

    def reader(self, fails: bool = False) -> Callable[[], Awaitable[int]]:
        async def run() -> int:
            self.runs += 1
            seen = self.value
            await self.gate.wait()
            if fails:
                raise LookupError("gone")
            return seen

        return run


async def started(count: int, turns: Turns[int], table: Table, fails: bool = False) -> list[asyncio.Task[int]]:
    tasks = [asyncio.ensure_future(turns.take("key", table.reader(fails))) for _ in range(count)]
    await asyncio.sleep(0)
    return tasks


async def test_those_who_ask_during_a_run_share_the_next_one() -> None:
    turns, table = Turns[int](), Table()
    first = await started(1, turns, table)
    table.value = 1  # committed after the first run began: later questions have to see it
    later = await started(50, turns, table)
    table.gate.set()
    assert await asyncio.gather(*first, *later) == [0] + [1] * 50
    assert table.runs == 2 and not turns._going


async def test_a_third_turn_follows_for_who_asks_during_the_second() -> None:
    turns, table = Turns[int](), Table()
    tasks = await started(3, turns, table)
    first_gate, table.gate = table.gate, asyncio.Event()
    first_gate.set()
    for _ in range(5):
        await asyncio.sleep(0)
    table.value = 2
    tasks += await started(2, turns, table)
    table.gate.set()
    assert await asyncio.gather(*tasks) == [0, 0, 0, 2, 2]
    assert table.runs == 3 and not turns._going


async def test_different_questions_do_not_wait_for_each_other() -> None:
    turns, table = Turns[int](), Table()
    waiting = await started(1, turns, table)

    async def at_once() -> int:
        return 7

    assert await turns.take("another", at_once) == 7
    table.gate.set()
    await asyncio.gather(*waiting)


async def test_who_goes_away_takes_nothing_from_the_others() -> None:
    turns, table = Turns[int](), Table()
    tasks = await started(4, turns, table)
    for gone in (tasks[0], tasks[1]):
        gone.cancel()
    table.gate.set()
    answers = await asyncio.gather(*tasks, return_exceptions=True)
    assert [type(a) for a in answers] == [asyncio.CancelledError, asyncio.CancelledError, int, int]
    assert not turns._going


async def test_nothing_runs_after_the_end() -> None:
    turns, table = Turns[int](), Table()
    leading = await started(1, turns, table)
    waiting = await started(2, turns, table)
    for task in leading:
        task.cancel()
    await turns.close()
    answers = await asyncio.gather(*leading, *waiting, return_exceptions=True)
    assert [type(answer) for answer in answers] == [asyncio.CancelledError] * 3
    assert table.runs == 1 and not turns._going and not turns._tasks
    table.gate.set()
    assert await turns.take("key", table.reader()) == 0


async def test_a_following_run_ends_with_the_end() -> None:
    turns, table = Turns[int](), Table()
    tasks = await started(3, turns, table)
    first_gate, table.gate = table.gate, asyncio.Event()
    first_gate.set()
    assert await tasks[0] == 0
    while table.runs < 2:
        await asyncio.sleep(0)
    tasks += await started(1, turns, table)
    await turns.close()
    answers = await asyncio.gather(*tasks, return_exceptions=True)
    assert [type(answer) for answer in answers] == [int, *[asyncio.CancelledError] * 3]
    assert table.runs == 2 and not turns._going and not turns._tasks


async def test_a_failure_reaches_all_who_share_it_and_ends_there() -> None:
    turns, table = Turns[int](), Table()
    tasks = await started(3, turns, table, fails=True)
    table.gate.set()
    answers = await asyncio.gather(*tasks, return_exceptions=True)
    assert [type(a) for a in answers] == [LookupError] * 3
    assert await turns.take("key", table.reader()) == 0 and not turns._going


class Time:
    """A clock that the test moves, and sleep that lasts until the test says so."""

    def __init__(self) -> None:
        self.now, self.slept, self.over = 0.0, list[float](), asyncio.Event()

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        await self.over.wait()


async def test_those_who_ask_again_after_a_long_run_share_the_next_one_too() -> None:
    time = Time()
    turns, table = Turns[int](pause=0.125, clock=lambda: time.now, sleep=time.sleep), Table()
    tasks = await started(3, turns, table)
    time.now = 8 * LONG_RUN
    table.gate.set()
    assert await tasks[0] == 0
    table.value = 1
    tasks += await started(2, turns, table)  # in the pause
    assert time.slept == [LONG_RUN] and table.runs == 1
    time.over.set()
    assert await asyncio.gather(*tasks) == [0, 1, 1, 1, 1]
    assert table.runs == 2 and not turns._going  # the second run took no time


async def test_nobody_runs_ahead_of_those_who_share_long_runs() -> None:
    time = Time()
    turns, table = Turns[int](pause=0.125, clock=lambda: time.now, sleep=time.sleep), Table()
    tasks = await started(3, turns, table)
    gate, table.gate = table.gate, asyncio.Event()
    gate.set()
    for _ in range(5):
        await asyncio.sleep(0)
    time.now = 8 * LONG_RUN  # the run of the second and the third takes long
    table.gate.set()
    assert await asyncio.gather(*tasks) == [0, 0, 0]
    table.value = 1
    again = await started(1, turns, table) + await started(1, turns, table)
    assert time.slept == [LONG_RUN] and table.runs == 2
    time.over.set()
    assert await asyncio.gather(*again) == [1, 1]
    assert table.runs == 3 and not turns._going


async def test_after_a_pause_in_which_nobody_came_nothing_is_left() -> None:
    time = Time()
    time.over.set()
    turns, table = Turns[int](pause=0.125, clock=lambda: time.now, sleep=time.sleep), Table()
    tasks = await started(3, turns, table)
    gate, table.gate = table.gate, asyncio.Event()
    gate.set()
    for _ in range(5):
        await asyncio.sleep(0)
    time.now = 1.0
    table.gate.set()
    await asyncio.gather(*tasks, *turns._tasks)
    while turns._tasks:
        await asyncio.gather(*turns._tasks)
    assert time.slept == [LONGEST_PAUSE] and table.runs == 2 and not turns._going


@pytest.mark.parametrize(("took", "slept"), [(LONG_RUN / 2, []), (1000.0, [LONGEST_PAUSE])])
async def test_nobody_waits_long_for_company(took: float, slept: list[float]) -> None:
    time = Time()
    time.over.set()
    turns, table = Turns[int](pause=0.125, clock=lambda: time.now, sleep=time.sleep), Table()
    tasks = await started(2, turns, table)
    time.now = took
    table.gate.set()
    assert await asyncio.gather(*tasks) == [0, 0]
    assert time.slept == slept and not turns._going


async def test_a_pause_that_is_cut_off_leaves_nothing_behind() -> None:
    time = Time()
    turns, table = Turns[int](pause=0.125, clock=lambda: time.now, sleep=time.sleep), Table()
    tasks = await started(2, turns, table)
    time.now = 1.0
    table.gate.set()
    assert await tasks[0] == 0
    await asyncio.sleep(0)
    (pausing,) = turns._tasks
    pausing.cancel()
    answers = await asyncio.gather(*tasks, return_exceptions=True)
    assert type(answers[1]) is asyncio.CancelledError and not turns._going
    assert await turns.take("key", table.reader()) == 0
