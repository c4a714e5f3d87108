"""The ``encrypt`` special: secrets of settings, readable by internal calls only (spec items-and-query §5.4).

Stored as nine parts joined by ``||`` that carry all parameters: AES-256-GCM with a scrypt key of the instance secret.
The cipher comes from the optional package ``cryptography``.
"""

from __future__ import annotations

import hashlib
import os
from base64 import b64decode, b64encode

from tabulary.core.errors import ServiceUnavailable

try:
    from cryptography.exceptions import InvalidTag  # type: ignore[import-not-found,unused-ignore]
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM  # type: ignore[import-not-found,unused-ignore]
except ImportError:  # pragma: no cover - depends on the installation
    AESGCM = None  # type: ignore[assignment,misc,unused-ignore]

_VERSION, _DERIVATION = "1", "scrypt"
_COST, _BLOCK, _PARALLEL = 16384, 8, 1
_TAG = 16


def encrypt(text: str, secret: str) -> str:
    """The stored form of a secret text. Raises :class:`ServiceUnavailable` without the package ``cryptography``."""
    _require()
    salt, nonce = os.urandom(16), os.urandom(12)
    sealed = AESGCM(_key(secret, salt)).encrypt(nonce, text.encode(), None)
    parts = (salt, nonce, sealed[:-_TAG], sealed[-_TAG:])
    head = (_VERSION, _DERIVATION, str(_COST), str(_BLOCK), str(_PARALLEL))
    return "||".join((*head, *(b64encode(part).decode() for part in parts)))


def decrypt(stored: str, secret: str) -> str | None:
    """The secret text, or None when it was not stored by this instance's secret."""
    _require()
    parts = stored.split("||")
    if len(parts) != 9 or parts[:2] != [_VERSION, _DERIVATION]:
        return None
    try:
        salt, nonce, body, tag = (b64decode(part) for part in parts[5:])
        opened: bytes = AESGCM(_key(secret, salt)).decrypt(nonce, body + tag, None)
    except (ValueError, InvalidTag):
        return None
    return opened.decode()


def _key(secret: str, salt: bytes) -> bytes:
    return hashlib.scrypt(secret.encode(), salt=salt, n=_COST, r=_BLOCK, p=_PARALLEL, maxmem=64 * 2**20, dklen=32)


def _require() -> None:
    if AESGCM is None:
        raise ServiceUnavailable("encryption", 'Install the package "cryptography"')
