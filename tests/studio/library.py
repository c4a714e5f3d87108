"""A small library as people would keep it: what the pictures of the Studio show."""

from __future__ import annotations

from typing import Any

import httpx2

STATES = [
    {"text": "Published", "value": "published", "color": "#1b9e5a"},
    {"text": "In review", "value": "review", "color": "#2b57c8"},
    {"text": "Draft", "value": "draft", "color": "#a2b5cd"},
]
BOOKS = [
    ("Pride and Prejudice", "Jane Austen", "1813-01-28", ["novel", "society"], "published"),
    ("Emma", "Jane Austen", "1815-12-23", ["novel"], "published"),
    ("Frankenstein", "Mary Shelley", "1818-01-01", ["novel", "science"], "published"),
    ("The Last Man", "Mary Shelley", "1826-01-23", ["novel", "future"], "review"),
    ("Jane Eyre", "Charlotte Brontë", "1847-10-19", ["novel"], "published"),
    ("Villette", "Charlotte Brontë", "1853-01-28", ["novel"], "draft"),
    ("Wuthering Heights", "Emily Brontë", "1847-11-24", ["novel", "moors"], "published"),
    ("Middlemarch", "George Eliot", "1871-12-01", ["novel", "society"], "published"),
    ("Silas Marner", "George Eliot", "1861-04-02", ["novel"], "review"),
    ("The Time Machine", "H. G. Wells", "1895-05-07", ["future", "science"], "published"),
    ("The Invisible Man", "H. G. Wells", "1897-06-01", ["science"], "published"),
    ("Moby-Dick", "Herman Melville", "1851-10-18", ["novel", "sea"], "published"),
    ("Bartleby, the Scrivener", "Herman Melville", "1853-11-01", ["story"], "draft"),
    ("Little Women", "Louisa May Alcott", "1868-09-30", ["novel", "family"], "published"),
    ("Leaves of Grass", "Walt Whitman", "1855-07-04", ["poetry"], "published"),
    ("Walden", "Henry David Thoreau", "1854-08-09", ["essay", "nature"], "review"),
]


def fill_catalogue(http: httpx2.Client) -> None:
    """The collections ``writers`` and ``catalogue`` with their items, through the API."""

    def post(path: str, body: Any) -> Any:
        return http.post(path, json=body).raise_for_status().json()["data"]

    generated = {"is_primary_key": True, "has_auto_increment": True}
    key = {"field": "id", "type": "integer", "schema": generated, "meta": {"hidden": True, "readonly": True}}

    def field(name: str, kind: str, interface: str, **meta: Any) -> dict[str, Any]:
        return {"field": name, "type": kind, "schema": {}, "meta": {"interface": interface, "width": "half", **meta}}

    state = {"options": {"choices": STATES}, "display": "labels", "display_options": {"choices": STATES}}
    fields = [
        field("title", "string", "input", required=True),
        field("writer", "integer", "select-dropdown-m2o", special=["m2o"], display="related-values"),
        field("status", "string", "select-dropdown", **state),
        field("published", "date", "datetime"),
        field("topics", "csv", "tags", special=["cast-csv"], display="labels"),
        field("summary", "text", "input-rich-text-md", width="full"),
    ]
    icon = {"icon": "person", "display_template": "{{name}}"}
    post(
        "/collections",
        {"collection": "writers", "schema": {}, "meta": icon, "fields": [key, field("name", "string", "input")]},
    )
    meta = {"icon": "menu_book", "display_template": "{{title}}", "note": "Every book of the house"}
    post("/collections", {"collection": "catalogue", "schema": {}, "meta": meta, "fields": [key, *fields]})
    one = {"one_field": "books"}
    post("/relations", {"collection": "catalogue", "field": "writer", "related_collection": "writers", "meta": one})
    post("/fields/writers", field("books", "alias", "list-o2m", special=["o2m"], width="full"))
    names = {writer: None for _, writer, *_ in BOOKS}
    ids = {row["name"]: row["id"] for row in post("/items/writers", [{"name": name} for name in names])}
    rows = [
        {"title": title, "writer": ids[writer], "published": day, "topics": topics, "status": status}
        for title, writer, day, topics, status in BOOKS
    ]
    post("/items/catalogue", rows)
