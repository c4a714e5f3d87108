"""What a state consists of beside the data model, and how two states are compared. Pure.

A part is a system collection whose rows are configuration, not content. Rows are recognised by what they mean (a policy
by its key or its name, a permission by policy, collection and action), because numbers and generated keys differ
between installations; references in them are translated accordingly.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from tabulary.core import json
from tabulary.core.errors import InvalidPayload
from tabulary.schema.overview import Schema

Row = dict[str, Any]
Verb = Literal["create", "update", "delete"]
Mapped = Mapping[tuple[str, Any], Any]
"""Keys of the state by part and key → the keys that the same rows have here."""

_SECRET_SPECIALS = frozenset({"conceal", "hash", "encrypt"})
_ELSEWHERE = frozenset({"directus_users", "directus_files", "directus_folders"})
"""Rows that a state does not carry; references to them stay what they are here."""


@dataclass(frozen=True, slots=True)
class Part:
    """One kind of rows.

    Attributes:
        name: under which a state has them.
        collection: where they are stored.
        identity: columns that tell which row is meant, with the key of the row where it travels.
        keyed: True when the key itself travels and rows may refer to it.
        references: columns that hold keys of another part.
        omitted: columns that belong to the installation, or are secret.
        chosen: the filter for rows that are configuration.
        single: True for the one row of the settings, which is only ever updated.
    """

    name: str
    collection: str
    identity: tuple[str, ...]
    keyed: bool = False
    references: Mapping[str, str] = field(default_factory=dict)
    omitted: frozenset[str] = frozenset()
    chosen: Mapping[str, Any] = field(default_factory=dict)
    single: bool = False

    def columns(self, schema: Schema) -> list[str]:
        """The columns that travel, custom ones included."""
        collection = schema.collections[self.collection]

        def travels(name: str) -> bool:
            relation = schema.relation(self.collection, name)
            leads_away = relation is not None and relation[1].related_collection in _ELSEWHERE
            secret = _SECRET_SPECIALS.intersection(collection.fields[name].special)
            return not (collection.fields[name].alias or leads_away or secret or name in self.omitted)

        names = [name for name in collection.fields if travels(name)]
        return names if self.keyed else [name for name in names if name != collection.primary]


_NOBODYS: Final = {"user": {"_null": True}}
PARTS: Final = (
    Part("roles", "directus_roles", ("name",), keyed=True, references={"parent": "roles"}),
    Part("policies", "directus_policies", ("name",), keyed=True),
    Part(
        "permissions", "directus_permissions", ("policy", "collection", "action"), references={"policy": "policies"}
    ),
    Part(
        "access",
        "directus_access",
        ("role", "policy"),
        references={"role": "roles", "policy": "policies"},
        chosen=_NOBODYS,
    ),
    Part(
        "settings",
        "directus_settings",
        (),
        references={"public_registration_role": "roles"},
        omitted=frozenset(
            {
                "project_id", "project_owner", "project_usage", "org_name", "product_updates", "project_status",
                "ai_openai_api_key", "ai_anthropic_api_key", "ai_google_api_key", "ai_openai_compatible_api_key",
                "ai_openai_compatible_headers",
            }
        ),
        single=True,
    ),
    Part(
        "presets", "directus_presets", ("role", "collection", "bookmark"), references={"role": "roles"}, chosen=_NOBODYS
    ),
    Part("translations", "directus_translations", ("language", "key")),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class StateChange:
    """One row to write: ``key`` is the row's own (None for a new one), ``data`` what to write, ``before`` what was."""

    part: Part
    verb: Verb
    label: str
    key: Any = None
    data: Row = field(default_factory=dict)
    before: Row = field(default_factory=dict)


