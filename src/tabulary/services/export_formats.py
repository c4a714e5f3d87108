"""Items as files: csv, json, xml and yaml, written part by part (spec items-and-query §9.1).

A :class:`Document` takes the items as JSON lists, one list a part, and gives the bytes of the file as they become
known; its memory does not grow with the number of items. All of it is plain work of the processor without any waiting.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from tempfile import SpooledTemporaryFile
from typing import Any, Final, Self

import msgspec

from tabulary.core import json

FORMATS: Final = ("csv", "csv_utf8", "json", "xml", "yaml")
BYTE_ORDER_MARK = "\ufeff"
ColumnPath = tuple[str, ...]
"""The keys that lead from an item to a value: ``("author", "name")`` is the column ``author.name``."""

_IN_MEMORY = 1 << 20


def document(kind: str, columns: Sequence[ColumnPath] | None = None) -> Document:
    """An empty file of a format out of :data:`FORMATS`.

    Args:
        columns: those of a csv file; without them they are what the items turn out to have, so that nothing can be
            written before the last item is known.
    """
    if kind in ("csv", "csv_utf8"):
        mark = BYTE_ORDER_MARK if kind == "csv_utf8" else ""
        return CsvTable(columns, mark) if columns is not None else CsvUnion(mark)
    kinds: dict[str, type[JsonDocument | XmlDocument | YamlDocument]]
    kinds = {"json": JsonDocument, "xml": XmlDocument, "yaml": YamlDocument}
    return kinds[kind]()


def exported(data: Any, kind: str) -> bytes:
    """The whole file of decoded JSON: a list of items, a single item, or null."""
    text = json.encode(data)
    if kind == "json":
        return _tabbed(text)
    if not isinstance(data, list):
        if kind == "xml":
            return _bytes("\n".join([_XML_HEAD, *_xml_lines("data", data, "", {})]))
        if kind == "yaml":
            return _bytes(_yaml_document(data))
        text = json.encode([data] if data else [])
    with document(kind) as file:
        return file.add(text) + b"".join(file.finish())


class Document(ABC):
    """A file that is being written. As a context it lets go of temporary files at its end."""

    @abstractmethod
    def add(self, items: bytes) -> bytes:
        """Take a JSON list of items; what the file grows by."""

    def finish(self) -> Iterator[bytes]:
        """The rest of the file."""
        return iter(())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        return None


# --- JSON ---------------------------------------------------------------------------------------
class JsonDocument(Document):
    """A list, indented with tabs. The items are laid out as text and never decoded."""

    def __init__(self) -> None:
        self._empty = True

    def add(self, items: bytes) -> bytes:
        text = _tabbed(items)
        if text == b"[]":
            return b""
        head, self._empty = b"[" if self._empty else b",", False
        return head + text[1:-2]

    def finish(self) -> Iterator[bytes]:
        yield b"[]" if self._empty else b"\n]"


def _tabbed(text: bytes) -> bytes:
    """JSON laid out with tabs. Line breaks within texts are escaped, so that blanks after one are indentation."""
    laid_out = msgspec.json.format(text, indent=1)
    indented = b"\n"
    while indented + b" " in laid_out:
        laid_out = laid_out.replace(indented + b" ", indented + b"\t")
        indented += b"\t"
    return laid_out


# --- CSV ----------------------------------------------------------------------------------------
class CsvTable(Document):
    """A csv file whose columns are known from the start. Without items it is empty: there is no bare header."""

    def __init__(self, columns: Sequence[ColumnPath], mark: str = "") -> None:
        self._columns = columns
        self._head = mark + ",".join(_csv_cell(".".join(path)) for path in columns)

    def add(self, items: bytes) -> bytes:
        rows = json.decode(items)
        if not rows or not self._columns:
            return b""
        head, self._head = self._head, ""
        if all(len(path) == 1 for path in self._columns):
            names = [path[0] for path in self._columns]
            cells = ([_csv_cell(row.get(name)) for name in names] for row in rows)
        else:
            cells = ([_csv_cell(_value_at(row, path)) for path in self._columns] for row in rows)
        return _bytes(head + _csv_lines(cells))


class CsvUnion(Document):
    """A csv file with the columns of all its items, in order of first sight; nested objects are dotted columns.

    The items wait in a temporary file until the last one has told its columns.
    """

    def __init__(self, mark: str = "") -> None:
        self._mark = mark
        self._columns: dict[str, None] = {}
        self._parts: list[int] = []
        self._spool: SpooledTemporaryFile[bytes] = SpooledTemporaryFile(max_size=_IN_MEMORY)  # noqa: SIM115

    def add(self, items: bytes) -> bytes:
        for row in json.decode(items):
            self._columns.update(dict.fromkeys(name for name, _ in _flat(row, "")))
        self._parts.append(self._spool.write(items))
        return b""

    def finish(self) -> Iterator[bytes]:
        if not self._columns:
            return
        yield _bytes(self._mark + ",".join(map(_csv_cell, self._columns)))
        self._spool.seek(0)
        for size in self._parts:
            rows = (dict(_flat(row, "")) for row in json.decode(self._spool.read(size)))
            yield _bytes(_csv_lines([_csv_cell(row.get(name)) for name in self._columns] for row in rows))

    def __exit__(self, *_: object) -> None:
        self._spool.close()


def _csv_lines(rows: Iterable[list[str]]) -> str:
    """A line for each row, its break before it. Items without any value are left out, as the reference does."""
    return "".join(["\n" + ",".join(cells) for cells in rows if any(cells)])


def _flat(value: Any, prefix: str) -> Iterator[tuple[str, Any]]:
    """Nested objects as dotted names; lists stay."""
    if not isinstance(value, Mapping):
        yield prefix, value
    for name, inner in value.items() if isinstance(value, Mapping) else ():
        path = f"{prefix}.{name}" if prefix else name
        if isinstance(inner, Mapping) and inner:
            yield from _flat(inner, path)
        else:
            yield path, inner


def _value_at(row: Any, path: ColumnPath) -> Any:
    for key in path:
        row = row.get(key) if isinstance(row, Mapping) else None
    return row


def _csv_cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, str):
        return '"' + value.replace('"', '""') + '"' if '"' in value else f'"{value}"'
    text = json.encode(value).decode()
    return '"' + text.replace('"', '""') + '"' if isinstance(value, list | dict) else text


# --- XML ----------------------------------------------------------------------------------------
_XML_HEAD = "<?xml version='1.0'?>"
_NOT_A_NAME = re.compile(r"[^\w.-]")
_NOT_XML = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]")
_MARKUP = re.compile("[&<>\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]")


class XmlDocument(Document):
    """``<data>`` with one ``<data>`` an item; null is the text ``null``, a list repeats its element."""

    def __init__(self) -> None:
        self._empty = True
        self._tags: dict[str, str] = {}

    def add(self, items: bytes) -> bytes:
        lines: list[str] = []
        for item in json.decode(items):
            lines += _xml_lines("data", item, "    ", self._tags)
        if not lines:
            return b""
        head, self._empty = f"{_XML_HEAD}\n<data>\n" if self._empty else "\n", False
        return _bytes(head + "\n".join(lines))

    def finish(self) -> Iterator[bytes]:
        yield f"{_XML_HEAD}\n<data/>".encode() if self._empty else b"\n</data>"


def _xml_lines(name: str, value: Any, indent: str, tags: dict[str, str]) -> list[str]:
    tag = tags.get(name) or tags.setdefault(name, _xml_tag(name))
    if isinstance(value, Mapping):
        inner: list[str] = []
        for key, member in value.items():
            inner += _xml_lines(str(key), member, indent + "    ", tags)
        return [f"{indent}<{tag}>", *inner, f"{indent}</{tag}>"] if inner else [f"{indent}<{tag}/>"]
    if isinstance(value, list):
        return [line for entry in value for line in _xml_lines(name, entry, indent, tags)]
    return [f"{indent}<{tag}>{_xml_text(value)}</{tag}>"]


def _xml_tag(name: str) -> str:
    tag = _NOT_A_NAME.sub("_", name)
    return tag if tag[:1].isalpha() or tag[:1] == "_" else f"_{tag}"


def _xml_text(value: Any) -> str:
    text = value if isinstance(value, str) else json.encode(value).decode()
    if _MARKUP.search(text) is None:
        return text
    return _NOT_XML.sub("", text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


# --- YAML ---------------------------------------------------------------------------------------
_PLAIN = re.compile(r"[^\W\d][\w./@+-]*(?: [\w./@+()-]+)*")
_ONE_LINE = re.compile("[ -~\xa0-\u2027\u202a-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]*")
_UNPRINTABLE = re.compile("[^ -~\xa0-\u2027\u202a-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]")
_EXPONENT = re.compile(r"(-?[\d.]+)[eE]([+-]?)(\d+)")
_WORDS = frozenset({"null", "true", "false", "yes", "no", "on", "off", "y", "n"})
"""What looks like text and is none in YAML 1.1."""


class YamlDocument(Document):
    """A block list, indented by two; texts that could be read as something else are quoted."""

    def __init__(self) -> None:
        self._empty = True

    def add(self, items: bytes) -> bytes:
        rows = json.decode(items)
        if not rows:
            return b""
        self._empty = False
        return _bytes(_yaml_block(rows, ""))

    def finish(self) -> Iterator[bytes]:
        if self._empty:
            yield b"[]\n"


def _yaml_document(value: Any) -> str:
    return _yaml_block(value, "") if isinstance(value, dict | list) and value else _yaml_scalar(value) + "\n"


def _yaml_block(value: Mapping[str, Any] | list[Any], indent: str) -> str:
    """The lines of an object or a list that is not empty."""
    deeper = indent + "  "
    if isinstance(value, list):
        return "".join([f"{indent}- {_yaml_entry(entry, deeper)}" for entry in value])
    return "".join([f"{indent}{_yaml_scalar(str(k))}:{_yaml_member(member, deeper)}" for k, member in value.items()])


def _yaml_entry(value: Any, indent: str) -> str:
    """What follows the dash: an object or a list begins on the same line."""
    if isinstance(value, dict | list) and value:
        return _yaml_block(value, indent)[len(indent) :]
    return _yaml_scalar(value) + "\n"


def _yaml_member(value: Any, indent: str) -> str:
    """What follows the colon."""
    if isinstance(value, dict | list) and value:
        return "\n" + _yaml_block(value, indent)
    return f" {_yaml_scalar(value)}\n"


def _yaml_scalar(value: Any) -> str:
    if not isinstance(value, str):
        return _EXPONENT.sub(_yaml_float, json.encode(value).decode())
    if _PLAIN.fullmatch(value) and value.lower() not in _WORDS:
        return value
    if _ONE_LINE.fullmatch(value):
        return "'" + value.replace("'", "''") + "'"
    escaped = value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return '"' + _UNPRINTABLE.sub(lambda found: f"\\u{ord(found[0]):04x}", escaped) + '"'


def _yaml_float(found: re.Match[str]) -> str:
    """``1e16`` as YAML 1.1 wants it, to which it is a text without point and sign: ``1.0e+16``."""
    digits, sign, exponent = found.groups()
    return f"{digits if '.' in digits else f'{digits}.0'}e{sign or '+'}{exponent}"


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "replace")
