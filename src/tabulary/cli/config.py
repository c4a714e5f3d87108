"""``tabulary config``: what the settings are."""

from __future__ import annotations

import click
from rich.console import Console
from rich.table import Table

from tabulary.core.errors import ConfigurationError
from tabulary.core.settings import Settings
from tabulary.core.settings_defaults import DEFAULTS, GROUP_PREFIXES
from tabulary.database.engine import Database


@click.group()
def config() -> None:
    """Look at the settings."""


@config.command()
@click.option("--all", "everything", is_flag=True, help="Defaults too.")
def check(everything: bool) -> None:
    """Show the settings in effect, secrets masked, and say what cannot work (exit code 1)."""
    settings = Settings.load()
    known = {n: v for n, v in settings.shown().items() if n in DEFAULTS or n.startswith(GROUP_PREFIXES)}
    table = Table("Name", "Value", "From", box=None, header_style="bold")
    for name, value in known.items():
        if everything or settings.is_given(name):
            table.add_row(name, str(value), "set" if settings.is_given(name) else "default")
    Console().print(table)
    problems = _problems(settings)
    for problem in problems:
        click.echo(f"Error: {problem}", err=True)
    if settings.secret_is_random:
        click.echo("Warning: SECRET is not set; tokens end with the process", err=True)
    elif len(str(settings["SECRET"]).encode()) < 32:
        click.echo("Warning: SECRET is shorter than 32 bytes", err=True)
    if problems:
        raise SystemExit(1)


def _problems(settings: Settings) -> list[str]:
    found = [
        f"{name} is not a duration: {settings[name]!r}"
        for name in DEFAULTS
        if name.endswith("_TTL") and settings[name] is not None and settings.duration(name) is None
    ]
    if settings.size("MAX_PAYLOAD_SIZE") is None:
        found.append(f"MAX_PAYLOAD_SIZE is not a size: {settings['MAX_PAYLOAD_SIZE']!r}")
    try:
        Database(settings)
    except ConfigurationError as problem:
        found.append(str(problem))
    return found
