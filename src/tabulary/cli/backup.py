"""``tabulary backup``: everything into one file, and back."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click
from rich.console import Console
from rich.progress import DownloadColumn, Progress, SpinnerColumn, TextColumn, TransferSpeedColumn

from tabulary.app import Tabulary
from tabulary.cli.session import opened, run
from tabulary.core.settings import Settings
from tabulary.services.backup import BackupReport, BackupService
from tabulary.services.backup_archive import Watch


@click.group()
def backup() -> None:
    """Save the database and the stored files, verify what was saved, restore it."""


@backup.command()
@click.argument("path", type=click.Path(dir_okay=False, path_type=Path))
@click.option(
    "--files/--no-files", default=True, help="With the stored files, or the database alone.", show_default=True
)
@click.option("-y", "--yes", is_flag=True, help="Replace the file without asking.")
def create(path: Path, files: bool, yes: bool) -> None:
    """Write a backup to PATH while everything goes on. Keep it safe: it holds all there is, password hashes too."""
    if path.exists() and not yes:
        click.confirm(f"{path} exists. Replace it?", abort=True)
    report = run(_create(path, files))
    click.echo(_told(report, "saved"))
    for name in report.left_out:
        click.echo(f"Not in the backup: {name}", err=True)


async def _create(path: Path, files: bool) -> BackupReport:
    async with opened() as tabulary:
        with _progress("Saving") as watch:
            return await BackupService(platform=tabulary.platform).create(path, files=files, watch=watch)


@backup.command()
@click.argument("path", type=click.Path(exists=True, dir_okay=False, path_type=Path))
def verify(path: Path) -> None:
    """Prove that PATH is complete and unchanged."""
    manifest = run(_verify(path))
    click.echo(f"{path} of {manifest['created']} ({manifest['dialect']}) is complete and unchanged.")


async def _verify(path: Path) -> dict[str, str]:
    tabulary = Tabulary(Settings.load(), install=False)
    with _progress("Verifying") as watch:
        return await BackupService(platform=tabulary.platform).verify(path, watch)


@backup.command()
@click.argument("path", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--overwrite", is_flag=True, help="Even when the database is not empty: what is in it is lost.")
@click.option("-y", "--yes", is_flag=True, help="Overwrite without asking.")
def restore(path: Path, overwrite: bool, yes: bool) -> None:
    """Make the database and the stored files what they were. Stop the server first."""
    if overwrite and not yes:
        click.confirm("All that is in the database now will be lost. Go on?", abort=True)
    click.echo(_told(run(_restore(path, overwrite)), "restored"))


async def _restore(path: Path, overwrite: bool) -> BackupReport:
    async with Tabulary(Settings.load(), install=False) as tabulary:
        with _progress("Restoring") as watch:
            return await BackupService(platform=tabulary.platform).restore(path, overwrite=overwrite, watch=watch)


def _told(report: BackupReport, done: str) -> str:
    rows = sum(report.tables.values())
    return f"{len(report.tables)} tables with {rows} rows and {report.files} files {done}."


@contextmanager
def _progress(text: str) -> Iterator[Watch]:
    """Shows on standard error what is at hand, when people look."""
    console = Console(stderr=True)
    columns = (SpinnerColumn(), TextColumn("{task.description}"), DownloadColumn(), TransferSpeedColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal, transient=True) as progress:
        task, before, total = progress.add_task(text, total=None), "", 0.0

        def watch(name: str, size: int) -> None:
            nonlocal before, total
            if name != before:
                before, total = name, progress.tasks[0].completed if before else 0
            progress.update(task, description=f"{text} {name}", completed=total + size)

        yield watch
