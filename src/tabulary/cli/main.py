"""The command ``tabulary``: groups and the way errors end a command (spec schema-and-platform §5).

Modules of commands are loaded when a command of theirs runs, so that help and version answer at once.
"""

from __future__ import annotations

import sys
from importlib import import_module

import click

from tabulary.core.errors import ConfigurationError, TabularyError
from tabulary.version import __version__

_COMMANDS = {
    "start": ("tabulary.cli.start", "start", "Serve the API."),
    "bootstrap": ("tabulary.cli.database", "bootstrap", "Wait for the database and install what is missing."),
    "database": ("tabulary.cli.database", "database", "Install the system tables, or bring them up to date."),
    "users": ("tabulary.cli.accounts", "users", "Create, list, invite and suspend users."),
    "roles": ("tabulary.cli.accounts", "roles", "Create and list roles."),
    "access": ("tabulary.cli.access", "access", "Look into policies and permissions."),
    "export": ("tabulary.cli.transfer", "export", "Write the items of a collection to a file."),
    "import": ("tabulary.cli.transfer", "import_", "Create or update items from a file."),
    "schema": ("tabulary.cli.schema", "schema", "Take, compare and apply snapshots of the data model."),
    "state": ("tabulary.cli.state", "state", "Keep data model, rights and settings in files."),
    "backup": ("tabulary.cli.backup", "backup", "Save, verify and restore database and files."),
    "advise": ("tabulary.cli.advise", "advise", "Propose indexes for what is read, with their measured effect."),
    "count": ("tabulary.cli.database", "count", "Print the number of items of a collection."),
    "security": ("tabulary.cli.security", "security", "Make keys, secrets and the link for the first administrator."),
    "config": ("tabulary.cli.config", "config", "Look at the settings."),
}


class LazyGroup(click.Group):
    """A group that knows its commands by name and loads one when it is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _COMMANDS:
            return None
        module, name, _ = _COMMANDS[cmd_name]
        command: click.Command = getattr(import_module(module), name)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The list of the help text, without loading what is in it."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, _, text) in _COMMANDS.items()])


@click.command(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, "-v", "--version", message="%(version)s")
def cli() -> None:
    """Tabulary: a headless content platform that speaks the API of Directus 11.

    Settings come from the environment and from .env (or the file that CONFIG_PATH names); `tabulary config check`
    shows them.
    """


def main() -> None:
    """Run the command line. What is wrong is one line on stderr and exit code 1."""
    try:
        code = cli.main(prog_name="tabulary", standalone_mode=False)
        sys.exit(code if isinstance(code, int) else 0)
    except click.exceptions.Abort:
        click.echo("Aborted.", err=True)
        sys.exit(1)
    except click.ClickException as problem:
        problem.show()
        sys.exit(1)
    except (ConfigurationError, TabularyError, OSError) as problem:
        click.echo(f"Error: {problem}", err=True)
        sys.exit(1)
