"""Tabulary: a headless content platform that speaks the API of Directus 11, as a server and as a library.

Names are loaded when they are first used, so that ``import tabulary.core`` or ``tabulary --version`` cost little.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from tabulary.version import __version__

if TYPE_CHECKING:
    from tabulary.access.accountability import Accountability
    from tabulary.app import Tabulary
    from tabulary.core import errors
    from tabulary.core.events import EventContext, Hooks
    from tabulary.core.settings import Settings
    from tabulary.items.options import MutationOptions
    from tabulary.items.query import Query
    from tabulary.services.items import ItemsService

__all__ = [
    "Accountability",
    "EventContext",
    "Hooks",
    "ItemsService",
    "MutationOptions",
    "Query",
    "Settings",
    "Tabulary",
    "__version__",
    "errors",
]

_PLACES = {
    "Accountability": "tabulary.access.accountability",
    "EventContext": "tabulary.core.events",
    "Hooks": "tabulary.core.events",
    "ItemsService": "tabulary.services.items",
    "MutationOptions": "tabulary.items.options",
    "Query": "tabulary.items.query",
    "Settings": "tabulary.core.settings",
    "Tabulary": "tabulary.app",
}


def __getattr__(name: str) -> Any:
    if name == "errors":
        return import_module("tabulary.core.errors")
    if name in _PLACES:
        return getattr(import_module(_PLACES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
