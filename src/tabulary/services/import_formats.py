"""Files as items: csv, json, xml and yaml, read item by item (spec items-and-query §9.3).

Each reader is a generator over a binary file that keeps one item and one block of the file in memory. What is broken
raises :class:`InvalidPayload` when it is reached. All of it is plain work without waiting, to be run in a thread.
"""

from __future__ import annotations

import codecs
import csv
import io
import re
from collections.abc import Callable, Collection, Iterator
from json import JSONDecoder
from typing import Any, BinaryIO, Final
from xml.parsers import expat

from tabulary.core import json
from tabulary.core.errors import InvalidPayload

Item = dict[str, Any]

FORMATS: Final = ("csv", "json", "xml", "yaml")
MAX_ITEM: Final = 16 << 20
"""Characters that one item, or one cell, may have: what is larger is a broken file more often than an item."""

_BLOCK = 1 << 16
_MAX_DEPTH = 60


def items(kind: str, source: BinaryIO, texts: Collection[str] = ()) -> Iterator[Item]:
    """The items of a file of one of :data:`FORMATS`.

    Args:
        texts: names of text fields: in csv and xml their ``true`` and ``false`` stay words.
    """
    if kind == "csv":
        return _csv_items(source, texts)
    if kind == "xml":
        return _xml_items(source, texts)
    return {"json": _json_items, "yaml": _yaml_items}[kind](source)


# --- CSV ----------------------------------------------------------------------------------------
def _csv_items(source: BinaryIO, texts: Collection[str]) -> Iterator[Item]:
    """The first row names the fields; of equal names the first counts. Empty cells are no values."""
    csv.field_size_limit(MAX_ITEM)  # of the whole process; the default of 128 KiB would refuse long texts
    lines = io.TextIOWrapper(source, encoding="utf-8-sig", newline="")
    try:
        rows = csv.reader(lines)
        names = [name.strip() for name in next(rows, ())]
        columns = [
            (place, tuple(name.split(".")), name in texts)
            for place, name in enumerate(names)
            if name and names.index(name) == place
        ]
        for row in rows:
            item: Item = {}
            for place, path, is_text in columns:
                if place < len(row) and (text := row[place]):
                    _put(item, path, _cell(text, is_text))
            yield item
    except csv.Error as problem:
        raise InvalidPayload(f"The file is not valid CSV: {problem} (line {rows.line_num})") from None
    except UnicodeDecodeError:
        raise InvalidPayload("The file is not text in UTF-8") from None
    finally:
        lines.detach()


def _put(item: Item, path: tuple[str, ...], value: Any) -> None:
    """Set a value; ``author.name`` makes an object of ``author``."""
    *parents, last = path
    for name in parents:
        inner = item.get(name)
        if not isinstance(inner, dict):
            inner = item[name] = {}
        item = inner
    item[last] = value


_WORDS: Final = {"true": True, "false": False, "null": None}


def _cell(text: str, is_text: bool) -> Any:
    """What a cell means: the JSON that it holds, but numbers stay text, so that no digit of theirs is lost."""
    stripped = text.strip(" \t\n\r")
    if stripped in _WORDS:
        return text if is_text and stripped != "null" else _WORDS[stripped]
    if stripped[:1] in ("{", "[", '"'):
        try:
            return json.decode(stripped)
        except ValueError:
            return text
    return text


# --- JSON ---------------------------------------------------------------------------------------
_BLANK = re.compile(r"[ \t\n\r]*")


class _Characters:
    """A file as text, of which a part is at hand from ``at`` on."""

    def __init__(self, source: BinaryIO) -> None:
        self._source = source
        self._decoder = codecs.getincrementaldecoder("utf-8-sig")()
        self._ended = False
        self.text, self.at = "", 0

    def more(self, size: int = _BLOCK) -> bool:
        """Read on; False at the end of the file."""
        if self._ended:
            return False
        block = self._source.read(size)
        self._ended = not block
        try:
            self.text = self.text[self.at :] + self._decoder.decode(block, final=self._ended)
        except UnicodeDecodeError:
            raise InvalidPayload("The file is not text in UTF-8") from None
        self.at = 0
        return not self._ended

    def next(self) -> str:
        """The next character that is not blank; empty at the end of the file."""
        while True:
            found = _BLANK.match(self.text, self.at)
            self.at = found.end() if found else self.at
            if self.at < len(self.text):
                return self.text[self.at]
            if not self.more():
                return ""


