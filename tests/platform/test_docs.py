"""The documentation is true where a program can tell: settings with their defaults, commands, links."""

from __future__ import annotations

import ast
import math
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest

from tabulary.cli.main import cli
from tabulary.core.settings_defaults import DEFAULTS, GROUP_PREFIXES

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
SOURCES = ROOT / "src/tabulary"
NAME = re.compile(r"[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)*")
READERS = {"get", "duration", "size", "is_given"}


@pytest.fixture(scope="module")
def configuration() -> str:
    return (DOCS / "configuration.md").read_text()


def rows(text: str) -> Iterator[tuple[list[str], list[str]]]:
    """Names and defaults of the tables of settings."""
    for line in text.splitlines():
        names, defaults = (re.findall(r"`([^`]*)`", cell) for cell in f"{line}|||".split("|")[1:3])
        if line.startswith("| `") and names and all(name in DEFAULTS for name in names):
            yield names, defaults


def shown(value: Any) -> str:
    if value is None or value == math.inf:
        return "none"
    if isinstance(value, bool):
        return str(value).lower()
    return ",".join(map(str, value)) if isinstance(value, list) else str(value).replace("\n", "\\n")


def read_names() -> dict[str, str]:
    """The settings that the code reads by a literal name, each with a file that does."""
    found: dict[str, str] = {}
    for path in SOURCES.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            place: ast.expr | None = None
            if isinstance(node, ast.Subscript) and _is_settings(node.value):
                place = node.slice
            elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.args:
                place = node.args[0] if node.func.attr in READERS and _is_settings(node.func.value) else None
            if isinstance(place, ast.Constant) and isinstance(place.value, str):
                found[place.value] = path.name
    return found


def _is_settings(node: ast.expr) -> bool:
    name = node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""
    return name.lstrip("_") == "settings"


def without_effect(text: str) -> set[str]:
    part = text.partition("### Accepted without effect")[2].partition("\n## ")[0]
    return set(re.findall(r"`([A-Z][A-Z_]+)`", part))


def test_every_setting_has_a_row_with_its_default(configuration: str) -> None:
    described: dict[str, str] = {}
    for names, defaults in rows(configuration):
        assert len(names) == len(defaults), names
        for name, default in zip(names, defaults, strict=True):
            assert name not in described, f"{name} has two rows"
            described[name] = default
    assert described == {name: shown(DEFAULTS[name]) for name in DEFAULTS if name not in without_effect(configuration)}


def test_every_setting_that_the_code_reads_is_described(configuration: str) -> None:
    read = read_names()
    assert len(read) > 100
    unknown = {name: file for name, file in read.items() if NAME.fullmatch(name) and f"`{name}`" not in configuration}
    assert unknown == {}


def test_what_has_no_effect_is_not_read(configuration: str) -> None:
    idle = without_effect(configuration)
    assert idle and idle <= set(DEFAULTS)
    used = {
        node.value: path.name
        for path in SOURCES.rglob("*.py")
        if path.name != "settings_defaults.py"
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value in idle
    }
    assert used == {}


def test_no_page_sets_what_is_not_there() -> None:
    """``NAME=value`` in a page is a setting."""
    groups = (*GROUP_PREFIXES, "TABULARY_")
    for page in DOCS.glob("*.md"):
        for name in re.findall(r"`([A-Z][A-Z0-9]*_[A-Z0-9_]*[A-Z0-9])=[^`]*`", page.read_text()):
            assert name in DEFAULTS or name.startswith(groups), f"{page.name}: {name}"


def commands(group: click.Group, path: str) -> Iterator[tuple[str, click.Command]]:
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        if isinstance(command, click.Group):
            yield from commands(command, f"{path} {name}")
        else:
            yield f"{path} {name}", command


def test_every_command_and_option_is_described() -> None:
    text = (DOCS / "cli.md").read_text()
    found = dict(commands(cli, "tabulary"))
    assert len(found) > 20
    for path, command in found.items():
        entry = next((line for line in text.splitlines() if line.startswith(f"| `{path}")), None)
        assert entry is not None, path
        assert re.match(rf"\| `{re.escape(path)}( [A-Z. \[\]]+)?`", entry), f"{path}: {entry}"
        for parameter in command.params:
            if isinstance(parameter, click.Option) and not parameter.hidden:
                name = max(parameter.opts, key=len)
                assert name == "--help" or f"`{name}" in entry, f"{path} {name}"
    described = set(re.findall(r"^\| `(tabulary [a-z:_ -]+?)(?: [A-Z. \[\]]+)?`", text, re.MULTILINE))
    assert described == set(found)


def test_links_lead_somewhere() -> None:
    for page in [*DOCS.glob("*.md"), ROOT / "README.md"]:
        for target in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", page.read_text()):
            if "://" not in target:
                assert (page.parent / target).exists(), f"{page.name}: {target}"
