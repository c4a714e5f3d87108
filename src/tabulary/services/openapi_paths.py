"""The operations of a collection as OpenAPI describes them: one list, one item, and what may be done with them."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any

from tabulary.services.openapi_schemas import Node, reference

PROBLEMS = ("400", "401", "403", "404", "415", "422", "429", "500", "503")
EXPORTED = ("text/csv", "text/xml", "text/yaml")
"""What a list may come as, besides JSON, when the query asks for a file."""
FILE: Node = {"type": "string", "format": "binary"}
_LIST = ("Fields", "Limit", "Meta", "Count", "Cursor", "Offset", "Sort", "Filter", "Search")
_ONE = ("Fields", "Meta", "Version")
_SHOWN = ("Fields", "Meta")

NameOf = Callable[[str, bool], str]
"""The ``operationId`` of a verb (``read``, ``create``, ``update``, ``delete``) on one item (True) or on many."""


def responses(content: Node | None, *codes: str) -> Node:
    """The answers of an operation: 200 with ``content``, further codes, and the problems that all may have.

    A part of the content (206) is as the whole; other codes below 400 have no body.
    """
    found: Node = {}
    if content is not None:
        found["200"] = {"description": "Done.", **({"content": content} if content else {})}
    problems = {*PROBLEMS, *(code for code in codes if code >= "400")}
    for code in codes:
        if code == "206":
            found[code] = {**found["200"], "description": "A part of it."}
        elif code < "400":
            found[code] = {"description": "Done; there is nothing to show."}
    found.update({code: reference(f"Problem{code}", "responses") for code in sorted(problems)})
    return found


def json_content(schema: Node) -> Node:
    return {"application/json": {"schema": schema}}


def data_of(schema: Node, **more: Node) -> Node:
    """The envelope ``{"data": …}``."""
    return json_content({"type": "object", "properties": {"data": schema, **more}})


def parameters(*names: str) -> list[Node]:
    return [reference(name, "parameters") for name in names]


def collection_paths(
    path: str, schema: Node, key: Node, tags: list[str], name_of: NameOf, allowed: Collection[str]
) -> dict[str, Node]:
    """The paths of a list and of an item.

    Args:
        path: of the list, such as ``/items/books``.
        schema: of an item; ``key`` of its key.
        tags: of every operation.
        name_of: makes the operation ids.
        allowed: which of read, create, update and delete the caller may do.
    """
    one = {"type": "object", **schema}
    many = data_of({"type": "array", "items": one}, meta=reference("x-metadata"))
    single = data_of(one)
    either = {"oneOf": [{"type": "array", "items": schema}, schema]}
    written = data_of({"oneOf": [{"type": "array", "items": schema}, schema]})

    def operation(verb: str, is_single: bool, shown: Node | None, *codes: str, **more: Any) -> Node:
        what = "an item" if is_single else "items"
        head = {"summary": f"{verb.capitalize()} {what}", "operationId": name_of(verb, is_single), "tags": tags}
        return {**head, **more, "responses": responses(shown, *codes)}

    batch = {"requestBody": {"content": json_content(_batch(schema))}}
    keys = {"requestBody": {"content": json_content(_keys())}}
    body = {"requestBody": {"content": json_content(either)}}
    change = {"requestBody": {"content": json_content(one)}}
    lists = {
        "get": operation("read", False, many, parameters=parameters(*_LIST)),
        "post": operation("create", False, written, "204", parameters=parameters(*_SHOWN), **body),
        "patch": operation("update", False, many, "204", parameters=parameters(*_SHOWN), **batch),
        "delete": operation("delete", False, None, "204", **keys),
    }
    items = {
        "get": operation("read", True, single, parameters=parameters(*_ONE)),
        "patch": operation("update", True, single, "204", parameters=parameters(*_SHOWN), **change),
        "delete": operation("delete", True, None, "204"),
    }
    place = {"name": "id", "in": "path", "required": True, "description": "The key of the item.", "schema": key}
    found = {path: _allowed(lists, allowed), f"{path}/{{id}}": _allowed(items, allowed)}
    found = {name: node for name, node in found.items() if node}
    for node in found.values():
        if node is found.get(f"{path}/{{id}}"):
            node["parameters"] = [place]
    return found


def singleton_paths(
    path: str, schema: Node, tags: list[str], name_of: NameOf, allowed: Collection[str]
) -> dict[str, Node]:
    """The path of a singleton: read and updated without a key."""
    one = {"type": "object", **schema}
    update = {"requestBody": {"content": json_content(one)}, "parameters": parameters(*_SHOWN)}
    operations: Node = {
        "get": {"parameters": parameters(*_ONE), "responses": responses(data_of(one))},
        "patch": {**update, "responses": responses(data_of(one), "204")},
    }
    for method, verb in (("get", "read"), ("patch", "update")):
        head = {"summary": f"{verb.capitalize()} the item", "operationId": name_of(verb, False), "tags": tags}
        operations[method] = {**head, **operations[method]}
    found = _allowed(operations, allowed)
    return {path: found} if found else {}


_VERBS = {"get": "read", "post": "create", "patch": "update", "delete": "delete"}


def _allowed(operations: Node, allowed: Collection[str]) -> Node:
    return {method: node for method, node in operations.items() if _VERBS[method] in allowed}


def _keys() -> Node:
    key = {"oneOf": [{"type": "string"}, {"type": "integer"}]}
    keys = {"type": "array", "items": key}
    query = {"type": "object"}
    choice = [{"required": ["keys"]}, {"required": ["query"]}]
    return {"oneOf": [keys, {"type": "object", "properties": {"keys": keys, "query": query}, "oneOf": choice}]}


def _batch(schema: Node) -> Node:
    data = {"type": "object"}
    keys = {"type": "array", "items": {"oneOf": [{"type": "string"}, {"type": "integer"}]}}
    properties = {"keys": keys, "query": {"type": "object"}, "data": data}
    choice = [{"required": ["keys"]}, {"required": ["query"]}]
    chosen = {"type": "object", "properties": properties, "required": ["data"], "oneOf": choice}
    return {"oneOf": [{"type": "array", "items": schema}, chosen]}
