"""``tabulary bootstrap``, ``database`` and ``count``."""

from __future__ import annotations

import asyncio

import click
import sqlalchemy as sa

from tabulary.app import Tabulary
from tabulary.cli.session import opened, run
from tabulary.core.settings import Settings

_TRIES, _PAUSE = 5, 5.0


@click.command()
@click.option("--skipAdminInit", "skip_admin", is_flag=True, help="Make neither administrator nor role.")
def bootstrap(skip_admin: bool) -> None:
    """Wait for the database and install the system tables and the first administrator. Safe to run again."""
    run(_bootstrap(skip_admin))


async def _bootstrap(skip_admin: bool) -> None:
    tabulary = Tabulary(Settings.load(), install=False)
    try:
        await _wait(tabulary)
        result = await tabulary.bootstrap(admin=not skip_admin)
        if not result.created:
            click.echo("The database is installed already.")
            return
        click.echo("Installed.")
        if result.admin_email:
            click.echo(f"Administrator: {result.admin_email}")
        if result.admin_password:
            click.echo(f"Password (shown only now): {result.admin_password}")
    finally:
        await tabulary.close()


async def _wait(tabulary: Tabulary) -> None:
    for attempt in range(1, _TRIES + 1):
        try:
            await tabulary.open()
            return
        except Exception as problem:
            if attempt == _TRIES:
                raise click.ClickException(f"The database doesn't answer: {problem}") from problem
            await asyncio.sleep(_PAUSE)


@click.group()
def database() -> None:
    """Install the system tables, or bring them up to date."""


@database.command()
def install() -> None:
    """Create the system tables in an empty database, without an administrator."""
    run(_install())


async def _install() -> None:
    async with Tabulary(Settings.load(), install=False) as tabulary:
        if await tabulary.is_installed():
            raise click.ClickException("The database is installed already")
        await tabulary.bootstrap(admin=False)
        click.echo("Installed.")


@database.command("migrate:latest")
def migrate() -> None:
    """Bring the system tables up to date. They are made up to date, so that this only checks that they are there."""
    run(_migrate())


async def _migrate() -> None:
    async with opened():
        click.echo("The database is up to date.")


@click.command()
@click.argument("collection")
def count(collection: str) -> None:
    """Print the number of rows of a collection."""
    click.echo(run(_count(collection)))


async def _count(collection: str) -> int:
    async with opened() as tabulary, tabulary.platform.database.connection() as connection:
        if collection not in (await tabulary.schema()).collections:
            raise click.ClickException(f'Collection "{collection}" doesn\'t exist')
        statement = sa.select(sa.func.count().label("count")).select_from(sa.table(collection))
        return int((await connection.select(statement))[0]["count"])
