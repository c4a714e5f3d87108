"""The OpenAPI document of what one caller may do (``/server/specs/oas``, spec schema-and-platform §4.3).

Version 3.0.1, as the reference: its generators and clients read it. Documents are made once for each data model and
permission content and remembered.
"""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Iterator
from hashlib import sha256
from typing import Any

from tabulary.access.accountability import Accountability
from tabulary.access.permissions import PermissionSet
from tabulary.core import json
from tabulary.items.platform import Platform
from tabulary.schema.overview import Collection, Schema
from tabulary.services.openapi_paths import (
    EXPORTED,
    FILE,
    collection_paths,
    data_of,
    json_content,
    parameters,
    responses,
    singleton_paths,
)
from tabulary.services.openapi_routes import ALL, FAMILIES, FIXED, LIST, PARAMETERS, PROBLEM_TEXTS, TAGS, Fixed
from tabulary.services.openapi_schemas import Node, SchemaNames, item_schema, reference, type_of

TITLE = "Dynamic API Specification"
_REMEMBERED = 200
_IN_PATH = re.compile(r"{(\w+)}")


class OpenApi:
    """Makes and remembers the documents of one Tabulary object."""

    def __init__(self, platform: Platform) -> None:
        self._platform = platform
        self._documents: OrderedDict[tuple[Any, ...], bytes] = OrderedDict()

    async def document(self, schema: Schema, accountability: Accountability, host: str) -> bytes:
        """The document of a caller as JSON text. ``host`` stands for us where ``PUBLIC_URL`` says nothing."""
        permissions = await self._platform.access.permissions(accountability, schema)
        public = str(self._platform.settings["PUBLIC_URL"])
        url = host if public == "/" else public
        who = (accountability.admin, accountability.user is not None)
        key = (schema.version, permissions.key, _shape(permissions), who, url)
        found = self._documents.get(key)
        if found is None:
            found = json.encode(build(schema, permissions, *who, url=url))
            self._documents[key] = found
            if len(self._documents) > _REMEMBERED:
                self._documents.popitem(last=False)
        return found


def build(schema: Schema, permissions: PermissionSet, is_admin: bool, is_user: bool, url: str = "/") -> Node:
    """The document of somebody with these permissions."""
    visible = [c for c in schema.collections.values() if _actions(permissions, c)]
    names = SchemaNames(visible)
    viewer = _Viewer(permissions, is_admin, is_user)
    paths = _paths(schema, visible, names, viewer)
    components = {
        "schemas": {
            **{names[c.collection]: item_schema(schema, c, permissions, names) for c in visible},
            "x-metadata": _metadata(),
            "Problem": _problem(),
        },
        "responses": {
            f"Problem{code}": {"description": text, "content": json_content(reference("Problem"))}
            for code, text in PROBLEM_TEXTS.items()
        },
        "parameters": PARAMETERS,
        "securitySchemes": {
            "KeyAuth": {"type": "apiKey", "in": "query", "name": "access_token"},
            "Auth": {"type": "apiKey", "in": "header", "name": "Authorization"},
        },
    }
    body = {"tags": list(_tags(visible, names, viewer)), "paths": paths, "components": components}
    version = sha256(json.encode(body)).hexdigest()[:12]
    return {
        "openapi": "3.0.1",
        "info": {"title": TITLE, "description": "What this project offers you.", "version": version},
        "servers": [{"url": url, "description": "This server."}],
        "security": [{"Auth": []}, {"KeyAuth": []}, {}],
        **body,
    }


class _Viewer:
    """Who reads the document."""

    def __init__(self, permissions: PermissionSet, is_admin: bool, is_user: bool) -> None:
        self.permissions = permissions
        self._has = {None: True, "user": is_user, "admin": is_admin}

    def sees(self, access: str | None) -> bool:
        return self._has[access] if access in self._has else self.permissions.allows(str(access), "read")


def _actions(permissions: PermissionSet, collection: Collection) -> list[str]:
    return [action for action in ALL if permissions.allows(collection.collection, action)]


def _shape(permissions: PermissionSet) -> tuple[Any, ...]:
    """What of the permissions decides about operations; their key speaks of rows and fields."""
    return tuple(sorted(permissions.rows))


