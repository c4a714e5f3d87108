"""``Content-Disposition`` for names in any script (RFC 6266), readable for old clients too."""

from __future__ import annotations

import re
from urllib.parse import quote

_ESCAPED = re.compile(r"%[0-9A-Fa-f]{2}")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


def disposition(kind: str, name: str) -> str:
    """The header's value: ``inline`` or ``attachment`` with a file name.

    Names outside of Latin-1, and those that could be taken for percent-encoded ones, are given a second time in UTF-8.
    """
    name = _CONTROL.sub(" ", name.replace("\\", "/").rpartition("/")[2])
    plain = name.encode("latin-1", "replace").decode("latin-1")
    quoted = plain.replace('"', '\\"')
    header = f'{kind}; filename="{quoted}"'
    if plain != name or _ESCAPED.search(name):
        header += f"; filename*=UTF-8''{quote(name, safe=_UNQUOTED)}"
    return header


_UNQUOTED = "!#$&+-.^_`|~"
