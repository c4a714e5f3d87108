"""Mail templates in Liquid (spec files-graphql-realtime-flows §6).

Files of the user's folder (``EMAIL_TEMPLATES_PATH``) win over ours of the same name. ``layout`` and ``block`` work as
custom templates of the reference use them. As there, values are not escaped by themselves: templates say ``| escape``.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tabulary.core.errors import InvalidPayload

if TYPE_CHECKING:
    from liquid import BoundTemplate, Environment

BUILT_IN = Path(__file__).parent / "templates"
_NAME = re.compile(r"[\w-]+(/[\w-]+)*")


class Templates:
    """The templates of one folder and our own.

    Args:
        folder: of the user's templates; it need not exist.
    """

    def __init__(self, folder: Path) -> None:
        self._roots = (folder, BUILT_IN)

    def check(self, name: str) -> None:
        """Raise :class:`InvalidPayload` when there is no such template."""
        if not _NAME.fullmatch(name) or not any((root / f"{name}.liquid").is_file() for root in self._roots):
            raise InvalidPayload(f'There is no mail template "{name}"; put {name}.liquid into EMAIL_TEMPLATES_PATH')

    async def render(self, name: str, data: Mapping[str, Any]) -> str:
        """The HTML of a template. Raises :class:`InvalidPayload` for an unknown or broken one."""
        self.check(name)
        template = await asyncio.to_thread(self._template, name)
        rendered = await asyncio.to_thread(self._rendered, template, data)
        return "\n".join(line.strip() for line in rendered.splitlines())

    @cached_property
    def _environment(self) -> Environment:
        from tabulary.core.mail.liquid_engine import environment  # here, because it is slow to load

        return environment(self._roots)

    def _template(self, name: str) -> BoundTemplate:
        from tabulary.core.mail.liquid_engine import LiquidError

        try:
            return self._environment.get_template(name)
        except LiquidError as problem:
            raise InvalidPayload(f'Mail template "{name}" cannot be read: {problem}') from None

    def _rendered(self, template: BoundTemplate, data: Mapping[str, Any]) -> str:
        from tabulary.core.mail.liquid_engine import LiquidError, TemplateNotFoundError

        try:
            return template.render(**data)
        except TemplateNotFoundError as problem:
            raise InvalidPayload(f'Mail template "{template.name}" refers to a missing one: {problem}') from None
        except LiquidError as problem:
            raise InvalidPayload(f'Mail template "{template.name}" cannot be rendered: {problem}') from None
