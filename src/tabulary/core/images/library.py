"""The image library libvips, which is optional: the extra ``images`` installs it."""

from __future__ import annotations

from functools import cached_property
from typing import Any


class _Library:
    """Stands for the module ``pyvips``, and loads it with its first use: most servers start without an image to see."""

    @cached_property
    def _module(self) -> Any:
        try:
            import pyvips
        except (ImportError, OSError):  # pragma: no cover - depends on the installation
            return None
        return pyvips

    @property
    def is_installed(self) -> bool:
        """False where the package or libvips itself is missing."""
        return self._module is not None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._module, name)


vips: Any = _Library()
