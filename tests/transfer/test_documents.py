"""Files written part by part are the files written at once, and everything comes back that went in."""

from __future__ import annotations

import csv
import io
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tabulary.core import json
from tabulary.core.errors import InvalidPayload
from tabulary.services.export_formats import FORMATS, document, exported
from tabulary.services.import_formats import MAX_ITEM, items

unhurried = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
texts = st.text(alphabet=st.characters(exclude_categories=["Cs"], exclude_characters="\x00"))
values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts.filter(bool), inner, max_size=3),
    max_leaves=8,
)
names = st.text(alphabet="abcxyz_", min_size=1)
rows = st.lists(st.dictionaries(names, values, max_size=3), max_size=6)


def read(kind: str, content: bytes | str, *text_fields: str) -> list[Any]:
    raw = content.encode() if isinstance(content, str) else content
    return list(items(kind, io.BytesIO(raw), text_fields))


def written(kind: str, parts: list[list[Any]], columns: Any = None) -> bytes:
    with document(kind, columns) as file:
        return b"".join([*(file.add(json.encode(part)) for part in parts), *file.finish()])


@pytest.mark.parametrize("kind", FORMATS)
@unhurried
@given(data=rows, cut=st.integers(0, 6))
def test_parts_make_the_same_file(kind: str, data: list[Any], cut: int) -> None:
    assert written(kind, [data[:cut], data[cut:]]) == exported(data, kind)


@pytest.mark.parametrize("kind", ["json", "yaml"])
@unhurried
@given(data=rows)
def test_json_and_yaml_come_back(kind: str, data: list[Any]) -> None:
    assert read(kind, exported(data, kind)) == data


@unhurried
@given(st.lists(texts.filter(lambda text: text and "\r" not in text), min_size=1))
def test_texts_come_back_from_csv(cells: list[str]) -> None:
    content = written("csv", [[{"x": cell, "n": 1} for cell in cells]], [("x",), ("n",)])
    assert [row[0] for row in csv.reader(io.StringIO(content.decode(), newline=""))][1:] == cells


def test_csv_with_chosen_columns() -> None:
    data = [{"id": 1, "author": {"name": "Jane"}, "tags": ["a"]}, {"id": 2, "author": None, "tags": None}]
    content = written("csv_utf8", [data], [("id",), ("author", "name"), ("tags",)])
    assert content.decode() == '\ufeff"id","author.name","tags"\n1,"Jane","[""a""]"\n2,,'
    assert written("csv", [[], []], [("id",)]) == b""


def test_items_without_values_are_left_out_of_csv() -> None:
    assert exported([{"a": None}, {"a": ""}, {"a": 1}], "csv") == b'"a"\n""\n1'


def test_yaml_is_readable_and_quotes_what_is_ambiguous() -> None:
    data = [{"id": 1, "when": "2020-01-01", "word": "yes", "plain": "a b", "list": [{"x": []}], "o": {}}]
    content = exported(data, "yaml").decode()
    assert content == ("- id: 1\n  when: '2020-01-01'\n  word: 'yes'\n  plain: a b\n  list:\n    - x: []\n  o: {}\n")
    assert yaml.safe_load(content) == data


# --- reading ------------------------------------------------------------------------------------
def test_csv_cells() -> None:
    content = '\ufeff name , author.name,n,t,name\r\na,Jane,7,true,b\r\n\r\n ,null,"[1, {""x"": null}]",,\r\nshort'
    assert read("csv", content, "t") == [
        {"name": "a", "author": {"name": "Jane"}, "n": "7", "t": "true"},
        {},
        {"name": " ", "author": {"name": None}, "n": [1, {"x": None}]},
        {"name": "short"},
    ]
    assert read("csv", "ok\ntrue\nFALSE\n-1e5\n{broken") == [
        {"ok": True},
        {"ok": "FALSE"},
        {"ok": "-1e5"},
        {"ok": "{broken"},
    ]
    assert read("csv", "") == read("csv", "a,b\n") == []


def test_csv_with_a_long_cell() -> None:
    assert read("csv", f"a\n{'x' * 300_000}") == [{"a": "x" * 300_000}]


def test_xml_items() -> None:
    content = exported([{"id": 1, "tags": ["a", "b"], "author": {"name": "<J>"}, "none": None, "ok": True}], "xml")
    assert read("xml", content) == [
        {"id": "1", "tags": ["a", "b"], "author": {"name": "<J>"}, "none": None, "ok": True}
    ]


@pytest.mark.parametrize(
    ("kind", "content"),
    [
        ("json", ""),
        ("json", '"a"'),
        ("json", '{"a": 1}'),
        ("json", "{nope"),
        ("json", "["),
        ("json", "[1]"),
        ("json", "[null]"),
        ("json", '[{"a": 1},]'),
        ("json", '[{"a": 1} {"b": 1}]'),
        ("json", '[{"a": 1}] [{"b": 2}]'),
        ("json", '[{"a": NaN}]'),
        ("json", '[{"a": "\\x"}]'),
        ("json", '[{"a":' + "[" * 100_000),
        ("json", b'[{"a": "\xff"}]'),
        ("csv", b"a\n\xff"),
        ("xml", ""),
        ("xml", "<data><data>"),
        ("xml", '<!DOCTYPE d [<!ENTITY e "x">]><d><d><a>&e;</a></d></d>'),
        ("xml", "<d>" + "<a>" * 1000),
        ("yaml", ""),
        ("yaml", "a: 1"),
        ("yaml", "- 1"),
        ("yaml", "- &x {a: 1}\n- *x"),
        ("yaml", "- {a: 1"),
        ("yaml", "- !!python/object/apply:os.getcwd []"),
    ],
)
def test_broken_files(kind: str, content: bytes | str) -> None:
    with pytest.raises(InvalidPayload):
        read(kind, content)


class Endless(io.RawIOBase):
    """A file whose first item never ends."""

    def __init__(self) -> None:
        self.given = 0

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        start = b'[{"a": "' if not self.given else b""
        self.given += size
        return start + b"x" * (size - len(start))


def test_an_item_that_never_ends_is_given_up() -> None:
    file = Endless()
    with pytest.raises(InvalidPayload):
        list(items("json", file))  # type: ignore[arg-type]
    assert file.given < 4 * MAX_ITEM
