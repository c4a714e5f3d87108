"""What commands share: settings of the process, an opened platform, and an event loop to run in."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any, TypeVar

import click

from tabulary.app import Tabulary
from tabulary.core.errors import ConfigurationError, TabularyError
from tabulary.core.settings import Settings

T = TypeVar("T")
LoopFactory = Callable[[], asyncio.AbstractEventLoop]


def run(work: Coroutine[Any, Any, T], loop_factory: LoopFactory | None = None) -> T:
    """Run a command's coroutine. Problems with the database become one readable line."""
    try:
        with asyncio.Runner(loop_factory=loop_factory) as runner:
            return runner.run(work)
    except (click.ClickException, ConfigurationError, TabularyError):
        raise
    except Exception as problem:
        raise click.ClickException(f"{type(problem).__name__}: {problem}") from problem


@asynccontextmanager
async def opened(settings: Settings | None = None) -> AsyncIterator[Tabulary]:
    """A platform on an installed database. Raises ``ClickException`` when there are no system tables yet."""
    tabulary = Tabulary(settings or Settings.load(), install=False)
    await tabulary.open()
    try:
        if not await tabulary.is_installed():
            raise click.ClickException("The database isn't installed yet. Run: tabulary bootstrap")
        yield tabulary
    finally:
        await tabulary.close()
