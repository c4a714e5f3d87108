"""The metadata of an image as one tree, and the part of it that is kept with the file (spec files §3.8)."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Any
from xml.etree import ElementTree

from tabulary.core.images.engine import Header

Tree = dict[str, Any]

_IPTC = {15: "category", 25: "keywords", 55: "dateCreated", 80: "byline", 85: "bylineTitle", 105: "headline",
         110: "credit", 116: "copyright", 120: "caption", 122: "captionWriter"}  # fmt: skip
_ICC_SIGNATURES = (("cmm", 4), ("deviceClass", 12), ("colorSpace", 16), ("connectionSpace", 20), ("platform", 40),
                   ("creator", 80))  # fmt: skip
_ICC_TEXTS = {b"desc": "description", b"cprt": "copyright"}
_ICC_INTENTS = ("Perceptual", "Relative", "Saturation", "Absolute")
_LARGEST_XMP = 1 << 20
_DC = "{http://purl.org/dc/elements/1.1/}"
_RDF_ITEM = "{http://www.w3.org/1999/02/22-rdf-syntax-ns#}li"


def metadata_of(header: Header) -> Tree:
    """All that the header tells: ``ifd0``, ``ifd1``, ``exif``, ``gps``, ``interop``, ``icc``, ``iptc``, ``xmp``."""
    tree: Tree = dict(header.exif)
    for name, block, parse in (("icc", header.icc, _icc), ("iptc", header.iptc, parse_iptc), ("xmp", header.xmp, _xmp)):
        if block and (found := parse(block)):
            tree[name] = found
    return tree


def allowed(tree: Tree, paths: Sequence[str]) -> Tree:
    """What ``FILE_METADATA_ALLOW_LIST`` lets through, texts trimmed; ``*`` lets everything."""
    if "*" in paths:
        chosen: Tree = tree
    else:
        chosen = {}
        for path in paths:
            _pick(tree, path.split("."), chosen)
    trimmed: Tree = _trimmed(chosen)
    return trimmed


def _pick(tree: Any, path: list[str], target: Tree) -> None:
    name, *rest = path
    if not isinstance(tree, dict) or name not in tree:
        return
    if not rest:
        target[name] = tree[name]
        return
    inner = target.setdefault(name, {})
    _pick(tree[name], rest, inner)
    if not inner:
        del target[name]


def _trimmed(value: Any) -> Any:
    if isinstance(value, str):
        return value.strip().replace("\x00", "")
    if isinstance(value, dict):
        return {name: _trimmed(entry) for name, entry in value.items()}
    return [_trimmed(entry) for entry in value] if isinstance(value, list) else value


# --- IPTC ---------------------------------------------------------------------------------------
def parse_iptc(block: bytes) -> Tree:
    """The datasets of the application record; those that repeat become lists."""
    found: Tree = {}
    place = block.find(b"\x1c\x02")
    while 0 <= place <= len(block) - 5 and block[place] == 0x1C:
        record, dataset, size = block[place + 1], block[place + 2], int.from_bytes(block[place + 3 : place + 5], "big")
        name = _IPTC.get(dataset) if record == 2 else None
        if name and not size & 0x8000:
            value = block[place + 5 : place + 5 + size].decode("utf-8", "replace")
            if name in found:
                earlier = found[name]
                found[name] = [*(earlier if isinstance(earlier, list) else [earlier]), value]
            else:
                found[name] = value
        place += 5 + (size & 0x7FFF)
    return found


# --- XMP ----------------------------------------------------------------------------------------
def _xmp(block: bytes) -> Tree:
    """Dublin Core of the packet. Packets that declare entities are not read: they have no honest use here."""
    if len(block) > _LARGEST_XMP or b"<!" in block:
        return {}
    try:
        root = ElementTree.fromstring(block.strip(b"\x00 \r\n\t"))
    except ElementTree.ParseError:
        return {}
    found: Tree = {}
    for name in ("title", "description", "rights", "creator", "subject"):
        element = root.find(f".//{_DC}{name}")
        if element is None:
            continue
        entries = [(item.text or "").strip() for item in element.iter(_RDF_ITEM)]
        if name in ("creator", "subject") and entries:
            found[name] = entries
        elif text := entries[0] if entries else (element.text or "").strip():
            found[name] = text
    return found


# --- ICC ----------------------------------------------------------------------------------------
def _icc(block: bytes) -> Tree:
    """The header of a colour profile and its texts."""
    if len(block) < 132 or block[36:40] != b"acsp":
        return {}
    intent = int.from_bytes(block[64:68], "big")
    found: Tree = {
        "version": f"{block[8]}.{block[9] >> 4}",
        "intent": _ICC_INTENTS[intent] if intent < len(_ICC_INTENTS) else None,
        **{name: _signature(block, place) for name, place in _ICC_SIGNATURES},
    }
    for index in range(min(int.from_bytes(block[128:132], "big"), 100)):
        entry = block[132 + 12 * index : 144 + 12 * index]
        if len(entry) == 12 and entry[:4] in (*_ICC_TEXTS, b"wtpt"):
            place, size = struct.unpack(">II", entry[4:])
            content = block[place : place + min(size, 4096)]
            name = _ICC_TEXTS.get(entry[:4], "whitepoint")
            found[name] = _icc_point(content) if name == "whitepoint" else _icc_text(content)
    return {name: value for name, value in found.items() if value is not None}


def _signature(block: bytes, place: int) -> str | None:
    return block[place : place + 4].strip(b"\x00 ").decode("latin-1") or None


def _icc_text(content: bytes) -> str | None:
    if content[:4] == b"text":
        return content[8:].split(b"\x00", 1)[0].decode("latin-1")
    if content[:4] == b"desc":
        size = int.from_bytes(content[8:12], "big")
        return content[12 : 12 + size].rstrip(b"\x00").decode("latin-1")
    if content[:4] == b"mluc" and len(content) >= 28:
        size, place = struct.unpack(">II", content[20:28])
        return content[place : place + size].decode("utf-16-be", "replace")
    return None


def _icc_point(content: bytes) -> list[float] | None:
    if len(content) < 20:
        return None
    return [round(number / 65_536, 6) for number in struct.unpack(">3i", content[8:20])]
