"""A small library as an overview: authors, books, genres, blocks of pages. For tests that need no database."""

from __future__ import annotations

from typing import Any

from tabulary.schema.overview import Collection, Field, Relation, Schema

INTEGER = "integer"


def collection(name: str, primary: str, fields: dict[str, str], **options: Any) -> Collection:
    made = {}
    for field, kind in fields.items():
        secret = kind == "secret"
        special = ("o2m",) if kind == "alias" else ("hash", "conceal") if secret else ()
        made[field] = Field(
            field,
            "hash" if secret else kind,
            special=special,
            alias=kind == "alias",
            db_type=None if kind == "alias" else "text",
        )
    return Collection(name, primary, made, **options)


def library() -> Schema:
    books = collection(
        "books",
        "id",
        {
            "id": INTEGER,
            "title": "string",
            "pages": INTEGER,
            "price": "decimal",
            "published": "date",
            "in_print": "boolean",
            "attributes": "json",
            "keywords": "csv",
            "author": "uuid",
            "reviews": "alias",
            "genres": "alias",
        },
    )
    authors = collection(
        "authors",
        "id",
        {"id": "uuid", "name": "string", "mentor": "uuid", "books": "alias", "pin": "secret"},
        sort_field="name",
    )
    reviews = collection("reviews", "id", {"id": INTEGER, "book": INTEGER, "stars": INTEGER, "body": "text"})
    genres = collection("genres", "id", {"id": INTEGER, "name": "string"})
    links = collection(
        "books_genres", "id", {"id": INTEGER, "books_id": INTEGER, "genres_id": INTEGER, "sort": INTEGER}
    )
    pages = collection("pages", "slug", {"slug": "string", "blocks": "alias"})
    blocks = collection("blocks", "id", {"id": INTEGER, "page": "string", "item": "string", "collection": "string"})
    relations = [
        Relation("books", "author", "authors", meta={"one_field": "books"}),
        Relation("authors", "mentor", "authors"),
        Relation("reviews", "book", "books", meta={"one_field": "reviews"}),
        Relation(
            "books_genres",
            "books_id",
            "books",
            meta={"one_field": "genres", "junction_field": "genres_id", "sort_field": "sort"},
        ),
        Relation("books_genres", "genres_id", "genres", meta={"junction_field": "books_id"}),
        Relation("blocks", "page", "pages", meta={"one_field": "blocks", "junction_field": "item"}),
        Relation(
            "blocks",
            "item",
            None,
            meta={"one_collection_field": "collection", "one_allowed_collections": ["genres", "books"]},
        ),
    ]
    return Schema.of([books, authors, reviews, genres, links, pages, blocks], relations, version=1)
