"""Names around a file: its title, its extension, where it and its variants are stored (spec files §3.2, §3.10)."""

from __future__ import annotations

import mimetypes
import posixpath
import re
from collections.abc import Iterable
from fnmatch import fnmatchcase
from typing import Any, Final

from tabulary.core.errors import InvalidPayload
from tabulary.core.storage import UNFINISHED, clean_path

VARIANT = re.compile(r"__[0-9a-f]{40}(\.\w+)?$")
"""How the name of a transformed image ends."""

_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
_BREAKS = re.compile(r"[\s\-_]+")
_SMALL: Final = frozenset("a an and as at but by for in nor of off on or per so the to up via yet".split(" "))  # noqa: SIM905
_SPELLINGS: Final = """
    2FA 3D 4K 5K 8K AGI AI API BIOS CCTV CD CDN CLI CMS CPU CRM CSS CSV DDoS DIY DNA DNS DPI DVD EPS EXIF FAQ FM FTP GIF
    GPS GPT GPU GraphQL GUI HD HDMI HTML HTTP HTTPS iCal ID iOS IP iPad iPhone IPTC ISBN ISO JavaScript JPEG JPG JSON
    JSONP JWT LAN LCD LED LLM macOS MP3 MP4 MQTT MySQL NASA NFC OAuth OCR OIDC OS PayPal PDF PHP PNG PostgreSQL PSD RAM
    RFID RGB ROM RSS S3 SaaS SAML SDK SDXL SEO SMS SMTP SQL SQLite SSD SSH SSL SSO SVG TIFF TLS TV TypeScript UI URI URL
    USB UTF UUID UX VHS VIP VM VPN VR WebGL WebP WiFi WordPress WWW XML XMP YAML YouTube
"""
_SPELLED: Final = {word.lower(): word for word in _SPELLINGS.split()}
_EXTENSIONS: Final = {
    "image/jpeg": ".jpg",
    "image/tiff": ".tif",
    "image/webp": ".webp",
    "image/avif": ".avif",
    "image/svg+xml": ".svg",
    "text/plain": ".txt",
    "text/markdown": ".md",
    "text/yaml": ".yaml",
    "application/octet-stream": ".bin",
    "application/gzip": ".gz",
    "audio/mpeg": ".mp3",
    "video/mp4": ".mp4",
}
"""Where the table of the standard library knows no extension, or another one than people expect."""


def formatted_title(text: str) -> str:
    """``my-photo_one`` → ``My Photo One``: words apart, capitals in front, short prepositions small inside."""
    words = [word for word in _BREAKS.split(_CAMEL.sub(" ", text)) if word]
    last = len(words) - 1
    return " ".join(_titled(word.lower(), 0 < place < last) for place, word in enumerate(words))


def _titled(word: str, inside: bool) -> str:
    if word in _SPELLED:
        return _SPELLED[word]
    return word if inside and word in _SMALL else word[:1].upper() + word[1:]


def stem_of(name: str) -> str:
    """The name without its last extension; ``.hidden`` has none."""
    return posixpath.splitext(name)[0]


def extension_of(name: Any, media_type: Any) -> str:
    """With its dot: of the name, else what the media type suggests, else empty."""
    if extension := posixpath.splitext(str(name or ""))[1]:
        return extension
    kind = str(media_type or "").partition(";")[0].strip().lower()
    return _EXTENSIONS.get(kind) or mimetypes.guess_extension(kind) or ""


def matches_type(media_type: str, patterns: Iterable[Any]) -> bool:
    """True when a media type fits one of the globs of a list such as ``FILES_MIME_TYPE_ALLOW_LIST``."""
    kind = media_type.partition(";")[0].strip().lower()
    return any(fnmatchcase(kind, str(pattern).strip().lower()) for pattern in patterns)


def disk_name(value: Any) -> str:
    """The path below the root that a client's ``filename_disk`` means.

    Raises :class:`InvalidPayload` for what is no name of a file, or would pass for a variant of another file.
    """
    if not isinstance(value, str):
        raise InvalidPayload('"filename_disk" has to be a text')
    try:
        name = clean_path(value)
    except ValueError as problem:
        raise InvalidPayload(f'"filename_disk" {problem}') from None
    if VARIANT.search(name) or posixpath.basename(name).startswith((UNFINISHED, "temp_")):
        raise InvalidPayload('"filename_disk" is a name that is kept for the system; choose another one')
    return name


def variant_prefix(key: str, stored: str) -> str:
    """How the names of a file's variants begin, beside the file.

    For files named after their key it is the reference's ``<key>__``, so that its variants are found. For others the
    extension stays in: ``a.png`` and ``a.jpg`` are two files.
    """
    stem = posixpath.splitext(stored)[0]
    return f"{stem if posixpath.basename(stem) == key else stored}__"
