"""Permissions that no table stores: what app access and a share token bring along (spec users §4.6)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from importlib.resources import files
from typing import Any

from tabulary.access.permissions import Permission


@dataclass(frozen=True)
class ImplicitPermissions:
    """Rows for callers with app access (``app``) and for share tokens (``share``), as they look on the wire."""

    app_rows: tuple[Mapping[str, Any], ...]
    share_rows: tuple[Mapping[str, Any], ...]

    @classmethod
    def load(cls) -> ImplicitPermissions:
        """Read the packaged data file."""
        data = json.loads(files("tabulary.access").joinpath("implicit_permissions.json").read_text("utf-8"))
        defaults = data["defaults"]
        app, share = ([{**defaults, **row} for row in data[kind]] for kind in ("app", "share"))
        return cls(tuple(app), tuple(share))

    @cached_property
    def app(self) -> tuple[Permission, ...]:
        return tuple(map(_permission, self.app_rows))

    @cached_property
    def share(self) -> tuple[Permission, ...]:
        return tuple(map(_permission, self.share_rows))


def _permission(row: Mapping[str, Any]) -> Permission:
    names = ("collection", "action", "permissions", "validation", "presets", "system")
    return Permission(**{name: row[name] for name in names}, fields=tuple(row["fields"]))
