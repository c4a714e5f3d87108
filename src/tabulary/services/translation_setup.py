"""Making a collection translatable: the collection of its translations, its languages, and the relations between them
(``POST /utils/translations/generate``, spec schema-and-platform §4.4).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tabulary.access.accountability import Accountability
from tabulary.core.errors import Forbidden, InvalidPayload
from tabulary.items.platform import Platform
from tabulary.schema.model import DataModel
from tabulary.schema.overview import Schema
from tabulary.services.collections import create_collection
from tabulary.services.fields import create_field
from tabulary.services.relations import create_relation
from tabulary.services.schema_change import SchemaChange, require_admin, run_change

LANGUAGES = (
    ("en-US", "English", "ltr"),
    ("ar-SA", "Arabic", "rtl"),
    ("de-DE", "German", "ltr"),
    ("es-ES", "Spanish", "ltr"),
    ("fr-FR", "French", "ltr"),
    ("it-IT", "Italian", "ltr"),
    ("pt-BR", "Portuguese", "ltr"),
    ("ru-RU", "Russian", "ltr"),
)
FIELD = "translations"


@dataclass(frozen=True, slots=True)
class Wish:
    """A checked body."""

    collection: str
    fields: tuple[str, ...]
    translations: str
    languages: str
    parent_key: str
    language_key: str
    make_languages: bool
    seed_languages: bool

    @classmethod
    def of(cls, body: Any) -> Wish:
        """Raises :class:`InvalidPayload` for the first thing wrong with the body."""
        if not isinstance(body, Mapping):
            raise InvalidPayload('"value" must be of type object')
        collection, fields = body.get("collection"), body.get("fields")
        if not isinstance(collection, str) or not collection:
            raise InvalidPayload('"collection" is required')
        if not isinstance(fields, list) or not fields or not all(isinstance(f, str) and f for f in fields):
            raise InvalidPayload('"fields" has to be a list of at least one field name')
        names: list[str] = []
        defaults = {
            "translationsCollection": f"{collection}_translations",
            "languagesCollection": "languages",
            "parentFkField": f"{collection}_id",
            "languageFkField": "languages_code",
        }
        for name, default in defaults.items():
            given = body.get(name) or default
            if not isinstance(given, str):
                raise InvalidPayload(f'"{name}" must be a string')
            names.append(given)
        make, seed = body.get("createLanguagesCollection", True), body.get("seedLanguages", True)
        if not isinstance(make, bool) or not isinstance(seed, bool):
            raise InvalidPayload('"createLanguagesCollection" and "seedLanguages" must be true or false')
        return cls(collection, tuple(dict.fromkeys(fields)), names[0], names[1], names[2], names[3], make, seed)


async def generate_translations(
    platform: Platform, schema: Schema, accountability: Accountability | None, body: Any
) -> dict[str, Any]:
    """Make what is missing, all or nothing; what was made, by name. A second call makes nothing.

    Raises :class:`Forbidden` for callers who are no admins and for an unknown collection, :class:`InvalidPayload` for
    a body or fields that cannot be.
    """
    require_admin(accountability)
    wish = Wish.of(body)

    async def work(change: SchemaChange) -> dict[str, Any]:
        model = await change.model()
        fields = _copies(model, wish)
        answer: dict[str, Any] = {"created": False, "translationsCollection": wish.translations, "fields": wish.fields}
        if wish.translations in model.schema.collections:
            return answer
        if wish.languages not in model.schema.collections:
            if not wish.make_languages:
                raise InvalidPayload(f'There is no collection "{wish.languages}"; allow it to be made, or name another')
            await _make_languages(change, wish)
            answer["languagesCollection"] = wish.languages
        await _make_translations(change, await change.model(), wish, fields)
        return {**answer, "created": True}

    return await run_change(platform, schema, accountability, None, work)


def _copies(model: DataModel, wish: Wish) -> list[dict[str, Any]]:
    """The fields to translate as they will be on the other side."""
    found = model.schema.collections.get(wish.collection)
    if found is None or found.is_system:
        raise Forbidden
    fields = []
    for name in wish.fields:
        field = found.fields.get(name)
        if field is None or field.alias or name == found.primary:
            raise InvalidPayload(f'"{name}" is not a field of "{wish.collection}" that can be translated')
        row = model.field_row(wish.collection, name) or {}
        meta = {k: v for k, v in row.items() if k not in ("id", "collection", "field", "group", "sort", "conditions")}
        length = getattr(model.column(wish.collection, name), "max_length", None)
        schema = {"max_length": length} if isinstance(length, int) and length > 0 else {}
        fields.append({"field": name, "type": field.type, "meta": {**meta, "required": False}, "schema": schema})
    return fields


async def _make_languages(change: SchemaChange, wish: Wish) -> None:
    def text(name: str, interface: str, **schema: Any) -> dict[str, Any]:
        return {"field": name, "type": "string", "meta": {"interface": interface}, "schema": schema}

    direction = text("direction", "select-dropdown", default_value="ltr")
    direction["meta"]["options"] = {
        "choices": [{"text": "Left to right", "value": "ltr"}, {"text": "Right to left", "value": "rtl"}]
    }
    fields = [text("code", "input", is_primary_key=True, length=255), text("name", "input"), direction]
    data = {"collection": wish.languages, "schema": {}, "meta": {"icon": "translate"}, "fields": fields}
    await create_collection(change, data)
    if wish.seed_languages:
        schema = (await change.model()).schema
        service = change.platform.service(wish.languages, schema=schema, connection=change.connection)
        rows = [{"code": code, "name": name, "direction": direction} for code, name, direction in LANGUAGES]
        await service.create_many(rows, change.options())


async def _make_translations(change: SchemaChange, model: DataModel, wish: Wish, fields: list[dict[str, Any]]) -> None:
    def key(name: str, target: str) -> dict[str, Any]:
        of = model.schema.collections[target].primary_field
        return {"field": name, "type": of.type, "meta": {"hidden": True}, "schema": {}}

    data = {
        "collection": wish.translations,
        "schema": {},
        "meta": {"hidden": True, "icon": "import_export"},
        "fields": [key(wish.parent_key, wish.collection), key(wish.language_key, wish.languages), *fields],
    }
    await create_collection(change, data)
    alias = {
        "field": FIELD,
        "type": "alias",
        "meta": {"special": ["translations"], "interface": "translations", "options": {"languageField": "name"}},
    }
    if FIELD not in model.schema.collections[wish.collection].fields:
        await create_field(change, wish.collection, alias)
    ends = (
        (wish.parent_key, wish.collection, {"one_field": FIELD, "junction_field": wish.language_key}),
        (wish.language_key, wish.languages, {"one_field": None, "junction_field": wish.parent_key}),
    )
    for field, related, meta in ends:
        relation = {"collection": wish.translations, "field": field, "related_collection": related}
        await create_relation(change, {**relation, "meta": meta, "schema": {"on_delete": "SET NULL"}})
