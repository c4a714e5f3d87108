"""The schema as every service sees it: collections, fields and relations, merged from database and metadata.

A :class:`Schema` is immutable and carries a ``version``; a change of the data model makes a new one
(spec schema-and-platform §1).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Literal

Kind = Literal["m2o", "a2o", "o2m"]

ALIAS_SPECIALS = frozenset({"alias", "o2m", "m2m", "m2a", "o2a", "files", "translations"})
AUTO_INCREMENT = "AUTO_INCREMENT"


@dataclass(frozen=True, slots=True)
class Field:
    """One field. ``type`` is the platform's (``string``, ``timestamp``, ``alias`` …), ``db_type`` the catalog's."""

    field: str
    type: str
    db_type: str | None = None
    default_value: Any = None
    nullable: bool = True
    generated: bool = False
    precision: int | None = None
    scale: int | None = None
    special: tuple[str, ...] = ()
    note: str | None = None
    validation: Mapping[str, Any] | None = None
    alias: bool = False
    searchable: bool = True

    @property
    def concealed(self) -> bool:
        """True when the value never leaves the server (``conceal``) and may only be tested for null or empty."""
        return "conceal" in self.special


@dataclass(frozen=True, slots=True)
class Collection:
    """One table with a single-column primary key. ``fields`` keeps API order: columns, then aliases."""

    collection: str
    primary: str
    fields: Mapping[str, Field]
    singleton: bool = False
    note: str | None = None
    sort_field: str | None = None
    accountability: str | None = "all"
    search_index: tuple[str, ...] = ()
    """Columns whose texts the database has an index for, by which parts of words are found."""

    @property
    def primary_field(self) -> Field:
        return self.fields[self.primary]

    @property
    def is_system(self) -> bool:
        return self.collection.startswith("directus_")


@dataclass(frozen=True, slots=True)
class Relation:
    """A relation seen from its many side: ``schema`` is the foreign key, ``meta`` the metadata row; either may lack."""

    collection: str
    field: str
    related_collection: str | None
    schema: Mapping[str, Any] | None = None
    meta: Mapping[str, Any] | None = None

    def _of_meta(self, name: str) -> Any:
        return None if self.meta is None else self.meta.get(name)

    @property
    def one_field(self) -> str | None:
        value: str | None = self._of_meta("one_field")
        return value

    @property
    def junction_field(self) -> str | None:
        value: str | None = self._of_meta("junction_field")
        return value

    @property
    def sort_field(self) -> str | None:
        value: str | None = self._of_meta("sort_field")
        return value

    @property
    def one_collection_field(self) -> str | None:
        """For M2A: the column that names the collection of the item."""
        value: str | None = self._of_meta("one_collection_field")
        return value

    @property
    def allowed_collections(self) -> tuple[str, ...]:
        """For M2A: the collections an item may come from."""
        return tuple(self._of_meta("one_allowed_collections") or ())

    @property
    def deletes_deselected(self) -> bool:
        return bool(self._of_meta("one_deselect_action") == "delete")

    @property
    def is_any(self) -> bool:
        """True for the item side of a M2A relation."""
        return self.related_collection is None and bool(self.one_collection_field and self.allowed_collections)


@dataclass(frozen=True)
class Schema:
    """The overview: all collections that the API serves, and their relations."""

    collections: Mapping[str, Collection]
    relations: tuple[Relation, ...]
    version: int = 0
    _many: Mapping[tuple[str, str], Relation] = field(init=False, repr=False, compare=False)
    _one: Mapping[tuple[str, str], Relation] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        many: dict[tuple[str, str], Relation] = {}
        one: dict[tuple[str, str], Relation] = {}
        for relation in self.relations:
            many.setdefault((relation.collection, relation.field), relation)
            if relation.related_collection and relation.one_field:
                one.setdefault((relation.related_collection, relation.one_field), relation)
        object.__setattr__(self, "_many", MappingProxyType(many))
        object.__setattr__(self, "_one", MappingProxyType(one))

    @classmethod
    def of(cls, collections: Iterable[Collection], relations: Iterable[Relation] = (), version: int = 0) -> Schema:
        return cls(MappingProxyType({c.collection: c for c in collections}), tuple(relations), version)

    def relation(self, collection: str, name: str) -> tuple[Kind, Relation] | None:
        """The relation behind ``collection.name`` with the side it is seen from, or None for a plain field."""
        many = self._many.get((collection, name))
        if many is not None:
            if many.is_any:
                return "a2o", many
            if many.related_collection in self.collections:
                return "m2o", many
            return None
        one = self._one.get((collection, name))
        if one is not None and one.collection in self.collections:
            return "o2m", one
        return None