def check_parts(given: Mapping[str, Any]) -> None:
    """Raise :class:`InvalidPayload` unless the parts of a state are lists of objects (an object for settings)."""
    for part in PARTS:
        rows = given.get(part.name, {} if part.single else [])
        wanted, kind = (dict, "object") if part.single else (list, "list")
        if not isinstance(rows, wanted) or not all(isinstance(row, dict) for row in ([] if part.single else rows)):
            raise InvalidPayload(f'"{part.name}" has to be {"an object" if part.single else f"a {kind} of objects"}')
        for row in [] if part.single else rows:
            missing = [name for name in (*part.identity, *(["id"] if part.keyed else [])) if name not in row]
            if missing:
                raise InvalidPayload(f'"{part.name}": each entry needs "{missing[0]}"')


def compared(
    part: Part, wanted: Sequence[Row], current: Sequence[Row], mapped: dict[tuple[str, Any], Any]
) -> list[StateChange]:
    """What makes ``current`` (with ``id``) into ``wanted``. Keys that differ are added to ``mapped``."""
    pairs, gone = _paired(part, wanted, current, mapped)
    changes: list[StateChange] = []
    for row, match in pairs:
        data = _translated(part, row, mapped)
        if match is None:
            changes.append(StateChange(part, "create", _label(part, data), data=data))
            continue
        differing = {name: value for name, value in data.items() if name != "id" and match.get(name) != value}
        if differing:
            before = {name: match.get(name) for name in differing}
            changes.append(StateChange(part, "update", _label(part, match), match["id"], differing, before))
    return [*changes, *(StateChange(part, "delete", _label(part, row), row["id"], before=row) for row in gone)]


def _paired(
    part: Part, wanted: Sequence[Row], current: Sequence[Row], mapped: dict[tuple[str, Any], Any]
) -> tuple[list[tuple[Row, Row | None]], list[Row]]:
    """Each wanted row with the one it means here, and those that nobody means: by key, then by identity, in order."""
    left = {str(row["id"]): row for row in current}
    by_key = {id(row): left.pop(str(row["id"])) for row in wanted if part.keyed and str(row["id"]) in left}
    waiting: dict[bytes, list[Row]] = {}
    for row in left.values():
        waiting.setdefault(_identity(part, row), []).append(row)
    pairs: list[tuple[Row, Row | None]] = []
    for row in wanted:
        match = by_key.get(id(row))
        same = waiting.get(_identity(part, _translated(part, row, mapped)))
        if match is None and same:
            match = left.pop(str(same.pop(0)["id"]))
        if part.keyed:
            mapped[part.name, row["id"]] = row["id"] if match is None else match["id"]
        pairs.append((row, match))
    return pairs, list(left.values())


def _identity(part: Part, row: Row) -> bytes:
    return json.encode([row.get(name) for name in part.identity])


def _translated(part: Part, row: Row, mapped: Mapped) -> Row:
    """The row with the keys that are in use here."""
    translated = dict(row)
    for name, target in part.references.items():
        if translated.get(name) is not None:
            translated[name] = mapped.get((target, translated[name]), translated[name])
    if part.keyed:
        translated["id"] = mapped.get((part.name, row["id"]), row["id"])
    return translated


def _label(part: Part, row: Row) -> str:
    return " ".join("-" if row.get(name) is None else str(row[name]) for name in part.identity) or part.name


def in_order(changes: Iterable[StateChange]) -> list[StateChange]:
    """The order of writing: what others refer to first, parents before children; deletions last, in reverse."""
    places = {part.name: place for place, part in enumerate(PARTS)}
    written = [change for change in changes if change.verb != "delete"]
    gone = [change for change in changes if change.verb == "delete"]
    fresh = {change.data["id"]: change for change in written if change.verb == "create" and "id" in change.data}

    def depth(change: StateChange) -> int:
        """How many new rows have to be there before this one."""
        count, parent = 0, change.data.get("parent")
        while parent in fresh and count < len(fresh):
            count, parent = count + 1, fresh[parent].data.get("parent")
        return count

    written.sort(key=lambda change: (places[change.part.name], depth(change)))
    return [*written, *sorted(gone, key=lambda change: -places[change.part.name])]
