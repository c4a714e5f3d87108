"""``tabulary security``: values for settings, and the way in for the first administrator."""

from __future__ import annotations

import uuid

import click

from tabulary.cli.session import opened, run
from tabulary.cli.tables import show
from tabulary.core.tokens import random_token

as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


@click.group()
def security() -> None:
    """Make keys and secrets for settings, and a link for the first administrator.

    `key:generate` and `secret:generate` are the same commands.
    """


@security.command("key")
@as_json
def generate_key(as_json: bool) -> None:
    """Print a random UUID."""
    _show("key", str(uuid.uuid4()), as_json)


@security.command("secret")
@as_json
def generate_secret(as_json: bool) -> None:
    """Print 32 random url-safe characters, as SECRET wants them."""
    _show("secret", random_token(32), as_json)


@security.command("setup-link")
@as_json
def setup_link(as_json: bool) -> None:
    """Print a link that makes the first administrator, once and within a day. Links made before it end."""
    show({"link": run(_setup_link())}, as_json, "link")


async def _setup_link() -> str:
    async with opened() as tabulary:
        link = await tabulary.setup_link()
        if link is None:
            raise click.ClickException(
                "There is an administrator; another one is made by `tabulary users create --admin`"
            )
        return link


def _show(name: str, value: str, as_json: bool) -> None:
    """The bare value ends without a line break, so that a file that takes it holds nothing else."""
    if as_json:
        show({name: value}, True)
    else:
        click.echo(value, nl=False)


security.add_command(generate_key, "key:generate")
security.add_command(generate_secret, "secret:generate")
