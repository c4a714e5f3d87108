"""Exports: what the files look like, and that they say what went in."""

from __future__ import annotations

import csv
import io
from datetime import datetime
from xml.etree import ElementTree

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tabulary.core import json
from tabulary.server.export import exported, file_name

ROWS = [
    {"id": 1, "title": 'a "b", <c>', "author": {"name": "x"}, "tags": [1, {"y": None}], "ok": True},
    {"id": 2, "title": None, "author": None, "tags": [], "ok": False},
]


def test_csv() -> None:
    assert exported(ROWS, "csv").decode() == (
        '"id","title","author.name","tags","ok","author"\n'
        '1,"a ""b"", <c>","x","[1,{""y"":null}]",true,\n'
        '2,,,"[]",false,'
    )
    assert exported([], "csv") == exported([], "csv_utf8") == b""
    assert exported(ROWS, "csv_utf8").startswith(b"\xef\xbb\xbf")
    assert exported({"id": 1}, "csv") == b'"id"\n1'


def test_xml() -> None:
    root = ElementTree.fromstring(exported(ROWS, "xml"))
    assert [child.tag for child in root] == ["data", "data"]
    assert root[0].findtext("title") == 'a "b", <c>'
    assert root[1].findtext("title") == "null"
    assert len(root[0].findall("tags")) == 2
    assert ElementTree.fromstring(exported({"a b": "\x00"}, "xml"))[0].tag == "a_b"


def test_json_is_indented_with_tabs() -> None:
    assert exported([{"a": 1}], "json") == b'[\n\t{\n\t\t"a": 1\n\t}\n]'


def test_file_names() -> None:
    moment = datetime(2024, 1, 31, 9, 5, 4)
    assert file_name("books", "csv_utf8", moment) == "books 20240131-954.csv"
    assert file_name(None, "yaml", moment) == "Export 20240131-954.yaml"


unhurried = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(min_size=1), inner, max_size=3),
    max_leaves=8,
)
rows = st.lists(st.dictionaries(st.text(alphabet="abc", min_size=1), values, max_size=3), max_size=3)


@unhurried
@given(rows)
def test_json_and_yaml_say_what_went_in(data: list[dict[str, object]]) -> None:
    assert json.decode(exported(data, "json")) == data
    assert yaml.safe_load(exported(data, "yaml")) == data


@unhurried
@given(st.lists(st.text(alphabet=st.characters(exclude_categories=["Cs"], exclude_characters="\0\r")), min_size=1))
def test_csv_says_what_went_in(cells: list[str]) -> None:
    text = exported([{"x": cell, "n": 1} for cell in cells], "csv").decode()
    assert [row[0] for row in csv.reader(io.StringIO(text, newline=""))][1:] == cells


@pytest.mark.parametrize("kind", ["csv", "xml", "json", "yaml"])
@unhurried
@given(data=rows)
def test_every_format_takes_anything(kind: str, data: list[dict[str, object]]) -> None:
    assert isinstance(exported(data, kind), bytes)
