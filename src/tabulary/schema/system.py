"""What the platform knows about its own collections: metadata that is code, not rows (spec schema-and-platform §1.8).

The packaged ``system_metadata.json`` holds only what differs from the defaults below. Types and schemas of system
fields are not in it: they come from the catalog like everybody's, which is why they differ between databases.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

import msgspec

Meta = Mapping[str, Any]

_AUTH_PROVIDERS = "@auth_providers"


@dataclass(frozen=True)
class SystemMetadata:
    """Metadata objects of the system, complete as they go over the wire (``system: true``, no ``id``)."""

    collections: Mapping[str, Meta]
    fields: Mapping[str, Mapping[str, Meta]]
    relations: tuple[Meta, ...]

    @classmethod
    def load(cls, auth_providers: Iterable[str] = ()) -> SystemMetadata:
        """Read the packaged data. ``auth_providers`` become the choices of ``directus_users.provider``."""
        raw = msgspec.json.decode((files("tabulary.schema") / "system_metadata.json").read_bytes())
        collections = {name: _collection(name, meta) for name, meta in raw["collections"].items()}
        fields = {
            collection: {name: _field(collection, name, meta) for name, meta in metas.items()}
            for collection, metas in raw["fields"].items()
        }
        provider = fields["directus_users"]["provider"]
        if provider["options"]["choices"] == _AUTH_PROVIDERS:
            provider["options"]["choices"] = [{"text": name, "value": name} for name in auth_providers]
        return cls(collections, fields, tuple(_relation(meta) for meta in raw["relations"]))

    def is_field(self, collection: str, name: str) -> bool:
        """True for a field that belongs to the platform itself, which nobody may alter or delete."""
        return name in self.fields.get(collection, ())


def _collection(name: str, given: Meta) -> dict[str, Any]:
    order = ("sort_field", "archive_field", "archive_value", "unarchive_value")
    return {
        "collection": name,
        "hidden": given.get("hidden", False),
        "singleton": given.get("singleton", False),
        "icon": given.get("icon"),
        "note": f"$t:directus_collection.{name}",
        "translations": given.get("translations"),
        "display_template": given.get("display_template"),
        "accountability": given.get("accountability", "all"),
        **{key: given[key] for key in order if key in given},
        "system": True,
    }


def _field(collection: str, name: str, given: Meta) -> dict[str, Any]:
    defaults: dict[str, Any] = {
        "system": True,
        "collection": collection,
        "field": name,
        "special": None,
        "interface": None,
        "options": None,
        "display": None,
        "display_options": None,
        "readonly": False,
        "hidden": False,
        "sort": None,
        "width": "full",
        "group": None,
        "translations": None,
        "note": None,
        "conditions": None,
        "required": False,
        "searchable": True,
    }
    return {**defaults, **given}


def _relation(given: Meta) -> dict[str, Any]:
    defaults: dict[str, Any] = {
        "many_collection": None,
        "many_field": None,
        "one_collection": None,
        "one_field": None,
        "one_allowed_collections": None,
        "one_collection_field": None,
        "one_deselect_action": "nullify",
        "junction_field": None,
        "sort_field": None,
        "system": True,
    }
    return {**defaults, **given}
