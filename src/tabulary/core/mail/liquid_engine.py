"""The Liquid engine of mail templates, a module of its own because it is slow to load and few processes send mail."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from liquid import Environment, FileSystemLoader
from liquid.exceptions import LiquidError as LiquidError
from liquid.exceptions import TemplateNotFoundError as TemplateNotFoundError
from liquid.extra import BlockTag, ExtendsTag


class LayoutTag(ExtendsTag):
    """``{% layout "base" %}``: what this Liquid library calls ``extends``."""

    name = "layout"


def environment(roots: Sequence[Path]) -> Environment:
    """An engine that finds ``<name>.liquid`` in the first of the folders that has it."""
    made = Environment(loader=FileSystemLoader(list(roots), ext=".liquid"))
    for tag in (LayoutTag, ExtendsTag, BlockTag):
        made.add_tag(tag)
    return made
