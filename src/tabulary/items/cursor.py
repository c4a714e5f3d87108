"""Cursors: places in a list, as text that clients hand back to read on from there.

A cursor holds the sort values of one item (its primary key is the last of them) and the direction to walk in. It is
neither a right nor a secret: it says no more than a filter could, and only of fields whose values its reader may see
(hidden ones are null). It is bound to its collection and order, and checked when it comes back.
"""

from __future__ import annotations

import binascii
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b

from tabulary.core import json
from tabulary.core.errors import InvalidQuery

_FORM = 1
_MARK_BYTES = 6


@dataclass(frozen=True, slots=True)
class Cursor:
    """The place right behind (``backward``: right before) an item.

    Attributes:
        values: what the item is sorted by, each as the dialect's exact text or None for null.
        backward: towards the beginning of the list.
    """

    values: tuple[str | None, ...]
    backward: bool = False

    def text(self, collection: str, sort: Sequence[str]) -> str:
        """The cursor as clients carry it, for this collection in this order."""
        content = json.encode([_FORM, _mark(collection, sort), int(self.backward), *self.values])
        return urlsafe_b64encode(content).decode().rstrip("=")

    @classmethod
    def parse(cls, text: str, collection: str, sort: Sequence[str]) -> Cursor:
        """The cursor of a text. Raises :class:`InvalidQuery` when it is none, or of another list."""
        try:
            content = json.decode(urlsafe_b64decode(text + "=" * (-len(text) % 4)))
        except (ValueError, binascii.Error):
            content = None
        if not isinstance(content, list) or len(content) < 4 or content[0] != _FORM:
            raise InvalidQuery('"cursor" takes what "meta.cursor" of an answer says; leave it out to begin again')
        _, mark, backward, *values = content
        if mark != _mark(collection, sort) or len(values) != len(sort):
            raise InvalidQuery("The cursor is one of another collection or sort; leave it out to begin again")
        if backward not in (0, 1) or not all(v is None or (isinstance(v, str) and "\0" not in v) for v in values):
            raise InvalidQuery("The cursor has been changed; leave it out to begin again")
        return cls(tuple(values), bool(backward))


def _mark(collection: str, sort: Sequence[str]) -> str:
    return blake2b("\0".join((collection, *sort)).encode(), digest_size=_MARK_BYTES).hexdigest()
