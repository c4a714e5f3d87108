"""The overview is joined from facts and metadata (spec schema-and-platform §1.2, §1.7)."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from tabulary.database.catalog import ColumnFacts, ForeignKeyFacts, TableFacts
from tabulary.schema.build import build_relations, build_schema
from tabulary.schema.metadata import Metadata
from tabulary.schema.overview import Schema
from tabulary.schema.system import SystemMetadata

SYSTEM = SystemMetadata.load()


def field_row(collection: str, field: str, *special: str, **more: Any) -> dict[str, Any]:
    row = {"collection": collection, "field": field, "special": list(special) or None, "note": None}
    return {**row, "validation": None, "searchable": True, **more}


def relation_row(collection: str, field: str, one: str | None, **more: Any) -> dict[str, Any]:
    row = {"many_collection": collection, "many_field": field, "one_collection": one, "one_field": None}
    return {**row, "one_collection_field": None, "one_allowed_collections": None, **more}


def build(metadata: Metadata = Metadata(), excluded: tuple[str, ...] = ()) -> Schema:
    tables = [
        TableFacts("authors", ("id",), {}),
        TableFacts("books", ("id",), {}),
        TableFacts("log", (), {}),
        TableFacts("pairs", ("a", "b"), {}),
        TableFacts("two words", ("id",), {}),
    ]
    columns = {
        "authors": [ColumnFacts("id", "authors", "uuid", is_primary_key=True, is_nullable=False)],
        "books": [
            ColumnFacts("id", "books", "integer", "nextval('x')", is_primary_key=True, is_nullable=False),
            ColumnFacts("price", "books", "numeric"),
            ColumnFacts("tags", "books", "text"),
            ColumnFacts("author", "books", "uuid"),
        ],
    }
    keys = [ForeignKeyFacts("books", "author", "authors", "id", "NO ACTION", "SET NULL", "books_author_foreign")]
    return build_schema(tables, columns, keys, metadata, SYSTEM, excluded, 7)


def test_tables_that_cannot_be_served_are_left_out_with_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        schema = build(excluded=("authors",))
    assert list(schema.collections) == ["books"]
    assert schema.version == 7
    told = [record.getMessage().split(" has ")[0] for record in caplog.records]
    assert told == ["collection log", "collection pairs", "collection two words"]


def test_columns_alone_make_a_collection() -> None:
    books = build().collections["books"]
    assert books.primary == "id"
    assert books.accountability == "all" and not books.singleton
    assert books.fields["id"].default_value == "AUTO_INCREMENT"
    assert books.fields["price"].type == "decimal"


def test_metadata_adds_aliases_and_types_in_order() -> None:
    rows = (
        field_row("books", "tags", "cast-csv", searchable=False),
        field_row("books", "reviews", "o2m"),
        field_row("books", "divider", "alias", "no-data"),
        field_row("books", "ghost"),
        field_row("books", "price", validation='{"price": {"_gt": 0}}'),
    )
    meta = {"collection": "books", "singleton": True, "note": "n", "sort_field": "price", "accountability": None}
    books = build(Metadata((meta,), rows)).collections["books"]
    assert list(books.fields) == ["id", "price", "tags", "author", "reviews"]
    assert books.fields["tags"].type == "csv" and not books.fields["tags"].searchable
    assert books.fields["reviews"].alias and books.fields["reviews"].type == "alias"
    assert books.fields["price"].validation == {"price": {"_gt": 0}}
    assert (books.singleton, books.sort_field, books.accountability) == (True, "price", None)


def test_relations_join_keys_with_rows() -> None:
    rows = (
        relation_row("books", "author", "authors", one_field="books"),
        relation_row("blocks", "item", None, one_collection_field="collection", one_allowed_collections=["books"]),
    )
    schema = build(Metadata(relations=rows))
    first, second = schema.relations[0], schema.relations[1]
    assert first.schema is not None and first.schema["on_delete"] == "SET NULL"
    assert first.one_field == "books"
    assert second.schema is None and second.is_any
    assert schema.relation("books", "author") == ("m2o", first)
    assert schema.relation("authors", "books") == ("o2m", first)


def test_a_bare_key_is_a_relation_without_metadata() -> None:
    relation = build().relations[0]
    assert relation.meta is None and relation.related_collection == "authors"


class CountedRow(dict[str, Any]):
    """A metadata row that counts how often it is looked into."""

    looks = 0

    def __getitem__(self, name: str) -> Any:
        CountedRow.looks += 1
        return super().__getitem__(name)


def test_relations_take_as_long_as_there_are_relations_and_no_longer() -> None:
    """Comparing each foreign key with each row took most of the start of a thousand collections."""

    def looks(count: int) -> int:
        names = [f"table_{n:04}" for n in range(count)]
        keys = [ForeignKeyFacts(name, "next", name, "id", "NO ACTION", "SET NULL", f"{name}_fk") for name in names]
        rows = tuple(CountedRow(relation_row(name, "next", name)) for name in reversed(names))
        CountedRow.looks = 0
        relations = build_relations(keys, Metadata(relations=rows), SYSTEM)
        assert sum(relation.meta is not None and relation.schema is not None for relation in relations) == count
        return CountedRow.looks

    assert looks(200) <= 2 * looks(100)


def test_relations_are_in_the_order_of_foreign_keys_and_then_of_the_rows_without_one() -> None:
    keys = [
        ForeignKeyFacts("books", "author", "authors", "id", "NO ACTION", "SET NULL", "one"),
        ForeignKeyFacts("books", "author", "writers", "id", "NO ACTION", "SET NULL", "two"),
        ForeignKeyFacts("books", "editor", "authors", "id", "NO ACTION", "SET NULL", "three"),
    ]
    rows = (
        relation_row("books", "cover", "files"),
        relation_row("books", "author", "writers", one_field="first"),
        relation_row("books", "author", None, one_field="second"),
    )
    own = [r for r in build_relations(keys, Metadata(relations=rows), SYSTEM) if r.collection == "books"]
    assert [(r.field, r.related_collection, r.one_field) for r in own] == [
        ("author", "authors", "second"),
        ("author", "writers", "first"),
        ("editor", "authors", None),
        ("cover", "files", None),
    ]