def _json_items(source: BinaryIO) -> Iterator[Item]:
    characters = _Characters(source)
    if characters.next() != "[":
        raise InvalidPayload("The file has to hold a JSON list of items")
    characters.at += 1
    number = 0
    while (found := characters.next()) != "]" or number:
        number += 1
        if found != "{":
            raise InvalidPayload(f"Item {number} is not a JSON object")
        yield _json_item(characters, number)
        separator = characters.next()
        if separator == "]":
            break
        if separator != ",":
            raise InvalidPayload(f"There is neither a comma nor the end of the list behind item {number}")
        characters.at += 1
    characters.at += 1
    if characters.next():
        raise InvalidPayload("There is something behind the end of the list")


def _json_item(characters: _Characters, number: int) -> Item:
    size = _BLOCK
    while True:
        try:
            item, characters.at = _JSON.raw_decode(characters.text, characters.at)
        except ValueError:  # broken, or not all there yet
            at_hand = len(characters.text) - characters.at
            if at_hand > MAX_ITEM or not characters.more(size):
                raise InvalidPayload(f"Item {number} is not valid JSON, or larger than {MAX_ITEM >> 20} MiB") from None
            size = max(size, at_hand)  # reading as much again keeps the tries few
        except RecursionError:
            raise InvalidPayload(f"Item {number} is nested too deeply") from None
        else:
            return dict(item)


def _refused(word: str) -> Any:
    raise ValueError(f"{word} is not JSON")


_JSON: Final = JSONDecoder(parse_constant=_refused)


# --- XML ----------------------------------------------------------------------------------------
class _XmlReader:
    """Turns events of the parser into items: elements with elements are objects, repeated ones are lists."""

    def __init__(self, texts: Collection[str]) -> None:
        self.found: list[Item] = []
        self._texts = texts
        self._open: list[tuple[str, Item, list[str]]] = []
        self._size = 0
        self.parser = expat.ParserCreate()
        self.parser.StartElementHandler = self._start
        self.parser.EndElementHandler = self._end
        self.parser.CharacterDataHandler = self._text
        self.parser.StartDoctypeDeclHandler = self._doctype

    def _doctype(self, *_: Any) -> None:
        raise InvalidPayload("XML with a document type is not accepted")

    def _start(self, name: str, _: Any) -> None:
        if len(self._open) == 1:
            self._size = 0
        if len(self._open) > _MAX_DEPTH:
            raise InvalidPayload("The XML is nested too deeply")
        self._open.append((name, {}, []))

    def _text(self, text: str) -> None:
        self._size += len(text)
        if self._size > MAX_ITEM:
            raise InvalidPayload(f"An item is larger than {MAX_ITEM >> 20} MiB")
        self._open[-1][2].append(text)

    def _end(self, name: str) -> None:
        name, members, texts = self._open.pop()
        if not self._open:
            return
        if len(self._open) == 1:
            self.found.append(members)
            return
        is_text = len(self._open) == 2 and name in self._texts
        value: Any = members or _cell("".join(texts), is_text)
        parent = self._open[-1][1]
        if name not in parent:
            parent[name] = value
        elif isinstance(parent[name], list):
            parent[name].append(value)
        else:
            parent[name] = [parent[name], value]


def _xml_items(source: BinaryIO, texts: Collection[str]) -> Iterator[Item]:
    reader = _XmlReader(texts)
    try:
        while block := source.read(_BLOCK):
            reader.parser.Parse(block, False)
            yield from reader.found
            reader.found.clear()
        reader.parser.Parse(b"", True)
    except expat.ExpatError as problem:
        raise InvalidPayload(f"The file is not valid XML: {problem}") from None


def _yaml_items(source: BinaryIO) -> Iterator[Item]:
    from tabulary.services.import_yaml import yaml_items  # here: few files are YAML, and its library is slow to load

    return yaml_items(source)


Reader = Callable[[], Iterator[Item]]
"""Begins at the first item each time it is called."""