def _paths(schema: Schema, visible: list[Collection], names: SchemaNames, viewer: _Viewer) -> Node:
    paths: Node = {}
    for fixed in FIXED:
        if viewer.sees(fixed.access):
            paths.setdefault(fixed.path, {})[fixed.method] = _operation(fixed)
    for family in FAMILIES:
        if family.collection not in names:
            continue
        collection = schema.collections[family.collection]
        allowed = set(_actions(viewer.permissions, collection)) & set(family.actions)

        def named(verb: str, is_single: bool, one: str = family.one, many: str = family.many) -> str:
            start = "get" if verb == "read" else verb
            return start + (one if is_single or verb == "create" else many)

        name = names[family.collection]
        found = collection_paths(
            family.path, reference(name), type_of(collection.primary_field), [name], named, allowed
        )
        for path, node in found.items():
            paths[path] = {**paths.get(path, {}), **node}
    _add_uploads(paths)
    for collection in visible:
        if not collection.is_system:
            paths |= _items(collection, names[collection.collection], viewer)
    return paths


def _add_uploads(paths: Node) -> None:
    """Files come with their content; a body in JSON makes or changes the row alone."""
    form = {"schema": {"type": "object", "properties": {"file": FILE}}}
    for path, method in (("/files", "post"), ("/files/{id}", "patch")):
        if (operation := paths.get(path, {}).get(method)) is not None:
            operation["requestBody"]["content"]["multipart/form-data"] = form
            operation["responses"]["413"] = reference("Problem413", "responses")


def _items(collection: Collection, name: str, viewer: _Viewer) -> Node:
    allowed = _actions(viewer.permissions, collection)
    path, tags = f"/items/{collection.collection}", ["Items", name]

    def named(verb: str, is_single: bool) -> str:
        return f"{verb}{'Single' if is_single else ''}{name}"

    if collection.singleton:
        return singleton_paths(path, reference(name), tags, named, allowed)
    return collection_paths(path, reference(name), type_of(collection.primary_field), tags, named, allowed)


def _tags(visible: list[Collection], names: SchemaNames, viewer: _Viewer) -> Iterator[Node]:
    for name, (description, access) in TAGS.items():
        if viewer.sees(access):
            yield {"name": name, "description": description}
    yield {"name": "Items", "description": "The items of the project's own collections."}
    for collection in visible:
        note = {"description": collection.note} if collection.note else {}
        yield {"name": names[collection.collection], **note, "x-collection": collection.collection}


# --- operations that are always the same --------------------------------------------------------
def _operation(fixed: Fixed) -> Node:
    node: Node = {"summary": fixed.summary, "operationId": fixed.name, "tags": [fixed.tag]}
    places = [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
        for name in _IN_PATH.findall(fixed.path)
    ]
    if places or fixed.query:
        node["parameters"] = [*places, *parameters(*fixed.query)]
    if fixed.body is not None:
        is_form = any("*" in name for name in fixed.body)
        media_type = "multipart/form-data" if is_form else "application/json"
        node["requestBody"] = {"content": {media_type: {"schema": _body(fixed.body)}}}
    node["responses"] = _answer(fixed)
    return node


def _body(members: tuple[str, ...]) -> Node:
    if members == LIST:
        return {"type": "array", "items": {"type": "object"}}
    required = [name.rstrip("*!") for name in members if name.endswith("!")]
    found: Node = {"type": "object"}
    if members:
        found["properties"] = {name.rstrip("*!"): FILE if "*" in name else {} for name in members}
    return {**found, "required": required} if required else found


def _answer(fixed: Fixed) -> Node:
    kind, also = fixed.answer, fixed.also
    if kind == "data":
        return responses(data_of({}), "204", *also)
    if kind == "export":
        return responses(data_of({}) | {kind: {"schema": {"type": "string"}} for kind in EXPORTED})
    if kind == "none":
        return responses(None, "204", *also)
    if kind == "empty":
        return responses({}, *also)
    if kind == "redirect":
        return responses(None, "302", *also)
    schema = {} if kind.endswith("json") else {"type": "string", "format": "binary"}
    return responses({kind: {"schema": schema}}, *also)


def _metadata() -> Node:
    count, place = {"type": "integer"}, {"type": "string", "nullable": True}
    cursor = {"type": "object", "properties": {"next": place, "previous": place}}
    guessed = {"type": "array", "items": {"type": "string"}}
    counts = {"total_count": count, "filter_count": count, "count_cap": count, "count_estimated": guessed}
    return {"type": "object", "properties": {**counts, "cursor": cursor}}


def _problem() -> Node:
    extensions = {"type": "object", "properties": {"code": {"type": "string"}}, "required": ["code"]}
    entry = {
        "type": "object",
        "properties": {"message": {"type": "string"}, "extensions": extensions},
        "required": ["message", "extensions"],
    }
    return {"type": "object", "properties": {"errors": {"type": "array", "items": entry}}, "required": ["errors"]}
