"""Links in mails: which addresses somebody may have them lead to, and the signed token in them (spec users §1.4).

A link carries a token that acts for whoever opens it. So it goes to our own pages, or to an address that the
administrator has put on a list, and nowhere else, whoever asks.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

_DEFAULT_PORTS = {"http": 80, "https": 443, "ftp": 21, "ws": 80, "wss": 443}
_MASK = 0xFFFFFFFF


def is_allowed(url: str, allowed: Any) -> bool:
    """True when ``url`` is on the list, or has scheme, host, port and path of an entry. Without a list nothing is."""
    entries = allowed if isinstance(allowed, list | tuple) else [allowed] if allowed else []
    place = _place(url)
    return any(url == str(entry) or (place is not None and place == _place(str(entry))) for entry in entries)


def is_path(url: str) -> bool:
    """True for a path on the same host, read alike by all browsers."""
    return url.startswith("/") and not url.startswith("//") and "\\" not in url and all(32 < ord(c) != 127 for c in url)


def has_origin(url: str, of: str) -> bool:
    """True when both are on the web at the same scheme, host and port."""
    place, own = _place(url), _place(of)
    return place is not None and own is not None and place[:3] == own[:3] and place[0] in ("http", "https")


def with_token(url: str, token: str) -> str:
    """The address with the query parameter ``token``; its other parameters and its fragment stay."""
    parts = urlsplit(url)
    kept = [pair for pair in parse_qsl(parts.query, keep_blank_values=True) if pair[0] != "token"]
    return urlunsplit(parts._replace(query=urlencode([*kept, ("token", token)])))


def own_page(settings: Mapping[str, Any], path: str) -> str:
    """The absolute address of a page of ours; without ``PUBLIC_URL`` on this machine, as in development.

    Never taken from the request: whoever sends it also chooses its ``Host``.
    """
    public = str(settings["PUBLIC_URL"]).rstrip("/")
    if not urlsplit(public).netloc:
        public = f"http://localhost:{settings['PORT']}{public}"
    return f"{public}/{path}"


def fingerprint(text: str | None) -> str:
    """A short hash by which a token dies with the password that it was made for (spec users §1.4, "simple hash").

    Not a secret and not meant to be strong: it stands inside a signed token. Null counts as the text ``null``.
    """
    value = 0
    for unit in _code_units("null" if text is None else text):
        value = (31 * value + unit) & _MASK
    return f"{abs(value - (1 << 32) if value >> 31 else value):x}"


def _code_units(text: str) -> Iterable[int]:
    encoded = text.encode("utf-16-le", "surrogatepass")
    return (encoded[i] | encoded[i + 1] << 8 for i in range(0, len(encoded), 2))


def _place(url: str) -> tuple[str, str, int | None, str] | None:
    """Scheme, host, port and path; None for what browsers and we might not read alike."""
    if "\\" in url or any(ord(c) <= 32 or ord(c) == 127 for c in url):
        return None
    try:
        parts = urlsplit(url)
        port = _DEFAULT_PORTS.get(parts.scheme) if parts.port is None else parts.port
    except ValueError:
        return None
    if not parts.scheme or not parts.hostname or "@" in parts.netloc:
        return None
    return parts.scheme, parts.hostname, port, parts.path or "/"
